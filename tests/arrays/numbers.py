"""What the tests of the NumPy door share: untame arrays, bits, and exact row losses from the oracle."""

from typing import Any

import ml_dtypes
import numpy as np

from tests.oracle import oracle

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
DTYPES = [np.dtype(np.float16), BFLOAT16, np.dtype(np.float32), np.dtype(np.float64)]
CLASS_COUNTS = [1, 2, 10, 64, 65, 200, 1500]
INF, NAN = float("inf"), float("nan")


def result_dtype(dtype: Any) -> np.dtype:
    """Return what the contract promises for losses and gradients."""
    return np.dtype(np.float64 if dtype == np.float64 else np.float32)


def normal(shape: tuple[int, ...], dtype: Any = np.float64, seed: int = 0, spread: float = 3.0) -> np.ndarray:
    """Return logits of a fixed seed."""
    return (np.random.default_rng(seed).normal(size=shape) * spread).astype(dtype)


def labels(shape: tuple[int, ...], classes: int, seed: int = 1) -> np.ndarray:
    """Return class ids of a fixed seed."""
    return np.random.default_rng(seed).integers(0, classes, shape)


def distributions(shape: tuple[int, ...], dtype: Any = np.float64, seed: int = 2) -> np.ndarray:
    """Return rows that sum to 1, up to the rounding of the dtype."""
    raw = np.random.default_rng(seed).random(shape) + 0.01
    return (raw / raw.sum(axis=-1, keepdims=True)).astype(dtype)


def one_hot(ids: np.ndarray, classes: int, dtype: Any = np.float64, axis: int = -1) -> np.ndarray:
    """Return the distribution of each class id."""
    full = (np.asarray(ids)[..., np.newaxis] == np.arange(classes)).astype(dtype)
    return np.moveaxis(full, -1, axis)


def assert_same_bits(got: Any, wanted: Any) -> None:
    """Same shape, dtype and bytes; signs of zeros included."""
    got, wanted = np.asarray(got), np.asarray(wanted)
    assert (got.shape, got.dtype) == (wanted.shape, wanted.dtype)
    assert got.tobytes() == wanted.tobytes(), f"{got} is not {wanted}"


def target_of(row: Any, classes: int) -> dict[int, Any]:
    """Return the oracle's form of one class id or one distribution."""
    return oracle.soft_target([float(y) for y in row]) if np.ndim(row) else oracle.hard_target(int(row))


def exact_losses(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the exact losses of (rows, classes) logits, rounded once to float64."""
    rows = [oracle.SoftmaxRow([float(x) for x in row]) for row in logits]
    pairs = zip(rows, targets, strict=True)
    return np.array([float(oracle.softmax_cross_entropy(r, target_of(t, logits.shape[-1]))) for r, t in pairs])


def exact_gradient(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the exact gradients of the rows' own losses, rounded once to float64."""
    result = np.empty(logits.shape)
    for r, (x, t) in enumerate(zip(logits, targets, strict=True)):
        row, target = oracle.SoftmaxRow([float(value) for value in x]), target_of(t, logits.shape[-1])
        for c in range(len(x)):
            result[r, c] = float(oracle.softmax_cross_entropy_gradient(row, target, c)[0])
    return result


def assert_within_ulp(got: Any, exact: Any, ulp: float, dtype: Any = None, scale: Any = None) -> None:
    """|got - exact| <= ulp spacings of `dtype` at the exact value, or at `scale`; equal infinities, NaN for NaN."""
    got, exact = np.asarray(got), np.asarray(exact, np.float64)
    dtype = np.dtype(dtype or got.dtype).type
    at = np.abs(exact if scale is None else np.asarray(scale, np.float64))
    finite = np.isfinite(exact)
    unit = np.spacing(np.where(np.isfinite(at), at, 1.0).astype(dtype)).astype(np.float64)
    with np.errstate(invalid="ignore"):
        off = np.abs(got.astype(np.float64) - exact) / unit
    same = (got == exact) | (np.isnan(got.astype(np.float64)) & np.isnan(exact))
    assert np.all(same | (finite & (off <= ulp))), f"off by {np.where(same, 0.0, off)} ulp: {got} is not {exact}"
