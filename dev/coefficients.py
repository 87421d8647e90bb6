"""Print the polynomial coefficients of `_kernels`: exp.py and log.py of cpu, exp.py of gpu (needs mpmath).

Chebyshev interpolation in 60 digits is within a few percent of the minimax error at these degrees; the errors printed
are relative to the function that the kernels return, in units of 2**-24 (float32) and 2**-53 (float64).
"""

import struct
import sys

import mpmath

mpmath.mp.dps = 60
LN_2 = mpmath.log(2)


def single(value: mpmath.mpf) -> float:
    """Round to float32, through a double: double rounding is harmless for a coefficient."""
    return struct.unpack("f", struct.pack("f", float(value)))[0]


def exp2_minus_one_over_r(r: mpmath.mpf) -> mpmath.mpf:
    """(2**r - 1) / r."""
    return mpmath.expm1(r * LN_2) / r if r else LN_2


def exp_rest_over_r2(r: mpmath.mpf) -> mpmath.mpf:
    """(e**r - 1 - r) / r**2."""
    return (mpmath.expm1(r) - r) / r**2 if abs(r) > mpmath.mpf(10) ** -15 else mpmath.mpf(1) / 2 + r / 6


def atanh_series_rest(z: mpmath.mpf) -> mpmath.mpf:
    """(log((1 + s) / (1 - s)) - 2 s) / s**3 with z = s**2: even in s, 2/3 at 0."""
    s = mpmath.sqrt(z)
    return (
        (mpmath.log((1 + s) / (1 - s)) - 2 * s) / s**3 if s > mpmath.mpf(10) ** -15 else mpmath.mpf(2) / 3 + 2 * z / 5
    )


def fit(function: object, low: mpmath.mpf, high: mpmath.mpf, degree: int) -> list[mpmath.mpf]:
    """Coefficients from the constant term up."""
    return list(reversed(mpmath.chebyfit(function, [low, high], degree + 1)))


def main() -> None:
    """Print every table that the kernels carry."""
    show = sys.stdout.write
    # |r| <= 0.5, and a little more because x*log2(e) is itself rounded before rint: 2**-8 at |x| = 2**16
    half = mpmath.mpf("0.505")
    show("exp, float32: " + repr([single(c) for c in fit(exp2_minus_one_over_r, -half, half, 5)]) + "\n")
    show("exp, float64: " + repr([float(c) for c in fit(exp2_minus_one_over_r, -half, half, 10)]) + "\n")
    # on the GPU: |r| <= log(2) / 2, and a little more for the same reason; log(2) in two parts, the first of 13 or 40 bits
    half = LN_2 / 2 * mpmath.mpf("1.002")
    for name, rounded, degree, bits in (("float32", single, 4, 13), ("float64", float, 9, 40)):
        show(f"gpu exp, {name}: " + repr([rounded(c) for c in fit(exp_rest_over_r2, -half, half, degree)]) + "\n")
        high = mpmath.floor(LN_2 * 2**bits) / 2**bits
        show(f"gpu log(2), {name}: {float(high)!r} + {rounded(LN_2 - high)!r}\n")
    # few_classes: |x| <= 700 in one product, rounded by 2**-43; 2**-33 is enough for float32
    show(
        "exp whole, for float32: "
        + repr([float(c) for c in fit(exp2_minus_one_over_r, -mpmath.mpf("0.501"), mpmath.mpf("0.501"), 6)])
        + "\n"
    )
    # m in [sqrt(1/2), sqrt(2)): s = (m - 1) / (m + 1), |s| <= 3 - 2 sqrt(2)
    largest = (3 - 2 * mpmath.sqrt(2)) ** 2 * mpmath.mpf("1.001")
    show("log, float64: " + repr([float(c) for c in fit(atanh_series_rest, mpmath.mpf(0), largest, 6)]) + "\n")
    show("log, for float32: " + repr([float(c) for c in fit(atanh_series_rest, mpmath.mpf(0), largest, 3)]) + "\n")
    log2_e = 1 / LN_2
    for name, rounded in (("float32", single), ("float64", float)):
        high = rounded(log2_e)
        show(f"log2(e), {name}: {high!r} + {rounded(log2_e - high)!r}\n")
    # 32 bits, so that an exponent of up to 21 bits times it is exact
    ln_2_high = float(mpmath.floor(LN_2 * 2**32)) / 2**32
    show(f"ln 2: {ln_2_high!r} + {float(LN_2 - ln_2_high)!r}\n")


if __name__ == "__main__":
    main()
