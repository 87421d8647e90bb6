"""Every error of the losses: its full text, on one line, and the builtin that it also is."""

from typing import Any

import numpy as np
import pytest

import crossent
from crossent import errors
from crossent.errors import (
    ArrayKindError,
    DtypeError,
    EmptyError,
    ImpossibleEventError,
    LabelError,
    NormalizationError,
    OptionError,
    RangeError,
    ShapeError,
)

LOGITS, IDS = np.zeros((2, 3)), np.array([0, 1])
PROBS = np.full((2, 2), 0.5)
INF, NAN = float("inf"), float("nan")
BUILTINS = {
    errors.ShapeError: ValueError,
    errors.OptionError: ValueError,
    errors.RangeError: ValueError,
    errors.NormalizationError: ValueError,
    errors.ImpossibleEventError: ValueError,
    errors.EmptyError: ValueError,
    errors.DtypeError: TypeError,
    errors.ArrayKindError: TypeError,
    errors.LabelError: IndexError,
    errors.SourceError: ValueError,
    errors.MissingExtraError: ImportError,
}

OPTIONS = [
    ({"reduction": "avg"}, "`reduction` must be one of 'none', 'sum', 'mean'; got 'avg'."),
    ({"reduction": None}, "`reduction` must be one of 'none', 'sum', 'mean'; got None."),
    ({"empty": "skip"}, "`empty` must be one of 'nan', 'zero', 'raise'; got 'skip'."),
    ({"denominator": "rows"}, "`denominator` must be 'weight' or 'count' or a positive number; got 'rows'."),
    ({"denominator": 0}, "`denominator` must be 'weight' or 'count' or a positive number; got 0."),
    ({"denominator": INF}, "`denominator` must be 'weight' or 'count' or a positive number; got inf."),
    ({"denominator": NAN}, "`denominator` must be 'weight' or 'count' or a positive number; got nan."),
    ({"label_smoothing": -0.5}, "`label_smoothing` must lie in [0, 1]; got -0.5."),
    ({"label_smoothing": 1.5}, "`label_smoothing` must lie in [0, 1]; got 1.5."),
    ({"label_smoothing": NAN}, "`label_smoothing` must lie in [0, 1]; got nan."),
    ({"label_smoothing": "a"}, "`label_smoothing` must be a number in [0, 1]; got 'a'."),
    ({"base": 1}, "`base` must be a finite number above 1, or None for nats; got 1."),
    ({"base": -2.0}, "`base` must be a finite number above 1, or None for nats; got -2.0."),
    ({"base": "e"}, "`base` must be a finite number above 1, or None for nats; got 'e'."),
    ({"ignore_index": 0.5}, "`ignore_index` must be an integer or None; got 0.5."),
]
AXES = [
    ({"axis": 2}, "`axis` must lie in [-2, 2) for `logits` of shape (2, 3); got 2."),
    ({"axis": -3}, "`axis` must lie in [-2, 2) for `logits` of shape (2, 3); got -3."),
    ({"axis": 0.5}, "`axis` must be an integer; got 0.5."),
]

# logits, targets, options, error, text
CASES: list[Any] = [
    (np.zeros((2, 3), int), IDS, {}, DtypeError,
     ("`logits` must be floating point (float16, bfloat16, float32 or float64); got int64. "
      "Convert with np.asarray(logits, dtype='float32').")),
    (np.zeros((2, 3), complex), IDS, {}, DtypeError,
     "`logits` must be floating point (float16, bfloat16, float32 or float64); got complex128."),
    (1.0, 0, {}, ShapeError, "`logits` must have a class axis; got a single number."),
    (np.zeros((2, 0)), IDS, {}, ShapeError, "`logits` must have at least one class on axis 1; got shape (2, 0)."),
    (LOGITS, [0, 1, 2], {}, ShapeError,
     ("`targets` must have shape (2,) for class ids or (2, 3) for distributions, to match `logits` of shape (2, 3); "
      "got int64 of shape (3,).")),
    (LOGITS, np.zeros((2, 4)), {}, ShapeError,
     "`targets` of dtype float64 are distributions and must have the shape (2, 3) of `logits`; got (2, 4)."),
    (LOGITS, [0.0, 1.0], {}, ShapeError,
     ("`targets` of dtype float64 are distributions and must have the shape (2, 3) of `logits`; got (2,). "
      "Class ids must be integers.")),
    (LOGITS, np.zeros((2, 3), int), {}, DtypeError,
     ("`targets` of dtype int64 has the shape (2, 3) of `logits`: pass distributions as floats, "
      "np.asarray(targets, dtype=float), or class ids of shape (2,).")),
    (LOGITS, np.zeros((2, 3), bool), {}, DtypeError,
     ("`targets` of dtype bool has the shape (2, 3) of `logits`: pass distributions as floats, "
      "np.asarray(targets, dtype=float), or class ids of shape (2,).")),
    (LOGITS, [True, False], {}, DtypeError,
     "`targets` must be integer class ids or floating-point distributions; got bool."),
    (LOGITS, np.array(["a", "b"]), {}, DtypeError,
     "`targets` must be integer class ids or floating-point distributions; got str32."),
    (LOGITS, [0, 5], {}, LabelError, "`targets` must lie in [0, 3); row 1 has 5."),
    (LOGITS, [1, 3], {}, LabelError, "`targets` must lie in [0, 3); row 1 has 3. Are the labels 1-based?"),
    (LOGITS, [0, -100], {}, LabelError,
     "`targets` must lie in [0, 3); row 1 has -100. Pass ignore_index=-100 to leave such rows out."),
    (LOGITS, [0, -1], {}, LabelError,
     "`targets` must lie in [0, 3); row 1 has -1. Pass ignore_index=-1 to leave such rows out."),
    (LOGITS, [0, 7], {"ignore_index": -1}, LabelError,
     "`targets` must lie in [0, 3) or equal `ignore_index`=-1; row 1 has 7."),
    (np.zeros(3), 4, {}, LabelError, "`targets` must lie in [0, 3); it has 4."),
    (np.zeros((2, 2, 3)), [[0, 0], [9, 0]], {}, LabelError, "`targets` must lie in [0, 3); row (1, 0) has 9."),
    (LOGITS, [[0.0, 0.0, 1.0], [0.0, -0.5, 0.0]], {}, RangeError,
     "`targets` must be finite and at least 0; row 1, class 1 has -0.5."),
    (LOGITS, [[0.0, 0.0, INF], [0.0, 0.5, 0.0]], {}, RangeError,
     "`targets` must be finite and at least 0; row 0, class 2 has inf."),
    (LOGITS, LOGITS, {"ignore_index": -1}, OptionError,
     "`ignore_index` needs class ids as `targets`; got distributions: skip rows with where=."),
    (LOGITS, IDS, {"where": [1, 0]}, DtypeError, "`where` must be boolean; got int64."),
    (LOGITS, IDS, {"where": [True] * 5}, ShapeError,
     "`where` must have shape (2,) to choose rows or (2, 3) to choose classes, to match `logits`; got (5,)."),
    (LOGITS, IDS, {"where": np.ones((2, 4), bool)}, ShapeError,
     "`where` must have shape (2,) to choose rows or (2, 3) to choose classes, to match `logits`; got (2, 4)."),
    (LOGITS, IDS, {"sample_weight": [1.0]}, ShapeError,
     "`sample_weight` must have shape (2,), one for each row; got (1,)."),
    (LOGITS, IDS, {"class_weight": [1.0]}, ShapeError,
     "`class_weight` must have shape (3,), one for each class; got (1,)."),
    (LOGITS, IDS, {"sample_weight": [1.0, -1.0]}, RangeError,
     "`sample_weight` must be finite and at least 0; row 1 has -1.0."),
    (LOGITS, IDS, {"class_weight": [1.0, NAN, 1.0]}, RangeError,
     "`class_weight` must be finite and at least 0; class 1 has nan."),
    (LOGITS, IDS, {"class_weight": ["a"] * 3}, DtypeError, "`class_weight` must hold real numbers; got str32."),
    (LOGITS, IDS, {"where": [False, False], "empty": "raise"}, EmptyError,
     "No row took part in the mean: every row is ignored, masked, of weight 0, or there is none."),
    *[(LOGITS, IDS, options, OptionError, text) for options, text in OPTIONS + AXES],
]  # fmt: skip


def assert_raises(call: Any, error: type, text: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == text
    assert "\n" not in text
    assert isinstance(caught.value, BUILTINS[error])
    assert isinstance(caught.value, errors.CrossentError)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[-1][:50])
def test_errors_of_logits(case: Any) -> None:
    logits, targets, options, error, text = case
    assert_raises(lambda: crossent.cross_entropy(logits, targets, **options), error, text)
    assert_raises(lambda: crossent.cross_entropy_and_grad(logits, targets, **options), error, text)


def test_ragged_lists() -> None:
    with pytest.raises(ArrayKindError) as caught:
        crossent.cross_entropy([[0.0, 1.0], [0.0]], [0, 1])
    # what follows are NumPy's words, which differ by version
    assert str(caught.value).startswith("`logits` must be an array or nested lists of equal lengths; got list: setting")
    assert not str(caught.value).endswith("..")


def frozen(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


WEIGHT = np.array([1.0, 2.0, 3.0, 1.0, 1.0, 1.0])
OUTS = [
    (np.zeros((2, 4)), {}, ShapeError, "`out` must have the shape (2, 3) of `logits`; got (2, 4)."),
    (np.zeros((2, 3), np.float32), {}, DtypeError, "`out` must have dtype float64 for float64 `logits`; got float32."),
    (np.zeros((2, 3), int), {}, DtypeError,
     ("`out` must be floating point (float16, bfloat16, float32 or float64); got int64. "
      "Convert with np.asarray(out, dtype='float32').")),
    (frozen(np.zeros((2, 3))), {}, RangeError, "`out` must be writeable; got a read-only array."),
    (np.zeros((2, 3), np.dtype("f8").newbyteorder("S")), {}, DtypeError,
     "`out` must have native byte order and strides in whole elements."),
    (np.zeros((2, 3), [("tag", "i1"), ("x", "f8")])["x"], {}, DtypeError,
     "`out` must have native byte order and strides in whole elements."),
    ([[0.0] * 3] * 2, {}, ArrayKindError, "`out` must be a NumPy array to write into; got list."),
    (WEIGHT.reshape(2, 3), {"class_weight": WEIGHT[:3]}, RangeError,
     "`out` must not overlap the other arrays, unless it is `logits` itself."),
    (WEIGHT.reshape(2, 3), {"sample_weight": WEIGHT[:2]}, RangeError,
     "`out` must not overlap the other arrays, unless it is `logits` itself."),
]  # fmt: skip


@pytest.mark.parametrize("case", OUTS, ids=lambda case: case[-1][:50])
def test_errors_of_out(case: Any) -> None:
    out, options, error, text = case
    assert_raises(lambda: crossent.cross_entropy_and_grad(LOGITS, IDS, out=out, **options), error, text)


def test_out_that_overlaps_and_out_of_the_other_byte_order_in_half() -> None:
    room = np.zeros(9)
    text = "`out` must not overlap the other arrays, unless it is `logits` itself."
    logits, shifted = room[:6].reshape(2, 3), room[1:7].reshape(2, 3)
    assert_raises(lambda: crossent.cross_entropy_and_grad(logits, IDS, out=shifted), RangeError, text)
    soft = np.full((2, 3), 0.5)
    assert_raises(lambda: crossent.cross_entropy_and_grad(LOGITS, soft, out=soft), RangeError, text)
    swapped = np.zeros((2, 3), np.dtype("f2").newbyteorder("S"))
    text = "`out` must have native byte order and strides in whole elements."
    assert_raises(lambda: crossent.cross_entropy_and_grad(LOGITS.astype("f2"), IDS, out=swapped), DtypeError, text)
    text = "`out` must have dtype float16 or float32 for float16 `logits`; got float64."
    assert_raises(lambda: crossent.cross_entropy_and_grad(LOGITS.astype("f2"), IDS, out=LOGITS), DtypeError, text)


PROBABILITIES = [
    ([[0.5, 0.5], [-0.25, 1.25]], {}, RangeError, "`probs` must lie in [0, 1]; row 1, class 0 has -0.25."),
    ([[0.0, 1.5], [0.5, 0.5]], {}, RangeError, "`probs` must lie in [0, 1]; row 0, class 1 has 1.5."),
    ([[0.5, 0.25], [0.5, 0.5]], {"normalized": "raise"}, NormalizationError,
     '`probs` must sum to 1 in each row with normalized="raise"; row 0 sums to 0.75.'),
    ([[0.0, 1.0], [1.0, 0.0]], {"zero": "raise"}, ImpossibleEventError,
     "2 of 2 rows are impossible, with prediction 0 where the truth is not; the first is row 0."),
    (PROBS, {"zero": "eps"}, OptionError, "`zero` must be one of 'inf', 'clip', 'raise'; got 'eps'."),
    (PROBS, {"zero": "clip"}, OptionError, "`eps` must be a number in (0, 1) with zero=\"clip\"; got None."),
    (PROBS, {"zero": "clip", "eps": 1.0}, OptionError,
     "`eps` must be a number in (0, 1) with zero=\"clip\"; got 1.0."),
    (PROBS, {"eps": 0.1}, OptionError, "`eps` is only used with zero=\"clip\"; got eps=0.1 with zero='inf'."),
    (PROBS, {"normalized": "yes"}, OptionError,
     "`normalized` must be one of 'warn', 'rescale', 'raise', 'ignore'; got 'yes'."),
]  # fmt: skip


@pytest.mark.parametrize("case", PROBABILITIES, ids=lambda case: case[-1][:50])
def test_errors_of_probabilities(case: Any) -> None:
    probs, options, error, text = case
    assert_raises(lambda: crossent.cross_entropy_from_probs(probs, IDS, **options), error, text)


def test_errors_of_log_probabilities() -> None:
    text = "`log_probs` must be at most 0; row 1, class 0 has 2.0. Are these logits? Then call cross_entropy."
    logs = [[-1.0, -2.0], [2.0, -1.0]]
    assert_raises(lambda: crossent.cross_entropy_from_log_probs(logs, IDS), RangeError, text)


BINARY = [
    ([0.0, 0.0], [0, 2], {}, RangeError, "`targets` must lie in {0, 1}; element 1 has 2."),
    ([0.0, 0.0], [0, 2], {"ignore_index": -1}, RangeError, "`targets` must lie in {0, 1, -1}; element 1 has 2."),
    ([0.0, 0.0], [0.0, 1.5], {}, RangeError, "`targets` must lie in [0, 1]; element 1 has 1.5."),
    ([[0.0, 0.0]], [[0, 2]], {}, RangeError, "`targets` must lie in {0, 1}; element (0, 1) has 2."),
    (0.0, 3, {}, RangeError, "`targets` must lie in {0, 1}; it has 3."),
    ([0.0, 0.0], [0], {}, ShapeError, "`targets` must have shape (2,), that of `logits`; got (1,)."),
    ([0.0], ["a"], {}, DtypeError,
     "`targets` must be integers or booleans in {0, 1}, or floats in [0, 1]; got str32."),
    ([0.0], [0.5], {"ignore_index": 0}, OptionError,
     "`ignore_index` needs integer `targets`; got floats: leave elements out with where=."),
    ([0.0], [1], {"ignore_index": 0.5}, OptionError, "`ignore_index` must be an integer or None; got 0.5."),
    ([0.0], [1], {"where": [1]}, DtypeError, "`where` must be boolean; got int64."),
    ([0.0], [1], {"where": [True, True]}, ShapeError, "`where` must have shape (1,), that of `logits`; got (2,)."),
    ([0.0], [1], {"class_weight": [1.0]}, ShapeError,
     "`class_weight` must have shape (2,), one for each class; got (1,)."),
    ([0.0], [1], {"sample_weight": [1.0] * 2}, ShapeError,
     "`sample_weight` must have shape (1,), one for each element; got (2,)."),
    *[([0.0], [1], options, OptionError, text) for options, text in OPTIONS],
]  # fmt: skip


@pytest.mark.parametrize("case", BINARY, ids=lambda case: case[-1][:50])
def test_errors_of_binary(case: Any) -> None:
    logits, targets, options, error, text = case
    assert_raises(lambda: crossent.binary_cross_entropy(logits, targets, **options), error, text)


def test_errors_of_binary_probabilities_and_out() -> None:
    door = crossent.binary_cross_entropy_from_probs
    text = "`probs` must lie in [0, 1]; element 1 has 1.5."
    assert_raises(lambda: door([0.5, 1.5], [0, 1]), RangeError, text)
    text = "1 of 2 elements are impossible, with prediction 0 where the truth is not; the first is element 1."
    assert_raises(lambda: door([0.5, 0.0], [0, 1], zero="raise"), ImpossibleEventError, text)
    out = np.zeros((3, 2)).T
    text = f"`out` must be C-contiguous; got strides {out.strides}."
    grad = crossent.binary_cross_entropy_and_grad
    assert_raises(lambda: grad(LOGITS, np.ones((2, 3)), out=out), ShapeError, text)


TOP_K = [
    (lambda: crossent.TopKTargets([[0.0]], [[1.0]]), DtypeError, "`ids` must be integers; got float64."),
    (lambda: crossent.TopKTargets([[0]], [["a"]]), DtypeError, "`probs` must be real numbers; got str32."),
    (lambda: crossent.TopKTargets([[0, 1]], [[1.0]]), ShapeError,
     "`ids` and `probs` must have one shape (rows, k) with k at least 1; got (1, 2) and (1, 1)."),
    (lambda: crossent.TopKTargets([[0], [1]], [[1.0], [-1.0]]), RangeError,
     "`probs` must be finite and at least 0; row 1 entry 0 is -1.0."),
    (lambda: crossent.TopKTargets([[2, 2]], [[0.5, 0.5]]), RangeError,
     "`ids` must list a class once in a row; row 0 has [2, 2]."),
    (lambda: crossent.TopKTargets([[0, 1]], [[0.75, 0.5]], "uniform"), RangeError,
     "`probs` must sum to at most 1 with rest=\"uniform\"; row 0 sums to 1.25."),
    (lambda: crossent.TopKTargets([[0]], [[1.0]], "all"), OptionError,
     "`rest` must be one of 'zero', 'uniform'; got 'all'."),
    (lambda: crossent.cross_entropy(LOGITS, crossent.TopKTargets([[0]], [[1.0]])), ShapeError,
     "`targets.ids` must have shape (2, k); got (1, 1)."),
    (lambda: crossent.cross_entropy(LOGITS, crossent.TopKTargets([[0], [7]], [[1.0], [1.0]])), LabelError,
     "`targets.ids` must lie in [0, 3); row 1 has 7."),
    (lambda: crossent.set_num_threads(0), OptionError, "`count` must be an integer of at least 1; got 0."),
    (lambda: crossent.set_num_threads(1.5), OptionError, "`count` must be an integer of at least 1; got 1.5."),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "text"), TOP_K)
def test_errors_of_top_k_targets_and_threads(call: Any, error: type, text: str) -> None:
    assert_raises(call, error, text)
