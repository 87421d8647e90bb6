"""The exact sum of float64 numbers on the device, rounded once: the same bits in any order, and nobody waits for it.

A number is an integer times 2**-1074. Its 53 bits fall into three of 68 limbs of 32 bits, and limbs are added as 64-bit
integers, which no order changes; one limb holds 2**31 terms. The program that is last to finish carries and rounds.

Reference: R. M. Neal, "Fast exact summation using small and large superaccumulators", arXiv:1505.05571, section 2.
"""

import torch
import triton
import triton.language as tl

from crossent._kernels.gpu._launch import launching
from crossent._kernels.gpu.rounding import narrow

LIMBS = tl.constexpr(68)
_NAN, _INFINITY, _MINUS_INFINITY = tl.constexpr(68), tl.constexpr(69), tl.constexpr(70)  # how many of each there were
_FINISHED = tl.constexpr(71)
_ROOM = 72
_LOW = tl.constexpr(0xFFFFFFFF)
# One program's block: large enough that a batch of rows is one or a few programs, small enough for registers.
_BLOCK = 1024


def total(
    values: torch.Tensor, denominator: torch.Tensor | float = 1.0, dtype: torch.dtype = torch.float64
) -> torch.Tensor:
    """Return the sum of (n,) float64 numbers over a denominator, rounded to float64 before it is divided, in a dtype.

    NaN and infinities give what IEEE addition gives. A denominator on the device is a () float64 tensor.
    """
    room = torch.zeros(_ROOM, dtype=torch.int64, device=values.device)
    result = torch.empty((), dtype=dtype, device=values.device)
    of_device, of_host = (denominator, 1.0) if isinstance(denominator, torch.Tensor) else (None, denominator)
    programs = max(1, triton.cdiv(values.numel(), _BLOCK))
    with launching(values):
        _sum[(programs,)](
            values.contiguous(), values.numel(), room, of_device, of_host, result, programs, BLOCK=_BLOCK, num_warps=4
        )
    return result


@triton.jit
def _sum(
    values,  # (count,) float64
    count,
    room,  # (72,) int64, zeros: the limbs, three counts, how many programs have finished
    of_device,  # () float64, the denominator, or None
    of_host: tl.float64,  # the denominator where there is none on the device
    result,  # () of any float dtype
    programs,
    BLOCK: tl.constexpr,
):
    """Reads 8 bytes a number, and adds to a few limbs of 8 bytes for each program."""
    here = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    bits = tl.load(values + here, mask=here < count, other=0.0).to(tl.int64, bitcast=True)
    exponent = (bits >> 52) & 0x7FF
    fraction = bits & 0x000FFFFFFFFFFFFF
    special = exponent == 0x7FF
    tl.atomic_add(room + _NAN, tl.sum((special & (fraction != 0)).to(tl.int64)))
    tl.atomic_add(room + _INFINITY, tl.sum((special & (fraction == 0) & (bits >= 0)).to(tl.int64)))
    tl.atomic_add(room + _MINUS_INFINITY, tl.sum((special & (fraction == 0) & (bits < 0)).to(tl.int64)))
    mantissa = tl.where(special, 0, tl.where(exponent > 0, fraction | 0x0010000000000000, fraction))
    position = tl.maximum(exponent, 1) - 1
    limb, shift = position >> 5, position & 31
    sign = tl.where(bits < 0, -1, 1).to(tl.int64)
    back = 32 - shift  # below 64, as every shift has to be
    low = sign * ((mantissa << shift) & _LOW)
    middle = sign * ((mantissa >> back) & _LOW)
    high = sign * ((mantissa >> 32) >> back)
    lowest = tl.min(tl.where(mantissa == 0, LIMBS, limb))
    highest = tl.max(tl.where(mantissa == 0, -1, limb))
    for at in range(lowest, highest + 1):
        own = limb == at
        tl.atomic_add(room + at, tl.sum(tl.where(own, low, 0)))
        tl.atomic_add(room + at + 1, tl.sum(tl.where(own, middle, 0)))
        tl.atomic_add(room + at + 2, tl.sum(tl.where(own, high, 0)))
    finished = tl.atomic_add(room + _FINISHED, 1)
    if finished == programs - 1:
        denominator = of_host
        if of_device is not None:
            denominator = tl.load(of_device)
        tl.store(result, narrow(_rounded(room) / denominator, result.dtype.element_ty))


@triton.jit
def _rounded(room):  # (72,) int64
    """Return the limbs' value as float64, to nearest even."""
    each = tl.arange(0, 128)
    # past the first-level cache, which other programs' additions do not reach
    limbs = tl.load(room + each, mask=each < LIMBS, other=0, cache_modifier=".cg")
    first = tl.min(tl.where(limbs != 0, each, LIMBS))
    behind = tl.minimum(tl.max(tl.where(limbs != 0, each, -1)) + 3, LIMBS)  # a carry of 31 bits, and its own
    carry = tl.full((), 0, tl.int64)
    for at in range(first, behind):
        carry = (tl.load(room + at, cache_modifier=".cg") + carry) >> 32
    sign = tl.where(carry < 0, -1, 1).to(tl.int64)
    carry = tl.full((), 0, tl.int64)
    # the digits below the one at hand, whether there is anything below them, and the same for the highest that is not 0
    second, third, below = carry, carry, carry
    digit, digit_2, digit_3, dropped, top = carry, carry, carry, carry, carry
    for at in range(first, behind):
        own = sign * tl.load(room + at, cache_modifier=".cg") + carry
        carry = own >> 32
        own = own & _LOW
        some = own != 0
        digit, digit_2, digit_3 = (
            tl.where(some, own, digit),
            tl.where(some, second, digit_2),
            tl.where(some, third, digit_3),
        )
        dropped, top = tl.where(some, below, dropped), tl.where(some, at, top)
        below = below | third
        second, third = own, second
    # the 62 highest bits of three digits, the last of them set where anything lies below: then float64 rounds as the whole would
    length = (digit.to(tl.float64).to(tl.int64, bitcast=True) >> 52) - 1022
    length = tl.maximum(length, 0)
    past = length - 30
    bits = digit << (62 - length)
    bits = bits | tl.where(past > 0, digit_2 >> tl.maximum(past, 0), digit_2 << tl.maximum(-past, 0))
    bits = bits | (digit_3 >> (length + 2))
    one = tl.full((), 1, tl.int64)
    lost = (digit_2 & ((one << tl.maximum(past, 0)) - 1)) | (digit_3 & ((one << (length + 2)) - 1)) | dropped
    bits = bits | (lost != 0).to(tl.int64)
    exponent = length + 2 + 32 * (top - 2) - 1074
    half = exponent >> 1
    value = (sign * bits).to(tl.float64) * _power_of_two(half) * _power_of_two(exponent - half)
    infinity, minus_infinity = (
        tl.load(room + _INFINITY, cache_modifier=".cg"),
        tl.load(room + _MINUS_INFINITY, cache_modifier=".cg"),
    )
    value = tl.where(infinity > 0, float("inf"), tl.where(minus_infinity > 0, -float("inf"), value))
    undefined = (tl.load(room + _NAN, cache_modifier=".cg") > 0) | ((infinity > 0) & (minus_infinity > 0))
    return tl.where(undefined, float("nan"), value)


@triton.jit
def _power_of_two(exponent):
    """Return 2**exponent, for one of a normal number."""
    return ((exponent + 1023) << 52).to(tl.float64, bitcast=True)
