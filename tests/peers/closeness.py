"""When two answers are the same: NaN with NaN, infinities exactly, other numbers as their dtype rounds."""

import math

# float32: a loss near 100 out of a float32 sum, and a derivative near 1e12
RELATIVE = {"float64": 1e-9, "float32": 2e-5, "float16": 3e-3}
ABSOLUTE = {"float64": 1e-15, "float32": 2e-7, "float16": 1e-3}


def same(first: float | None, second: float | None, dtype: str) -> bool:
    if first is None or second is None:
        return first is second
    if math.isnan(first) or math.isnan(second):
        return math.isnan(first) and math.isnan(second)
    if math.isinf(first) or math.isinf(second):
        return first == second
    return abs(first - second) <= RELATIVE[dtype] * max(abs(first), abs(second)) + ABSOLUTE[dtype]
