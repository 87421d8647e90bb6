"""Hypothesis strategies for untame inputs: logits with infinities, NaN, ties and sizes of 1e4; one class, zero rows."""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

INF = float("inf")
DTYPES = (np.float16, np.float32, np.float64)
LARGEST_LOGIT = 10_000.0
GRID = 2**10  # tame logits are multiples of 1 / GRID below 2**6: sums with the shifts below are exact even in float32
TAME_LIMIT = 2**6


def dtypes() -> st.SearchStrategy[type]:
    """One of float16, float32 and float64."""
    return st.sampled_from(DTYPES)


def shapes(min_rows: int = 0, min_classes: int = 1, max_classes: int = 9) -> st.SearchStrategy[tuple[int, int]]:
    """(rows, classes), zero rows and one class included."""
    return st.tuples(st.integers(min_rows, 4), st.integers(min_classes, max_classes))


def numbers(dtype: type, *, finite: bool) -> st.SearchStrategy[float]:
    """Logits of any size up to 1e4, often tied, often special."""
    width = np.dtype(dtype).itemsize * 8
    ordinary = st.floats(-LARGEST_LOGIT, LARGEST_LOGIT, width=width)
    often = st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.5, LARGEST_LOGIT, -LARGEST_LOGIT])
    special = st.sampled_from([INF, -INF, float("nan")])
    return ordinary | often if finite else ordinary | often | special


@st.composite
def logits(draw: st.DrawFn, *, finite: bool = False, min_rows: int = 0, min_classes: int = 1) -> np.ndarray:
    """Rows of untame logits, (rows, classes), in any dtype."""
    dtype = draw(dtypes())
    shape = draw(shapes(min_rows, min_classes))
    return draw(hnp.arrays(dtype, shape, elements=numbers(dtype, finite=finite)))


@st.composite
def tame_logits(draw: st.DrawFn) -> np.ndarray:
    """Rows of float32 or float64 logits on a grid, to which a shift can be added without rounding."""
    steps = draw(hnp.arrays(np.int64, draw(shapes()), elements=st.integers(-TAME_LIMIT * GRID, TAME_LIMIT * GRID)))
    return (steps / GRID).astype(draw(st.sampled_from([np.float32, np.float64])))


def shifts() -> st.SearchStrategy[float]:
    """Whole numbers c for which x + c is exact for tame logits: 2**13 in steps of 2**-10 take 23 bits."""
    return st.integers(-(2**12), 2**12).map(float)


@st.composite
def targets(draw: st.DrawFn, shape: tuple[int, int]) -> np.ndarray:
    """Class ids for the rows of a shape, in any integer dtype."""
    rows, classes = shape
    dtype = draw(st.sampled_from([np.int8, np.uint8, np.int32, np.int64, np.uint64]))
    return draw(hnp.arrays(dtype, rows, elements=st.integers(0, classes - 1)))


@st.composite
def rows_and_targets(draw: st.DrawFn, *, finite: bool = False, min_rows: int = 0, min_classes: int = 1) -> Any:
    """Untame logits and a class for each row."""
    rows = draw(logits(finite=finite, min_rows=min_rows, min_classes=min_classes))
    return rows, draw(targets(rows.shape))


@st.composite
def distributions(draw: st.DrawFn, shape: tuple[int, int]) -> np.ndarray:
    """Distributions in float64, zeros included, that sum to 1 up to rounding."""
    counts = draw(hnp.arrays(np.int64, shape, elements=st.integers(0, 2**20) | st.integers(0, 2)))
    counts[:, 0] += counts.sum(axis=-1) == 0
    return counts / counts.sum(axis=-1, keepdims=True)


@st.composite
def pairs_of_distributions(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Two distributions per row, of one shape."""
    shape = draw(shapes())
    return draw(distributions(shape)), draw(distributions(shape))


def summands() -> st.SearchStrategy[np.ndarray]:
    """Arrays of float64 of any size and sign, the kind whose ordinary sum depends on the order."""
    limit = 1e300  # so that no sum of a few dozen leaves float64
    return hnp.arrays(np.float64, st.integers(0, 12), elements=st.floats(-limit, limit))
