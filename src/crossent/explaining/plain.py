"""Data as JSON has it: lists, numbers and texts, none of them infinite or unbounded."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

ROW_LOSSES_MOST = 1000  # beyond that a reader wants the histogram and the worst rows


def plain(value: Any) -> Any:
    """Return the value in JSON's own types; "inf", "-inf" and "nan" are texts, as JSON has none of them."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist()) if value.size <= ROW_LOSSES_MOST else None
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
