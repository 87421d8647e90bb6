"""Which label and which prediction column belong to each class: mapped by name, never by position alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from crossent.errors import SourceError
from crossent.scoring.arrow import pa
from crossent.scoring.column_types import is_text
from crossent.scoring.columns import Predictions
from crossent.scoring.names import natural_order
from crossent.scoring.wording import listed


@dataclass(frozen=True)
class ClassMapping:
    """One class: its name, the label that stands for it in the file, and where its prediction is."""

    name: str
    label: int | str
    column: str


def map_classes(
    predictions: Predictions, width: int, label: str, label_type: Any, classes: Sequence[str] | None
) -> tuple[tuple[ClassMapping, ...], str]:
    """Return the classes in their order and the reason for it; `label_type` is that of the values, not of a code."""
    if classes is not None:
        names, columns = _declared(predictions, width, [str(name) for name in classes])
        reason = "named by `classes`"
    elif predictions.is_vector:
        if is_text(label_type):
            message = (
                f"`classes` must be given: '{label}' holds names and '{predictions.columns[0]}' a list without names; "
                f"give the names in the order of the list"
            )
            raise SourceError(message)
        names = [str(position) for position in range(width)]
        columns = _positions(predictions, width)
        reason = "numbered by their position in the list"
    else:
        pairs = sorted(
            zip(predictions.names, predictions.class_columns, strict=True), key=lambda pair: natural_order(pair[0])
        )
        names, columns = [name for name, _ in pairs], [column for _, column in pairs]
        reason = "named by the columns"
    labels = _labels(names, label, label_type, is_declared=classes is not None)
    if len(set(labels)) < len(labels):
        message = f"`classes` must differ from each other, got {listed(names)}"
        raise SourceError(message)
    mapped = tuple(ClassMapping(*each) for each in zip(names, labels, columns, strict=True))
    return mapped, reason


def can_be_named(predictions: Predictions, width: int, names: Sequence[str]) -> bool:
    """Return whether the names, in the order of the ids, fit the predictions."""
    numbers = {str(position) for position in range(width)}
    fits = predictions.is_vector or set(predictions.names) in (set(names), numbers)
    return len(set(names)) == len(names) == width and fits


def _declared(predictions: Predictions, width: int, names: list[str]) -> tuple[list[str], list[str]]:
    if len(names) != width:
        message = f"`classes` must have {width} names, one per prediction, got {len(names)}: {listed(names)}"
        raise SourceError(message)
    if predictions.is_vector:
        return names, _positions(predictions, width)
    by_name = dict(zip(predictions.names, predictions.class_columns, strict=True))
    if by_name.keys() == set(names):
        return names, [by_name[name] for name in names]
    if by_name.keys() == {str(position) for position in range(width)}:
        return names, [by_name[str(position)] for position in range(width)]
    message = f"`classes` must be the names in the prediction columns, {listed(predictions.names)}; got {listed(names)}"
    raise SourceError(message)


def _positions(predictions: Predictions, width: int) -> list[str]:
    return [f"{predictions.columns[0]}[{position}]" for position in range(width)]


def _labels(names: list[str], label: str, label_type: Any, *, is_declared: bool) -> list[int | str]:
    if is_text(label_type):
        return list(names)
    if pa.types.is_boolean(label_type):
        truths = {"true": 1, "1": 1, "false": 0, "0": 0}
        known = [truths.get(name.lower()) for name in names]
        if len(names) == 2 and None not in known:
            return [truth for truth in known if truth is not None]
    numbers = [int(name) for name in names if _is_integer(name)]
    if len(numbers) == len(names):
        return list(numbers)
    if is_declared:
        return list(range(len(names)))
    message = (
        f"`classes` must be given: '{label}' holds numbers and the predictions are named {listed(names)}; "
        f"give the names in the order of the numbers, from 0"
    )
    raise SourceError(message)


def _is_integer(name: str) -> bool:
    return name.removeprefix("-").isdecimal()
