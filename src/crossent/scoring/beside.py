"""Columns that stand beside labels and predictions: weights, ids, groups, clusters, counts of tokens, bytes and words."""

from collections.abc import Sequence
from typing import Any

from crossent.errors import OptionError, SourceError
from crossent.scoring.arrow import compute, pa
from crossent.scoring.column_types import is_number, is_text
from crossent.scoring.columns import Asked
from crossent.scoring.kinds import Kind
from crossent.scoring.metadata import index_columns
from crossent.scoring.names import SCALAR_NAMES, WEIGHTS, is_key
from crossent.scoring.sources.csv import where_no_number
from crossent.scoring.sources.source import Source
from crossent.scoring.wording import listed

# Fewer rows than that differ by chance.
_ROWS_OF_KEYS = 3
# A text that is longer is the document that was classified.
_LONGEST_KEY = 64
_IDS = ("id", "row_id", "index", "doc_id", "__index_level_0__")
_COUNTS = {
    "token_column": ("tokens", "num_tokens", "n_tokens", "token_count"),
    "byte_column": ("bytes", "num_bytes", "n_bytes", "byte_count"),
    "word_column": ("words", "num_words", "n_words", "word_count"),
    "bound_column": ("is_bound",),
}


def beside_columns(source: Source, asked: Asked) -> dict[str, Any]:
    """Return the columns that were asked for, by the names of Reading's fields; the id also by its name."""
    schema = source.schema
    wanted = {
        "weight_column": ("weight", asked.weight),
        "group_column": ("by", asked.by),
        "cluster_column": ("cluster", asked.cluster),
        "token_column": ("tokens", asked.tokens),
        "byte_column": ("bytes", asked.bytes),
        "word_column": ("words", asked.words),
    }
    counted = [option for option in ("tokens", "bytes", "words") if getattr(asked, option) is not None]
    if asked.weight is not None and counted:
        message = f"`weight` and `{counted[0]}` cannot both be given: a cost per unit counts every row once"
        raise OptionError(message)
    found: dict[str, str | None] = {}
    for field, (option, name) in wanted.items():
        if name is not None and name not in schema.names:
            message = f"`{option}` must be a column, got '{name}'; the columns are {listed(schema.names)}"
            raise SourceError(message)
        is_count = field in ("weight_column", "token_column", "byte_column", "word_column")
        if name is not None and is_count and not is_number(schema.field(name).type):
            where = where_no_number(source, name)
            what = (
                f"'{name}' holds {schema.field(name).type}"
                if where is None
                else f"{where} in '{name}'; correct the cell"
            )
            message = f"`{option}` must be a column of numbers, {what}"
            raise SourceError(message)
        found[field] = name
    found["id_column"] = _id_by_name(schema)
    return found


def id_by_position(schema: Any, first: Any, used: set[str]) -> str | None:
    """Return the first column where it holds another text or whole number in every row: Kaggle's first column."""
    name = schema.names[0]
    if name in used or name not in first.schema.names or first.num_rows < _ROWS_OF_KEYS or not _is_key(schema, name):
        return None
    column = first.column(name)
    is_short = not is_text(column.type) or compute.max(compute.utf8_length(column)).as_py() <= _LONGEST_KEY
    return name if is_short and column.null_count == 0 and len(column.unique()) == len(column) else None


def counts_by_name(schema: Any) -> dict[str, Any]:
    """Return the columns that count tokens, bytes and words, and say which losses are bounds, by their usual names."""
    names = {field.name.lower(): field for field in schema}
    found: dict[str, str | None] = {}
    for field, usual in _COUNTS.items():
        wanted = pa.types.is_boolean if field == "bound_column" else is_number
        found[field] = next((names[name].name for name in usual if name in names and wanted(names[name].type)), None)
    return found


def scalar_by_name(schema: Any) -> tuple[str, Kind] | None:
    """Return the one column whose name says that it holds the loss of each row, and its kind."""
    found = [field.name for field in schema if field.name.strip().lower() in SCALAR_NAMES and is_number(field.type)]
    if len(found) > 1:
        message = (
            f"several columns could be the losses: {listed(found)}; say which with `losses`, or with `truth_log_probs`"
        )
        raise SourceError(message)
    return (found[0], SCALAR_NAMES[found[0].strip().lower()]) if found else None


def unused_weights(schema: Any, beside: dict[str, Any], used: Sequence[str]) -> tuple[str, ...]:
    """Return the sentence about a column of weights that nobody asked for."""
    names = [name for name in schema.names if name.strip().lower() in WEIGHTS and name not in used]
    unused = names if beside["weight_column"] is None else []
    return tuple(f"The column '{name}' is not used; rows are weighted by it with `weight`." for name in unused)


def drop_columns(schema: Any, names: set[str]) -> Any:
    """Return the schema without some columns."""
    return pa.schema([field for field in schema if field.name not in names], schema.metadata)


def _id_by_name(schema: Any) -> str | None:
    names = {name.strip().lower(): name for name in reversed(schema.names)}
    usual = [names[name] for name in _IDS if name in names]
    keys = [name for name in (*usual, *index_columns(schema), *schema.names) if _is_key(schema, name)]
    return next((name for name in keys if name in usual or name in index_columns(schema) or is_key(name)), None)


def _is_key(schema: Any, name: str) -> bool:
    kind = schema.field(name).type
    return bool(pa.types.is_integer(kind) or is_text(kind))
