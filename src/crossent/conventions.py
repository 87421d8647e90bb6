"""What the project decided, as named values: the options that are words, and what they may be."""

from typing import Literal, get_args

Reduction = Literal["none", "sum", "mean"]
Denominator = Literal["weight", "count"]
Empty = Literal["nan", "zero", "raise"]
Zero = Literal["inf", "clip", "raise"]
Normalized = Literal["warn", "rescale", "raise", "ignore"]
Rest = Literal["zero", "uniform"]

REDUCTIONS: tuple[str, ...] = get_args(Reduction)
DENOMINATORS: tuple[str, ...] = get_args(Denominator)
EMPTIES: tuple[str, ...] = get_args(Empty)
ZEROS: tuple[str, ...] = get_args(Zero)
NORMALIZED: tuple[str, ...] = get_args(Normalized)
RESTS: tuple[str, ...] = get_args(Rest)
