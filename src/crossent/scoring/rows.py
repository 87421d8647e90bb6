"""A record batch as two arrays: predictions in float64 and the class index of each label."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossent.errors import LabelError, SourceError
from crossent.scoring.arrow import compute, pa
from crossent.scoring.classes import ClassMapping
from crossent.scoring.columns import is_text
from crossent.scoring.wording import listed

# Labels that take no part in the cost.
MISSING = -1
IGNORED = -2

# What PyTorch, and with it most training code, writes for "this row has no label".
_IGNORED_ID = -100


@dataclass(frozen=True)
class Rows:
    """Rows of one batch: predictions (rows, classes) and class indices, MISSING or IGNORED (rows,)."""

    predictions: NDArray[np.float64]
    labels: NDArray[np.int64]


def prediction_matrix(batch: Any, columns: tuple[str, ...], width: int, start: int) -> NDArray[np.float64]:
    """Return shape (rows, classes); a value that is missing is NaN."""
    if batch.schema.field(columns[0]).type.num_fields:
        return _lists(batch.column(columns[0]), columns[0], width, start)
    matrix = np.empty((batch.num_rows, width))
    for position, name in enumerate(columns):
        matrix[:, position] = _floats(batch.column(name))
    return matrix


@dataclass(frozen=True)
class Labels:
    """The labels of a file, looked up by value: dictionaries differ from batch to batch."""

    column: str
    classes: tuple[ClassMapping, ...]

    def indices(self, batch: Any, start: int) -> NDArray[np.int64]:
        """Return the class index of each row, MISSING or IGNORED; shape (rows,)."""
        column = batch.column(self.column)
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        if not is_text(column.type):
            column = self._integers(column, start)
        elif column.type != pa.string():
            column = column.cast(pa.string())
        found = compute.index_in(column, value_set=self._values).fill_null(MISSING)
        indices: NDArray[np.int64] = found.to_numpy(zero_copy_only=False).astype(np.int64)
        strange = (indices == MISSING) & column.is_valid().to_numpy(zero_copy_only=False)
        if strange.any():
            if not is_text(column.type):
                ignored = strange & (column.fill_null(0).to_numpy(zero_copy_only=False) == _IGNORED_ID)
                indices[ignored] = IGNORED
                strange &= ~ignored
            if strange.any():
                row = int(np.flatnonzero(strange)[0])
                raise self._no_class(column[row].as_py(), start + row)
        return indices

    @cached_property
    def _values(self) -> Any:
        return pa.array([each.label for each in self.classes])

    def _integers(self, column: Any, start: int) -> Any:
        if pa.types.is_floating(column.type):
            values = column.to_numpy(zero_copy_only=False)
            # pandas turns ids into floats as soon as one of them is missing.
            strange = ~np.isnan(values) & ((values != np.trunc(values)) | (np.abs(values) > 2.0**53))
            if strange.any():
                row = int(np.flatnonzero(strange)[0])
                raise self._no_class(values[row].item(), start + row)
            column = pa.array(values, from_pandas=True)
        return column.cast(pa.int64())

    def _no_class(self, value: object, row: int) -> LabelError:
        names = listed(each.label for each in self.classes)
        numbers = [each.label for each in self.classes if isinstance(each.label, int)]
        hint = f"give the prediction of '{value}' a column, or name the label column with `target`"
        if isinstance(value, int) and numbers:
            if value == max(numbers) + 1:
                hint = "are the labels 1-based?"
            elif value < 0:
                hint = f"a row without a label has {_IGNORED_ID} or nothing"
        return LabelError(f"`{self.column}` must hold one of the classes {names}; row {row} has {value!r}: {hint}")


def _lists(column: Any, name: str, width: int, start: int) -> NDArray[np.float64]:
    valid = column.is_valid().to_numpy(zero_copy_only=False)
    if not pa.types.is_fixed_size_list(column.type):
        lengths = compute.list_value_length(column).fill_null(width).to_numpy(zero_copy_only=False)
        if np.any(lengths != width):
            row = int(np.flatnonzero(lengths != width)[0])
            message = f"`{name}` must hold {width} numbers in each row, row {start + row} has {lengths[row]}"
            raise SourceError(message)
    matrix = np.full((len(column), width), np.nan)
    matrix[valid] = _floats(column.flatten()).reshape(-1, width)
    return matrix


def _floats(column: Any) -> NDArray[Any]:
    if pa.types.is_decimal(column.type) or pa.types.is_null(column.type):
        column = column.cast(pa.float64())
    values: NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return values
