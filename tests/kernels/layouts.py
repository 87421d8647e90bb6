"""The ways that rows may lie in memory; what lies between them is NaN, so that a wrong stride shows."""

from collections.abc import Callable

import ml_dtypes
import numpy as np

Array = np.ndarray
# (rows, classes) -> (the same numbers in another layout, its class axis, the way back)
Layout = Callable[[Array], tuple[Array, int, Callable[[Array], Array]]]


def filled_with_nan(shape: tuple[int, ...], dtype: np.dtype) -> Array:
    """Return an array of NaN, or of -1 where the dtype is an integer's."""
    floating = dtype.kind == "f" or dtype == ml_dtypes.bfloat16
    return np.full(shape, np.nan if floating else -1, dtype)


def last(rows: Array) -> tuple[Array, int, Callable[[Array], Array]]:
    """Classes side by side."""
    return rows, -1, lambda result: result


def first(rows: Array) -> tuple[Array, int, Callable[[Array], Array]]:
    """Rows side by side."""
    return np.ascontiguousarray(rows.T), 0, lambda result: result.T


def middle(rows: Array) -> tuple[Array, int, Callable[[Array], Array]]:
    """Classes between two dimensions of rows, the first of size 1."""
    return np.ascontiguousarray(rows.T)[np.newaxis], 1, lambda result: result[0].T


def strided(rows: Array) -> tuple[Array, int, Callable[[Array], Array]]:
    """Every third number of every second row of something larger, from an odd place on."""
    room = filled_with_nan((2 * len(rows), 3 * rows.shape[1] + 1), rows.dtype)
    view = room[::2, 1::3]
    view[...] = rows
    return view, -1, lambda result: result


def padded(rows: Array) -> tuple[Array, int, Callable[[Array], Array]]:
    """Classes side by side, rows apart, no row on a boundary."""
    room = filled_with_nan((len(rows), rows.shape[1] + 3), rows.dtype)
    view = room[:, 1 : 1 + rows.shape[1]]
    view[...] = rows
    return view, -1, lambda result: result


def backwards(rows: Array) -> tuple[Array, int, Callable[[Array], Array]]:
    """Both strides negative, and read-only."""
    view = rows[::-1, ::-1].copy()[::-1, ::-1]
    view.flags.writeable = False
    return view, -1, lambda result: result


LAYOUTS: dict[str, Layout] = {layout.__name__: layout for layout in (last, first, middle, strided, padded, backwards)}
