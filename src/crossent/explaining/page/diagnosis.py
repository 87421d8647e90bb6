"""The screen diagnose: from what was typed or pasted to the findings of `diagnose()`."""

import csv
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from crossent.errors import OptionError, ShapeError
from crossent.explaining.diagnosing.diagnose import diagnose
from crossent.explaining.diagnosing.diagnosis import Diagnosis
from crossent.explaining.diagnosing.history import History, read_history
from crossent.explaining.finding import Finding
from crossent.explaining.page.cells import amount_cell, plain

FIELDS = ("loss", "classes", "function", "history", "outputs", "kind", "targets")
LONGEST = 100_000  # letters of a field
MOST_POINTS = 400  # of a curve; more are closer together than the dots of a screen
FRAMEWORKS = {"torch": "PyTorch", "keras": "Keras", "jax": "JAX", "sklearn": "scikit-learn"}


def diagnosis_view(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the screen shows of a diagnosis; every field is a text, and an empty one was not given."""
    given = {name: _text(body, name) for name in FIELDS}
    history = _history(given["history"])
    outputs = _table(given["outputs"], "outputs")
    found = diagnose(
        loss=given["loss"] or None,
        classes=_whole(given["classes"]),
        function=given["function"] or None,
        history=history,
        targets=_targets(given["targets"]),
        **({} if outputs is None else {"probs" if given["kind"] == "probs" else "logits": outputs}),
    )
    return {
        "sentence": _sentence(found),
        "findings": [_finding(finding) for finding in found],
        "curve": None if history is None or len(history.losses) < 2 else _curve(history, found),
    }


def _sentence(found: Diagnosis) -> str:
    count = len(found)
    if not count:
        return "No finding: nothing about this looks wrong."
    if count == 1:
        return "This is consistent with one cause. A number alone proves nothing: see what would decide."
    return f"This is consistent with {count} causes, the likeliest first. A number alone proves nothing."


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "code": finding.code,
        "severity": finding.severity,
        "message": finding.message,
        "advice": finding.advice,
        "evidence": list(finding.evidence),
        "rivals": list(finding.rivals),
        "decide": finding.decide,
        "fix": [[FRAMEWORKS.get(name, name), code] for name, code in finding.fix.items()],
    }


def _curve(history: History, found: Diagnosis) -> dict[str, Any]:
    losses = history.losses
    every = -(-len(losses) // MOST_POINTS)
    lines = [{"name": "", "points": _points(losses, every)}]
    if history.validation is not None:
        lines.append({"name": "validation", "points": _points(history.validation, every)})
    finite = losses[np.isfinite(losses)]
    marks = [{"name": one.name, "y": amount_cell(one.loss_nats)} for one in found.references]
    top = max([float(finite.max(initial=0.0)), *(one.loss_nats for one in found.references)], default=1.0)
    low = min(0.0, float(finite.min(initial=0.0)))
    return {
        "plot": {
            "across": "step",
            "up": "loss, nats",
            "x": [0, len(losses) - 1],
            "y": [low, top * 1.1 if top > 0.0 else 1.0],
            "ticksX": [0, len(losses) - 1],
            "ticksY": [float(f"{low:.2g}"), float(f"{top:.2g}")],
            "lines": lines,
            "marks": marks,
        },
        "rows": [
            ["first step", amount_cell(float(losses[0]))],
            ["last step", amount_cell(float(losses[-1]))],
            *([mark["name"], mark["y"]] for mark in marks),
        ],
    }


def _points(losses: Any, every: int) -> list[list[Any]]:
    return [[step, plain(float(losses[step]))] for step in range(0, len(losses), every)]


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name, "")
    if not isinstance(value, str):
        message = f"`{name}` must be a text; got {type(value).__name__}."
        raise OptionError(message)
    if len(value) > LONGEST:
        message = f"`{name}` must have at most {LONGEST} letters on this page; got {len(value)}."
        raise OptionError(message)
    return value.strip()


def _whole(text: str) -> Any:
    try:
        return int(text) if text else None
    except ValueError:
        return text  # `diagnose` says what it wanted


def _history(text: str) -> History | None:
    """Return a pasted history. A text is never taken for the name of a file: a page must not read files."""
    if not text:
        return None
    lines = [line for line in text.splitlines() if line.strip()]
    words = [_numbers(line) for line in lines]
    if all(numbers is not None for numbers in words):
        wide = max(len(numbers or ()) for numbers in words)
        if wide > 1 and len(lines) > 1:
            message = f"`history` has {wide} columns and no names; name them in the first line (loss, ...)."
            raise OptionError(message)
        return read_history([number for numbers in words for number in numbers or ()])
    rows = list(csv.DictReader(lines, delimiter=next((sign for sign in "\t;," if sign in lines[0]), ",")))
    return read_history([{str(name).strip(): cell for name, cell in row.items() if name is not None} for row in rows])


def _numbers(line: str) -> list[float] | None:
    try:
        return [float(word) for word in line.replace(",", " ").replace(";", " ").replace("−", "-").split()]
    except ValueError:
        return None


def _table(text: str, argument: str) -> Any:
    if not text:
        return None
    rows = []
    for number, line in enumerate((line for line in text.splitlines() if line.strip()), 1):
        numbers = _numbers(line.strip("[]() "))
        if numbers is None:
            message = f"`{argument}` must have one row of numbers per line; line {number} is {line[:40]!r}."
            raise OptionError(message)
        rows.append(numbers)
    if len({len(row) for row in rows}) > 1:
        message = f"`{argument}` must have as many numbers in every row; got {sorted({len(row) for row in rows})}."
        raise ShapeError(message)
    return np.array(rows)


def _targets(text: str) -> Any:
    table = None if not text else _table(text, "targets")
    if table is None:
        return None
    if 1 in table.shape:  # class ids, in a row or a column
        ids = table.ravel()
        if all(math.isfinite(value) and value == int(value) for value in ids):
            return ids.astype(np.int64)
        return ids
    return table
