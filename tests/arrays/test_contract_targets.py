"""Contract: the kinds of targets, and that a hard label and its one-hot give the same bits whatever the options."""

import itertools
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import crossent
from tests.arrays.numbers import (
    CLASS_COUNTS,
    DTYPES,
    INF,
    NAN,
    assert_same_bits,
    assert_within_ulp,
    distributions,
    exact_gradient,
    exact_losses,
    labels,
    normal,
    one_hot,
)

every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)
INTEGERS = [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64]
LEADING = (2, 3)
AXES = (0, 1, -1)


@pytest.mark.parametrize("integer", INTEGERS)
def test_integers_of_any_width_are_class_ids(integer: type) -> None:
    logits, ids = normal((6, 5)), labels((6,), 5)
    losses = crossent.cross_entropy(logits, ids.astype(integer), reduction="none")
    assert_within_ulp(losses, exact_losses(logits, ids), 4)


def test_large_class_ids_never_pass_through_a_float() -> None:
    # float32 holds no integer between 2**24 and 2**24 + 2
    classes = 2**24 + 2
    logits = np.zeros((1, classes), np.float16)
    logits[0, 2**24 + 1] = 1.0
    grad = crossent.cross_entropy_and_grad(logits, np.array([2**24 + 1], np.uint32)).grad
    assert np.flatnonzero(grad[0] < 0).tolist() == [2**24 + 1]
    for label in (2**53 + 1, -(2**53) - 1):
        with pytest.raises(crossent.errors.LabelError, match=str(label)):
            crossent.cross_entropy(np.zeros((1, 5)), np.array([label]))
    with pytest.raises(crossent.errors.LabelError, match=str(2**64 - 1)):
        crossent.cross_entropy(np.zeros((1, 5)), np.array([2**64 - 1], np.uint64))


@pytest.mark.parametrize("soft", DTYPES, ids=str)
@pytest.mark.parametrize("classes", [1, 2, 10, 100])
def test_floats_are_distributions_of_any_dtype(classes: int, soft: np.dtype) -> None:
    logits, targets = normal((5, classes)), distributions((5, classes), soft)
    got = crossent.cross_entropy_and_grad(logits, targets, reduction="none")
    assert_within_ulp(got.value, exact_losses(logits, targets), 4)
    y = targets.astype(np.float64)
    scale = np.maximum(np.abs(exact_gradient(logits, targets)), y)
    assert_within_ulp(got.grad, exact_gradient(logits, targets), 4, scale=scale)


@pytest.mark.parametrize("total", [0.0, 0.25, 3.0, 1e3])
@every_dtype
def test_soft_labels_of_another_sum_give_p_sum_y_minus_y(dtype: np.dtype, total: float) -> None:
    logits, targets = normal((4, 7), dtype), distributions((4, 7)) * total
    got = crossent.cross_entropy_and_grad(logits, targets, reduction="none")
    assert_within_ulp(got.value, exact_losses(logits, targets), 4)
    exact = exact_gradient(logits, targets)
    assert_within_ulp(got.grad, exact, 4, scale=np.maximum(np.abs(exact), targets))


def test_targets_of_all_zero_cost_nothing_and_move_nothing() -> None:
    got = crossent.cross_entropy_and_grad([[1.0, -INF, 3.0]], [[0.0, 0.0, 0.0]])
    assert got.value == 0.0
    assert not np.signbit(got.value)
    np.testing.assert_array_equal(got.grad, np.zeros((1, 3)))


def test_top_k_targets_are_the_distribution_they_list() -> None:
    logits = normal((3, 6))
    ids, shares = np.array([[0, 2], [5, 1], [3, 4]]), np.array([[0.5, 0.25], [0.125, 0.5], [1.0, 0.0]])
    for rest, share in (("zero", 0.0), ("uniform", 1.0)):
        dense = np.repeat((1.0 - shares.sum(axis=1, keepdims=True)) / 4 * share, 6, axis=1)
        np.put_along_axis(dense, ids, shares, axis=1)
        got = crossent.cross_entropy_and_grad(logits, crossent.TopKTargets(ids, shares, rest), reduction="none")
        assert_within_ulp(got.value, exact_losses(logits, dense), 4)
        exact = exact_gradient(logits, dense)
        assert_within_ulp(got.grad, exact, 4, scale=np.maximum(np.abs(exact), dense))


def test_an_empty_list_is_the_class_ids_of_no_rows() -> None:
    assert crossent.cross_entropy(np.zeros((0, 5)), [], reduction="sum") == 0.0


def logits_with_special_rows(dtype: Any, classes: int, axis: int) -> np.ndarray:
    logits = normal((*LEADING, classes), dtype, seed=classes)
    logits[0, 0, 0] = -INF
    logits[0, 1, -1] = NAN
    logits[1, 1, :] = -INF
    logits[1, 1, 0] = 1.0
    logits[1, 2, classes // 2] = INF
    return np.moveaxis(logits, -1, axis)


def every_option(classes: int, axis: int) -> Any:
    """Yield every combination of weights, masks, smoothing, reduction and base."""
    rng = np.random.default_rng(classes)
    rows = rng.random(LEADING) < 0.7
    mask = np.moveaxis(rng.random((*LEADING, classes)) < 0.8, -1, axis)
    class_weight = rng.random(classes) * 3.0
    class_weight[0] = 0.0
    sample_weight = rng.random(LEADING)
    sample_weight[0, 1] = 0.0
    choices = {
        "sample_weight": (None, sample_weight),
        "class_weight": (None, class_weight),
        "where": (None, rows, mask),
        "label_smoothing": (0.0, 0.1),
        "reduction": ("none", "sum", "mean"),
        "base": (None, 2.0),
    }
    for values in itertools.product(*choices.values()):
        yield dict(zip(choices, values, strict=True))


@pytest.mark.filterwarnings("ignore::crossent.errors.ImpossibleEventWarning")
@pytest.mark.parametrize("classes", CLASS_COUNTS)
@every_dtype
def test_a_hard_label_and_its_one_hot_give_the_same_bits(dtype: np.dtype, classes: int) -> None:
    ids = labels(LEADING, classes, seed=classes)
    for axis in AXES:
        targets = one_hot(ids, classes, np.float32, axis)
        special = logits_with_special_rows(dtype, classes, axis)
        plain = np.moveaxis(normal((*LEADING, classes), dtype, seed=classes), -1, axis)
        for options in every_option(classes, axis):
            logits = special if options["reduction"] == "none" else plain
            hard = crossent.cross_entropy_and_grad(logits, ids, axis=axis, **options)
            soft = crossent.cross_entropy_and_grad(logits, targets, axis=axis, **options)
            assert_same_bits(soft.value, hard.value)
            assert_same_bits(soft.grad, hard.grad)
            assert_same_bits(crossent.cross_entropy(logits, ids, axis=axis, **options), hard.value)


@pytest.mark.parametrize("one", DTYPES, ids=str)
def test_a_one_hot_may_have_any_dtype_and_be_top_k(one: np.dtype) -> None:
    logits, ids = normal((4, 9), np.float32), labels((4,), 9)
    hard = crossent.cross_entropy_and_grad(logits, ids)
    for targets in (one_hot(ids, 9, one), crossent.TopKTargets(np.stack([ids, (ids + 1) % 9], 1), [[1.0, 0.0]] * 4)):
        soft = crossent.cross_entropy_and_grad(logits, targets)
        assert_same_bits(soft.value, hard.value)
        assert_same_bits(soft.grad, hard.grad)


@pytest.mark.filterwarnings("ignore::crossent.errors.ImpossibleEventWarning")
@pytest.mark.filterwarnings("ignore::crossent.errors.NormalizationWarning")
@pytest.mark.parametrize("classes", [1, 2, 65, 200])
@pytest.mark.parametrize("door", ["cross_entropy_from_probs", "cross_entropy_from_log_probs"])
@every_dtype
def test_the_same_at_the_doors_for_probabilities(dtype: np.dtype, door: str, classes: int) -> None:
    ids = labels(LEADING, classes, seed=classes)
    probs = distributions((*LEADING, classes), seed=classes)
    probs[0, 0, 0] = 0.0
    given = (probs if door.endswith("from_probs") else np.log(np.maximum(probs, 1e-30))).astype(dtype)
    for axis in AXES:
        moved, targets = np.moveaxis(given, -1, axis), one_hot(ids, classes, np.float32, axis)
        for options in every_option(classes, axis):
            hard = getattr(crossent, f"{door}_and_grad")(moved, ids, axis=axis, **options)
            soft = getattr(crossent, f"{door}_and_grad")(moved, targets, axis=axis, **options)
            assert_same_bits(soft.value, hard.value)
            assert_same_bits(soft.grad, hard.grad)
            assert_same_bits(getattr(crossent, door)(moved, ids, axis=axis, **options), hard.value)


def test_targets_of_bfloat16_are_distributions() -> None:
    got = crossent.cross_entropy([[0.0, 0.0]], np.array([[0.5, 0.5]], ml_dtypes.bfloat16), base=2)
    assert got == 1.0
