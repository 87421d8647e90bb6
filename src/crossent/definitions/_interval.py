"""Intervals: the domain of a formula's argument, as data."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossent.errors import RangeError


@dataclass(frozen=True)
class Interval:
    """The numbers between `low` and `high`, with or without the ends.

    Examples
    --------
    >>> print(Interval(0.0, 1.0))
    [0, 1]
    >>> Interval(0.0, float("inf"), high_inclusive=False).contains([0.0, 2.5, -1.0]).tolist()
    [True, True, False]
    """

    low: float
    high: float
    low_inclusive: bool = True
    high_inclusive: bool = True

    def __str__(self) -> str:
        return f"{'(['[self.low_inclusive]}{self.low:g}, {self.high:g}{')]'[self.high_inclusive]}"

    def contains(self, values: ArrayLike) -> NDArray[np.bool_]:
        """Return where `values` lie in the interval; NaN lies in none."""
        numbers = np.asarray(values, dtype=np.float64)
        above = numbers >= self.low if self.low_inclusive else numbers > self.low
        below = numbers <= self.high if self.high_inclusive else numbers < self.high
        return np.asarray(above & below)

    def checked(self, name: str, values: ArrayLike) -> NDArray[np.float64]:
        """Return `values` as float64, or raise RangeError with the first one outside; NaN passes, it stays in its row."""
        numbers = np.asarray(values, dtype=np.float64)
        outside = np.argwhere(~(self.contains(numbers) | np.isnan(numbers)))
        if len(outside):
            place = tuple(int(index) for index in outside[0])
            where = f" at {list(place)}" if place else ""
            message = f"`{name}` must lie in {self}; got {float(numbers[place])}{where}."
            raise RangeError(message)
        return numbers
