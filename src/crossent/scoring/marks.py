"""Kaggle's mark of the rows that count: `Usage` is Public, Private or Ignored, and the score is that of the Public ones."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossent.scoring.arrow import compute, pa
from crossent.scoring.arrow_columns import as_numpy
from crossent.scoring.column_types import is_text
from crossent.scoring.sources.opening import read_batches
from crossent.scoring.sources.source import Source

_COLUMNS = ("usage", "indicator")
PUBLIC = "public"
_MARKS = {PUBLIC, "private", "ignored"}
_FIRST_ROWS = 4096


def mark_column(source: Source) -> str | None:
    """Return the column that marks rows as Public or not, by its name and by its first values."""
    for field in source.schema:
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if field.name.strip().lower() not in _COLUMNS or not is_text(kind):
            continue
        first = next(read_batches(source, [field.name], _FIRST_ROWS, {field.name: pa.string()}), None)
        if first is not None and _marks(first.column(0)) <= _MARKS:
            return str(field.name)
    return None


def note_on(column: str) -> str:
    """Return what is to be said of the rows that are left out."""
    return f"Only the rows marked Public in '{column}' are scored; the others are counted as ignored."


def public_rows(batch: Any, column: str | None) -> NDArray[np.bool_] | None:
    """Return which rows count, None where all do; shape (rows,)."""
    if column is None:
        return None
    marks = compute.utf8_lower(compute.utf8_trim_whitespace(_texts(batch.column(column))))
    public: NDArray[np.bool_] = as_numpy(compute.equal(marks, PUBLIC))
    return public


def without_labels(batch: Any, columns: tuple[str, ...], rows: NDArray[np.bool_]) -> Any:
    """Return the batch with the labels of some rows taken out: rows that do not count may be labelled with anything."""
    for name in columns:
        column = batch.column(name)
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        kept = compute.take(column, pa.array(np.arange(len(column)), mask=rows))
        batch = batch.set_column(batch.schema.get_field_index(name), name, kept)
    return batch


def _marks(column: Any) -> set[str]:
    return {mark.strip().lower() for mark in _texts(column).unique().to_pylist()}


def _texts(column: Any) -> Any:
    return column.cast(pa.string()).fill_null("")
