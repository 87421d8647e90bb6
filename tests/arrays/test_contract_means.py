"""Contract: smoothing, weights, masks, denominators, and means of nothing."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import crossent
from crossent.errors import EmptyError, ImpossibleEventWarning, OptionError
from tests.arrays.numbers import INF, NAN, assert_same_bits, assert_within_ulp, distributions, labels, normal, one_hot
from tests.oracle import oracle

ROWS, CLASSES = 6, 5
LOGITS, IDS = normal((ROWS, CLASSES)), np.array([0, 4, 2, 2, 1, 0])
WEIGHTS = np.array([1.0, 0.5, 2.0, 0.0, 3.0, 0.25])
CLASS_WEIGHT = np.array([1.0, 0.1, 0.7, 3.0, 0.3])
LOSSES = crossent.cross_entropy(LOGITS, IDS, reduction="none")


def exact_row(logits: Any, target: dict[int, Any]) -> float:
    return float(oracle.softmax_cross_entropy(oracle.SoftmaxRow([float(x) for x in logits]), target))


def rounded_once(numbers: Any, weights: Any = None, denominator: Any = 1) -> float:
    """Return the exact weighted sum over an exact denominator, as the nearest float64."""
    weights = [1] * len(numbers) if weights is None else [Fraction(float(w)) for w in weights]
    total = sum(Fraction(float(x)) * w for x, w in zip(numbers, weights, strict=True))
    return float(total / Fraction(denominator))


@pytest.mark.parametrize("e", [0.0, 1e-3, 0.1, 0.5, 1.0])
def test_smoothing_spreads_evenly(e: float) -> None:
    exact = [
        exact_row(x, oracle.smoothed(oracle.hard_target(int(t)), e, CLASSES)) for x, t in zip(LOGITS, IDS, strict=True)
    ]
    assert_within_ulp(crossent.cross_entropy(LOGITS, IDS, label_smoothing=e, reduction="none"), exact, 4)
    soft = distributions((ROWS, CLASSES))
    exact = [
        exact_row(x, oracle.smoothed(oracle.soft_target(y.tolist()), e, CLASSES))
        for x, y in zip(LOGITS, soft, strict=True)
    ]
    assert_within_ulp(crossent.cross_entropy(LOGITS, soft, label_smoothing=e, reduction="none"), exact, 4)


def test_smoothing_is_over_the_allowed_classes_and_class_weights_come_after() -> None:
    mask = np.array([True, False, True, False, True])
    rows = np.broadcast_to(mask, LOGITS.shape)
    ids = np.array([0, 4, 2, 2, 4, 0])
    got = crossent.cross_entropy_and_grad(
        LOGITS, ids, where=rows, label_smoothing=0.3, class_weight=CLASS_WEIGHT, reduction="none"
    )
    kept = np.flatnonzero(mask)
    for r, t in enumerate(ids):
        place = int(np.flatnonzero(kept == t)[0])
        target = oracle.weighted(oracle.smoothed(oracle.hard_target(place), 0.3, 3), CLASS_WEIGHT[kept])
        row = oracle.SoftmaxRow(LOGITS[r, kept].tolist())
        assert_within_ulp(got.value[r], float(oracle.softmax_cross_entropy(row, target)), 4)
        for i, c in enumerate(kept):
            exact, scale = oracle.softmax_cross_entropy_gradient(row, target, i)
            assert_within_ulp(got.grad[r, c], float(exact), 4, scale=float(scale))
        assert got.grad[r, ~mask].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("e", [-0.1, 1.1, NAN, INF, "much"])
def test_smoothing_beyond_its_range_is_an_error(e: Any) -> None:
    with pytest.raises(OptionError, match="`label_smoothing`"):
        crossent.cross_entropy(LOGITS, IDS, label_smoothing=e)


def test_sums_and_means_are_the_exact_ones_rounded_once() -> None:
    assert crossent.cross_entropy(LOGITS, IDS, reduction="sum") == rounded_once(LOSSES)
    assert crossent.cross_entropy(LOGITS, IDS) == rounded_once(LOSSES, None, ROWS)
    total = sum(Fraction(w) for w in WEIGHTS)
    assert crossent.cross_entropy(LOGITS, IDS, sample_weight=WEIGHTS, reduction="sum") == rounded_once(LOSSES, WEIGHTS)
    assert crossent.cross_entropy(LOGITS, IDS, sample_weight=WEIGHTS) == rounded_once(LOSSES, WEIGHTS, total)
    assert crossent.cross_entropy(LOGITS, IDS, sample_weight=WEIGHTS, denominator="count") == rounded_once(
        LOSSES, WEIGHTS, ROWS
    )
    assert crossent.cross_entropy(LOGITS, IDS, sample_weight=WEIGHTS, denominator=7.5) == rounded_once(
        LOSSES, WEIGHTS, 7.5
    )


def test_the_order_of_the_rows_does_not_change_a_bit() -> None:
    logits, ids = normal((5000, 7), np.float32, spread=30.0), labels((5000,), 7)
    weights = np.random.default_rng(3).random(5000)
    order = np.random.default_rng(4).permutation(5000)
    for options in ({}, {"class_weight": np.arange(7) + 0.1}):
        whole = crossent.cross_entropy(logits, ids, sample_weight=weights, **options)
        assert whole == crossent.cross_entropy(logits[order], ids[order], sample_weight=weights[order], **options)
    before = crossent.get_num_threads()
    try:
        answers = set()
        for threads in (1, 2, 3):
            crossent.set_num_threads(threads)
            answers.add(crossent.cross_entropy(logits, ids))
        assert len(answers) == 1
    finally:
        crossent.set_num_threads(before)


def test_class_weights_make_the_denominator() -> None:
    rows = crossent.cross_entropy(LOGITS, IDS, class_weight=CLASS_WEIGHT, reduction="none")
    assert_within_ulp(
        rows, [float(w * Fraction(x)) for w, x in zip(map(Fraction, CLASS_WEIGHT[IDS]), LOSSES, strict=True)], 4
    )
    weight = sum(Fraction(w) for w in CLASS_WEIGHT[IDS])
    assert crossent.cross_entropy(LOGITS, IDS, class_weight=CLASS_WEIGHT) == rounded_once(rows, None, weight)
    both = sum(Fraction(w) * Fraction(v) for w, v in zip(CLASS_WEIGHT[IDS], WEIGHTS, strict=True))
    got = crossent.cross_entropy(LOGITS, IDS, class_weight=CLASS_WEIGHT, sample_weight=WEIGHTS)
    assert got == rounded_once(rows, WEIGHTS, both)


@pytest.mark.parametrize("denominator", ["weight", "count", 3.0])
def test_the_gradient_is_divided_by_what_the_mean_is(denominator: Any) -> None:
    options = {"sample_weight": WEIGHTS, "class_weight": CLASS_WEIGHT}
    rows = crossent.cross_entropy_and_grad(LOGITS, IDS, class_weight=CLASS_WEIGHT, reduction="none").grad
    mean = crossent.cross_entropy_and_grad(LOGITS, IDS, denominator=denominator, **options).grad
    by = {"weight": float(np.sum(WEIGHTS * CLASS_WEIGHT[IDS])), "count": ROWS, 3.0: 3.0}[denominator]
    # 4 ulp of the row's own gradient, and one for each of weight, sum, quotient and product
    assert_within_ulp(mean, rows * WEIGHTS[:, np.newaxis] / by, 8)
    summed = crossent.cross_entropy_and_grad(LOGITS, IDS, reduction="sum", **options).grad
    assert_within_ulp(summed, rows * WEIGHTS[:, np.newaxis], 8)


def test_where_and_ignore_index_leave_rows_out_with_gradients_of_exactly_zero() -> None:
    kept = np.array([True, False, True, True, False, True])
    marked = np.where(kept, IDS, -100)
    logits = LOGITS.copy()
    logits[1], logits[4, 2] = NAN, INF
    for options in ({"where": kept}, {"ignore_index": -100}):
        ids = marked if "ignore_index" in options else IDS
        got = crossent.cross_entropy_and_grad(logits, ids, **options)
        assert got.value == rounded_once(LOSSES[kept], None, 4)
        assert_same_bits(got.grad[~kept], np.zeros((2, CLASSES)))
        rows = crossent.cross_entropy(logits, ids, reduction="none", **options)
        assert_same_bits(rows, np.where(kept, LOSSES, 0.0))
    wild = np.where(kept, IDS, 99)  # a label where nothing is counted is not read
    assert crossent.cross_entropy(logits, wild, where=kept) == rounded_once(LOSSES[kept], None, 4)
    soft = one_hot(IDS, CLASSES)
    soft[1], soft[4] = -1.0, INF
    got = crossent.cross_entropy_and_grad(logits, soft, where=kept, class_weight=np.ones(CLASSES))
    assert got.value == rounded_once(LOSSES[kept], None, 4)
    assert_same_bits(got.grad[~kept], np.zeros((2, CLASSES)))


@pytest.mark.parametrize("integer", [np.uint8, np.int16, np.int64])
def test_ignore_index_may_be_a_class_or_beyond_the_dtype(integer: type) -> None:
    ids = IDS.astype(integer)
    assert crossent.cross_entropy(LOGITS, ids, ignore_index=2) == rounded_once(LOSSES[IDS != 2], None, 4)
    assert crossent.cross_entropy(LOGITS, ids, ignore_index=-100) == rounded_once(LOSSES, None, ROWS)


def test_where_rules_classes_out() -> None:
    mask = np.ones(LOGITS.shape, bool)
    mask[:, 3] = False
    mask[1] = False
    got = crossent.cross_entropy_and_grad(LOGITS, IDS, where=mask, reduction="none")
    ruled_out = np.where(mask, LOGITS, -INF)
    kept = np.arange(ROWS) != 1
    wanted = crossent.cross_entropy_and_grad(ruled_out[kept], IDS[kept], reduction="none")
    assert_within_ulp(got.value[kept], wanted.value, 8)  # both within 4
    assert got.value[1] == 0.0
    assert_same_bits(got.grad[1], np.zeros(CLASSES))
    assert not got.grad[:, 3].any()
    mask[0, 0] = False  # the truth is ruled out
    with pytest.warns(ImpossibleEventWarning):
        assert crossent.cross_entropy(LOGITS, IDS, where=mask) == INF


def test_a_row_of_weight_zero_contributes_exactly_zero_whatever_it_holds() -> None:
    logits = LOGITS.copy()
    logits[3] = NAN
    for targets in (IDS, distributions((ROWS, CLASSES))):
        got = crossent.cross_entropy_and_grad(logits, targets, sample_weight=WEIGHTS)
        assert math.isfinite(got.value)
        assert_same_bits(got.grad[3], np.zeros(CLASSES))
    probs = distributions((ROWS, CLASSES))
    probs[3] = [0.0, 0.0, 0.0, 0.0, 1.0]
    got = crossent.cross_entropy_from_probs_and_grad(probs, IDS, sample_weight=WEIGHTS)
    assert math.isfinite(got.value)
    assert_same_bits(got.grad[3], np.zeros(CLASSES))
    got = crossent.binary_cross_entropy_and_grad([NAN, 0.0], [1, 1], sample_weight=[0.0, 1.0])
    assert got.value == math.log(2)
    assert got.grad.tolist() == [0.0, -0.5]


NOTHING = [
    (np.zeros((0, 3)), np.zeros(0, int), {}),
    (np.zeros((2, 3)), [0, 1], {"where": [False, False]}),
    (np.zeros((2, 3)), [-1, -1], {"ignore_index": -1}),
    (np.zeros((2, 3)), [0, 1], {"sample_weight": [0.0, 0.0]}),
    (np.zeros((2, 3)), [0, 1], {"class_weight": [0.0, 0.0, 1.0]}),
]


@pytest.mark.parametrize("case", NOTHING, ids=["no rows", "where", "ignored", "weights", "class weights"])
def test_a_mean_of_nothing_is_what_empty_says(case: Any) -> None:
    logits, ids, options = case
    for door in ("cross_entropy", "cross_entropy_from_log_probs"):
        function = getattr(crossent, door)
        assert math.isnan(function(logits, ids, **options))
        assert function(logits, ids, empty="zero", **options) == 0.0
        assert function(logits, ids, reduction="sum", **options) == 0.0
        with pytest.raises(EmptyError):
            function(logits, ids, empty="raise", **options)
        assert function(logits, ids, empty="raise", reduction="sum", **options) == 0.0
        grad = getattr(crossent, f"{door}_and_grad")(logits, ids, **options).grad
        np.testing.assert_array_equal(grad, np.zeros(logits.shape))
    own = crossent.cross_entropy(logits, ids, denominator=4, empty="raise", **options)
    assert own == 0.0  # the caller's denominator is never nothing


def test_count_counts_rows_and_not_weights() -> None:
    weights = [0.0, 0.0]
    assert crossent.cross_entropy([[0.0, 0.0]] * 2, [0, 1], sample_weight=weights, denominator="count") == 0.0


@pytest.mark.parametrize("base", [2, 10, 1.5])
def test_a_base_divides_by_its_logarithm(base: float) -> None:
    exact = [float(oracle.exact.mpf(x) / oracle.exact.log(base)) for x in LOSSES]
    got = crossent.cross_entropy_and_grad(LOGITS, IDS, base=base, reduction="none")
    assert_within_ulp(got.value, exact, 6)  # 4 of the loss, the unit and its product
    nats = crossent.cross_entropy_and_grad(LOGITS, IDS, reduction="none").grad
    assert_within_ulp(got.grad, nats / math.log(base), 8)
