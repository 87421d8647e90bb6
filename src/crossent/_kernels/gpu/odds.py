"""One row's odds against its target, and what follows from them: loss, normalizer, the factors of its gradient.

All in float64 with one number per row, so that the same row gives the same bits whichever kernel summed its rest. What a
gradient needs is apart from what needs logarithms: the threads that share a row would all compute them.
"""

import triton
import triton.language as tl

from crossent._kernels.gpu.exp import LN_2, exp_parts, scaled
from crossent._kernels.gpu.log import log1p


@triton.jit
def settled(rest, own, known, certain):
    """Return (rest, own), rest NaN where the row has no answer, own -inf where another class is certain.

    `certain` says where the rest's largest logit is +inf; `rest` is then how often.
    """
    wrong = (own != own) | (certain & ((rest > 1.0) | (own == float("inf")))) | ((rest == 0.0) & (own == float("-inf")))
    return tl.where(known & (wrong == 0), rest, float("nan")), tl.where(certain, float("-inf"), own)


@triton.jit
def target_parts(reference, exponent, own):
    """Return (k, c, own - reference): e**own = 2**(k + exponent) (1 + c) e**reference."""
    apart = own - reference
    near = tl.where(apart > 1e9, 1e9, tl.where(apart < -1e9, -1e9, apart))
    n, _, c = exp_parts(near)
    return n - exponent, c, apart


@triton.jit
def surprise_of(rest, reference, exponent, own, certain):
    """Return (surprise, lse) of settled rows: log(1 + rest / e**own), and own more than that, without cancellation."""
    k, c, apart = target_parts(reference, exponent, own)
    some = rest > 0.0
    log_rest = exponent * LN_2 + tl.log(tl.where(some, rest, 1.0))
    surprise = tl.where(some & (k < -900.0), log_rest - apart, log1p(scaled(rest / (1.0 + c), -k)))
    lse = tl.where(some & (k < -60.0), reference + log_rest, own + surprise)
    return surprise, tl.where(certain & some, float("inf"), lse)


@triton.jit
def shares_of(rest, reference, exponent, own):
    """Return the shares of the rest and of the target in their sum, and that of 2**exponent e**reference."""
    k, c, _ = target_parts(reference, exponent, own)
    k = tl.where(rest == 0.0, 0.0, k)  # alone, the target is all there is
    above = tl.where(k > 0.0, -k, 0.0)
    others = scaled(rest, above)
    target = scaled(1.0 + c, k + above)
    whole = 1.0 / (others + target)
    return others * whole, target * whole, scaled(whole, above)


@triton.jit
def gradient_factors(
    upstream, upstream_lse, upstream_own, mass, lse, share, own_share, share_of_one, z_loss, PENALIZED: tl.constexpr
):
    """Return (what powers relative to the rest are multiplied by, the target's gradient, where all upstreams are 0).

    With u the upstream of m L + z_loss m lse**2, v of lse and s of the target's logit, the gradient is k (p - onehot_t) and
    k = u m (1 + 2 z_loss lse) + v, but at t it is k (p_t - 1) + (k - u m) + s.
    """
    weighed = upstream * mass
    beside = upstream_lse
    if PENALIZED:
        beside += tl.where(weighed == 0.0, 0.0, (2.0 * z_loss) * weighed * lse)
    factor = weighed + beside
    # p_t - 1 where p_t is the larger part, else p_t: a penalty may outweigh u m by more than float64 holds
    at_target = tl.where(share > own_share, factor * own_share - weighed, beside - factor * share)
    at_target = tl.where(beside == 0.0, 0.0 - weighed * share, at_target) + upstream_own
    silent = (weighed == 0.0) & (upstream_lse == 0.0) & (upstream_own == 0.0)
    return factor * share_of_one, at_target, silent
