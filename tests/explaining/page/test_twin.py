"""The JavaScript twin against Python: the same numbers to a relative 1e-12, and the same inf and nan."""

import json
import math
from base64 import b64encode
from importlib.resources import files
from typing import Any

import numpy as np
import pytest

import crossent
from crossent.explaining.page.case import move
from crossent.explaining.page.cells import amount_cell, box_cell, compact_cell, plain, signed_cell

TOLERANCE = 1e-12
NUMBERS = {
    "loss": "loss_nats",
    "entropy_target": "entropy_target",
    "entropy_prediction": "entropy_prediction_nats",
    "kl": "kl",
    "grad_norm": "grad_norm",
}
COLUMNS = ("q", "surprisal", "contribution", "grad_logit", "grad_prob")


def cases() -> list[dict[str, Any]]:
    """Return 1000 cases: random ones of 1 to 1000 classes, with zeros, infinities, subnormals and huge logits."""
    random = np.random.default_rng(11)
    found: list[dict[str, Any]] = [
        {"target": [1, 0, 0, 0, 0], "prediction": [0.1, 0.5, 0.1, 0.1, 0.2], "kind": "probs"},
        {"target": [1], "prediction": [1], "kind": "probs"},
        {"target": [1], "prediction": [-7.5], "kind": "logits"},
        {"target": [1, 0], "prediction": [0, 1], "kind": "probs"},
        {"target": [1, 0], "prediction": [1, 0], "kind": "probs"},
        {"target": [1, 0], "prediction": [1e-320, 1], "kind": "probs"},
        {"target": [0.5, 0.5], "prediction": [-math.inf, 3.0], "kind": "logits"},
        {"target": [0.5, 0.5], "prediction": [-math.inf, -math.inf], "kind": "logits"},
        {"target": [0.5, 0.5], "prediction": [math.inf, math.inf], "kind": "logits"},
        {"target": [1, 0], "prediction": [math.inf, 2.0], "kind": "logits"},
        {"target": [1, 0], "prediction": [math.nan, 2.0], "kind": "logits"},
        {"target": [1, 0], "prediction": [1e4, -1e4], "kind": "logits"},
        {"target": [0, 1], "prediction": [1e4, -1e4], "kind": "logits"},
        {"target": [0.3, 0.7], "prediction": [0.3, 0.7], "kind": "probs"},
    ]
    while len(found) < 1000:
        classes = int(random.choice([1, 2, 3, 5, 10, 30, 1000], p=[0.05, 0.2, 0.2, 0.25, 0.2, 0.08, 0.02]))
        scale = float(random.choice([1e-8, 0.1, 1, 10, 1e4]))
        logits = random.normal(scale=scale, size=classes)
        if random.random() < 0.2:
            logits[random.random(classes) < 0.3] = random.choice([-np.inf, 1e4, -1e4, 0.0])
        target = np.zeros(classes)
        target[random.integers(classes)] = 1.0
        if random.random() < 0.5:
            target = random.dirichlet(np.full(classes, float(random.choice([0.05, 1.0]))))
        kind, prediction = "logits", logits
        if random.random() < 0.5:
            kind, prediction = "probs", random.dirichlet(np.full(classes, float(random.choice([0.02, 1.0]))))
            if random.random() < 0.3:
                prediction[random.integers(classes)] = random.choice([0.0, 1e-320, 5e-324, 1e-300])
        found.append({"target": target.tolist(), "prediction": prediction.tolist(), "kind": kind})
    return found


def python_says(case: dict[str, Any]) -> dict[str, Any]:
    explanation = crossent.explain(np.array(case["target"], dtype=float), case["prediction"], kind=case["kind"])
    said = {ours: getattr(explanation, name) for ours, name in NUMBERS.items()}
    said["js"] = explanation.js_bits * math.log(2.0)
    said |= {name: [getattr(term, name) for term in explanation.terms] for name in COLUMNS}
    said["huffman"] = [term.huffman_code for term in explanation.terms]
    return said


def close(one: float, other: float, scale: float) -> bool:
    """Compare within 1e-12 of the larger, or of `scale`: the size of the terms that a sum with signs was made of."""
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) and math.isnan(other)
    if math.isinf(one) or math.isinf(other):
        return one == other
    return abs(one - other) <= TOLERANCE * max(abs(one), abs(other), scale)


@pytest.fixture(scope="module")
def twin(browser: Any) -> Any:
    """A blank page with the twin's modules in it, as they are in a saved file."""
    page = browser.new_page()
    for name in ("ce", "digits"):
        source = files("crossent.explaining.page").joinpath(f"module/{name}.mjs").read_bytes()
        address = f"data:text/javascript;base64,{b64encode(source).decode()}"
        page.evaluate("async ([name, address]) => { window[name] = await import(address); }", [name, address])
    page.evaluate("""window.given = (raw) => typeof raw === "string" ? Number(raw.replace("inf", "Infinity")) : raw""")
    yield page
    page.close()


def ask(twin: Any, program: str, argument: Any) -> Any:
    return twin.evaluate(program, argument)


def packed(values: list[Any]) -> list[Any]:
    return [plain(float(value)) for value in values]


def test_1000_cases_agree_within_a_relative_1e_12(twin: Any) -> None:
    asked = cases()
    sent = [{**case, "target": packed(case["target"]), "prediction": packed(case["prediction"])} for case in asked]
    program = """(cases) => JSON.stringify(cases.map((one) =>
        ce.measure(one.target.map(given), one.prediction.map(given), one.kind)), (_, value) =>
        typeof value === "number" && !Number.isFinite(value) ? String(value).replace("Infinity", "inf").replace("NaN", "nan") : value)"""
    answers = json.loads(ask(twin, program, sent))
    for case, found in zip(asked, answers, strict=True):
        said = python_says(case)
        where = json.dumps(case)[:300]
        finite = [abs(value) for value in said["contribution"] if math.isfinite(value)]
        # kl and js are sums of terms of both signs, each as large as its probability or its cost
        scale = {"kl": max([1.0, *finite]), "js": 1.0}
        if case["kind"] == "logits":  # a loss of logits that leaves nothing to normalize is what is left of them
            scale["loss"] = 0.0
        for name in (*NUMBERS, "js"):
            assert close(float(found[name]), said[name], scale.get(name, 0.0)), (name, found[name], said[name], where)
        for name in COLUMNS:
            # q - p has the error of q, and of 1
            size = 1.0 if name == "grad_logit" and case["kind"] == "probs" else 0.0
            for one, other in zip(found[name], said[name], strict=True):
                assert close(float(one), other, size), (name, one, other, where)
        if case["kind"] == "probs":  # of logits two q may be equal here and differ by an ulp there
            assert (found["huffman"] or [None] * len(case["target"])) == said["huffman"], where


def test_moving_a_class_agrees(twin: Any) -> None:
    random = np.random.default_rng(3)
    for _ in range(200):
        values = random.dirichlet(np.full(6, 0.2))
        values[values < 0.01] = random.choice([0.0, 1e-320])
        to, index, locked = (
            float(random.choice([0.0, 1.0, random.random()])),
            int(random.integers(6)),
            random.random() < 0.8,
        )
        found = ask(
            twin,
            "([values, index, to, locked]) => ce.moved(values, index, to, locked)",
            [values.tolist(), index, to, bool(locked)],
        )
        np.testing.assert_allclose(found, move(values, index, to, locked=bool(locked)), rtol=TOLERANCE, atol=1e-300)


def test_the_texts_agree_wherever_no_tie_is_rounded(twin: Any) -> None:
    random = np.random.default_rng(4)
    values = [
        0.0,
        1.0,
        0.9999,
        0.99999999,
        1.00000001,
        1e-7,
        123456.0,
        1e6,
        999.5001,
        0.0005,
        1e-320,
        math.inf,
        -math.inf,
        math.nan,
    ]
    values += (random.normal(size=500) * 10.0 ** random.integers(-12, 9, 500)).tolist()
    found = ask(
        twin,
        "(values) => values.map(given).map((v) => ['compact', 'signed', 'amount', 'box'].map((name) => digits.cells[name](v)))",
        packed(values),
    )
    for value, texts in zip(values, found, strict=True):
        assert texts == [made(value) for made in (compact_cell, signed_cell, amount_cell, box_cell)], value


def test_the_comparison_can_fail(twin: Any) -> None:
    assert not close(1.0, 1.0 + 3e-12, 0.0)
    assert not close(math.inf, 1e308, 1.0)
    assert not close(math.nan, 0.0, 1.0)
    assert ask(twin, "() => ce.measure([1, 0], [0.25, 0.75], 'probs').loss", None) == pytest.approx(math.log(4.0))
