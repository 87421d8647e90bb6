"""Columns of a history: which one is the loss, and what an empty cell in it means."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossent.errors import DtypeError, OptionError, SourceError
from crossent.explaining.diagnosing.precision import written

Series = NDArray[np.float64]

LOSS_NAMES = (
    "loss", "trainloss", "trainingloss", "losstrain", "losses", "objective", "crossentropy", "nll", "trainlossstep",
    "lossstep", "trainlossepoch", "lossepoch", "epochloss", "batchloss",
)  # fmt: skip
VALIDATION_NAMES = ("valloss", "validationloss", "lossval", "evalloss", "testloss", "lossvalidation", "losstest",
                    "valepochloss", "vallossepoch", "vallossstep")  # fmt: skip
ACCURACY_NAMES = (
    "valaccuracy", "valacc", "valepochaccuracy", "evalaccuracy", "testaccuracy", "accuracyval", "accval", "accuracy",
    "acc",
)  # fmt: skip
# what TensorBoard's download button writes
TENSORBOARD_NAMES = {"walltime", "step", "value"}
# columns that count and measure nothing
COUNTERS = {"", "epoch", "epochs", "step", "globalstep", "steps", "iteration", "iter", "batch", "time", "walltime", "index",
            "runtime", "timestamp"}  # fmt: skip
COLUMNS_SHOWN = 8
UNITS_LOOKED_AT = 8  # entries whose digits are counted


@dataclass(frozen=True)
class History:
    """One run: the loss per step or epoch, and what else was recorded beside it."""

    losses: Series  # (steps,)
    validation: Series | None = None
    accuracy: Series | None = None  # of the validation where there is one
    unit_in_last_place: float = 0.0  # of the losses as they were written
    left_out: int = 0  # rows whose empty loss was taken for one that was not measured there


def from_rows(rows: Sequence[Mapping[Any, Any]], source: str) -> History:
    """Return the history of a table; a row without the column of losses is one of another kind."""
    rows = [{str(name): value for name, value in row.items()} for row in rows]
    columns: dict[str, list[Any]] = {}
    for row in rows:
        for name, value in row.items():
            if not _is_empty(value):
                columns.setdefault(name, []).append(value)
    # a column that is empty from end to end counts as one, too: a run that was nan from its first step
    named = {name: columns.get(name, []) for row in rows for name in row}
    loss = _loss_of(named, source)
    filled = [[name for name, value in row.items() if not _is_empty(value)] for row in rows if loss in row]
    kept = _not_a_number(filled, loss)
    values = [row[loss] if not _is_empty(row[loss]) else np.nan for row in rows if loss in row]
    chosen = [value for value, keep in zip(values, kept, strict=True) if keep]
    return _history({**columns, loss: chosen}, loss, source, left_out=len(values) - len(chosen))


def from_columns(columns: Mapping[Any, Any], source: str) -> History:
    """Return the history of a mapping of columns."""
    lists = {str(name): as_list(values) for name, values in columns.items()}
    loss = _loss_of(lists, source)
    length = len(lists[loss])
    if any(_is_empty(value) for value in lists[loss]):
        beside = {name: values for name, values in lists.items() if len(values) == length}
        return from_rows([dict(zip(beside, row, strict=True)) for row in zip(*beside.values(), strict=True)], source)
    return _history(lists, loss, source)


def as_list(values: Any) -> list[Any]:
    """Return a column as a list: one number alone, and pandas' {"0": 2.3, "1": 2.2}, too."""
    if isinstance(values, Mapping):
        return list(values.values())
    if isinstance(values, str) or not isinstance(values, Iterable) or getattr(values, "ndim", 1) == 0:
        return [values]
    return list(values)


def _not_a_number(filled: list[list[str]], loss: str) -> list[bool]:
    """Say of each row whether its loss counts: JSON and CSV have no nan, and write null or nothing for it.

    An empty loss is nan in a row that measures nothing else, and in a tail of rows like the others: a run that died.
    In other rows it was not measured: loggers write validation and learning rate in rows of their own. A loss of the
    validation is no sign of life only where it is empty, too.
    """
    measured = [loss in names for names in filled]
    others = [{name for name in names if _spelled(name) not in COUNTERS and name != loss} for names in filled]
    beside_a_loss = set().union(*(names for names, there in zip(others, measured, strict=True) if there))
    last = max((place for place, there in enumerate(measured) if there), default=-1)
    longest_gap = gap = 0
    for there in measured[: last + 1]:
        gap = 0 if there else gap + 1
        longest_gap = max(longest_gap, gap)
    alive = any(_spelled(name) in VALIDATION_NAMES for names in others[last + 1 :] for name in names)
    died = len(filled) - 1 - last > longest_gap and not alive
    return [
        there or not names or (died and place > last and bool(names & beside_a_loss))
        for place, (there, names) in enumerate(zip(measured, others, strict=True))
    ]


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _loss_of(columns: Mapping[str, Sequence[Any]], source: str) -> str:
    loss = _pick(columns, LOSS_NAMES) or _pick(columns, VALIDATION_NAMES)
    if loss is None and {_spelled(name) for name in columns} == TENSORBOARD_NAMES:
        loss = _pick(columns, ("value",))
    if loss is None and len(columns) == 1:
        loss = next(iter(columns))
    if loss is None:
        names = ", ".join(list(columns)[:COLUMNS_SHOWN]) or "none"
        message = f"`history` must have a column of losses named loss or train_loss; {source} has {names}."
        raise SourceError(message)
    return loss


def _history(columns: Mapping[str, list[Any]], loss: str, source: str, left_out: int = 0) -> History:
    validation, accuracy = _pick(columns, VALIDATION_NAMES), _pick(columns, ACCURACY_NAMES)
    if validation == loss:
        validation = None
    losses, unit = series(columns[loss], source)
    return History(
        losses,
        _measured(columns, validation, source),
        _measured(columns, accuracy, source),
        unit,
        left_out,
    )


def _measured(columns: Mapping[str, list[Any]], name: str | None, source: str) -> Series | None:
    values = [] if name is None else [value for value in columns[name] if not _is_empty(value)]
    return series(values, source)[0] if values else None


def _spelled(name: str) -> str:
    return "".join(sign for sign in name.lower() if sign.isalnum())


def _pick(columns: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    """Return the column of the first name that is there, spelled in any way: Loss/train, train_loss, ..."""
    spelled = {_spelled(column): column for column in reversed(list(columns))}
    return next((spelled[name] for name in names if name in spelled), None)


def series(values: Sequence[Any], source: str) -> tuple[Series, float]:
    """Return the numbers, and the smallest unit in the last place of the first of them."""
    numbers, units = [], []
    for place, value in enumerate(values, 1):
        try:
            if place <= UNITS_LOOKED_AT:
                number, unit = written(value)
                units += [unit] if unit else []
            elif isinstance(value, bool | np.bool_):
                raise TypeError
            else:
                number = float(value.replace("−", "-") if isinstance(value, str) else value)
        except (TypeError, ValueError, RuntimeError):  # torch: a tensor with more than one element
            message = (
                f"`history` must hold one loss per step; entry {place} of {source} is {value!r}, which is no number."
            )
            raise (OptionError if isinstance(value, str) else DtypeError)(message) from None
        numbers.append(number)
    if not numbers:
        message = f"`history` must hold at least one loss; {source} has none."
        raise SourceError(message)
    return np.array(numbers, dtype=np.float64), min(units, default=0.0)
