"""From what a person types or passes to rows of numbers, or one sentence that says why not."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossent.errors import DtypeError, OptionError, RangeError, ShapeError
from crossent.explaining.parts import Kind

Row = NDArray[np.float64]
Rows = NDArray[np.float64]

# float64 numbers worked on at a time: 8 MB a table, so that a million rows need no copy of them all
NUMBERS_AT_ONCE = 1 << 20
# what rounding to this dtype leaves of a sum of 1, times four: 2**-11 and 2**-9 of each number, 2**-25 for the rest
SUM_TOLERANCES = {"float16": 2e-3, "bfloat16": 8e-3}
SUM_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Given:
    """A prediction as it came: one row, or a batch of rows."""

    values: NDArray[Any]  # (rows, classes), in the caller's dtype
    single: bool
    dtype: str

    @property
    def classes(self) -> int:
        """Return the number of classes."""
        return int(self.values.shape[1])

    @property
    def sum_tolerance(self) -> float:
        """Return how far a sum of probabilities may be from 1 by rounding alone."""
        return sum_tolerance_of(self.dtype)

    def spans(self) -> Iterator[slice]:
        """Return the rows in pieces; one empty piece where there are none."""
        step = max(1, NUMBERS_AT_ONCE // self.classes)
        return (slice(first, first + step) for first in range(0, max(len(self.values), 1), step))

    def block(self, span: slice) -> Rows:
        """Return some rows as float64."""
        return as_doubles(self.values[span])


def as_doubles(values: NDArray[Any]) -> Rows:
    """Return the numbers as float64; a signalling NaN stays a NaN."""
    with np.errstate(invalid="ignore"):
        return values.astype(np.float64)


def sums_to_one(values: Row, tolerance: float = SUM_TOLERANCE) -> bool:
    """Return whether the sum is 1 as far as rounding can tell."""
    return abs(math.fsum(values) - 1.0) <= tolerance


def read_numbers(prediction: Any) -> Given:
    """Return the numbers of a prediction, whatever they stand for."""
    rows = table_of_text(prediction, "prediction") if isinstance(prediction, str) else None
    array = _array_of_text(rows, "prediction") if rows is not None else as_array(prediction, "prediction")
    if array.ndim not in (1, 2):
        message = (
            "`prediction` must be one row of numbers, shape (classes,), or a batch, shape (rows, classes); "
            f"got shape {array.shape}."
        )
        raise ShapeError(message)
    if array.shape[-1] == 0:
        message = "`prediction` must have at least one class; it is empty."
        raise ShapeError(message)
    dtype = "text" if rows is not None else dtype_of(prediction, array)
    return Given(array.reshape(-1, array.shape[-1]), array.ndim == 1, dtype)


def dtype_of(values: Any, array: NDArray[Any]) -> str:
    """Return the dtype as it came: a bfloat16 tensor turned into a float32 array has the rounding of bfloat16."""
    return "bfloat16" if "bfloat16" in str(getattr(values, "dtype", "")) else str(array.dtype)


def sum_tolerance_of(dtype: str) -> float:
    """Return how far a sum of probabilities in this dtype may be from 1 by rounding alone."""
    return SUM_TOLERANCES.get(dtype, SUM_TOLERANCE)


def check_domain(given: Given, kind: Kind) -> None:
    """Raise RangeError with the first number that `kind` rules out."""
    if kind == "logits":
        return
    for span in given.spans():
        values = given.block(span)
        if kind == "probs":
            hint = 'If these are logits, set `kind` to "logits"'
            check_probabilities(values, span.start, given.single, "prediction", hint)
        elif bool((values > 0.0).any()):
            row, place = (int(index) for index in np.argwhere(values > 0.0)[0])
            message = (
                f"`prediction` must hold log-probabilities, at most 0; {where(span.start + row, place, given.single)} "
                f'has {values[row, place]:.6g}. If these are logits, set `kind` to "logits".'
            )
            raise RangeError(message)


def exact(value: float) -> str:
    """Return six digits, or all of them where six would show a 0 or a 1 that the number is not."""
    text = f"{value:.6g}"
    return text if float(text) not in (0.0, 1.0) or float(text) == value else repr(float(value))


def check_probabilities(values: Rows, first: int, single: bool, argument: str, hint: str) -> None:
    """Raise RangeError with the first number outside [0, 1]; the rows begin at number `first`."""
    outside = (values < 0.0) | (values > 1.0)
    if bool(outside.any()):
        row, place = (int(index) for index in np.argwhere(outside)[0])
        value = float(values[row, place])
        if 0.0 < value - 1.0 <= SUM_TOLERANCE:
            hint = "If rounding put it above 1, clip it to 1"
        message = (
            f"`{argument}` must hold probabilities in [0, 1]; {where(first + row, place, single)} has "
            f"{exact(value)}. {hint}."
        )
        raise RangeError(message)


def where(row: int, place: int, single: bool) -> str:
    """Return where a number stands, in words."""
    return f"class {place}" if single else f"row {row}, class {place}"


def words_of(text: str, argument: str) -> list[str]:
    """Return the words of one row."""
    words = text.split()
    if len(words) > 1 and all(re.fullmatch(r"[+−-]?\d+,\d+", word) for word in words):
        message = (
            f"`{argument}` has commas within its numbers, {words[0]} and so on: write decimal points, "
            f"{' '.join(word.replace(',', '.') for word in words[:3])}{' ...' if len(words) > 3 else ''}."
        )
        raise OptionError(message)
    # brackets as in a pasted array; the minus sign as our own table prints it
    return [word for word in re.split(r"[,\s]+", text.strip(" \t\r\n[]()").replace("−", "-")) if word]


def table_of_text(text: str, argument: str) -> list[list[str]]:
    """Return the words of each row: rows end with a semicolon or a line; one pair of brackets makes one row."""
    one = text.strip().startswith(("[", "(")) and not text.strip().startswith(("[[", "[(", "(("))
    lines = [text] if one and ";" not in text else re.split(r"[;\n]", text.strip("; \t\r\n"))
    rows = [words for words in (words_of(line, argument) for line in lines) if words]
    lengths = [len(row) for row in rows]
    if len(set(lengths)) > 1:
        other = next(index for index, length in enumerate(lengths) if length != lengths[0])
        message = (
            f"`{argument}` must have equally long rows; row 0 has {lengths[0]} numbers, row {other} has "
            f"{lengths[other]}."
        )
        raise ShapeError(message)
    return rows


def _array_of_text(rows: list[list[str]], argument: str) -> NDArray[np.float64]:
    table = np.array([[number(word, argument) for word in row] for row in rows], dtype=np.float64)
    return table if len(rows) > 1 else table.reshape(-1)


def number(word: str, argument: str, hint: str = "") -> float:
    """Return the number that a word is."""
    try:
        return float(word)
    except ValueError:
        message = f'`{argument}` must be numbers such as "0.1 0.5 0.4"; {word!r} is not a number{hint}.'
        raise OptionError(message) from None


def as_array(values: Any, argument: str) -> NDArray[Any]:
    """Return real numbers as an array; a PyTorch tensor leaves its device and its graph."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        if "bfloat16" in str(values.dtype):  # NumPy has no such dtype; float32 holds each of its numbers
            values = values.float()
    if np.ma.is_masked(values):
        place = ", ".join(str(int(index)) for index in np.argwhere(np.ma.getmaskarray(values))[0])
        message = f"`{argument}` has masked numbers, the first at [{place}]: fill them in or leave their rows out."
        raise RangeError(message)
    try:
        array = np.asarray(values)
    except ValueError:
        raise ShapeError(_uneven(values, argument)) from None
    if texts_of(array) is not None:
        numbers = [number(word.strip(), argument) for word in texts_of(array) or ()]
        return np.array(numbers, dtype=np.float64).reshape(array.shape)
    if array.dtype.kind not in "biuf" and array.dtype.name != "bfloat16":
        message = f"`{argument}` must hold real numbers; got dtype {array.dtype}."
        raise DtypeError(message)
    return array


def texts_of(array: NDArray[Any]) -> list[str] | None:
    """Return the texts of an array that holds nothing else, row by row; None for any other."""
    if array.dtype.kind not in "UTO" or not array.size:
        return None
    flat = array.reshape(-1).tolist()
    return flat if all(isinstance(entry, str) for entry in flat) else None


def _uneven(values: Any, argument: str) -> str:
    lengths = [len(row) if hasattr(row, "__len__") and not isinstance(row, str) else None for row in values]
    other = next((row for row, length in enumerate(lengths) if length != lengths[0]), None)
    if other is None:
        return f"`{argument}` must be rows of numbers; it is nested more deeply, with unequal lengths."
    first, second = ("no row but a number" if lengths[row] is None else str(lengths[row]) for row in (0, other))
    return f"`{argument}` must have equally many numbers in each row; row 0 has {first}, row {other} has {second}."
