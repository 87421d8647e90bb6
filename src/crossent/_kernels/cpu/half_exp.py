"""e**x of half-precision logits, looked up: there are only 65 536 of them.

The table holds e**x in float64, 512 KB, of which logits of size 2**-10 to 2**6 touch 16 binades on two sides: 32 KB in
bfloat16, 256 KB in float16. An element costs two loads and one addition: 4096 x 32000 bfloat16 forward took 128 ms with the
polynomial and 31 with the table (AVX2, two threads). No reference is subtracted: float64 holds e**x as it is from e**-700
to e**700. Rows whose sum lies beyond are summed by blocks.py instead, in a second pass over them.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from crossent._kernels.cpu._jit import inline, intrinsic, kernel
from crossent._kernels.cpu._llvm import fetch_to_first, load, smaller, store
from crossent._kernels.cpu.blocks import AHEAD_BYTES, BLOCK
from crossent._kernels.cpu.exp import exponential, same_type
from crossent._kernels.cpu.targets import two_sum

# Summands below e**-700 = 1e-304 count as 0: 300 000 of them weigh 3e-19 of the least sum that is taken from the table.
_LEAST_SUM, _GREATEST_SUM = 1e-280, 1e300
# Gradients m e**x / 2**e, m < 1, may be made from the table for these e: what counts as 0, below 2**-1009, gives less than
# half of float32's least subnormal number, 2**-150, and the factor m / 2**e is a normal number.
LEAST_EXPONENT, GREATEST_EXPONENT = -859, 1000
_HALVES_PER_LINE = 32


@kernel
def fill(
    table: Any,  # address of (65536,) float64
    bits: Any,  # address of (65536,) 16-bit integers 0, 1, ...
    tag: Any,
) -> Any:
    """Write e**x for every half-precision x."""
    for i in range(65536):
        store(table, i, exponential(load(bits, i, tag, 1.0), 1.0), 1.0)


_tables: dict[np.dtype, np.ndarray] = {}


def table_of(dtype: np.dtype) -> np.ndarray:
    """Return e**x for every number of the dtype by which kernels know a half-precision format, by its bits.

    The array lives as long as the process: kernels hold its address only. Of two threads that come first both make a table,
    and both get the same one (functools.cache gave each its own, and dropped one under the kernel that read it).
    """
    table = _tables.get(dtype)
    return _tables.setdefault(dtype, _new_table(dtype)) if table is None else table


def _new_table(dtype: np.dtype) -> np.ndarray:
    table = np.empty(65536)
    bits = np.arange(65536, dtype=np.uint16).view(dtype)
    fill(table.ctypes.data, bits.ctypes.data, dtype.type(0))
    table.flags.writeable = False
    return table


@intrinsic
def _bits_at(typing_context: Any, address: Any, index: Any) -> Any:
    """The 16 bits of element `index` at `address`, as an index."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = builder.inttoptr(arguments[0], ir.IntType(16).as_pointer())
        value = builder.load(builder.gep(pointer, [arguments[1]], inbounds=True))
        value.align = 1
        return builder.zext(value, ir.IntType(64))

    return types.int64(types.int64, types.int64), generate


@inline
def _look_up(x: Any, j: Any, table: Any, kept: Any, like: Any, kept_tag: Any) -> Any:
    """Return e**x_j, and keep it where a gradient is asked for."""
    value = load(table, _bits_at(x, j), 1.0, 1.0)
    if same_type(kept_tag, like):
        store(kept, j, value, 1.0)
    return value


@inline
def _sum_range(x: Any, first: Any, last: Any, table: Any, kept: Any, like: Any, kept_tag: Any) -> Any:
    """Return the sum of e**x_j for first <= j < last: eight chains, as an addition takes four cycles."""
    sum_0, sum_1, sum_2, sum_3, sum_4, sum_5, sum_6, sum_7 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    whole = (last - first) // _HALVES_PER_LINE
    for line in range(whole):
        start = first + line * _HALVES_PER_LINE
        fetch_to_first(x + start * 2 + AHEAD_BYTES)
        for eight in range(_HALVES_PER_LINE // 8):
            j = start + eight * 8
            sum_0 += _look_up(x, j, table, kept, like, kept_tag)
            sum_1 += _look_up(x, j + 1, table, kept, like, kept_tag)
            sum_2 += _look_up(x, j + 2, table, kept, like, kept_tag)
            sum_3 += _look_up(x, j + 3, table, kept, like, kept_tag)
            sum_4 += _look_up(x, j + 4, table, kept, like, kept_tag)
            sum_5 += _look_up(x, j + 5, table, kept, like, kept_tag)
            sum_6 += _look_up(x, j + 6, table, kept, like, kept_tag)
            sum_7 += _look_up(x, j + 7, table, kept, like, kept_tag)
    for j in range(first + whole * _HALVES_PER_LINE, last):
        sum_0 += _look_up(x, j, table, kept, like, kept_tag)
    return ((sum_0 + sum_1) + (sum_2 + sum_3)) + ((sum_4 + sum_5) + (sum_6 + sum_7))


@inline
def rest_from_table(x: Any, classes: Any, target: Any, table: Any, kept: Any, like: Any, kept_tag: Any) -> Any:
    """Return whether the table serves this row, and the sum of e**x_j over j != target; see rest_of_row."""
    total, error = 0.0, 0.0
    for start in range(0, classes, BLOCK):
        end = smaller(start + BLOCK, classes)
        hole = smaller(max(target, start), end)
        total, error = two_sum(total, error, _sum_range(x, start, hole, table, kept, like, kept_tag))
        if hole < end:
            after = hole + 1 if hole == target else hole
            total, error = two_sum(total, error, _sum_range(x, after, end, table, kept, like, kept_tag))
    total += error
    return _LEAST_SUM < total < _GREATEST_SUM, total
