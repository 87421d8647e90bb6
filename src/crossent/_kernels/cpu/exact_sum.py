"""Adding float64 numbers, and products of two of them, into a superaccumulator without any rounding.

The accumulator is a fixed-point number in LIMBS signed 64-bit limbs of 32 bits each; the lowest bit is worth 2**-2148,
which reaches the square of the smallest subnormal number, and the highest the square of the largest. A term touches at
most five limbs, each by less than 2**32, so a limb overflows no sooner than after 2**31 terms.

Reference: R. M. Neal, "Fast exact summation using small and large superaccumulators", arXiv:1505.05571, section 2.
Traffic in bytes: 8 a term (16 a product); the accumulator, 1.1 KB, stays in cache.
"""

from typing import Any

import numpy as np

from crossent._kernels.cpu._jit import inline, kernel
from crossent._kernels.cpu._llvm import bits_of, choose, load, load_integer, reorderable_add, store, wide_vectors

LIMBS = 136
LOWEST_EXPONENT = -2148
# Terms after which the carries have to be moved up: 2**31 / 5 limbs, and a margin.
TERMS_BETWEEN_CARRIES = 2**28
# A block's sums are made in float64 without rounding: adding 1.5 * 2**(52 + k) and taking it away rounds to a multiple of
# 2**k, for k = -20, -60 and -100. 4096 numbers up to 2**20 then sum to less than 2**53 of these units, and so do what the
# first rounding leaves, up to 2**-21, and the second, up to 2**-61. A number that leaves more goes in alone.
BLOCK = 4096
_LARGEST = 2.0**20
_FIRST, _SECOND, _THIRD = 1.5 * 2.0**32, 1.5 * 2.0**-8, 1.5 * 2.0**-48
_LOW = np.int64(0xFFFFFFFF)
_EXPONENT = np.int64(0x7FF)
_FRACTION = np.int64(0x000FFFFFFFFFFFFF)
_HIDDEN = np.int64(0x0010000000000000)


@inline
def add_piece(limbs: Any, piece: Any, position: Any, negative: Any) -> Any:
    """Add piece * 2**position, piece < 2**32, position counted from the lowest bit."""
    limb, shift = position >> 5, position & 31
    low = (piece << shift) & _LOW
    high = piece >> (np.int64(32) - shift)
    if negative:
        low, high = -low, -high
    store(limbs, limb, load_integer(limbs, limb) + low, limb)
    store(limbs, limb + 1, load_integer(limbs, limb + 1) + high, limb)


@inline
def parts_of(value: Any) -> Any:
    """Return (negative, integer mantissa, position of its lowest bit above 2**-1074)."""
    bits = bits_of(value)
    exponent = (bits >> np.int64(52)) & _EXPONENT
    mantissa = bits & _FRACTION
    if exponent > 0:
        return bits < 0, mantissa | _HIDDEN, exponent - 1
    return bits < 0, mantissa, np.int64(0)


@inline
def add_one(limbs: Any, value: Any, specials: Any) -> Any:
    """Add one number."""
    if not abs(value) < np.inf:
        kind = np.int64(2) if value != value else np.int64(value < 0.0)
        store(specials, kind, load_integer(specials, kind) + 1, kind)
        return
    negative, mantissa, position = parts_of(value)
    position += 1074
    # 53 bits, shifted by up to 31, lie in three limbs; each shift is below 64
    sign = np.int64(-1) if negative else np.int64(1)
    limb, shift = position >> 5, position & 31
    back = np.int64(32) - shift
    low, middle = (mantissa << shift) & _LOW, (mantissa >> back) & _LOW
    high = (mantissa >> np.int64(32)) >> back
    store(limbs, limb, load_integer(limbs, limb) + sign * low, limb)
    store(limbs, limb + 1, load_integer(limbs, limb + 1) + sign * middle, limb)
    store(limbs, limb + 2, load_integer(limbs, limb + 2) + sign * high, limb)


@inline
def add_block(values: Any, start: Any, end: Any, tag: Any) -> Any:
    """Return (whether it could be done, three numbers with the exact sum of at most BLOCK values)."""
    wide_vectors()
    first, second, third = 0.0, 0.0, 0.0
    left_over = np.int64(0)
    for i in range(start, end):
        value = load(values, i, tag, 1.0)
        part = (value + _FIRST) - _FIRST
        first = reorderable_add(first, part)
        rest = value - part
        part = (rest + _SECOND) - _SECOND
        second = reorderable_add(second, part)
        rest -= part
        part = (rest + _THIRD) - _THIRD
        third = reorderable_add(third, part)
        left_over |= choose((rest == part) & (abs(value) <= _LARGEST), np.int64(0), np.int64(1))
    return left_over == 0, first, second, third


@kernel
def add_few(values: Any, count: Any, tag: Any) -> Any:
    """Return what add_block does for values (count,), at most BLOCK of them, stored as tag says."""
    return add_block(values, np.int64(0), count, tag)


@kernel
def add(limbs: Any, values: Any, count: Any, specials: Any, tag: Any) -> Any:
    """Add values (count,), stored as tag says; specials (3,) int64 counts +inf, -inf and NaN."""
    for start in range(0, count, BLOCK):
        end = min(start + BLOCK, count)
        done, first, second, third = add_block(values, start, end, tag)
        if done:
            add_one(limbs, first, specials)
            add_one(limbs, second, specials)
            add_one(limbs, third, specials)
        else:
            for i in range(start, end):
                add_one(limbs, load(values, i, tag, 1.0), specials)


@kernel
def add_products(limbs: Any, a: Any, b: Any, count: Any, specials: Any) -> Any:
    """Add a * b for each pair; a zero factor gives 0 whatever the other is."""
    for i in range(count):
        left, right = load(a, i, 1.0, 1.0), load(b, i, 1.0, 1.0)
        if left == 0.0 or right == 0.0:
            continue
        if not (abs(left) < np.inf and abs(right) < np.inf):
            product = left * right
            kind = np.int64(2) if product != product else np.int64(product < 0.0)
            store(specials, kind, load_integer(specials, kind) + 1, kind)
            continue
        left_negative, left_mantissa, left_position = parts_of(left)
        right_negative, right_mantissa, right_position = parts_of(right)
        negative = left_negative != right_negative
        position = left_position + right_position
        # 53 x 53 bits from 32 x 21-bit halves: every partial product fits in 64 bits, unsigned below 2**63 once split
        a_low, a_high = left_mantissa & _LOW, left_mantissa >> np.int64(32)
        b_low, b_high = right_mantissa & _LOW, right_mantissa >> np.int64(32)
        lowest = np.uint64(a_low) * np.uint64(b_low)
        add_piece(limbs, np.int64(lowest & np.uint64(0xFFFFFFFF)), position, negative)
        add_piece(limbs, np.int64(lowest >> np.uint64(32)), position + 32, negative)
        for middle in (a_low * b_high, a_high * b_low):
            add_piece(limbs, middle & _LOW, position + 32, negative)
            add_piece(limbs, middle >> np.int64(32), position + 64, negative)
        highest = a_high * b_high
        add_piece(limbs, highest & _LOW, position + 64, negative)
        add_piece(limbs, highest >> np.int64(32), position + 96, negative)
