"""What the reader holds in hand: reading, moving, tempering."""

import math
from typing import Any

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from crossent.errors import CrossentError
from crossent.explaining.page.case import Case, move, read_case, switch

FOUNDING: dict[str, Any] = {"target": [1, 0, 0, 0, 0], "prediction": [0.1, 0.5, 0.1, 0.1, 0.2]}


def moved(**wanted: Any) -> Any:
    return read_case({**FOUNDING, "move": wanted}).prediction


def test_a_moved_probability_leaves_the_others_in_proportion() -> None:
    # by hand: 0.7 is left for 0.5 : 0.1 : 0.1 : 0.2 of 0.9
    expected = [0.3, 0.5 * 7 / 9, 0.1 * 7 / 9, 0.1 * 7 / 9, 0.2 * 7 / 9]
    np.testing.assert_allclose(moved(of="prediction", index=0, to=0.3), expected, rtol=1e-15)


def test_where_the_others_are_all_zero_they_share_evenly() -> None:
    np.testing.assert_array_equal(move(np.array([1.0, 0.0, 0.0]), 0, 0.5, locked=True), [0.5, 0.25, 0.25])


def test_one_class_alone_stays_certain() -> None:
    np.testing.assert_array_equal(move(np.array([1.0]), 0, 0.25, locked=True), [1.0])


def test_a_sum_that_is_held_stays_one_whatever_is_dragged() -> None:
    random = np.random.default_rng(5)
    values = random.dirichlet(np.full(7, 0.3))
    for _ in range(500):
        to = float(random.choice([0.0, 1.0, 1e-320, random.uniform()]))
        values = move(values, int(random.integers(7)), to, locked=True)
        assert math.isclose(math.fsum(values), 1.0, rel_tol=1e-14)
        assert values.min() >= 0.0


def test_free_probabilities_keep_the_others() -> None:
    case = read_case({**FOUNDING, "locked": False, "move": {"of": "prediction", "index": 1, "to": 0.75}})
    np.testing.assert_array_equal(case.prediction, [0.1, 0.75, 0.1, 0.1, 0.2])


def test_a_target_moves_as_a_distribution() -> None:
    case = read_case({**FOUNDING, "move": {"of": "target", "index": 0, "to": 0.6}})
    np.testing.assert_allclose(case.target, [0.6, 0.1, 0.1, 0.1, 0.1], rtol=1e-15)


def test_temperature_divides_logits_and_has_the_same_meaning_for_probabilities() -> None:
    logits = [2.0, -1.0, 0.5]
    of_logits = read_case({"target": 0, "prediction": logits, "kind": "logits", "temperature": 2.5})
    np.testing.assert_array_equal(of_logits.tempered, np.array(logits) / 2.5)
    of_probs = read_case({"target": 0, "prediction": softmax(logits).tolist(), "temperature": 2.5})
    np.testing.assert_allclose(of_probs.tempered, softmax(np.array(logits) / 2.5), rtol=1e-14)


def test_a_probability_of_zero_stays_zero_at_any_temperature() -> None:
    np.testing.assert_array_equal(read_case({"target": 0, "prediction": [0, 1], "temperature": 9}).tempered, [0.0, 1.0])


def test_dragging_a_tempered_probability_starts_from_what_is_seen() -> None:
    body = {**FOUNDING, "temperature": 2.0, "move": {"of": "prediction", "index": 0, "to": 0.5}}
    case = read_case(body)
    seen = softmax(np.log(FOUNDING["prediction"]) / 2.0)
    assert case.temperature == 1.0
    np.testing.assert_allclose(case.prediction, [0.5, *(seen[1:] * 0.5 / seen[1:].sum())], rtol=1e-14)


def test_probabilities_and_their_logits_are_the_same_prediction() -> None:
    case = Case(target=0, prediction=np.array([0.1, 0.5, 0.0, 0.4]))
    as_logits = switch(case, "logits")
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(as_logits.prediction, log_softmax(np.log([0.1, 0.5, 0.0, 0.4])), rtol=1e-14)
    np.testing.assert_allclose(switch(as_logits, "probs").prediction, [0.1, 0.5, 0.0, 0.4], rtol=1e-14)


def test_infinities_come_as_texts() -> None:
    case = read_case({"target": 0, "prediction": ["-inf", "inf", "nan", 1e999], "kind": "logits"})
    np.testing.assert_array_equal(case.prediction, [-np.inf, np.inf, np.nan, np.inf])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "`prediction` must be a list of numbers or a text of them; got nothing."),
        ({"prediction": "1"}, "`target` must be a list of numbers or a text of them; got nothing."),
        ({"target": True, "prediction": [1]}, "`target` must be a list of numbers or a text of them; got bool."),
        ({"target": 0, "prediction": []}, "`prediction` must have 1 to 1000 classes on this page; got 0."),
        ({"target": 0, "prediction": [0] * 1001}, "`prediction` must have 1 to 1000 classes on this page; got 1001."),
        ({"target": 0, "prediction": "1 " * 2001}, "`prediction` must have 1 to 1000 classes on this page; got 2001."),
        ({"target": 0, "prediction": [[1]]}, '`prediction` must hold numbers, "inf", "-inf" or "nan"; got list.'),
        ({"target": 0, "prediction": ["x"]}, '`prediction` must hold numbers, "inf", "-inf" or "nan"; got \'x\'.'),
        ({**FOUNDING, "colour": 1}, "`colour` is no field of a case; got it beside prediction, target."),
        ({**FOUNDING, "locked": 1}, "`locked` must be true or false; got int."),
        ({**FOUNDING, "kind": "ln"}, '`kind` must be "probs" or "logits" on this page; got \'ln\'.'),
        (
            {**FOUNDING, "prediction": [0.5, -0.5], "temperature": 2},
            (
                "`prediction` must hold probabilities in [0, 1]; class 1 has -0.5. "
                'If these are logits, set `kind` to "logits".'
            ),
        ),
        ({**FOUNDING, "kind": []}, "`kind` must be a text; got list."),
        ({**FOUNDING, "names": "abc"}, "`names` must be a list of texts, one per class; got 'abc'."),
        ({**FOUNDING, "temperature": 0}, "`temperature` must lie in [0.01, 100]; got 0."),
        ({**FOUNDING, "temperature": "nan"}, "`temperature` must lie in [0.01, 100]; got nan."),
        ({**FOUNDING, "move": 3}, '`move` must hold "of": "target", "prediction" or "kind"; got something else.'),
        (
            {**FOUNDING, "move": {"of": "prediction", "index": 5, "to": 0}},
            "`move` must name a class in [0, 5); got 5.",
        ),
        (
            {**FOUNDING, "move": {"of": "prediction", "index": 0, "to": 1.5}},
            "`move` must stay in [0, 1], as it moves a probability; got 1.5.",
        ),
        (
            {"target": 0, "prediction": "0.5 0.5", "move": {"of": "prediction", "index": 0, "to": 0.5}},
            "`move` needs `prediction` as a list of numbers; got str.",
        ),
    ],
)
def test_what_is_no_case_is_refused_in_one_sentence(body: dict[str, Any], message: str) -> None:
    with pytest.raises(CrossentError) as caught:
        read_case(body)
    assert str(caught.value) == message
