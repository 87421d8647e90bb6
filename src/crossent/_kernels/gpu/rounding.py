"""A float as a number of a narrower type, rounded to nearest with ties to even."""

import triton
import triton.language as tl

from crossent._kernels.gpu._launch import INTERPRETED

# Triton's interpreter cuts off what bfloat16 has no bits for, and turns its subnormal numbers into others (3.7.1).
BY_HAND: tl.constexpr = tl.constexpr(INTERPRETED)


@triton.jit
def rounded(value, dtype: tl.constexpr):
    """Return float32 or float64 numbers in the type of a tensor's elements."""
    if BY_HAND and dtype == tl.bfloat16:
        narrow = value.to(tl.float32)
        bits = narrow.to(tl.uint32, bitcast=True)
        up = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
        high = tl.where(narrow == narrow, up, 0x7FC0).to(tl.uint16)
        result = high.to(tl.bfloat16, bitcast=True)
    else:
        result = value.to(dtype)
    return result
