"""Contract: zeros, infinities and NaN, where the truth meets a prediction of 0, 1 or nothing at all."""

import math
from typing import Any

import numpy as np
import pytest

import crossent
from crossent.errors import ImpossibleEventError, ImpossibleEventWarning
from tests.arrays.numbers import (
    CLASS_COUNTS,
    DTYPES,
    INF,
    NAN,
    assert_same_bits,
    assert_within_ulp,
    exact_gradient,
    exact_losses,
    labels,
    normal,
    one_hot,
)

every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)
every_count = pytest.mark.parametrize("classes", CLASS_COUNTS)


@every_dtype
def test_zero_log_zero_is_zero_also_with_a_logit_of_minus_infinity(dtype: np.dtype) -> None:
    logits = np.array([[-INF, 0.0, 0.0]], dtype)
    for targets in ([1], [[0.0, 1.0, 0.0]], [[0.0, 0.5, 0.5]]):
        got = crossent.cross_entropy_and_grad(logits, targets)
        assert_within_ulp(got.value, math.log(2), 2, np.float32 if dtype != np.float64 else np.float64)
        assert got.grad[0, 0] == 0.0
        assert not np.isnan(got.grad).any()


@every_dtype
def test_an_impossible_row_costs_infinity_and_has_a_finite_gradient(dtype: np.dtype) -> None:
    logits = np.array([[-INF, 1.0, 0.0], [0.0, 1.0, 2.0]], dtype)
    for targets in (
        np.array([0, 1]),
        np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]),
        np.array([[0.5, 0.5, 0], [0, 1, 0]]),
    ):
        with pytest.warns(ImpossibleEventWarning) as caught:
            got = crossent.cross_entropy_and_grad(logits, targets, reduction="none")
        assert [str(warning.message) for warning in caught] == [
            "1 of 2 rows has an infinite loss: the prediction is 0 where the truth is not."
        ]
        assert caught[0].filename == __file__
        assert got.value[0] == INF
        y = targets if targets.ndim == 2 else one_hot(targets, 3)
        assert_within_ulp(got.grad, exact_gradient(logits, y), 4, scale=np.ones((2, 3)))
        assert got.grad[0, 0] == -y[0, 0]


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_one_warning_counts_the_impossible_rows(reduction: Any) -> None:
    logits, ids = np.zeros((5, 3)), np.array([0, 0, 1, 2, 0])
    logits[[0, 2, 3], [0, 1, 2]] = -INF
    with pytest.warns(ImpossibleEventWarning) as caught:
        value = crossent.cross_entropy(logits, ids, reduction=reduction)
    assert np.max(value) == INF
    assert [str(warning.message) for warning in caught] == [
        "3 of 5 rows have an infinite loss: the prediction is 0 where the truth is not."
    ]
    assert caught[0].filename == __file__


def test_an_impossible_row_that_does_not_take_part_is_not_warned_of() -> None:
    logits, ids = np.array([[-INF, 0.0], [0.0, 0.0]]), np.array([0, 1])
    for options in (
        {"sample_weight": [0.0, 1.0]},
        {"where": [False, True]},
        {"ignore_index": 0},
        {"class_weight": [0, 1]},
    ):
        for reduction in ("none", "mean"):
            got = crossent.cross_entropy_and_grad(logits, ids, reduction=reduction, **options)
            assert np.max(got.value) == pytest.approx(math.log(2), rel=1e-15)
            np.testing.assert_array_equal(got.grad, [[0.0, 0.0], [0.5, -0.5]])


@every_dtype
@pytest.mark.parametrize("size", [1, 2, 10, 65, 1500])
def test_a_perfect_prediction_costs_zero_and_never_minus_zero(dtype: np.dtype, size: int) -> None:
    logits = np.full((1, size), -INF, dtype)
    logits[0, size // 2] = 3.0
    for targets in (np.array([size // 2]), one_hot([size // 2], size)):
        for reduction in ("none", "sum", "mean"):
            value = np.asarray(crossent.cross_entropy(logits, targets, reduction=reduction))
            assert value == 0.0
            assert not np.signbit(value).any()
    for door, given in (("from_probs", np.exp(logits.astype(float) - 3)), ("from_log_probs", logits.astype(float) - 3)):
        value = np.asarray(
            getattr(crossent, f"cross_entropy_{door}")(given.astype(dtype), [size // 2], reduction="none")
        )
        assert value == 0.0
        assert not np.signbit(value).any()


@pytest.mark.parametrize("ruled_out", [1, 1024, 1025, 2048, 2049, 4096])
@every_dtype
def test_minus_infinity_rules_classes_out_a_whole_first_block_too(dtype: np.dtype, ruled_out: int) -> None:
    classes = ruled_out + 70
    logits = normal((2, classes), dtype, seed=ruled_out)
    logits[:, :ruled_out] = -INF
    ids = np.array([classes - 1, ruled_out])
    for start, axis in ((logits, -1), (np.ascontiguousarray(logits.T), 0)):
        got = crossent.cross_entropy_and_grad(start, ids, axis=axis, reduction="none")
        grad = got.grad if axis == -1 else got.grad.T
        left = logits[:, ruled_out:]
        assert_within_ulp(got.value, exact_losses(left, ids - ruled_out), 4)
        np.testing.assert_array_equal(grad[:, :ruled_out], 0.0)
        assert_within_ulp(grad[:, ruled_out:], exact_gradient(left, ids - ruled_out), 4)


@every_count
@every_dtype
def test_rows_that_stand_for_nothing_are_nan_and_leave_the_others_alone(dtype: np.dtype, classes: int) -> None:
    logits, ids = normal((7, classes), dtype, seed=classes), labels((7,), classes)
    before = crossent.cross_entropy_and_grad(logits, ids, reduction="none")
    broken = logits.copy()
    broken[1] = -INF
    broken[3, [0, classes - 1]] = INF
    broken[5, classes // 2] = NAN
    bad = [1, 3, 5] if classes > 1 else [1, 5]  # of one class, +inf is certain
    good = [0, 2, 4, 6]
    for targets in (ids, one_hot(ids, classes), np.full((7, classes), 0.5)):
        with np.errstate(all="raise"):
            got = crossent.cross_entropy_and_grad(broken, targets, reduction="none")
        assert np.isnan(got.value[bad]).all()
        assert np.isnan(got.grad[bad]).all()
        assert np.isfinite(got.value[good]).all()
        if targets is ids:
            assert_same_bits(got.value[good], before.value[good])
            assert_same_bits(got.grad[good], before.grad[good])
        assert math.isnan(crossent.cross_entropy(broken, targets))


@pytest.mark.parametrize("classes", CLASS_COUNTS[1:])
@every_dtype
def test_one_plus_infinity_takes_all_of_the_probability(dtype: np.dtype, classes: int) -> None:
    logits = normal((2, classes), dtype, seed=classes)
    logits[:, classes - 1] = INF
    ids = np.array([classes - 1, 0])
    for targets in (ids, one_hot(ids, classes)):
        with pytest.warns(ImpossibleEventWarning):
            got = crossent.cross_entropy_and_grad(logits, targets, reduction="none")
        assert got.value.tolist() == [0.0, INF]
        assert not np.signbit(got.value[0])
        wanted = np.zeros((2, classes))
        wanted[1, 0], wanted[1, classes - 1] = -1.0, 1.0
        np.testing.assert_array_equal(got.grad, wanted)


def test_probabilities_of_zero_cost_what_zero_says() -> None:
    probs, ids = np.array([[0.0, 1.0], [0.5, 0.5]]), [0, 0]
    with pytest.warns(ImpossibleEventWarning) as caught:
        got = crossent.cross_entropy_from_probs_and_grad(probs, ids, reduction="none")
    assert len(caught) == 1
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(got.value, [INF, -math.log(0.5)])
    np.testing.assert_array_equal(got.grad, [[-INF, 0.0], [-2.0, 0.0]])
    clipped = crossent.cross_entropy_from_probs_and_grad(probs, ids, reduction="none", zero="clip", eps=1e-15)
    assert_within_ulp(clipped.value, [-math.log(1e-15), -math.log(0.5)], 1)
    np.testing.assert_array_equal(clipped.grad, [[0.0, 0.0], [-2.0, 0.0]])
    with pytest.raises(ImpossibleEventError):
        crossent.cross_entropy_from_probs(probs, ids, zero="raise")
    assert crossent.cross_entropy_from_probs(probs[1:], [0], zero="raise", base=2) == 1.0


@every_dtype
def test_probability_doors_at_zero_log_zero_and_nan(dtype: np.dtype) -> None:
    probs = np.array([[0.0, 1.0], [NAN, 0.5]], dtype)
    got = crossent.cross_entropy_from_probs_and_grad(probs, [[0.0, 1.0], [0.5, 0.5]], reduction="none")
    assert got.value[0] == 0.0
    assert not np.signbit(got.value[0])
    assert np.isnan(got.value[1])
    np.testing.assert_array_equal(got.grad[0], [0.0, -1.0])
    assert np.isnan(got.grad[1]).all()
    with np.errstate(divide="ignore"):
        logs = np.log(probs.astype(np.float64)).astype(dtype)
    got = crossent.cross_entropy_from_log_probs_and_grad(logs, [[0.0, 1.0], [0.5, 0.5]], reduction="none")
    assert got.value[0] == 0.0
    assert not np.signbit(got.value[0])
    np.testing.assert_array_equal(got.grad[0], [0.0, -1.0])
    with pytest.warns(ImpossibleEventWarning):
        got = crossent.cross_entropy_from_log_probs_and_grad(logs[:1], [0])
    assert got.value == INF
    np.testing.assert_array_equal(got.grad, [[-1.0, 0.0]])


@every_dtype
def test_binary_zeros(dtype: np.dtype) -> None:
    logits, ids = np.array([-INF, INF, NAN, INF, -INF], dtype), np.array([0, 1, 1, 0, 1])
    for targets in (ids, ids.astype(bool), ids.astype(np.float32)):
        with pytest.warns(ImpossibleEventWarning):
            got = crossent.binary_cross_entropy_and_grad(logits, targets, reduction="none")
        np.testing.assert_array_equal(got.value, [0.0, 0.0, NAN, INF, INF])
        assert not np.signbit(got.value[:2]).any()
        np.testing.assert_array_equal(got.grad, [0.0, 0.0, NAN, 1.0, -1.0])
    probs = np.array([0.0, 1.0, NAN, 1.0, 0.0], dtype)
    with pytest.warns(ImpossibleEventWarning):
        got = crossent.binary_cross_entropy_from_probs_and_grad(probs, ids, reduction="none")
    np.testing.assert_array_equal(got.value, [0.0, 0.0, NAN, INF, INF])
    assert not np.signbit(got.value[:2]).any()
    np.testing.assert_array_equal(got.grad, [1.0, -1.0, NAN, INF, -INF])
    got = crossent.binary_cross_entropy_from_probs_and_grad(probs, ids, reduction="none", zero="clip", eps=2.0**-20)
    np.testing.assert_array_equal(got.value[[0, 1]], [0.0, 0.0])
    assert_within_ulp(got.value[3:], [20 * math.log(2)] * 2, 1)
    np.testing.assert_array_equal(got.grad[3:], [0.0, 0.0])
