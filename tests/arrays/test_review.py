"""What a review found that no contract row had asked: each was seen wrong first."""

import copy
import pickle
import threading
import time
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import crossent
from crossent._kernels.cpu import _threads
from crossent.errors import (
    DtypeError,
    ImpossibleEventWarning,
    NormalizationWarning,
    OptionError,
    RangeError,
    ShapeError,
)

LOGITS = np.random.default_rng(7).standard_normal((3, 4))
IDS = np.array([0, 1, 2])


@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))])
def test_a_copy_of_an_exact_sum_has_memory_of_its_own(clone: Any) -> None:
    first = crossent.ExactSum().add([1.0, 2.0])
    second = clone(first)
    second.add([10.0]).add_products([2.0], [3.0])
    second.merge(crossent.ExactSum().add([0.5]))
    assert (first.value(), second.value()) == (3.0, 19.5)


@pytest.mark.parametrize("weight", [1e308, 1e250, 1e-250, 1e-310, 5e-324])
@pytest.mark.parametrize("classes", [4, 300])
def test_a_common_weight_of_any_size_changes_no_mean(weight: float, classes: int) -> None:
    logits = np.random.default_rng(7).standard_normal((3, classes))
    plain = crossent.cross_entropy_and_grad(logits, IDS)
    weighted = crossent.cross_entropy_and_grad(logits, IDS, sample_weight=[weight] * 3)
    # 1 / 3 and 1 / (3 w) are rounded apart, and each product once more: 4 roundings
    np.testing.assert_allclose(weighted.grad, plain.grad, rtol=4 * 2.0**-53)
    assert abs(weighted.value - plain.value) <= np.spacing(plain.value)
    by_class = crossent.cross_entropy_and_grad(logits, IDS, class_weight=[min(1e300, weight)] * classes)
    if weight > 1e-300:  # a class weight multiplies the loss itself, which is subnormal below
        np.testing.assert_allclose(by_class.grad, plain.grad, rtol=8 * 2.0**-53)


def test_top_k_targets_keep_what_they_checked() -> None:
    shares = np.array([[0.5, 0.5]])
    targets = crossent.TopKTargets([[0, 1]], shares)
    shares[:] = -1.0
    assert targets.probs.tolist() == [[0.5, 0.5]]


@pytest.mark.parametrize("base", [0.5, 1.0, 0.0, -2.0, float("inf"), float("nan")])
def test_a_base_is_above_one(base: float) -> None:
    text = f"`base` must be a finite number above 1, or None for nats; got {base!r}."
    with pytest.raises(OptionError) as caught:
        crossent.cross_entropy(LOGITS, IDS, base=base)
    assert str(caught.value) == text


def test_out_must_not_overlap_itself() -> None:
    out = np.lib.stride_tricks.as_strided(np.zeros(4), (3, 4), (0, 8))
    with pytest.raises(RangeError) as caught:
        crossent.cross_entropy_and_grad(LOGITS, IDS, out=out)
    assert str(caught.value) == "`out` must not overlap itself; got strides (0, 8) for shape (3, 4)."
    for fine in (np.zeros((4, 3)).T, np.zeros((6, 8))[::2, ::-2], np.zeros((3, 4))[::-1]):
        result = crossent.cross_entropy_and_grad(LOGITS, IDS, out=fine)
        np.testing.assert_array_equal(fine, crossent.cross_entropy_and_grad(LOGITS, IDS).grad)
        assert result.grad is fine


def test_nothing_to_rescale_is_impossible_and_never_nan() -> None:
    with pytest.warns(ImpossibleEventWarning):
        result = crossent.cross_entropy_from_probs_and_grad([[0.0, 0.0]], [0], normalized="rescale")
    assert result.value == np.inf
    assert result.grad.tolist() == [[-np.inf, 0.0]]


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
@pytest.mark.parametrize("classes", [2, 200])
def test_the_gradient_of_a_certain_row_has_no_minus_zero(dtype: Any, classes: int) -> None:
    logits = np.full((1, classes), -60000.0).astype(dtype)
    logits[0, 0] = 60000.0
    assert not np.signbit(crossent.cross_entropy_and_grad(logits, [0]).grad).any()


def test_small_refusals() -> None:
    with pytest.raises(ShapeError) as shape:
        crossent.ExactSum().add_products(np.ones((2, 3)), np.ones((3, 2)))
    assert str(shape.value) == "`a` and `b` must have one shape; got (2, 3) and (3, 2)."
    with pytest.raises(DtypeError) as number:
        crossent.ExactSum().divided_by("3")  # type: ignore[arg-type]
    assert str(number.value) == "`denominator` must be a number or an ExactSum; got '3'."
    with pytest.raises(DtypeError) as dtype:
        crossent.warm_up("x")
    floats = "float16, bfloat16, float32 or float64"
    assert str(dtype.value) == f"`dtype` must be a floating-point dtype ({floats}); got 'x'."
    with pytest.warns(ImpossibleEventWarning, match="1 of 2 elements has an infinite loss"):
        crossent.binary_cross_entropy([-np.inf, 0.0], [1, 1])


def test_an_interrupt_waits_for_the_helpers(monkeypatch: pytest.MonkeyPatch) -> None:
    inside, caller = threading.Event(), threading.get_ident()
    running: list[int] = []

    def task(first: int, last: int) -> None:
        if threading.get_ident() == caller:
            inside.wait(10)
            raise KeyboardInterrupt
        running.append(first)
        inside.set()
        time.sleep(0.2)
        running.remove(first)

    monkeypatch.setattr(_threads, "num_threads", lambda: 2)
    with pytest.raises(KeyboardInterrupt):
        _threads.spread(task, 100, 2**30)
    assert running == []


def test_the_mean_of_huge_weights_is_the_exact_quotient() -> None:
    losses = crossent.cross_entropy(LOGITS, IDS, reduction="none")
    weights = np.array([1e308, 1.5e308, 5e307])
    exact = sum(Fraction(w) * Fraction(loss) for w, loss in zip(weights, losses.tolist(), strict=True))
    assert crossent.cross_entropy(LOGITS, IDS, sample_weight=weights) == float(exact / sum(map(Fraction, weights)))


@pytest.mark.parametrize(("dtype", "shift"), [(np.float32, 2), (np.float64, 4)])
def test_a_large_gradient_between_two_elements(dtype: Any, shift: int) -> None:
    """16 MB would go past the caches, line by line, but no line of this array begins on a boundary: it crashed."""
    classes = 512
    rows = 2**24 // (classes * np.dtype(dtype).itemsize)
    logits = np.random.default_rng(8).standard_normal((rows, classes)).astype(dtype)
    room = np.zeros(logits.nbytes + 64, np.uint8)
    out = room[shift : shift + logits.nbytes].view(dtype).reshape(logits.shape)
    ids = np.zeros(rows, np.int64)
    expected = crossent.cross_entropy_and_grad(logits, ids)
    assert crossent.cross_entropy_and_grad(logits, ids, out=out).value == expected.value
    np.testing.assert_array_equal(out, expected.grad)


def test_an_option_that_changes_is_read_anew() -> None:
    class Count:
        def __init__(self, number: float) -> None:
            self.number = number

        def __float__(self) -> float:
            return self.number

    count = Count(2.0)
    once = crossent.cross_entropy(LOGITS, IDS, denominator=count)
    count.number = 4.0
    assert crossent.cross_entropy(LOGITS, IDS, denominator=count) == once / 2


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_special_rows_in_place(dtype: Any, order: Any) -> None:
    """Rows that need care are read after their neighbours' gradients have been written."""
    logits = np.array(
        [[1.0, np.inf, 2.0], [3.0, 4.0, 5.0], [np.nan, 0.0, 1.0], [1e30, 0.0, -1e30]] * 40, dtype, order=order
    )
    ids = np.zeros(len(logits), np.int64)
    with pytest.warns(ImpossibleEventWarning):
        expected = crossent.cross_entropy_and_grad(logits, ids, reduction="none")
    with pytest.warns(ImpossibleEventWarning):
        got = crossent.cross_entropy_and_grad(logits, ids, reduction="none", out=logits)
    np.testing.assert_array_equal(got.value, expected.value)
    np.testing.assert_array_equal(logits, expected.grad)


def test_the_farthest_sum_is_the_first_of_those_as_far() -> None:
    probs = np.tile([0.06, 0.1, 0.18, 0.19, 0.07], (9, 1))
    probs[3:, :2] = probs[3:, 1::-1]  # the same sum but for its rounding
    text = "9 of 9 rows of `probs` do not sum to 1; the farthest, row 0, sums to 0.6."
    for function in (crossent.cross_entropy_from_probs, crossent.cross_entropy_from_probs_and_grad):
        with pytest.warns(NormalizationWarning) as caught:
            function(probs, np.zeros(9, np.int64))
        assert str(caught[0].message).startswith(text)
