"""Arrow columns as NumPy arrays: where they lie, and without pandas."""

from collections.abc import Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from crossent.scoring.arrow import pa


def as_numpy(column: Any) -> NDArray[Any]:
    """Return what `to_numpy` returns: NaN for a missing number.

    PyArrow's own imports pandas where it is installed, 31 MB and half a second for nothing that is needed here.
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    kind = column.type
    if pa.types.is_boolean(kind) and not column.null_count:
        return _lying_at(column.cast(pa.uint8()), np.uint8).astype(np.bool_)
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        values: NDArray[Any] = column.to_numpy(zero_copy_only=False)
        return values
    if column.null_count:
        if pa.types.is_integer(kind):
            column = column.cast(pa.float64(), safe=False)
        missing = ~as_numpy(column.is_valid())
        values = _lying_at(column, column.type.to_pandas_dtype()).copy()
        values[missing] = np.nan
        return values
    return _lying_at(column, kind.to_pandas_dtype())


def _lying_at(column: Any, dtype: Any) -> NDArray[Any]:
    """Return the values of a primitive column as they lie in memory, which the array keeps alive."""
    if not len(column):
        return np.empty(0, dtype)
    size = np.dtype(dtype).itemsize
    return np.frombuffer(column.buffers()[1], dtype, len(column), column.offset * size)


class ArrowColumns(Sequence[NDArray[Any]]):
    """PyArrow arrays of float32 or of float64, none of them with nulls.

    An array for each of a hundred columns took 0.5 ms a batch, as long as adding them up.
    """

    def __init__(self, arrays: Sequence[Any]) -> None:
        self._arrays = arrays

    def __len__(self) -> int:
        return len(self._arrays)

    @overload
    def __getitem__(self, place: int) -> NDArray[Any]: ...
    @overload
    def __getitem__(self, place: slice) -> list[NDArray[Any]]: ...
    def __getitem__(self, place: int | slice) -> NDArray[Any] | list[NDArray[Any]]:
        if isinstance(place, slice):
            return [as_numpy(array) for array in self._arrays[place]]
        return as_numpy(self._arrays[place])

    def addresses(self) -> NDArray[np.int64]:
        """Return where the first row of each column lies."""
        size = self._arrays[0].type.bit_width // 8
        return np.array([array.buffers()[1].address + array.offset * size for array in self._arrays], np.int64)
