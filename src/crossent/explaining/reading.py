"""From what a person types or passes to one row of numbers, or one sentence that says why not."""

import math
import operator
import re
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from crossent.errors import DtypeError, LabelError, OptionError, RangeError, ShapeError
from crossent.explaining.parts import Kind, TargetKind

Row = NDArray[np.float64]

KINDS: tuple[str, ...] = get_args(Kind)
BASES = {"e": 1.0, "2": math.log(2.0), "10": math.log(10.0)}  # what one unit of the base is in nats


@dataclass(frozen=True)
class Target:
    """A target as a distribution, and how it was written."""

    p: Row  # (classes,)
    kind: TargetKind
    true_class: int | None


def read_prediction(prediction: Any, kind: Kind) -> Row:
    """Return the prediction as float64, shape (classes,), its values in the domain of `kind`."""
    values = _read_row(prediction, "prediction")
    if kind == "probs":
        _check_probabilities(values, "prediction", 'If these are logits, set `kind` to "logits"')
    elif kind == "log_probs" and bool((values > 0.0).any()):
        place = int(np.argmax(values > 0.0))
        message = (
            f"`prediction` must hold log-probabilities, at most 0; class {place} has {values[place]:.6g}. "
            'If these are logits, set `kind` to "logits".'
        )
        raise RangeError(message)
    return values


def read_target(target: Any, classes: int) -> Target:
    """Return the target of a prediction over so many classes: from a class id, a distribution, or text of either."""
    label = _read_label(target)
    if label is not None:
        if not 0 <= label < classes:
            raise LabelError(_label_message(label, classes))
        p = np.zeros(classes)
        p[label] = 1.0
        return Target(p, "index", label)
    p = _read_row(target, "target")
    if len(p) != classes:
        message = f"`target` must have one number per class of `prediction`, {classes}; got {len(p)}."
        raise ShapeError(message)
    if bool(np.isnan(p).any()):
        message = f"`target` must hold probabilities; class {int(np.argmax(np.isnan(p)))} has nan."
        raise RangeError(message)
    _check_probabilities(p, "target", "A class id is written as a single integer")
    if bool((np.sort(p)[:-1] == 0.0).all()) and bool(p.max() == 1.0):
        return Target(p, "onehot", int(p.argmax()))
    return Target(p, "soft", None)


def read_kind(kind: str) -> Kind:
    """Return `kind` if it is one."""
    for known in get_args(Kind):
        if kind == known:
            return known  # type: ignore[no-any-return]  # get_args forgets that these are the literals
    message = f'`kind` must be "probs", "logits" or "log_probs"; got {kind!r}.'
    raise OptionError(message)


def read_base(base: str | int) -> str:
    """Return the base as a key of BASES."""
    if str(base) not in BASES:
        message = f'`base` must be "e", 2 or 10; got {base!r}.'
        raise OptionError(message)
    return str(base)


def read_names(class_names: Any, classes: int) -> tuple[str, ...]:
    """Return one name per class; without names, its number."""
    if class_names is None:
        return tuple(str(index) for index in range(classes))
    if isinstance(class_names, str):
        message = f"`class_names` must be a list with one name per class; got the text {class_names!r}."
        raise OptionError(message)
    names = tuple(str(name) for name in class_names)
    if len(names) != classes:
        message = f"`class_names` must have one name per class of `prediction`, {classes}; got {len(names)}."
        raise ShapeError(message)
    return names


def _words(text: str) -> list[str]:
    # brackets as in a pasted array; the minus sign as our own table prints it
    return [word for word in re.split(r"[,\s]+", text.strip(" \t\n[]()").replace("−", "-")) if word]


def _read_row(values: Any, argument: str) -> Row:
    if isinstance(values, str):
        row = np.array([_number(word, argument) for word in _words(values)], dtype=np.float64)
    else:
        row = _as_row(values, argument)
    if not len(row):
        message = f"`{argument}` must have at least one class; it is empty."
        raise ShapeError(message)
    return row


def _number(word: str, argument: str) -> float:
    try:
        return float(word)
    except ValueError:
        message = f'`{argument}` must be numbers such as "0.1 0.5 0.4"; {word!r} is not a number.'
        raise OptionError(message) from None


def _as_row(values: Any, argument: str) -> Row:
    try:
        array = np.asarray(values)
    except ValueError:
        message = f"`{argument}` must be one row of numbers, shape (classes,); got rows of different lengths."
        raise ShapeError(message) from None
    if array.dtype.kind not in "biuf":
        message = f"`{argument}` must hold real numbers; got dtype {array.dtype}."
        raise DtypeError(message)
    if array.ndim != 1:
        message = f"`{argument}` must be one row of numbers, shape (classes,); got shape {array.shape}."
        raise ShapeError(message)
    return array.astype(np.float64)


def _read_label(target: Any) -> int | None:
    """Return the class id, or None where the target is written in another way."""
    if isinstance(target, str):
        words = _words(target)
        return int(words[0]) if len(words) == 1 and re.fullmatch(r"[+-]?\d+", words[0]) else None
    if isinstance(target, bool | np.bool_):
        message = f"`target` must be a class id or one number per class; got {target!r}."
        raise DtypeError(message)
    try:
        # a list of one integer is a distribution over one class, though NumPy would take such an array as an index
        return operator.index(target) if np.ndim(target) == 0 else None
    except (TypeError, ValueError):
        return None


def _label_message(label: int, classes: int) -> str:
    hint = ""
    if label == classes:
        hint = " Are the labels 1-based?"
    elif label == -100:
        hint = " That is PyTorch's ignore_index: such a row has no loss."
    return f"`target` must be a class id in [0, {classes}); got {label}.{hint}"


def _check_probabilities(values: Row, argument: str, hint: str) -> None:
    outside = (values < 0.0) | (values > 1.0)
    if bool(outside.any()):
        place = int(np.argmax(outside))
        message = f"`{argument}` must hold probabilities in [0, 1]; class {place} has {values[place]:.6g}. {hint}."
        raise RangeError(message)
