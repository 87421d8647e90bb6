"""What the first rows of a file say: which labels occur, whether numbers make up probabilities, what agrees with what."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossent.scoring.arrow import compute, pa
from crossent.scoring.column_types import can_be_label, fixed_width, is_list, is_vector
from crossent.scoring.kinds import kind_by_evidence
from crossent.scoring.names import NO_CLASSES, is_key, is_predicted_label, natural_order
from crossent.scoring.vectors import floats, matrix_of, width_of

# What PyTorch, and with it most training code, writes for "this row has no label".
IGNORED_ID = -100


def label_texts(column: Any) -> list[str]:
    """Return the different labels as text, in their natural order: 2.0 is "2", missing and ignored ones are left out."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if is_list(column.type):
        column = column.flatten()
    texts = set()
    for value in compute.unique(column).to_pylist():
        if value is not None and value != IGNORED_ID and not (isinstance(value, float) and math.isnan(value)):
            texts.add(_text(value))
    return sorted(texts, key=natural_order)


def are_whole(column: Any) -> bool:
    """Return whether a column of floats holds nothing but whole numbers, as ids do."""
    values = floats(column)
    values = values[~np.isnan(values)]
    return bool(np.all(values == np.trunc(values)))


def are_hard(column: Any) -> bool:
    """Return whether a column holds nothing but 0 and 1: a label or a decision rather than a probability."""
    return set(compute.unique(column).to_pylist()) <= {0, 1, None}


def lie_in_unit_interval(column: Any) -> bool:
    values = floats(column)
    with np.errstate(invalid="ignore"):
        return not np.any((values < 0.0) | (values > 1.0))


def make_up_probabilities(first: Any, columns: Sequence[str]) -> bool:
    """Return whether columns of numbers are probabilities of classes, or their logarithms, in every one of the rows."""
    matrix = np.column_stack([floats(first.column(name)).astype(np.float64) for name in columns])
    return kind_by_evidence(matrix) in ("probs", "log_probs")


def are_shares(first: Any, columns: Sequence[str]) -> bool:
    """Return whether columns are one-hot or soft truths: shares of at least 0 that sum to 1, or all of them missing."""
    if len(columns) == 1:
        column = first.column(columns[0])
        matrix = matrix_of(column, columns[0], width_of(column), 0).astype(np.float64)
    else:
        matrix = np.column_stack([floats(first.column(name)).astype(np.float64) for name in columns])
    return kind_by_evidence(matrix) == "probs"


def candidates_for_label(schema: Any, used: set[str]) -> list[str]:
    """Return the columns that could hold labels by their type, and whose names speak for nothing else."""
    return [
        field.name
        for field in schema
        if field.name not in used
        and can_be_label(field.type)
        and not is_key(field.name)
        and field.name.lower() not in NO_CLASSES
        and not is_predicted_label(field.name)
    ]


def agreement(labels: Any, predictions: NDArray[np.float64], names: Sequence[str]) -> float:
    """Return the share of rows whose label is a class with the highest prediction, ties included."""
    places = {name: place for place, name in enumerate(names)}
    chosen = np.array([places.get("" if value is None else _text(value), -1) for value in labels.to_pylist()])
    predictions = np.nan_to_num(predictions, nan=-np.inf)
    own = np.where(chosen >= 0, predictions[np.arange(len(chosen)), chosen], -np.inf)
    return float(np.mean((chosen >= 0) & (own == predictions.max(axis=1)))) if len(chosen) else 0.0


def has_readable_type(kind: Any) -> bool:
    """Return whether a column is worth a look: a label, a number or several of them."""
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(can_be_label(value) or pa.types.is_floating(value) or pa.types.is_decimal(value) or is_vector(value))


def values_per_row(kind: Any, unknown: int) -> int:
    """Return how many numbers a row holds; a list that does not say so is taken for a vocabulary."""
    if not pa.types.is_nested(kind) and not is_vector(kind):
        return 1
    return fixed_width(kind) or unknown


def _text(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
