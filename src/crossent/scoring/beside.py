"""Columns that stand beside labels and predictions: weights, ids, groups, clusters, counts of tokens, bytes and words."""

from typing import Any

from crossent.errors import SourceError
from crossent.scoring.arrow import pa
from crossent.scoring.columns import Asked, is_number
from crossent.scoring.kinds import Kind
from crossent.scoring.wording import listed

_IDS = ("id", "row_id", "index", "doc_id", "__index_level_0__")
_WEIGHTS = ("weight", "weights", "sample_weight", "sample_weights")
_SCALARS: dict[str, Kind] = {
    "logprob": "truth_log_probs",
    "log_prob": "truth_log_probs",
    "loglikelihood": "truth_log_probs",
    "log_likelihood": "truth_log_probs",
    "nll": "losses",
    "loss": "losses",
    "cross_entropy": "losses",
    "log_loss": "losses",
}
_COUNTS = {
    "token_column": ("tokens", "num_tokens", "n_tokens", "token_count"),
    "byte_column": ("bytes", "num_bytes", "n_bytes", "byte_count"),
    "word_column": ("words", "num_words", "n_words", "word_count"),
    "bound_column": ("is_bound",),
}


def beside_columns(schema: Any, asked: Asked) -> dict[str, str | None]:
    """Return the columns that were asked for, by the names of Reading's fields; the id also by its name."""
    wanted = {
        "weight_column": ("weight", asked.weight),
        "group_column": ("by", asked.by),
        "cluster_column": ("cluster", asked.cluster),
        "token_column": ("tokens", asked.tokens),
        "byte_column": ("bytes", asked.bytes),
        "word_column": ("words", asked.words),
    }
    found: dict[str, str | None] = {}
    for field, (option, name) in wanted.items():
        if name is not None and name not in schema.names:
            message = f"`{option}` must be a column, got '{name}'; the columns are {listed(schema.names)}"
            raise SourceError(message)
        is_count = field in ("weight_column", "token_column", "byte_column", "word_column")
        if name is not None and is_count and not is_number(schema.field(name).type):
            message = f"`{option}` must be a column of numbers, '{name}' holds {schema.field(name).type}"
            raise SourceError(message)
        found[field] = name
    ids = {name.lower(): name for name in reversed(schema.names)}
    found["id_column"] = next((ids[usual] for usual in _IDS if usual in ids and _is_key(schema, ids[usual])), None)
    return found


def counts_by_name(schema: Any) -> dict[str, str | None]:
    """Return the columns that count tokens, bytes and words, and say which losses are bounds, by their usual names."""
    names = {field.name.lower(): field for field in schema}
    found: dict[str, str | None] = {}
    for field, usual in _COUNTS.items():
        wanted = pa.types.is_boolean if field == "bound_column" else is_number
        found[field] = next((names[name].name for name in usual if name in names and wanted(names[name].type)), None)
    return found


def scalar_by_name(schema: Any) -> tuple[str, Kind] | None:
    """Return the one column whose name says that it holds the loss of each row, and its kind."""
    found = [field.name for field in schema if field.name.lower() in _SCALARS and is_number(field.type)]
    return (found[0], _SCALARS[found[0].lower()]) if len(found) == 1 else None


def unused_weights(schema: Any, beside: dict[str, str | None]) -> tuple[str, ...]:
    """Return the sentence about a column of weights that nobody asked for."""
    unused = [name for name in schema.names if name.lower() in _WEIGHTS and beside["weight_column"] is None]
    return tuple(f"The column '{name}' is not used; rows are weighted by it with `weight`." for name in unused)


def drop_columns(schema: Any, names: set[str]) -> Any:
    """Return the schema without some columns."""
    return pa.schema([field for field in schema if field.name not in names], schema.metadata)


def _is_key(schema: Any, name: str) -> bool:
    kind = schema.field(name).type
    return bool(pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind))
