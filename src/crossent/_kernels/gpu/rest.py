"""A row's rest, sum of e**x over all classes but the target, as sum * 2**exponent * e**reference.

Leaving the target out is what keeps the digits of a confident row: its loss is log1p(rest / e**target). The reference is the
rest's largest logit where that is beyond 512 (2048 in float64), else 0, so that x - reference has no rounding for any x that
matters; the exponent is the integer nearest to (largest - reference) log2 e, so that the sum is at least 1/2 or 0.

Halves need fewer digits: their reference is always the largest logit, their powers float32's fast exp2 (12 operations an
element with the maximum, the target's place and the sum; float32 takes 22, two of them to sum in float64).
"""

import triton
import triton.language as tl

from crossent._kernels.gpu.exp import LOG2_E, ROUNDER_32, ROUNDER_64, exp_parts, scaled

# Powers for gradients are lifted by 2**LIFT, so that those far below the largest are not lost before the row's factor.
LIFT_HALF: tl.constexpr = tl.constexpr(24)
LIFT_32: tl.constexpr = tl.constexpr(48)
LIFT_64: tl.constexpr = tl.constexpr(512)


@triton.jit
def reference_of(top, HALF: tl.constexpr):
    """Return (reference, exponent) for the largest logits (ROWS,) of the rest: (0, 0) where they are not finite."""
    finite = tl.where(tl.abs(top) < float("inf"), top, 0.0)
    if HALF:
        reference = finite
        exponent = finite * 0.0
    elif top.dtype == tl.float32:
        reference = tl.where(tl.abs(finite) >= 512.0, finite, 0.0)
        exponent = ((finite - reference) * LOG2_E + ROUNDER_32) - ROUNDER_32
    else:
        reference = tl.where(tl.abs(finite) >= 2048.0, finite, 0.0)
        exponent = ((finite - reference) * LOG2_E + ROUNDER_64) - ROUNDER_64
    return reference, exponent


@triton.jit
def power_parts(x, reference, exponent, LIFT: tl.constexpr):
    """Return (p, c): e**(x - reference) = p (1 + c) 2**(exponent - LIFT), p = 0 where it is below the powers of x's type."""
    if x.dtype == tl.float32:
        lowest = (exponent - (127.0 + LIFT)) * 0.6931472
        below = tl.maximum(x - reference[:, None], lowest[:, None], propagate_nan=tl.PropagateNan.ALL)
        _, shifted, c = exp_parts(below)
        # the integer in the low bits of `shifted`, moved to the place of an exponent; 0 there is the number 0
        offset = (127 + LIFT - 0x4B400000) - exponent.to(tl.int32)
        p = ((shifted.to(tl.int32, bitcast=True) + offset[:, None]) << 23).to(tl.float32, bitcast=True)
    else:
        lowest = (exponent - (1023.0 + LIFT)) * 0.6931471805599453
        below = tl.maximum(x - reference[:, None], lowest[:, None], propagate_nan=tl.PropagateNan.ALL)
        _, shifted, c = exp_parts(below)
        offset = (1023 + LIFT - 0x4338000000000000) - exponent.to(tl.int64)
        p = ((shifted.to(tl.int64, bitcast=True) + offset[:, None]) << 52).to(tl.float64, bitcast=True)
    return p, c


@triton.jit
def block_sum(x, reference, exponent, HALF: tl.constexpr):
    """Return the sum (ROWS,) float64 of e**(x - reference) / 2**exponent over the classes of a tile (ROWS, BLOCK)."""
    if HALF:
        total = tl.sum(tl.exp2((x - reference[:, None]) * LOG2_E), axis=1).to(tl.float64)
    elif x.dtype == tl.float32:
        p, c = power_parts(x, reference, exponent, 0)
        # where one class dominates, the roundings of a long float32 sum do not average out
        total = tl.sum((p + p * c).to(tl.float64), axis=1)
    else:
        p, c = power_parts(x, reference, exponent, 0)
        # multiples of 2**-36 add up without rounding, and what is left is small
        coarse = ((p + p * c) + 98304.0) - 98304.0
        total = tl.sum(coarse, axis=1) + tl.sum((p - coarse) + p * c, axis=1)
    return total


@triton.jit
def shares(x, reference, exponent, factor, HALF: tl.constexpr):
    """Return factor e**(x - reference) / 2**exponent for a tile, in x's type; factor is (ROWS,) float64."""
    if HALF:
        p = tl.exp2((x - reference[:, None]) * LOG2_E + LIFT_HALF)
        result = (p * factor.to(tl.float32)[:, None]) * 5.9604644775390625e-08
    elif x.dtype == tl.float32:
        p, c = power_parts(x, reference, exponent, LIFT_32)
        p = p * factor.to(tl.float32)[:, None]
        result = (p + p * c) * 3.552713678800501e-15
    else:
        p, c = power_parts(x, reference, exponent, LIFT_64)
        p = p * factor[:, None]
        result = (p + p * c) * 7.458340731200207e-155
    return result


@triton.jit
def gradient_tile(x, reference, exponent, factor, at_target, still, column, place, HALF: tl.constexpr):
    """Return the gradient of a tile (ROWS, BLOCK) in x's type, from what `conclude` returned (ROWS,) and the targets' places."""
    value = shares(x, reference, exponent, factor, HALF)
    value = tl.where(column[None, :] == place[:, None], at_target.to(x.dtype)[:, None], value)
    return tl.where(still[:, None], 0.0, value)


@triton.jit
def largest_before(x, column, place):
    """Return the largest logits (ROWS,) of the classes before the target."""
    return tl.max(tl.where(column[None, :] < place[:, None], x, float("-inf")), axis=1)


@triton.jit
def added(rest, lost, more, WIDE: tl.constexpr):
    """Return (rest + more, lost and what the rounding of that leaves out): of use only where results are float64 too.

    Many sums on top of one that dominates do not average out: 4.5 ulp was seen of 15 classes without.
    """
    total = rest + more
    if WIDE:
        back = total - rest
        lost += (rest - (total - back)) + (more - back)
    return total, lost


@triton.jit
def with_block(x, rest, lost, reference, exponent, top, HALF: tl.constexpr):
    """Return (rest, lost, reference, exponent, top) with one more block of logits (ROWS, BLOCK) in them, target left out.

    `top` is the largest logit so far; where it is +inf, `rest` counts how often. `lost` belongs to `rest`: see `added`.
    """
    block_top = tl.max(x, axis=1)
    grows = block_top > top
    if tl.max(grows.to(tl.int32), axis=0) > 0:  # seldom after the first blocks
        top = tl.where(grows, block_top, top)
        new_reference, new_exponent = reference_of(top, HALF)
        carried = carried_over(rest, reference, exponent, new_reference, new_exponent)
        rest = tl.where(grows, tl.where(top == float("inf"), rest * 0.0, carried), rest)
        if x.dtype == tl.float64:
            carried = carried_over(lost, reference, exponent, new_reference, new_exponent)
            lost = tl.where(grows, tl.where(top == float("inf"), lost * 0.0, carried), lost)
        reference = tl.where(grows, new_reference, reference)
        exponent = tl.where(grows, new_exponent, exponent)
    certain = top == float("inf")
    if tl.max(certain.to(tl.int32), axis=0) > 0:
        x = certain_only(x, certain)
    rest, lost = added(rest, lost, block_sum(x, reference, exponent, HALF), x.dtype == tl.float64)
    return rest, lost, reference, exponent, top


@triton.jit
def certain_only(x, certain):
    """Return x with 0 for +inf and -inf for less, in the rows (ROWS,) whose largest logit is +inf."""
    replaced = tl.where(x == float("inf"), 0.0, tl.where(x == x, float("-inf"), x))
    return tl.where(certain[:, None], replaced, x)


@triton.jit
def carried_over(total, reference, exponent, new_reference, new_exponent):
    """Return a sum (float64) as one of another reference and exponent."""
    apart = reference.to(tl.float64) - new_reference.to(tl.float64)
    near = tl.where(apart < -4000.0, -4000.0, tl.where(apart > 4000.0, 4000.0, apart))
    n, _, c = exp_parts(near)
    return scaled(total * (1.0 + c), n + (exponent.to(tl.float64) - new_exponent.to(tl.float64)))
