"""A number on the page is a cell: its exact value, and the text that is shown for it."""

import math
import re
from typing import Any

from crossent.explaining.digits import amount, compact, signed

Cell = list[Any]  # [value, text], or [value, text, what a number box holds]


def plain(value: float) -> float | str:
    """Return a number as JSON can carry it: "inf", "-inf" and "nan" are texts, and -0.0 is 0.0."""
    return value + 0.0 if math.isfinite(value) else str(value)


def compact_cell(value: float) -> Cell:
    """Return a cell with three significant digits."""
    return [plain(value), compact(value)]


def signed_cell(value: float) -> Cell:
    """Return a cell with a sign."""
    return [plain(value), signed(value)]


def amount_cell(value: float) -> Cell:
    """Return a cell for an amount of information."""
    return [plain(value), amount(value)]


def box_cell(value: float) -> Cell:
    """Return a cell with the text of a number box, which knows no infinity and no real minus sign."""
    box = re.sub(r"e([+-])0", r"e\1", f"{value + 0.0:.4g}") if math.isfinite(value) else ""
    return [plain(value), compact(value), box]
