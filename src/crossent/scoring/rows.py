"""A record batch as arrays: predictions by class, the class index of each label, weights and names."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossent.errors import LabelError, RangeError, SourceError
from crossent.scoring.arrow import compute, pa
from crossent.scoring.classes import ClassMapping
from crossent.scoring.columns import is_text
from crossent.scoring.state.columns import Columns
from crossent.scoring.wording import listed

# Labels that take no part in the cost.
MISSING = -1
IGNORED = -2
BAD = -3

# What PyTorch, and with it most training code, writes for "this row has no label".
_IGNORED_ID = -100

# Shares that were written with five digits still sum to 1 within this.
_SHARE_TOLERANCE = 1e-3


def prediction_matrix(batch: Any, columns: tuple[str, ...], width: int, start: int) -> NDArray[np.float64]:
    """Return shape (rows, classes); a value that is missing is NaN."""
    if batch.schema.field(columns[0]).type.num_fields:
        return _lists(batch.column(columns[0]), columns[0], width, start).astype(np.float64)
    matrix = np.empty((batch.num_rows, width))
    for position, name in enumerate(columns):
        matrix[:, position] = _floats(batch.column(name))
    return matrix


def prediction_columns(batch: Any, columns: tuple[str, ...], width: int, start: int, *, is_logarithm: bool) -> Columns:
    """Return the predictions by class, as they lie in the batch where they are all float32 or all float64."""
    shifts = np.zeros(batch.num_rows)
    if batch.schema.field(columns[0]).type.num_fields:
        matrix = _lists(batch.column(columns[0]), columns[0], width, start)
        dtype = np.float32 if matrix.dtype in (np.float16, np.float32) else np.float64
        return Columns(np.ascontiguousarray(matrix.T, dtype), shifts, is_logarithm)
    values = [_floats(batch.column(name)) for name in columns]
    dtype = np.float32 if all(each.dtype in (np.float16, np.float32) for each in values) else np.float64
    return Columns([np.ascontiguousarray(each, dtype) for each in values], shifts, is_logarithm)


def scalar_column(batch: Any, name: str) -> NDArray[np.float64]:
    """Return one number per row, NaN where it is missing."""
    return np.ascontiguousarray(_floats(batch.column(name)), np.float64)


def weights_of(batch: Any, name: str, start: int) -> NDArray[np.float64]:
    """Return the weight of each row; raise RangeError at the first that is none."""
    weights = scalar_column(batch, name)
    strange = ~((weights >= 0.0) & (weights < np.inf))
    if strange.any():
        row = int(np.flatnonzero(strange)[0])
        message = f"`{name}` must hold weights of at least 0, row {start + row} has {batch.column(name)[row].as_py()!r}"
        raise RangeError(message)
    return weights


def texts_of(batch: Any, name: str) -> list[str]:
    """Return a column as text; what is missing is the empty text."""
    column = batch.column(name)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return ["" if value is None else str(value) for value in column.to_pylist()]


def whole_numbers(batch: Any, name: str, start: int) -> int:
    """Return the sum of a column of counts; raise RangeError at the first that is none."""
    column = batch.column(name)
    values = _floats(column)
    strange = (values < 0.0) | (values != np.trunc(values))
    if strange.any():
        row = int(np.flatnonzero(strange)[0])
        message = f"`{name}` must hold counts, row {start + row} has {column[row].as_py()!r}"
        raise RangeError(message)
    return int(np.nansum(values))


@dataclass(frozen=True)
class Labels:
    """The labels of a file, looked up by value: dictionaries differ from batch to batch."""

    column: str
    classes: tuple[ClassMapping, ...]
    counts_bad: bool = False

    def indices(self, batch: Any, start: int) -> NDArray[np.int64]:
        """Return the class index of each row, MISSING, IGNORED or, where they are counted, BAD; shape (rows,)."""
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
            if strange.any() and not self.counts_bad:
                row = int(np.flatnonzero(strange)[0])
                raise self._no_class(column[row].as_py(), start + row)
            indices[strange] = BAD
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


@dataclass(frozen=True)
class Shares:
    """Truths given as one column per class, or as a list: one-hot where they are whole numbers, soft where not."""

    columns: tuple[str, ...]
    is_one_hot: bool

    def matrix(self, batch: Any, width: int, start: int) -> NDArray[np.float64]:
        """Return shape (rows, classes), NaN in all of a row where any is missing; raise RangeError for a bad row."""
        shares = prediction_matrix(batch, self.columns, width, start)
        shares[np.isnan(shares).any(axis=1)] = np.nan
        with np.errstate(invalid="ignore"):
            strange = (shares < 0.0).any(axis=1) | (np.abs(shares.sum(axis=1) - 1.0) > _SHARE_TOLERANCE)
            if self.is_one_hot:
                strange |= ((shares != 0.0) & (shares != 1.0) & ~np.isnan(shares)).any(axis=1)
        if strange.any():
            row = int(np.flatnonzero(strange)[0])
            what = "one 1 and else 0" if self.is_one_hot else "shares of at least 0 that sum to 1"
            values = ", ".join(f"{value:g}" for value in shares[row, :6]) + (", ..." if width > 6 else "")
            message = f"the truth in {listed(self.columns)} must be {what} in each row, row {start + row} has {values}"
            raise RangeError(message)
        return shares


def _lists(column: Any, name: str, width: int, start: int) -> NDArray[Any]:
    valid = column.is_valid().to_numpy(zero_copy_only=False)
    if not pa.types.is_fixed_size_list(column.type):
        lengths = compute.list_value_length(column).fill_null(width).to_numpy(zero_copy_only=False)
        if np.any(lengths != width):
            row = int(np.flatnonzero(lengths != width)[0])
            message = f"`{name}` must hold {width} numbers in each row, row {start + row} has {lengths[row]}"
            raise SourceError(message)
    values = _floats(column.flatten()).reshape(-1, width)
    if valid.all():
        return values
    matrix = np.full((len(column), width), np.nan, values.dtype if values.dtype.kind == "f" else np.float64)
    matrix[valid] = values
    return matrix


def _floats(column: Any) -> NDArray[Any]:
    if pa.types.is_decimal(column.type) or pa.types.is_null(column.type):
        column = column.cast(pa.float64())
    values: NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return values
