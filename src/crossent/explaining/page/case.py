"""What the reader holds in hand: a target, a prediction, and how it moves when one class is dragged."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from crossent.definitions.softmax_cross_entropy import log_softmax, softmax
from crossent.errors import OptionError, RangeError, ShapeError
from crossent.explaining.reading import Row, sums_to_one, table_of_text

MOST_CLASSES = 1000  # what a page can still show and send sixty times a second
LONGEST_NAME = 80  # letters; the rest says nothing more on a slider
TEMPERATURES = (0.01, 100.0)
KINDS = ("probs", "logits")
TEXTS = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}
FIELDS = {
    "target",
    "prediction",
    "kind",
    "base",
    "names",
    "temperature",
    "locked",
    "move",
    "rows",
    "slice",
    "guess",
    "drawn",
}


@dataclass(frozen=True)
class Case:
    """One prediction as the page holds it: `prediction` before the temperature."""

    target: Row | str | int
    prediction: Row | str
    kind: str = "probs"
    base: str = "e"
    names: tuple[str, ...] | None = None
    temperature: float = 1.0
    locked: bool = True  # probabilities keep their sum: the other classes rescale

    @property
    def tempered(self) -> Row | str:
        """Return the prediction as the loss sees it: logits divided by T, probabilities raised to 1/T and rescaled."""
        if self.temperature == 1.0 or isinstance(self.prediction, str):
            return self.prediction
        if self.kind == "logits":
            with np.errstate(over="ignore"):  # beyond float64 a logit is infinite, at whatever temperature
                return np.asarray(self.prediction / self.temperature)
        with np.errstate(divide="ignore"):  # log 0 stays -inf, whatever the temperature
            return softmax(np.log(self.prediction) / self.temperature)


def read_case(body: Mapping[str, Any]) -> Case:
    """Return the case of a request, moved where the request moves it."""
    unknown = sorted(set(body) - FIELDS)
    if unknown:
        message = f"`{unknown[0]}` is no field of a case; got it beside {', '.join(sorted(FIELDS & set(body)))}."
        raise OptionError(message)
    kind = _text(body, "kind", "probs")
    if kind not in KINDS:
        message = f'`kind` must be "probs" or "logits" on this page; got {kind!r}.'
        raise OptionError(message)
    prediction = _row_or_text(body.get("prediction"), "prediction")
    if isinstance(prediction, str):
        _check_one_row(prediction)
    if kind == "probs" and not isinstance(prediction, str):
        _check_probabilities(prediction)
    case = Case(
        target=_target(body.get("target")),
        prediction=prediction,
        kind=kind,
        base=_text(body, "base", "e"),
        names=_names(body.get("names")),
        temperature=_temperature(body.get("temperature", 1.0)),
        locked=_flag(body, "locked", default=_is_distribution(kind, prediction)),
    )
    return _moved(case, body.get("move"))


def switch(case: Case, kind: str) -> Case:
    """Return the same prediction given in another way: as probabilities, or as logits."""
    if case.kind == kind or isinstance(case.prediction, str):
        return case
    shown = np.asarray(case.tempered)
    if kind == "probs":
        return replace(case, kind=kind, prediction=softmax(shown), temperature=1.0)
    with np.errstate(divide="ignore"):
        return replace(case, kind=kind, prediction=log_softmax(np.log(shown)), temperature=1.0)


def move(values: Row, index: int, to: float, *, locked: bool) -> Row:
    """Return probabilities with one of them moved; locked, the others share the rest as they did, or evenly from 0."""
    moved = values.copy()
    moved[index] = to
    if not locked:
        return moved
    others = np.arange(len(values)) != index
    if not bool(others.any()):
        moved[index] = 1.0
        return moved
    largest = float(values[others].max())
    if largest > 0.0:
        shares = values[others] / largest  # first, as 1 over a sum of subnormal numbers is inf
        moved[others] = shares * ((1.0 - to) / math.fsum(shares))
    else:
        moved[others] = (1.0 - to) / int(others.sum())
    return moved


def _moved(case: Case, wanted: Any) -> Case:
    if wanted is None:
        return case
    if isinstance(wanted, Mapping) and wanted.get("of") == "kind":
        return switch(case, str(wanted.get("to")))
    if not isinstance(wanted, Mapping) or wanted.get("of") not in ("target", "prediction"):
        message = '`move` must hold "of": "target", "prediction" or "kind"; got something else.'
        raise OptionError(message)
    which = str(wanted["of"])
    values = getattr(case, which) if which == "target" or case.kind == "logits" else case.tempered
    if isinstance(values, str | int):
        message = f"`move` needs `{which}` as a list of numbers; got {type(values).__name__}."
        raise OptionError(message)
    index, to = wanted.get("index"), read_number(wanted.get("to"), "move")
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(values):
        message = f"`move` must name a class in [0, {len(values)}); got {str(index)[:20]}."
        raise RangeError(message)
    if which == "prediction" and case.kind == "logits":
        return replace(case, prediction=move(values, index, to, locked=False))
    if not 0.0 <= to <= 1.0:
        message = f"`move` must stay in [0, 1], as it moves a probability; got {to:.6g}."
        raise RangeError(message)
    locked = case.locked or which == "target"
    if which == "target":
        return replace(case, target=move(values, index, to, locked=locked))
    return replace(case, prediction=move(values, index, to, locked=locked), temperature=1.0)


def _check_probabilities(row: Row) -> None:
    # before anything moves: a logarithm of a negative number would be nan, and no message
    outside = (row < 0.0) | (row > 1.0)
    if bool(outside.any()):
        place = int(np.argmax(outside))
        message = (
            f"`prediction` must hold probabilities in [0, 1]; class {place} has {row[place]:.6g}. "
            'If these are logits, set `kind` to "logits".'
        )
        raise RangeError(message)


def _check_one_row(text: str) -> None:
    # before it is explained: a batch has a loss too, the mean of its rows, and that of no case on this page
    rows = table_of_text(text, "prediction")
    if len(rows) > 1:
        message = f"`prediction` must be one row on this page; got {len(rows)} rows: crossent.explain() takes a batch."
        raise ShapeError(message)
    if rows and len(rows[0]) > MOST_CLASSES:
        message = f"`prediction` must have 1 to {MOST_CLASSES} classes on this page; got {len(rows[0])}."
        raise ShapeError(message)


def _is_distribution(kind: str, prediction: Row | str) -> bool:
    """Return whether the others may rescale: a sum that was given as something else than 1 is meant so."""
    return kind != "probs" or isinstance(prediction, str) or sums_to_one(prediction)


def _target(value: Any) -> Row | str | int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return _row_or_text(value, "target")


def _row_or_text(value: Any, argument: str) -> Row | str:
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        message = f"`{argument}` must be a list of numbers or a text of them; got {_kind_of(value)}."
        raise OptionError(message)
    if not 1 <= len(value) <= MOST_CLASSES:
        message = f"`{argument}` must have 1 to {MOST_CLASSES} classes on this page; got {len(value)}."
        raise ShapeError(message)
    return np.array([read_number(entry, argument) for entry in value], dtype=np.float64)


def read_number(value: Any, argument: str) -> float:
    """Return a number of a request; JSON has no infinity, so it comes as a text."""
    if isinstance(value, str) and value in TEXTS:
        return TEXTS[value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    message = f'`{argument}` must hold numbers, "inf", "-inf" or "nan"; got {_kind_of(value)}.'
    raise OptionError(message)


def _kind_of(value: Any) -> str:
    return "nothing" if value is None else repr(value)[:20] if isinstance(value, str) else type(value).__name__


def _text(body: Mapping[str, Any], name: str, default: str) -> str:
    value = body.get(name, default)
    if not isinstance(value, str | int):
        message = f"`{name}` must be a text; got {_kind_of(value)}."
        raise OptionError(message)
    return str(value)[:20]


def _names(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        message = f"`names` must be a list of texts, one per class; got {_kind_of(value)}."
        raise OptionError(message)
    return tuple(name[:LONGEST_NAME] for name in value[: MOST_CLASSES + 1])


def _temperature(value: Any) -> float:
    number = read_number(value, "temperature")
    low, high = TEMPERATURES
    if not low <= number <= high:
        message = f"`temperature` must lie in [{low:g}, {high:g}]; got {number:.6g}."
        raise RangeError(message)
    return number


def _flag(body: Mapping[str, Any], name: str, *, default: bool) -> bool:
    value = body.get(name, default)
    if not isinstance(value, bool):
        message = f"`{name}` must be true or false; got {_kind_of(value)}."
        raise OptionError(message)
    return value
