"""Probability vectors for entropy and divergence: any axis, checked, as rows of float64."""

import warnings
from typing import Any

import numpy as np

from crossent._checks import check_axis
from crossent.arrays._from_probs import SUM_TOLERANCE
from crossent.arrays._input import Numbers, as_array, as_numbers, is_floating
from crossent.arrays._words import class_at, where_is
from crossent.errors import DtypeError, NormalizationWarning, RangeError, ShapeError


def read_distribution(p: Any, name: str, axis: int, stacklevel: int) -> tuple[np.ndarray, np.dtype]:
    """Return (float64 array, contiguous, classes last; dtype of the result); warn where rows do not sum to 1.

    Whole 0s and 1s may come as integers: a certain outcome is a distribution too.
    """
    array = as_array(p, name)
    if array.dtype.kind in "biu" and not is_floating(array):
        array = array.astype(np.float64)
    numbers: Numbers = as_numbers(array, name)
    axis = check_axis(axis, name, numbers.array.shape)
    rows = np.ascontiguousarray(numbers.as_doubles(np.moveaxis(numbers.array, axis, -1)))
    bad = (rows < 0.0) | (rows > 1.0)
    if bad.any():
        place = tuple(int(i) for i in np.argwhere(bad)[0])
        message = f"`{name}` must lie in [0, 1]; {class_at(place[:-1], place[-1])} has {rows[place]}."
        raise RangeError(message)
    sums = rows.sum(axis=-1)
    off = np.abs(sums - 1.0) > SUM_TOLERANCE[numbers.dtype_name]
    if off.any():
        place = tuple(int(i) for i in np.argwhere(off)[0])
        where = where_is(place) or "it "
        message = (
            f"{int(np.count_nonzero(off))} of {sums.size} rows of `{name}` do not sum to 1; "
            f"the first, {where.rstrip()}, sums to {sums[place]:.9g}."
        )
        warnings.warn(message, NormalizationWarning, stacklevel=stacklevel + 1)
    return rows, numbers.result


def read_pair(p: Any, q: Any, axis: int, stacklevel: int) -> tuple[np.ndarray, np.ndarray, np.dtype]:
    """Return two distributions over the same classes, of one shape; leading dimensions broadcast."""
    left, left_dtype = read_distribution(p, "p", axis, stacklevel + 1)
    right, right_dtype = read_distribution(q, "q", axis, stacklevel + 1)
    try:
        if left.shape[-1] != right.shape[-1]:
            raise ValueError
        both = np.broadcast_arrays(left, right)
    except ValueError:
        message = f"`p` and `q` must have the same classes and matching shapes; got {left.shape} and {right.shape}."
        raise ShapeError(message) from None
    dtype = np.promote_types(left_dtype, right_dtype)
    return np.ascontiguousarray(both[0]), np.ascontiguousarray(both[1]), dtype


def as_result(values: np.ndarray, dtype: np.dtype) -> float | np.ndarray:
    """Return a float for one row, else an array of the result's dtype."""
    return float(values) if values.ndim == 0 else values.astype(dtype)


def refuse_text(p: Any, name: str) -> None:
    """Point a string to entropy_of, which counts it."""
    if isinstance(p, (str, bytes)):
        message = f"`{name}` must be probabilities; got {type(p).__name__}: entropy_of counts the letters of a text."
        raise DtypeError(message)
