"""e**x in parts, in the arithmetic of x: no library call, so that the interpreter and every GPU give few roundings.

    n = rint(x log2 e),   r = (x - n HIGH) - n LOW,   e**x = 2**n (1 + c),   c = r + r**2 Q(r),   |c| < 0.42

HIGH has so few bits that n HIGH is exact for |n| < 2**11 (float32) or 2**13 (float64): nothing here needs a fused multiply-add,
and one does no harm. c is off by less than 2**-24 (float32) or 2**-53 (float64); Q, HIGH and LOW: dev/coefficients.py.
"""

import triton
import triton.language as tl

LN_2: tl.constexpr = tl.constexpr(0.6931471805599453)
LOG2_E: tl.constexpr = tl.constexpr(1.4426950408889634)
# Adding 1.5 * 2**fraction bits rounds to an integer, and leaves it in the low bits of the sum.
ROUNDER_32: tl.constexpr = tl.constexpr(12582912.0)
ROUNDER_64: tl.constexpr = tl.constexpr(6755399441055744.0)


@triton.jit
def exp_parts(x):
    """Return (n, 1.5 * 2**fraction + n, c) for |x| < 1400 (float32) or 5600 (float64); NaN gives c = NaN."""
    if x.dtype == tl.float32:
        shifted = x * LOG2_E + ROUNDER_32
        n = shifted - ROUNDER_32
        r = (x - n * 0.693115234375) - n * 3.194618329871446e-05
        q = r * 0.0013926326064392924 + 0.008363292552530766
        q = q * r + 0.04166655242443085
        q = q * r + 0.16666576266288757
        q = q * r + 0.5
    else:
        shifted = x * LOG2_E + ROUNDER_64
        n = shifted - ROUNDER_64
        r = (x - n * 0.6931471805592082) - n * 7.371002565167799e-13
        q = r * 2.5100569275813683e-08 + 2.762032742826824e-07
        q = q * r + 2.75572680728901e-06
        q = q * r + 2.4801520792572694e-05
        q = q * r + 0.00019841269863303223
        q = q * r + 0.0013888888917538296
        q = q * r + 0.008333333333330011
        q = q * r + 0.04166666666662348
        q = q * r + 0.16666666666666669
        q = q * r + 0.5
    return n, shifted, r + (r * r) * q


@triton.jit
def scaled(x, n):
    """Return x 2**n in float64 for any integer n, given as a float64, rounded once where it is normal."""
    near = tl.where(n > 2000.0, 2000.0, tl.where(n < -2000.0, -2000.0, n)).to(tl.int64)
    half = near >> 1
    first = ((half + 1023) << 52).to(tl.float64, bitcast=True)
    second = ((near - half + 1023) << 52).to(tl.float64, bitcast=True)
    return (x * first) * second
