"""Numbers as they were written: how many digits they carry, and how a message shows them."""

import math
import re
from decimal import Decimal
from typing import Any

import numpy as np

# bits of the significand: a number kept in so few of them was written with fewer digits than float64 shows
_SIGNIFICANT_BITS = {"bfloat16": 8, "float16": 11, "float32": 24}


def written(value: Any) -> tuple[float, float]:
    """Return a number and one unit in its last place as it was written: "2.30" is known to 0.01."""
    if isinstance(value, bool | np.bool_):
        raise TypeError(value)
    if isinstance(value, str):
        text = value.strip().replace("−", "-").replace("_", "")
        number = float(value.replace("−", "-"))
    else:
        number = float(value)
        text = (
            str(value)
            if isinstance(value, int)
            else _shortest(number, str(getattr(value, "dtype", "")).removeprefix("torch."))
        )
    if not math.isfinite(number):
        return number, 0.0
    return float(text), float(Decimal(1).scaleb(int(Decimal(text).as_tuple().exponent)))


def _shortest(number: float, dtype: str) -> str:
    """Return the shortest text that its own dtype reads as this number: 2.3026 in float32, not 2.3025999."""
    bits = _SIGNIFICANT_BITS.get(dtype)
    if bits is None or not math.isfinite(number):
        return repr(number)
    half_a_step = math.ldexp(0.5, math.frexp(number)[1] - bits)
    texts = (f"{number:.{digits}g}" for digits in range(1, 10))
    return next((text for text in texts if abs(float(text) - number) < half_a_step), repr(number))


def shown(value: float, digits: int = 4) -> str:
    """Return a number for a message, its minus a real one: −0.87, 1e−7, never −0."""
    text = re.sub(r"e([+-])0*", r"e\1", f"{value + 0.0:.{digits}g}")
    return text.replace("e+", "e").replace("-", "−")


def between(low: float, high: float) -> str:
    """Return "1 to 5", or "5" where both look the same."""
    first, last = shown(low), shown(high)
    return first if first == last else f"{first} to {last}"
