"""log(x) and log1p(x) in float64, below 1 ulp, as straight code that vectorizes; libm's would not, and differs by host.

    x = 2**k m,  sqrt(1/2) <= m < sqrt(2),  s = (m - 1) / (m + 1),  log m = 2 s + s**3 R(s**2)
    log(1 + x) = log(u) + c / u  with u = 1 + x rounded and c its rounding error

with f = m - 1 and h = f**2 / 2, 2 s + s**3 R = f - (h - s (h + s**2 R)), whose first term is exact.
Reference: P. T. P. Tang, "Table-driven implementation of the logarithm function", ACM TOMS 16(4), 1990, section 3.
Coefficients: dev/coefficients.py.
"""

from typing import Any

import numpy as np

from crossent._kernels.cpu._jit import inline
from crossent._kernels.cpu._llvm import bits_of, choose, float_of_bits, fma

# 32 bits, so that k * LN_2_HIGH is exact for every exponent k
_LN_2_HIGH, _LN_2_LOW = 0.6931471803691238, 1.9082149292705877e-10
_C0, _C1, _C2, _C3, _C4, _C5, _C6 = (
    0.666666666666667,
    0.3999999999989889,
    0.28571428626253836,
    0.22222211089379496,
    0.1818289243253687,
    0.15331611722055008,
    0.14617807153417325,
)
# the same for an error of 2**-36
_S0, _S1, _S2, _S3 = 0.6666666655404201, 0.4000012221181065, 0.28550778633191964, 0.23331614471843498
_LN_2 = 0.6931471805599453
_SQRT_HALF_BITS = np.int64(0x3FE6A09E667F3BCD)
_ONE_BITS = np.int64(0x3FF0000000000000)
_FRACTION = np.int64(0x000FFFFFFFFFFFFF)


@inline
def _log_with_correction(u: Any, correction: Any) -> Any:
    """log(u) + correction for a normal u > 0."""
    raised = bits_of(u) + (_ONE_BITS - _SQRT_HALF_BITS)
    k = np.float64((raised >> np.int64(52)) - np.int64(1023))
    f = float_of_bits((raised & _FRACTION) + _SQRT_HALF_BITS) - 1.0
    s = f / (2.0 + f)
    z = s * s
    half_square = 0.5 * f * f
    rest = fma(z, fma(z, fma(z, fma(z, fma(z, fma(z, _C6, _C5), _C4), _C3), _C2), _C1), _C0)
    tail = s * fma(z, rest, half_square) + fma(k, _LN_2_LOW, correction)
    return k * _LN_2_HIGH - ((half_square - tail) - f)


@inline
def log1p_positive(x: Any) -> Any:
    """log(1 + x) for x >= 0; inf gives inf, NaN gives NaN."""
    u = 1.0 + x
    # the larger operand first: the rounding error of the sum is then exact
    error = choose(x > 1.0, 1.0 - (u - x), x - (u - 1.0))
    value = _log_with_correction(u, error / u)
    return choose(x < np.inf, value, x)


@inline
def log1p_single(x: Any) -> Any:
    """log(1 + x) for 0 <= x < 1e300, within 2**-33: enough for a result that is rounded to float32."""
    u = 1.0 + x
    raised = bits_of(u) + (_ONE_BITS - _SQRT_HALF_BITS)
    k = np.float64((raised >> np.int64(52)) - np.int64(1023))
    f = float_of_bits((raised & _FRACTION) + _SQRT_HALF_BITS) - 1.0
    f = choose(x < 0.4, x, f)  # k is 0 there, and u has lost digits of x
    s = f / (2.0 + f)
    z = s * s
    rest = fma(z, fma(z, fma(z, _S3, _S2), _S1), _S0)
    return fma(k, _LN_2, s * fma(z, rest, 2.0))


@inline
def log_positive(x: Any) -> Any:
    """log(x) for x >= 0; 0 gives -inf, inf gives inf, NaN gives NaN."""
    subnormal = x < 2.2250738585072014e-308
    normal = choose(subnormal, x * 18014398509481984.0, x)  # 2**54
    value = _log_with_correction(normal, 0.0) - choose(subnormal, 54.0 * 0.6931471805599453, 0.0)
    value = choose(x < np.inf, value, x)
    return choose(x == 0.0, -np.inf, value)
