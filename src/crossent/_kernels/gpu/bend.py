"""z = softcap tanh(x / softcap) / temperature of float64 logits, and its slope, both to a few units in the last place."""

import triton
import triton.language as tl


@triton.jit
def bent(x, softcap, temperature, CAPPED: tl.constexpr, HEATED: tl.constexpr):
    """Return z."""
    z = x
    if CAPPED:
        z = _tanh(x / softcap) * softcap
    if HEATED:
        z = z / temperature
    return z


@triton.jit
def slope_of_bent(x, softcap, temperature, CAPPED: tl.constexpr, HEATED: tl.constexpr):
    """Return dz/dx: with t = e**(-2 |x / softcap|), 4 t / (1 + t)**2 has nothing that cancels, as 1 - tanh**2 has."""
    slope = tl.full(x.shape, 1.0, tl.float64)
    if CAPPED:
        t = tl.exp(-2.0 * tl.abs(x / softcap))
        inverse = 1.0 / (1.0 + t)
        slope = 4.0 * t * inverse * inverse
    if HEATED:
        slope = slope / temperature
    return slope


@triton.jit
def _tanh(u):
    """Return tanh(u): near 0 u + u**3 P(u**2) / Q(u**2), whose coefficients are those of S. L. Moshier's Cephes."""
    square = u * u
    above = (-9.64399179425052238628e-1 * square - 9.92877231001918586564e1) * square - 1.61468768441708447952e3
    below = (square + 1.12811678491632931402e2) * square + 2.23548839060100448583e3
    below = below * square + 4.84406305325125486048e3
    size = tl.abs(u)
    near = size < 0.625
    # far out inf / inf would be NaN; NaN must stay
    small = u + u * tl.where(near, square * (above / below), 0.0)
    t = tl.exp(-2.0 * size)
    large = (1.0 - t) / (1.0 + t)
    return tl.where(near, small, tl.where(u < 0.0, -large, large))
