"""float64 -> the dtype that is stored, rounded once to the nearest, ties to even."""

import triton
import triton.language as tl


@triton.jit
def narrow(value, dtype: tl.constexpr):
    """Return a float64 tensor in another dtype.

    Halves go through float32 rounded to odd: an inexact float32 gets an odd last bit, so no tie of the second rounding is an
    artefact of the first. bfloat16 is rounded by hand, since the interpreter truncates.
    """
    if dtype == tl.float64:
        result = value
    elif dtype == tl.float32:
        result = value.to(tl.float32)
    else:
        bits = _odd_single(value)
        if dtype == tl.float16:
            result = bits.to(tl.float32, bitcast=True).to(tl.float16)
        else:
            half = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
            half = tl.where(value == value, half, 0x7FC0)
            result = half.to(tl.int16).to(tl.bfloat16, bitcast=True)
    return result


@triton.jit
def _odd_single(value):
    """Return the bits of float32 numbers rounded to odd."""
    single = value.to(tl.float32)
    back = single.to(tl.float64)
    bits = single.to(tl.int32, bitcast=True)
    odd = (bits - tl.where(tl.abs(back) > tl.abs(value), 1, 0)) | 1
    return tl.where(back == value, bits, odd)
