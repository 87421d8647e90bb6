"""A float as a number of a narrower type, rounded once, to nearest with ties to even."""

import triton
import triton.language as tl

from crossent._kernels.gpu._launch import INTERPRETED

# Triton's interpreter cuts off what bfloat16 has no bits for, and turns its subnormal numbers into others (3.7.1).
BY_HAND: tl.constexpr = tl.constexpr(INTERPRETED)


@triton.jit
def rounded(value, dtype: tl.constexpr):
    """Return numbers in the type of a tensor's elements: float32 in any, float64 in float64."""
    if BY_HAND and dtype == tl.bfloat16:
        single = value.to(tl.float32)
        bits = single.to(tl.uint32, bitcast=True)
        up = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
        high = tl.where(single == single, up, 0x7FC0).to(tl.uint16)
        result = high.to(tl.bfloat16, bitcast=True)
    else:
        result = value.to(dtype)
    return result


@triton.jit
def narrow(value, dtype: tl.constexpr):
    """Return float64 numbers in the type of a tensor's elements.

    Halves go through float32 rounded to odd, so that no tie of the second rounding is an artefact of the first.
    """
    if dtype == tl.float64:
        result = value
    elif dtype == tl.float32:
        result = value.to(tl.float32)
    else:
        result = rounded(_odd_single(value), dtype)
    return result


@triton.jit
def _odd_single(value):
    """Return float64 numbers as float32 ones, rounded to odd: an inexact one gets an odd last bit."""
    single = value.to(tl.float32)
    back = single.to(tl.float64)
    bits = single.to(tl.int32, bitcast=True)
    odd = (bits - tl.where(tl.abs(back) > tl.abs(value), 1, 0)) | 1
    return tl.where(back == value, bits, odd).to(tl.float32, bitcast=True)
