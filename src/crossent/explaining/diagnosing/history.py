"""A loss history in any form that a training run leaves behind, read into columns of numbers."""

import csv
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossent.errors import DtypeError, OptionError, SourceError
from crossent.explaining.diagnosing.tensorboard import read_scalars

Series = NDArray[np.float64]

LOSS_NAMES = (
    "loss",
    "trainloss",
    "trainingloss",
    "losstrain",
    "losses",
    "objective",
    "crossentropy",
    "nll",
    "epochloss",
    "batchloss",
)
VALIDATION_NAMES = ("valloss", "validationloss", "lossval", "evalloss", "testloss", "lossvalidation", "losstest",
                    "valepochloss")  # fmt: skip
VALIDATION_FOLDERS = ("validation", "val", "eval", "test")
ACCURACY_NAMES = (
    "valaccuracy",
    "valacc",
    "valepochaccuracy",
    "evalaccuracy",
    "testaccuracy",
    "accuracyval",
    "accval",
    "accuracy",
    "acc",
)
COLUMNS_SHOWN = 8


@dataclass(frozen=True)
class History:
    """One run: the loss per step or epoch, and what else was recorded beside it."""

    losses: Series  # (steps,)
    validation: Series | None = None
    accuracy: Series | None = None  # of the validation where there is one


def read_history(history: Any) -> History:
    """Return the history of a list, a mapping of columns, a list of mappings, a Keras History or a file."""
    if isinstance(history, History):
        return history
    if isinstance(history, str | Path):
        return _read_file(Path(history))
    history = getattr(history, "history", history)  # what Keras's fit() returns
    if isinstance(history, Mapping):
        return _from_columns(history, "`history`")
    values = list(history) if isinstance(history, Iterable) else [history]
    if values and all(isinstance(value, Mapping) for value in values):
        return _from_columns(_columns_of(values), "`history`")
    return History(_series(values, "`history`"))


def _read_file(path: Path) -> History:
    if path.is_dir():
        events = sorted(path.rglob("*tfevents*"))
        if not events:
            message = f"`history` {path} is a directory without an event file (*tfevents*) of TensorBoard."
            raise SourceError(message)
        columns: dict[str, list[float]] = {}
        for event in events:
            # Keras writes one file per folder, train and validation, with the same tags in both
            prefix = "val_" if event.parent.name in VALIDATION_FOLDERS else ""
            for tag, values in read_scalars(event).items():
                columns.setdefault(prefix + tag, []).extend(values)
        return _from_columns(columns, str(path))
    if not path.exists():
        message = f"`history` names the file {path}, which does not exist."
        raise SourceError(message)
    if "tfevents" in path.name:
        return _from_columns(read_scalars(path), str(path))
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        message = f"`history` {path} is neither UTF-8 text (CSV, JSON lines) nor named like an event file (*tfevents*)."
        raise SourceError(message) from None
    if not text.strip():
        message = f"`history` {path} is empty; it needs one loss per line."
        raise SourceError(message)
    if path.suffix.lower() in (".json", ".jsonl", ".ndjson") or text.lstrip()[0] in "{[":
        return _from_json(text, path)
    return _from_csv(text, path)


def _from_json(text: str, path: Path) -> History:
    try:
        whole = json.loads(text)
    except ValueError:
        whole = [_json_line(line, number, path) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if isinstance(whole, Mapping):
        # Hugging Face's trainer_state.json keeps its lines under this key
        whole = whole.get("log_history", whole)
    if isinstance(whole, Mapping):
        if all(isinstance(values, list) for values in whole.values()):
            return _from_columns(whole, str(path))
        whole = [whole]
    if not isinstance(whole, list):
        whole = [whole]
    if whole and all(isinstance(entry, Mapping) for entry in whole):
        return _from_columns(_columns_of(whole), str(path))
    return History(_series(whole, str(path)))


def _json_line(line: str, number: int, path: Path) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        message = (
            f'`history` {path} must hold JSON on each line, such as {{"loss": 2.3}}; line {number} is {line[:40]!r}.'
        )
        raise SourceError(message) from None


def _from_csv(text: str, path: Path) -> History:
    lines = [line for line in text.splitlines() if line.strip()]
    separator = next((sign for sign in "\t;," if sign in lines[0]), ",")
    rows = list(csv.reader(lines, delimiter=separator))
    if all(_is_number(cell) for cell in rows[0]):
        if len(rows[0]) > 1:
            message = (
                f"`history` {path} has {len(rows[0])} columns and no names; name them in the first line (loss, ...)."
            )
            raise SourceError(message)
        return History(_series([row[0] for row in rows], str(path)))
    names = [name.strip() for name in rows[0]]
    return _from_columns(_columns_of([dict(zip(names, row, strict=False)) for row in rows[1:]]), str(path))


def _columns_of(rows: list[Any]) -> dict[str, list[Any]]:
    """Return columns of a list of mappings; a row without a column, or with an empty cell, adds nothing to it."""
    columns: dict[str, list[Any]] = {}
    for row in rows:
        for name, value in row.items():
            if value is not None and value != "":
                columns.setdefault(str(name), []).append(value)
    return columns


def _from_columns(columns: Mapping[Any, Any], source: str) -> History:
    loss = _pick(columns, LOSS_NAMES)
    validation, accuracy = _pick(columns, VALIDATION_NAMES), _pick(columns, ACCURACY_NAMES)
    if loss is None and validation is not None:
        loss, validation = validation, None
    if loss is None:
        if len(columns) != 1:
            names = ", ".join(map(str, list(columns)[:COLUMNS_SHOWN])) or "none"
            message = f"`history` must have a column of losses named loss or train_loss; {source} has {names}."
            raise SourceError(message)
        loss = next(iter(columns))
    return History(
        _series(columns[loss], source),
        None if validation is None else _series(columns[validation], source),
        None if accuracy is None else _series(columns[accuracy], source),
    )


def _pick(columns: Mapping[Any, Any], names: tuple[str, ...]) -> Any:
    """Return the column of the first name that is there, spelled in any way: Loss/train, train_loss, ..."""
    spelled = {"".join(sign for sign in str(column).lower() if sign.isalnum()): column for column in reversed(columns)}
    return next((spelled[name] for name in names if name in spelled), None)


def _series(values: Any, source: str) -> Series:
    numbers = []
    for place, value in enumerate(values, 1):
        try:
            if isinstance(value, bool | np.bool_):
                raise TypeError
            numbers.append(float(value.replace("−", "-") if isinstance(value, str) else value))
        except (TypeError, ValueError):
            message = (
                f"`history` must hold one loss per step; entry {place} of {source} is {value!r}, which is no number."
            )
            raise (OptionError if isinstance(value, str) else DtypeError)(message) from None
    if not numbers:
        message = f"`history` must hold at least one loss; {source} has none."
        raise SourceError(message)
    return np.array(numbers, dtype=np.float64)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
