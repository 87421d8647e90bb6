"""What the explain screen is sent: explain()'s own numbers, and texts made in Python."""

import contextlib
import io
import json
import math
from typing import Any

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

import crossent
from crossent.explaining.page.api import answer

FOUNDING: dict[str, Any] = {"target": [1, 0, 0, 0, 0], "prediction": [0.1, 0.5, 0.1, 0.1, 0.2]}


def view(**changes: Any) -> dict[str, Any]:
    return answer("explain", {**FOUNDING, **changes})


def test_the_founding_example() -> None:
    shown = view()
    assert shown["loss"] == [-math.log(0.1), "2.303"]
    assert shown["loss_bits"] == [pytest.approx(3.321928, abs=5e-7), "3.322"]
    assert [row["grad_logit"][1] for row in shown["rows"]] == ["−0.9", "+0.5", "+0.1", "+0.1", "+0.2"]
    assert shown["entropy_q_bits"][1] == "1.961"
    assert shown["as_logits"]["loss"][1] == "1.722"
    assert (shown["chance"], shown["steps"]["result"]) == ("1 chance in 10", "2.302585…")
    assert shown["verdict"] == "1.00 bit worse than guessing uniformly (log 5)."


@pytest.mark.parametrize("base", ["e", "2", "10"])
@pytest.mark.parametrize("kind", ["probs", "logits"])
def test_every_cell_is_a_number_of_the_explanation(kind: str, base: str) -> None:
    random = np.random.default_rng(7)
    for classes in (1, 2, 5, 12):
        logits = random.normal(scale=3, size=classes)
        prediction = logits if kind == "logits" else softmax(logits)
        target = random.dirichlet(np.ones(classes))
        shown = view(target=target.tolist(), prediction=prediction.tolist(), kind=kind, base=base)
        explanation = crossent.explain(target, prediction, kind=kind, base=base)
        named = {name: shown[name][0] for name in ("loss", "loss_nats", "loss_bits", "kl", "js_bits", "grad_norm")}
        assert named == {name: getattr(explanation, name) for name in named}
        assert (shown["floor"][0], shown["uniform"][0]) == (
            explanation.entropy_target,
            explanation.baselines.uniform,
        )
        columns = ("p", "q", "surprisal", "contribution", "grad_logit", "grad_prob")
        for row, term in zip(shown["rows"], explanation.terms, strict=True):
            assert {name: row[name][0] for name in columns} == {name: getattr(term, name) for name in columns}


def test_the_slice_is_the_loss_of_moved_logits_and_its_slope_the_gradient() -> None:
    logits = np.array([0.5, -1.0, 2.0])
    shown = view(target=[0.2, 0.3, 0.5], prediction=logits.tolist(), kind="logits", slice=1)["slice"]
    for offset, loss in shown["points"]:
        expected = -(np.array([0.2, 0.3, 0.5]) * log_softmax(logits + np.array([0.0, offset, 0.0]))).sum()
        assert loss == pytest.approx(expected, rel=1e-13)
    assert shown["slope"][0] == pytest.approx(softmax(logits)[1] - 0.3, rel=1e-12)


def test_what_cannot_be_sliced_is_left_out() -> None:
    assert view(prediction=[0, 1, 0, 0, 0])["slice"] is None
    assert view(prediction=[0.1, 0.1, 0.1, 0.1, 0.1])["slice"] is None


def test_an_impossible_truth_is_inf_in_every_amount_and_strict_json() -> None:
    shown = view(prediction=[0, 0.5, 0.5, 0, 0])
    assert shown["loss"] == ["inf", "inf"]
    assert shown["rows"][0]["grad_prob"] == ["-inf", "−inf"]
    assert shown["findings"][0]["code"] == "CE001"
    text = json.dumps(shown, allow_nan=False)
    assert "NaN" not in text
    assert "-0.0" not in text


def test_a_perfect_prediction_costs_zero_and_no_minus_zero() -> None:
    shown = view(prediction=[1, 0, 0, 0, 0])
    assert shown["loss"] == [0.0, "0"]
    assert math.copysign(1.0, shown["loss"][0]) == 1.0
    assert "-0.0" not in json.dumps(shown)


def test_many_classes_keep_their_rows_while_they_are_dragged() -> None:
    q = np.full(300, 0.7 / 299)
    q[17] = 0.3
    body: dict[str, Any] = {"target": 3, "prediction": q.tolist()}
    first = answer("explain", body)
    rows = [row["index"] for row in first["rows"]]
    assert (rows == sorted(rows), {3, 17} <= set(rows), first["rest"]["count"]) == (True, True, 291)
    second = answer(
        "explain", {**first_state(first), "rows": rows, "move": {"of": "prediction", "index": 200, "to": 0.9}}
    )
    assert [row["index"] for row in second["rows"]] == rows
    kept = math.fsum(row["q"][0] for row in second["rows"])
    assert second["rest"]["q"][0] + kept == pytest.approx(1.0, rel=1e-13)


def first_state(shown: dict[str, Any]) -> dict[str, Any]:
    return {name: shown[name] for name in ("target", "prediction", "names", "kind", "base", "locked")}


def test_free_probabilities_tell_who_rescales() -> None:
    shown = view(prediction=[0.1, 0.1, 0.1, 0.1, 0.1], locked=False)
    answers = {group["answer"][1]: group["who"] for group in shown["scaled"]}
    assert "crossent" in answers["2.303"]  # -log 0.1
    assert "keras" in answers["1.609"]  # -log(0.1 / 0.5)
    assert view()["scaled"] is None


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"prediction": [0, 1, 0, 0, 0]},
        {"prediction": ["-inf", 3, 2.5, 1e-320, 0], "kind": "logits", "base": "2"},
        {"target": [0.25, 0.75, 0, 0, 0], "names": ["it's", 'a "b"', "c", "d", "é"]},
    ],
)
def test_the_program_to_copy_gives_the_same_text(changes: dict[str, Any]) -> None:
    body = {**FOUNDING, **changes}
    prediction = [float(value) for value in body["prediction"]]
    options = {"kind": body.get("kind", "probs"), "base": body.get("base", "e"), "class_names": body.get("names")}
    printed, expected = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(view(**changes)["python"], {})  # noqa: S102  # a reader runs it, so does the test
    with contextlib.redirect_stdout(expected):
        print(crossent.explain(body["target"], prediction, **options))  # noqa: T201  # as the program does
    assert printed.getvalue() == expected.getvalue()


def test_a_guess_is_compared_in_the_base_that_is_shown() -> None:
    assert view(guess=2)["reveal"] == "You said 2.000 nats; it is 2.303. That is 0.303 too low."
    assert view(guess=4, base="2")["reveal"] == "You said 4.000 bits; it is 3.322. That is 0.678 too high."
    assert view(guess=-math.log(0.1))["reveal"] == "You said 2.303 nats; it is 2.303. Exact."
    assert view(guess=1, prediction=[0, 1, 0, 0, 0])["reveal"] == "You said 1.000 nats; it is inf."
