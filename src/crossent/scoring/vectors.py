"""Columns whose every row holds one number per class: lists of any layout, tensors, Spark's vectors; as a matrix."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossent.errors import SourceError
from crossent.scoring.arrow import compute, pa
from crossent.scoring.arrow_columns import as_numpy
from crossent.scoring.column_types import is_spark_vector

# In Spark's vectors, org.apache.spark.ml.linalg.VectorUDT: 0 is sparse, 1 is dense.
_SPARSE = 0


def width_of(column: Any) -> int:
    """Return how many numbers the first row that is not missing holds; 0 where there is none."""
    column = _stored(column)
    row = next((row for row in column if row.is_valid), None)
    if row is None:
        return 0
    if is_spark_vector(column.type):
        return row["size"].as_py() if row["type"].as_py() == _SPARSE else len(row["values"])
    return len(row)


def matrix_of(column: Any, name: str, width: int, start: int) -> NDArray[Any]:
    """Return shape (rows, width), NaN in rows that are missing; raise SourceError at the first of another width."""
    column = _stored(column)
    if is_spark_vector(column.type):
        return _spark(column, name, width, start)
    valid = as_numpy(column.is_valid())
    lengths = as_numpy(compute.list_value_length(column).fill_null(width))
    _refuse_other(lengths, name, width, start)
    values = floats(column.flatten()).reshape(-1, width)
    if valid.all():
        return values
    matrix = np.full((len(column), width), np.nan, values.dtype if values.dtype.kind == "f" else np.float64)
    matrix[valid] = values
    return matrix


def floats(column: Any) -> NDArray[Any]:
    """Return a column of numbers as it is stored, NaN where it is missing."""
    if pa.types.is_decimal(column.type) or pa.types.is_null(column.type):
        column = column.cast(pa.float64())
    elif pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    values: NDArray[Any] = as_numpy(column)
    return values


def _stored(column: Any) -> Any:
    return column.storage if isinstance(column.type, pa.BaseExtensionType) else column


def _spark(column: Any, name: str, width: int, start: int) -> NDArray[np.float64]:
    kinds, sizes, indices, values = column.flatten()
    valid = as_numpy(column.is_valid())
    sparse = valid & (as_numpy(kinds.fill_null(1)) == _SPARSE)
    dense = valid & ~sparse
    lengths = as_numpy(compute.list_value_length(values).fill_null(0))
    stated = np.where(sparse, as_numpy(sizes.fill_null(-1)), lengths)
    _refuse_other(np.where(valid, stated, width), name, width, start)
    matrix = np.full((len(column), width), np.nan)
    matrix[dense] = floats(values.filter(pa.array(dense)).flatten()).reshape(-1, width)
    if sparse.any():
        counts = as_numpy(compute.list_value_length(indices).fill_null(0))
        places = as_numpy(indices.filter(pa.array(sparse)).flatten())
        rows = np.repeat(np.flatnonzero(sparse), counts[sparse])
        strange = sparse & (counts != lengths)
        if len(places) and not strange.any():
            strange[rows[(places < 0) | (places >= width)]] = True
        if strange.any():
            row = int(np.flatnonzero(strange)[0])
            message = f"`{name}` must hold Spark vectors, the indices of row {start + row} do not fit its values; write it anew"
            raise SourceError(message)
        matrix[sparse] = 0.0
        matrix[rows, places] = floats(values.filter(pa.array(sparse)).flatten())
    return matrix


def _refuse_other(lengths: NDArray[Any], name: str, width: int, start: int) -> None:
    if np.any(lengths != width):
        row = int(np.flatnonzero(lengths != width)[0])
        message = f"`{name}` must hold {width} numbers in each row, row {start + row} has {lengths[row]}"
        raise SourceError(message)
