"""A loss history in any form that a training run leaves behind, read into columns of numbers."""

import csv
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crossent.errors import SourceError
from crossent.explaining.diagnosing.columns import History, Series, as_list, from_columns, from_rows, series
from crossent.explaining.diagnosing.tensorboard import read_scalars

__all__ = ["History", "Series", "read_history"]

VALIDATION_FOLDERS = ("validation", "val", "eval", "test")


def read_history(history: Any) -> History:
    """Return the history of a list, a mapping of columns, a list of mappings, a table, a Keras History or a file."""
    if isinstance(history, History):
        return history
    if isinstance(history, str | Path):
        return _read_file(Path(history))
    if hasattr(history, "columns") and hasattr(history, "shape"):
        return _from_frame(history)
    history = getattr(history, "history", history)  # what Keras's fit() returns
    if isinstance(history, Mapping):
        return from_columns(history, "`history`")
    values = as_list(history)
    if values and all(isinstance(value, Mapping) for value in values):
        return from_rows(values, "`history`")
    return _alone(values, "`history`")


def _alone(values: list[Any], source: str) -> History:
    losses, unit = series(values, source)
    return History(losses, unit_in_last_place=unit)


def _from_frame(frame: Any) -> History:
    """Read a table of pandas or polars, known by its columns; its nan may be an empty cell of a CSV file."""
    columns = {str(name): list(frame[name]) for name in frame.columns}
    return from_columns({name: [_filled(value) for value in values] for name, values in columns.items()}, "`history`")


def _filled(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


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
        return from_columns(columns, str(path))
    if not path.exists():
        message = f"`history` names the file {path}, which does not exist."
        raise SourceError(message)
    if "tfevents" in path.name:
        return from_columns(read_scalars(path), str(path))
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
        if any(isinstance(values, list | Mapping) for values in whole.values()):
            return from_columns(whole, str(path))
        whole = [whole]
    if not isinstance(whole, list):
        whole = [whole]
    if whole and all(isinstance(entry, Mapping) for entry in whole):
        return from_rows(whole, str(path))
    # JSON has no nan: json.dumps of many a language writes null for it
    return _alone(["nan" if value is None else value for value in whole], str(path))


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
    separator = next((sign for sign in "\t;," if sign in lines[0]), "")
    rows = list(csv.reader(lines, delimiter=separator or ","))
    by_spaces = [line.split() for line in lines]
    if not separator and len(by_spaces[0]) > 1 and _same_kind(by_spaces):
        rows = by_spaces
    if separator == ";":
        # where a comma divides the digits, columns are divided by semicolons
        rows = [rows[0], *([cell.replace(",", ".") for cell in row] for row in rows[1:])]
    if all(_is_number(cell) for cell in rows[0]):
        if len(rows[0]) > 1:
            message = (
                f"`history` {path} has {len(rows[0])} columns and no names; name them in the first line (loss, ...)."
            )
            raise SourceError(message)
        return _alone([row[0] for row in rows], str(path))
    names = [name.strip() for name in rows[0]]
    if len(rows) == 1:
        message = f"`history` {path} has a first line, {lines[0][:40]!r}, and no loss below it."
        raise SourceError(message)
    return from_rows([dict(zip(names, row, strict=False)) for row in rows[1:]], str(path))


def _same_kind(rows: list[list[str]]) -> bool:
    """Return whether all lines have as many words as the first, which are all names or all numbers."""
    kinds = {_is_number(word) for word in rows[0]}
    return len(kinds) == 1 and all(len(row) == len(rows[0]) for row in rows)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
