"""Lists of the most likely classes only: exact where the truth is listed, else the least that the loss can be."""

import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from crossent.errors import RangeError, SourceError
from crossent.scoring.arrow import compute, pa
from crossent.scoring.arrow_columns import as_numpy
from crossent.scoring.column_types import is_list, is_list_of_any, is_text
from crossent.scoring.vectors import floats
from crossent.scoring.wording import listed

_IDS = re.compile(r"(top[_-]?k?)_?(?:ids?|indices|indexes|token_ids|tokens?|classes|labels?)", re.IGNORECASE)
_VALUES = re.compile(
    r"(top[_-]?k?)_?(?:(?P<logs>log_?p(?:rob)?s?)|(?P<probs>p(?:rob(?:as?|s|abilities)?)?)|scores?|values?)",
    re.IGNORECASE,
)

ListedKind = Literal["log_probs", "probs"]

# A log-probability x stored as float32 is off by |x| eps / 2, its probability by |x| e^x eps / 2 < eps, whatever the
# type of the column is now: text and JSON make float64 of it.
_ROUNDING = float(np.finfo(np.float32).eps)
# Probabilities of one row that sum to more than that are no probabilities.
_MOST = 1.01


@dataclass(frozen=True)
class Listed:
    """Two columns of lists: which classes, and what each was given."""

    ids: str
    values: str
    kind: ListedKind
    reason: str


def listed_by_name(schema: Any, first: Any) -> Listed | None:
    """Return the columns called `top_ids` and `top_logprobs` or the like; raise SourceError where that is unclear."""
    ids = [name for name in schema.names if _IDS.fullmatch(name) and _can_name(schema.field(name).type)]
    values = [name for name in schema.names if _VALUES.fullmatch(name) and is_list(schema.field(name).type)]
    values = [name for name in values if name not in ids]
    if not ids or not values:
        return None
    if len(ids) > 1 or len(values) > 1:
        message = (
            f"several columns could be the most likely classes and their log-probabilities: {listed([*ids, *values])}; "
            f"drop those that are not"
        )
        raise SourceError(message)
    found = _VALUES.fullmatch(values[0])
    assert found is not None
    kind: ListedKind | None = "log_probs" if found["logs"] else "probs" if found["probs"] else None
    return Listed(ids[0], values[0], kind or _kind(first.column(values[0]), values[0]), "by their names")


def truth_log_probs(
    batch: Any, label: str, ids: str, values: str, kind: ListedKind, start: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the log-probability of each row's truth, and whether it is only the most that it can be; shape (rows,).

    A truth that is not listed has at most what the listed classes leave, 1 - sum, widened by the rounding of the sum.
    """
    rows, classes, numbers = _flat(batch, ids, values, start)
    logs = numbers if kind == "log_probs" else _logarithms(numbers, values, rows, start)
    if kind == "log_probs" and (logs > 0.0).any():
        position = int(np.flatnonzero(logs > 0.0)[0])
        message = (
            f"`{values}` must be at most 0, row {start + rows[position]} has {logs[position]:.17g}; "
            f"these are no log-probabilities"
        )
        raise RangeError(message)
    is_truth = classes == _comparable(batch.column(label))[rows]
    counts = np.bincount(rows[is_truth], minlength=batch.num_rows)
    if (counts > 1).any():
        row = int(np.flatnonzero(counts > 1)[0])
        message = f"`{ids}` must list each class once, row {start + row} lists its truth {counts[row]} times"
        raise RangeError(message)
    sums = np.bincount(rows, np.exp(logs), minlength=batch.num_rows)
    if (sums > _MOST).any():
        row = int(np.flatnonzero(sums > _MOST)[0])
        message = f"`{values}` must sum to at most 1 as probabilities, row {start + row} sums to {sums[row]:.6g}"
        raise RangeError(message)
    sizes = np.bincount(rows, minlength=batch.num_rows)
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.log(np.minimum(np.maximum(1.0 - sums, 0.0) + sizes * _ROUNDING, 1.0))
    is_bound = counts == 0
    found = np.where(is_bound, left, np.nan)
    found[rows[is_truth]] = logs[is_truth]
    lists = as_numpy(batch.column(values).is_valid())
    found[~lists] = np.nan
    return found, is_bound & lists


def _flat(batch: Any, ids: str, values: str, start: int) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[np.float64]]:
    """Return the row, the class and the number of every entry whose number is there."""
    lengths = as_numpy(compute.list_value_length(batch.column(ids)).fill_null(0))
    counts = as_numpy(compute.list_value_length(batch.column(values)).fill_null(0))
    if (lengths != counts).any():
        row = int(np.flatnonzero(lengths != counts)[0])
        message = (
            f"`{ids}` and `{values}` must be of one length in each row, row {start + row} has {lengths[row]} and "
            f"{counts[row]}"
        )
        raise SourceError(message)
    rows = np.repeat(np.arange(batch.num_rows), counts)
    flat = batch.column(values).flatten()
    there = as_numpy(flat.is_valid())
    classes = _comparable(batch.column(ids).flatten())
    return rows[there], classes[there], floats(flat).astype(np.float64)[there]


def _comparable(column: Any) -> NDArray[Any]:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if is_text(column.type):
        # NaN equals nothing, a missing name would equal another one.
        return np.array([np.nan if name is None else name for name in column.to_pylist()], object)
    return floats(column).astype(np.float64)


def _logarithms(numbers: NDArray[np.float64], values: str, rows: NDArray[np.int64], start: int) -> NDArray[np.float64]:
    strange = (numbers < 0.0) | (numbers > 1.0)
    if strange.any():
        position = int(np.flatnonzero(strange)[0])
        message = (
            f"`{values}` must be in [0, 1], row {start + rows[position]} has {numbers[position]:.17g}; "
            f"these are no probabilities"
        )
        raise RangeError(message)
    with np.errstate(divide="ignore"):
        return np.log(numbers)


def _kind(column: Any, name: str) -> ListedKind:
    numbers = floats(column.flatten()).astype(np.float64)
    numbers = numbers[~np.isnan(numbers)]
    if len(numbers) and numbers.max() <= 0.0:
        return "log_probs"
    if len(numbers) and numbers.min() >= 0.0 and numbers.max() <= 1.0:
        return "probs"
    message = (
        f"`{name}` could be logits of the most likely classes, of which no loss follows without the others; write their "
        f"log-probabilities as 'top_logprobs'"
    )
    raise SourceError(message)


def _can_name(kind: Any) -> bool:
    return is_list_of_any(kind) and (pa.types.is_integer(kind.value_type) or is_text(kind.value_type))
