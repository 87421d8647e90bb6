"""One row's odds against its target, and what follows from them: loss, gradient of the target, normalizer.

Used by every softmax kernel, so that the same row gives the same bits whichever loop summed it.
"""

from typing import Any

from crossent._kernels.cpu._jit import inline
from crossent._kernels.cpu.exp import LN_2, exp_parts, exponent_of, mantissa_and_exponent, scaled
from crossent._kernels.cpu.log import log1p_positive, log_positive

# exp_parts in float64 is accurate up to here, in logits
LARGEST_TARGET = 4e11


@inline
def odds_against(rest: Any, reference: Any, target_logit: Any) -> Any:
    """Return (q, k, n, 1 + c): rest / e_t = q * 2**k and e_t = 2**n (1 + c)."""
    shifted, correction = exp_parts(target_logit)
    exponent = exponent_of(shifted)
    return rest / (1.0 + correction), reference - exponent, exponent, 1.0 + correction


@inline
def loss_of_odds(q: Any, k: Any) -> Any:
    """log(1 + q 2**k), in nats."""
    if k > 900:
        return k * LN_2 + log_positive(q)
    return log1p_positive(scaled(q, k))


@inline
def share_of_rest(q: Any, k: Any) -> Any:
    """Return rest / (rest + e_t), to full relative accuracy at both ends."""
    odds = scaled(q, k)
    return odds / (1.0 + odds) if odds < 1.0 else 1.0 / (1.0 + 1.0 / odds)


@inline
def normalizer(rest: Any, reference: Any, exponent: Any, mantissa: Any, scale: Any) -> Any:
    """Return (m, e), m in [1/2, 1) or 0: scale / (rest 2**reference + mantissa 2**exponent) = m / 2**e."""
    if reference >= exponent:
        total, e = rest + scaled(mantissa, exponent - reference), reference
    else:
        total, e = mantissa + scaled(rest, reference - exponent), exponent
    m, shift = mantissa_and_exponent(scale / total)
    return m, e - shift
