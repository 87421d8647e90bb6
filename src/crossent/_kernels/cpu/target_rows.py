"""Looks at rows of soft targets before they are used: which are one-hot, and whether one holds an impossible number.

Traffic in bytes: rows * classes * size read.
"""

from typing import Any

import numpy as np

from crossent._kernels.cpu._jit import kernel
from crossent._kernels.cpu._llvm import load, store


@kernel
def one_hot_ids(
    y: Any,  # address; class c of row r at (r // inner) * outer_stride + (r % inner) * inner_stride + c * class_stride
    inner: Any,
    outer_stride: Any,
    inner_stride: Any,
    class_stride: Any,
    classes: Any,
    ids: Any,  # (rows,) int64: the class of a one-hot row, -1 of any other, -2 where a number is negative or infinite
    first: Any,
    last: Any,
    tag: Any,
    integer_tag: Any,
) -> Any:
    """Rows first to last."""
    for r in range(first, last):
        place = (r // inner) * outer_stride + (r % inner) * inner_stride
        found, others, invalid = np.int64(-1), False, False
        for c in range(classes):
            value = load(y, place + c * class_stride, tag, 1.0)
            invalid = invalid or value < 0.0 or value == np.inf
            if value == 1.0 and found < 0:
                found = np.int64(c)
            elif value != 0.0:
                others = True
        answer = np.int64(-2) if invalid else (np.int64(-1) if others else found)
        store(ids, r, answer, integer_tag)
