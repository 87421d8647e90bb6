"""A record batch as arrays: predictions by class, the class index of each label, weights and names."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossent.errors import LabelError, RangeError
from crossent.scoring.arrow import compute, pa
from crossent.scoring.arrow_columns import ArrowColumns, as_numpy
from crossent.scoring.classes import ClassMapping
from crossent.scoring.column_types import is_list, is_text, is_vector
from crossent.scoring.evidence import IGNORED_ID
from crossent.scoring.kinds import Kind
from crossent.scoring.state.columns import Columns
from crossent.scoring.vectors import floats, matrix_of
from crossent.scoring.wording import listed

# Labels that take no part in the cost.
MISSING = -1
IGNORED = -2
BAD = -3

# What the kernels read where a file's reader has put it.
_READ_AS_THEY_LIE = (pa.float32(), pa.float64())

# Shares that were written with five digits still sum to 1 within this.
_SHARE_TOLERANCE = 1e-3


def prediction_matrix(batch: Any, columns: tuple[str, ...], width: int, start: int) -> NDArray[np.float64]:
    """Return shape (rows, classes); a value that is missing is NaN."""
    if is_vector(batch.schema.field(columns[0]).type):
        return matrix_of(batch.column(columns[0]), columns[0], width, start).astype(np.float64)
    matrix = np.empty((batch.num_rows, width))
    for position, name in enumerate(columns):
        matrix[:, position] = floats(batch.column(name))
    return matrix


def prediction_columns(
    batch: Any, columns: tuple[str, ...], width: int, start: int, *, kind: Kind, rest_class: int | None
) -> Columns:
    """Return the predictions by class, as they lie in the batch where they are all float32 or all float64."""
    shifts, is_logarithm = np.zeros(batch.num_rows), kind != "probs"
    if rest_class is not None:
        given = prediction_matrix(batch, columns, 1, start)[:, 0]
        pair = [np.ascontiguousarray(given), _rest(given, kind)]
        return Columns(pair if rest_class == 1 else pair[::-1], shifts, is_logarithm)
    if is_vector(batch.schema.field(columns[0]).type):
        matrix = matrix_of(batch.column(columns[0]), columns[0], width, start)
        dtype = np.float32 if matrix.dtype in (np.float16, np.float32) else np.float64
        return Columns(np.ascontiguousarray(matrix.T, dtype), shifts, is_logarithm)
    arrays = [batch.column(name) for name in columns]
    stored = arrays[0].type
    if (
        batch.num_rows
        and stored in _READ_AS_THEY_LIE
        and all(not each.null_count and each.type == stored for each in arrays)
    ):
        return Columns(ArrowColumns(arrays), shifts, is_logarithm)
    values = [floats(each) for each in arrays]
    dtype = np.float32 if all(each.dtype in (np.float16, np.float32) for each in values) else np.float64
    return Columns([np.ascontiguousarray(each, dtype) for each in values], shifts, is_logarithm)


def scalar_column(batch: Any, name: str) -> NDArray[np.float64]:
    """Return one number per row, NaN where it is missing."""
    return np.ascontiguousarray(floats(batch.column(name)), np.float64)


def weights_of(batch: Any, name: str, start: int) -> NDArray[np.float64]:
    """Return the weight of each row; raise RangeError at the first that is none."""
    weights = scalar_column(batch, name)
    strange = ~((weights >= 0.0) & (weights < np.inf))
    if strange.any():
        row = int(np.flatnonzero(strange)[0])
        message = f"`{name}` must hold weights of at least 0, row {start + row} has {batch.column(name)[row].as_py()!r}"
        raise RangeError(message)
    return weights


def texts_of(batch: Any, name: str) -> list[str | None]:
    """Return a column as text, None where it is missing."""
    column = batch.column(name)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_floating(column.type):
        # pandas makes 1 into 1.0 as soon as one value is missing: the same name in every file.
        values = column.to_pylist()
        return [None if v is None or v != v else str(int(v)) if v.is_integer() else str(v) for v in values]  # noqa: PLR0124
    return [None if value is None else str(value) for value in column.to_pylist()]


def whole_numbers(batch: Any, name: str, start: int) -> NDArray[np.float64]:
    """Return a column of counts, NaN where one is missing; raise RangeError at the first that is none."""
    column = batch.column(name)
    values = floats(column).astype(np.float64)
    strange = ~np.isnan(values) & ((values < 0.0) | (values != np.trunc(values)))
    if strange.any():
        row = int(np.flatnonzero(strange)[0])
        message = f"`{name}` must hold counts, row {start + row} has {column[row].as_py()!r}"
        raise RangeError(message)
    return values


def labels_there(batch: Any, name: str) -> NDArray[np.int64]:
    """Return 0 where there is a label, whatever it is, else MISSING or IGNORED; shape (rows,)."""
    column = batch.column(name)
    labels = np.where(as_numpy(column.is_valid()), 0, MISSING)
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        values = floats(column)
        labels[np.isnan(values)] = MISSING
        labels[values == IGNORED_ID] = IGNORED
    return labels


@dataclass(frozen=True)
class Labels:
    """The labels of a file, looked up by value: dictionaries differ from batch to batch."""

    column: str
    classes: tuple[ClassMapping, ...]
    counts_bad: bool = False

    def indices(self, batch: Any, start: int) -> NDArray[np.int64]:
        """Return the class index of each row, MISSING, IGNORED or, where they are counted, BAD; shape (rows,)."""
        column = batch.column(self.column)
        if self._are_numbers and pa.types.is_integer(column.type) and not column.null_count:
            ids = as_numpy(column)
            if not len(ids) or (ids.min() >= 0 and ids.max() < len(self.classes)):
                same: NDArray[np.int64] = ids.astype(np.int64)
                return same
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        if is_list(column.type):  # shape (rows, 1), as Keras writes labels
            column = compute.list_element(column, 0)
        given = column
        if not is_text(column.type):
            column = self._integers(column, start)
        elif column.type != pa.string():
            column = column.cast(pa.string())
        found = compute.index_in(column, value_set=self._values).fill_null(MISSING)
        indices: NDArray[np.int64] = as_numpy(found).astype(np.int64)
        strange = (indices == MISSING) & as_numpy(column.is_valid())
        if strange.any():
            if is_text(column.type):
                # `cat, 0.5` in CSV is the label "cat"; a class that has the space keeps it.
                found = compute.index_in(compute.utf8_trim_whitespace(column), value_set=self._values)
                indices[strange] = as_numpy(found.fill_null(MISSING))[strange]
                strange &= indices == MISSING
            else:
                ignored = strange & (as_numpy(column.fill_null(0)) == IGNORED_ID)
                indices[ignored] = IGNORED
                strange &= ~ignored
            if strange.any() and not self.counts_bad:
                row = int(np.flatnonzero(strange)[0])
                raise self._no_class((given if pa.types.is_uint64(given.type) else column)[row].as_py(), start + row)
            indices[strange] = BAD
        return indices

    @cached_property
    def _are_numbers(self) -> bool:
        """Whether every label is the index of its class, so that most batches need no looking up."""
        return [each.label for each in self.classes] == list(range(len(self.classes)))

    @cached_property
    def _values(self) -> Any:
        return pa.array([each.label for each in self.classes])

    def _integers(self, column: Any, start: int) -> Any:
        if pa.types.is_floating(column.type):
            values = as_numpy(column)
            # pandas turns ids into floats as soon as one of them is missing.
            strange = ~np.isnan(values) & ((values != np.trunc(values)) | (np.abs(values) > 2.0**53))
            if strange.any():
                row = int(np.flatnonzero(strange)[0])
                raise self._no_class(values[row].item(), start + row)
            column = pa.array(values, from_pandas=True)
        if pa.types.is_uint64(column.type):
            # what is beyond int64 is no class, and the largest number of it is none either
            column = compute.min_element_wise(column, pa.scalar(2**63 - 1, pa.uint64()), skip_nulls=False)
        return column.cast(pa.int64())

    def _no_class(self, value: object, row: int) -> LabelError:
        names = listed(each.label for each in self.classes)
        numbers = [each.label for each in self.classes if isinstance(each.label, int)]
        hint = f"give the prediction of '{value}' a column, or name the label column with `target`"
        if isinstance(value, int) and numbers:
            if value == max(numbers) + 1:
                hint = "are the labels 1-based?"
            elif value < 0:
                hint = f"a row without a label has {IGNORED_ID} or nothing"
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


def _rest(given: NDArray[np.float64], kind: Kind) -> NDArray[np.float64]:
    """Return what the other of two classes has, NaN where the given one is."""
    if kind == "logits":
        return np.where(np.isnan(given), np.nan, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        # Near 0 log-probabilities lose digits in log1p, near -inf in expm1 (Maechler 2012, "log1mexp").
        if kind == "log_probs":
            return np.where(given > -np.log(2.0), np.log(-np.expm1(given)), np.log1p(-np.exp(given)))
    return 1.0 - given
