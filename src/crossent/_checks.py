"""Options, numbers and shapes -> one-sentence errors. Knows no array library: shapes are tuples."""

import math
import operator
from collections.abc import Sequence

from crossent.errors import OptionError, ShapeError

Shape = tuple[int, ...]


def check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """Raise OptionError unless `value` is one of the words."""
    if not isinstance(value, str) or value not in choices:
        words = ", ".join(repr(choice) for choice in choices)
        message = f"`{name}` must be one of {words}; got {value!r}."
        raise OptionError(message)


def check_real(name: str, value: object, wanted: str) -> float:
    """Return `value` as a float; raise OptionError unless it is a number."""
    try:
        if isinstance(value, (str, bytes)):
            raise TypeError
        return float(value)  # type: ignore[arg-type]  # whatever has __float__
    except (TypeError, ValueError, OverflowError):
        message = f"`{name}` must be {wanted}; got {value!r}."
        raise OptionError(message) from None


def check_smoothing(value: object) -> float:
    """Return `label_smoothing` as a float in [0, 1]."""
    number = check_real("label_smoothing", value, "a number in [0, 1]")
    if not 0.0 <= number <= 1.0:
        message = f"`label_smoothing` must lie in [0, 1]; got {value!r}."
        raise OptionError(message)
    return number


def unit_of_base(base: object) -> float:
    """Return one nat in the unit of the loss: 1 for nats, 1 / ln(base) otherwise."""
    if base is None:
        return 1.0
    wanted = "a finite number above 1, or None for nats"
    number = check_real("base", base, wanted)
    if not 1.0 < number < math.inf:
        message = f"`base` must be {wanted}; got {base!r}."
        raise OptionError(message)
    return 1.0 / math.log(number)


def check_denominator(value: object, words: Sequence[str]) -> float | None:
    """Return the caller's own denominator, or None for one of the words."""
    if isinstance(value, str) and value in words:
        return None
    wanted = " or ".join(repr(word) for word in words) + " or a positive number"
    number = check_real("denominator", value, wanted)
    if not 0.0 < number < math.inf:
        message = f"`denominator` must be {wanted}; got {value!r}."
        raise OptionError(message)
    return number


def check_count(name: str, value: object) -> int:
    """Return `value` as an integer of at least 1."""
    try:
        number = operator.index(value)  # type: ignore[arg-type]  # whatever has __index__
    except TypeError:
        number = 0
    if number < 1 or isinstance(value, bool):
        message = f"`{name}` must be an integer of at least 1; got {value!r}."
        raise OptionError(message)
    return number


def check_axis(axis: object, name: str, shape: Shape) -> int:
    """Return the class axis counted from 0; raise unless the array has it, with at least one class on it."""
    if not shape:
        message = f"`{name}` must have a class axis; got a single number."
        raise ShapeError(message)
    try:
        number = operator.index(axis)  # type: ignore[arg-type]  # whatever has __index__
    except TypeError:
        message = f"`axis` must be an integer; got {axis!r}."
        raise OptionError(message) from None
    if not -len(shape) <= number < len(shape):
        message = f"`axis` must lie in [{-len(shape)}, {len(shape)}) for `{name}` of shape {shape}; got {number}."
        raise OptionError(message)
    number %= len(shape)
    if shape[number] == 0:
        message = f"`{name}` must have at least one class on axis {number}; got shape {shape}."
        raise ShapeError(message)
    return number


def check_shape(name: str, shape: Shape, wanted: Shape, reason: str) -> None:
    """Raise ShapeError unless the shapes are the same."""
    if shape != wanted:
        message = f"`{name}` must have shape {wanted}, {reason}; got {shape}."
        raise ShapeError(message)
