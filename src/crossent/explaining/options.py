"""The options of `explain()`: each read once, each refused in one sentence."""

import math
from typing import Any, get_args

import numpy as np

from crossent.errors import OptionError, RangeError, ShapeError
from crossent.explaining.parts import Kind, LossKind, Reduction
from crossent.explaining.reading import Given, Row, as_array, as_doubles, number, sums_to_one, where, words_of

BASES = {"e": 1.0, "2": math.log(2.0), "10": math.log(10.0)}  # what one unit of the base is in nats
NOUNS = {"probs": "probabilities", "logits": "logits", "log_probs": "log-probabilities"}


def read_kind(kind: str, given: Given) -> tuple[Kind, str]:
    """Return how the prediction is read, and why."""
    if kind == "auto":
        return _told_by_the_values(given)
    for known in get_args(Kind):
        if kind == known:
            return known, f"read as {NOUNS[known]}, as `kind` says"
    message = f'`kind` must be "probs", "logits", "log_probs" or "auto"; got {kind!r}.'
    raise OptionError(message)


def _told_by_the_values(given: Given) -> tuple[Kind, str]:
    """Return probabilities where every row is 0 or more and sums to 1; anything else could be two things."""
    for span in given.spans():
        block = given.block(span)
        outside = ~(block >= 0.0)
        if bool(outside.any()):
            row, place = (int(index) for index in np.argwhere(outside)[0])
            value = f"{block[row, place]:.6g}"
            message = (
                f"`kind` cannot be told from the numbers: {where(span.start + row, place, given.single)} has {value}, "
                'so they are no probabilities; set `kind` to "logits" or "log_probs".'
            )
            raise OptionError(message)
        sums = block.sum(axis=-1)
        off = ~(np.abs(sums - 1.0) <= given.sum_tolerance)
        if bool(off.any()):
            row = int(np.argmax(off))
            which = "they" if given.single else f"those of row {span.start + row}"
            message = (
                f"`kind` cannot be told from the numbers: {which} are 0 or more and sum to {sums[row]:.6g}, not 1; "
                'set `kind` to "probs" or "logits".'
            )
            raise OptionError(message)
    return "probs", "read as probabilities: all are 0 or more and they sum to 1"


def read_base(base: str | int) -> str:
    """Return the base as a key of BASES."""
    if str(base) not in BASES:
        message = f'`base` must be "e", 2 or 10; got {base!r}.'
        raise OptionError(message)
    return str(base)


def read_reduction(reduction: str) -> Reduction:
    """Return `reduction` if it is one."""
    for known in get_args(Reduction):
        if reduction == known:
            return known  # type: ignore[no-any-return]  # get_args forgets that these are the literals
    message = f'`reduction` must be "mean" or "sum"; got {reduction!r}.'
    if reduction == "none":
        message = '`reduction` must be "mean" or "sum"; got \'none\': the loss of each row is in `batch.losses` anyway.'
    raise OptionError(message)


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


def read_weight(weight: Any, classes: int) -> Row | None:
    """Return one weight per class: 0 or more, finite."""
    if weight is None:
        return None
    values = _per_class(weight, "weight", classes)
    wrong = ~((values >= 0.0) & (values < math.inf))
    if bool(wrong.any()):
        place = int(np.argmax(wrong))
        message = f"`weight` must be 0 or more and finite; class {place} has {values[place]:.6g}."
        raise RangeError(message)
    return values


def read_prior(prior: Any, classes: int, loss_kind: LossKind) -> Row | None:
    """Return how frequent each class is."""
    if prior is None:
        return None
    values = _per_class(prior, "prior", classes)
    wrong = ~((values >= 0.0) & (values <= 1.0))
    if bool(wrong.any()):
        place = int(np.argmax(wrong))
        message = (
            f"`prior` must hold the shares of the classes, in [0, 1]; class {place} has {values[place]:.6g}. "
            "Divide counts by their sum."
        )
        raise RangeError(message)
    if loss_kind == "categorical" and not sums_to_one(values):
        message = f"`prior` must sum to 1; it sums to {math.fsum(values):.6g}. Divide counts by their sum."
        raise RangeError(message)
    return values


def _per_class(values: Any, argument: str, classes: int) -> Row:
    if isinstance(values, str):
        row = np.array([number(word, argument) for word in words_of(values, argument)], dtype=np.float64)
    else:
        row = as_doubles(as_array(values, argument))
    if row.shape != (classes,):
        got = str(len(row)) if row.ndim == 1 else f"shape {row.shape}"
        message = f"`{argument}` must have one number per class of `prediction`, {classes}; got {got}."
        raise ShapeError(message)
    return row
