"""Softmax cross-entropy as written: against mpmath, scipy, finite differences, the founding example, the contract."""

import numpy as np
import pytest
from scipy import special

from crossent.definitions.softmax_cross_entropy import (
    log_softmax,
    smoothed,
    softmax,
    softmax_cross_entropy,
    softmax_cross_entropy_gradient,
)
from crossent.errors import DtypeError, LabelError, RangeError, ShapeError
from tests.oracle.load import Row, batches, load, ulp_error

INF = np.inf
# Plain float64: x - M is rounded, by up to |x - M| 2^-53, and exp makes that a relative error: up to one ulp per nat, until
# at 746 nats the exponential is 0.  The sum, log1p, the division and the products add a few ulp.
ULP_PER_NAT = 1.0
LARGEST_EXPONENT_NATS = 746.0
FEW_ULP = 6.0


def allowed_ulp(logits: np.ndarray) -> np.ndarray:
    """Return the error that plain float64 may make, per row of (rows, classes): see the comment above."""
    finite = np.where(np.isfinite(logits), np.clip(logits, -1e300, 1e300), 0.0)
    span_nats = np.minimum(np.ptp(finite, axis=-1), LARGEST_EXPONENT_NATS)
    return FEW_ULP + np.log2(logits.shape[-1]) + ULP_PER_NAT * span_nats


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_hard_labels_agree_with_mpmath(dtype: str) -> None:
    for batch in batches(load(f"hard_{dtype}")):
        logits = batch.inputs.astype(np.float64)
        allowed = allowed_ulp(logits)
        assert_within(
            ulp_error(softmax_cross_entropy(logits, batch.target), batch.loss_hi, batch.loss_lo, np.float64),
            allowed,
            batch.rows,
        )
        got = softmax_cross_entropy_gradient(logits, batch.target)[batch.grad_row, batch.grad_index]
        errors = ulp_error(got, batch.grad_hi, batch.grad_lo, np.float64)
        assert_within(errors, allowed[batch.grad_row] + 1, [batch.rows[row] for row in batch.grad_row])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_soft_labels_agree_with_mpmath(dtype: str) -> None:
    for row in load(f"soft_{dtype}"):
        logits, target = row.logits.astype(np.float64), row.target.astype(np.float64)
        if row.label_smoothing:
            target = smoothed(target, row.label_smoothing)
        if row.class_weight is not None:
            target = target * row.class_weight
        allowed = allowed_ulp(logits[None]) + 3
        loss_error = ulp_error(softmax_cross_entropy(logits, target), row.loss_hi, row.loss_lo, np.float64)
        assert_within(loss_error[None], allowed, [row])
        got = softmax_cross_entropy_gradient(logits, target)[row.grad_index]
        errors = ulp_error(got, row.grad_hi, row.grad_lo, np.float64, row.grad_scale)
        assert_within(errors, np.repeat(allowed, len(errors)), [row] * len(errors))


def test_top_k_targets_agree_with_mpmath() -> None:
    for row in load("topk_float32"):
        probs = row.top_k_probs.astype(np.float64)
        missing = row.classes - len(probs)
        target = np.full(row.classes, (1 - probs.sum()) / missing if row.rest == "uniform" and missing else 0.0)
        target[row.top_k_ids] = probs
        logits = row.logits.astype(np.float64)
        allowed = allowed_ulp(logits[None]) + 3
        # the remainder 1 - sum has an absolute error of a few 2^-53, and is 0.02 or more unless it is exactly 0
        allowed = allowed + 64
        loss_error = ulp_error(softmax_cross_entropy(logits, target), row.loss_hi, row.loss_lo, np.float64)
        assert_within(loss_error[None], allowed, [row])
        got = softmax_cross_entropy_gradient(logits, target)[row.grad_index]
        errors = ulp_error(got, row.grad_hi, row.grad_lo, np.float64, row.grad_scale)
        assert_within(errors, np.repeat(allowed, len(errors)), [row] * len(errors))


def assert_within(errors: np.ndarray, allowed: np.ndarray, rows: list[Row]) -> None:
    worst = int(np.argmax(errors - allowed))
    assert errors[worst] <= allowed[worst], f"{rows[worst]}: {errors[worst]} ulp, allowed {allowed[worst]}"


def test_founding_example() -> None:
    logits = np.log([0.1, 0.5, 0.1, 0.1, 0.2])
    np.testing.assert_allclose(softmax_cross_entropy(logits, 0), np.log(10.0), rtol=4e-16)
    np.testing.assert_allclose(softmax_cross_entropy_gradient(logits, 0), [-0.9, 0.5, 0.1, 0.1, 0.2], rtol=1e-15)


def test_log_softmax_agrees_with_scipy() -> None:
    x = np.random.default_rng(1).normal(0, 5, (40, 7))
    # scipy's log(sum) has an absolute error near 2^-52, where ours is relative
    np.testing.assert_allclose(log_softmax(x), special.log_softmax(x, axis=-1), rtol=1e-14, atol=2.0**-51)
    np.testing.assert_allclose(softmax(x), special.softmax(x, axis=-1), rtol=1e-14)


def test_gradient_is_the_slope() -> None:
    rng = np.random.default_rng(2)
    x, y, step = rng.normal(0, 2, (6, 5)), rng.uniform(0, 2, (6, 5)), 1e-5
    gradient = softmax_cross_entropy_gradient(x, y)
    for place in range(5):
        shift = step * np.eye(5)[place]
        slope = (softmax_cross_entropy(x + shift, y) - softmax_cross_entropy(x - shift, y)) / (2 * step)
        # rounding of the losses (< 32) over the step: 32 * 2^-52 / 1e-5 < 1e-9; third derivative * step^2 is less
        np.testing.assert_allclose(gradient[:, place], slope, atol=2e-9)


@pytest.mark.parametrize(
    ("logits", "target", "loss", "gradient"),
    [
        ([0.0, -INF], 0, 0.0, [0.0, 0.0]),
        ([0.0, -INF], 1, INF, [1.0, -1.0]),
        ([0.0, -INF], [1.0, 0.0], 0.0, [0.0, 0.0]),
        ([INF, 5.0], 0, 0.0, [0.0, 0.0]),
        ([INF, 5.0], 1, INF, [1.0, -1.0]),
        ([INF, -INF], 0, 0.0, [0.0, 0.0]),
        ([7.0], 0, 0.0, [0.0]),
        ([3.0, 3.0], [0.0, 0.0], 0.0, [0.0, 0.0]),
        ([0.0, 0.0], [2.0, 1.0], 3 * np.log(2.0), [-0.5, 0.5]),
        ([INF, INF], 0, np.nan, [np.nan, np.nan]),
        ([-INF, -INF], 0, np.nan, [np.nan, np.nan]),
        ([np.nan, 0.0], 1, np.nan, [np.nan, np.nan]),
        ([np.nan], 0, np.nan, [np.nan]),
    ],
)
def test_contract(logits: list, target: object, loss: float, gradient: list) -> None:
    got = softmax_cross_entropy(logits, target)
    np.testing.assert_array_equal(got, loss)
    assert not np.signbit(got) or np.isnan(got)
    np.testing.assert_array_equal(softmax_cross_entropy_gradient(logits, target), gradient)


def test_zero_rows_and_leading_dimensions() -> None:
    assert softmax_cross_entropy(np.zeros((0, 3)), np.zeros(0, dtype=int)).shape == (0,)
    assert softmax_cross_entropy(np.zeros((2, 4, 3)), np.zeros((2, 4), dtype=int)).shape == (2, 4)
    assert softmax_cross_entropy_gradient(np.zeros((2, 4, 3)), np.zeros((2, 4), dtype=int)).shape == (2, 4, 3)


@pytest.mark.parametrize(
    ("logits", "target", "error", "message"),
    [
        ([[0.0, 1.0]], [2], LabelError, "`target` must lie in [0, 2); got 2 at [0]."),
        ([0.0, 1.0], -1, LabelError, "`target` must lie in [0, 2); got -1."),
        ([0.0, 1.0], [0, 1], ShapeError, "`target` must have shape (), as it holds integers (classes); got (2,)."),
        (
            [0.0, 1.0],
            [0.5],
            ShapeError,
            "`target` must have the shape of `logits`, (2,), as it holds floats; got (1,).",
        ),
        ([0.0, 1.0], [0.5, -0.5], RangeError, "`target` must lie in [0, inf); got -0.5 at [1]."),
        (
            [0.0, 1.0],
            [True, False],
            DtypeError,
            "`target` must hold integers (classes) or floats (distributions); got dtype bool.",
        ),
        ([], 0, ShapeError, "`logits` must have at least one class on its last axis; got shape (0,)."),
    ],
)
def test_errors(logits: list, target: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        softmax_cross_entropy(logits, target)
    assert str(caught.value) == message


def test_smoothing_outside_its_domain() -> None:
    with pytest.raises(RangeError) as caught:
        smoothed([1.0, 0.0], 1.5)
    assert str(caught.value) == "`smoothing` must lie in [0, 1]; got 1.5."
