"""Logarithms that keep the digits of a small argument. libdevice has log1p, the interpreter has not."""

import triton
import triton.language as tl


@triton.jit
def log1p(u):
    """Return log(1 + u) for a float64 u >= 0, below 2 ulp; inf gives inf, NaN gives NaN.

    With y = 1 + u rounded, log(y) / (y - 1) is a smooth function near 1, so the rounding of y does no harm: W. Kahan's trick
    (Higham, Accuracy and Stability of Numerical Algorithms, section 1.14.1).
    """
    y = 1.0 + u
    step = y - 1.0
    # far out the quotient is 1, and inf / inf would be NaN
    near = u < 1e15
    quotient = u / tl.where(near & (step != 0.0), step, 1.0)
    return tl.where(step == 0.0, u, tl.log(y) * tl.where(near | (u != u), quotient, 1.0))
