"""One row's odds against its target, and what follows from them: loss, normalizer, the factors of its gradient.

All in float64 with one number per row, so that the same row gives the same bits whichever kernel summed its rest.
"""

import triton
import triton.language as tl

from crossent._kernels.gpu.exp import LN_2, exp_parts, log1p, scaled


@triton.jit
def odds_of(rest, reference, exponent, own, certain):
    """Return (surprise, lse, share of the rest, share of the target, share of the rest / rest) for the target's logit `own`.

    `certain` says where the rest's largest logit is +inf; `rest` is then how often.
    """
    wrong = (own != own) | (certain & ((rest > 1.0) | (own == float("inf")))) | ((rest == 0.0) & (own == float("-inf")))
    rest = tl.where(wrong, float("nan"), rest)
    own = tl.where(certain, float("-inf"), own)
    apart = own - reference
    near = tl.where(apart > 1e9, 1e9, tl.where(apart < -1e9, -1e9, apart))
    n, _, c = exp_parts(near)
    k = exponent - n
    odds = scaled(rest / (1.0 + c), k)  # e**own = 2**n (1 + c) e**reference
    some = rest > 0.0
    log_rest = exponent * LN_2 + tl.log(tl.where(some, rest, 1.0))
    surprise = tl.where(some & (k > 900.0), log_rest - apart, log1p(odds))
    lse = tl.where(some & (k > 60.0), reference + log_rest, own + surprise)
    lse = tl.where(certain & some, float("inf"), lse)
    small = odds < 1.0
    share = tl.where(small, odds / (1.0 + odds), 1.0 / (1.0 + 1.0 / tl.where(small, 1.0, odds)))
    return surprise, lse, share, 1.0 / (1.0 + odds), tl.where(rest == 0.0, 0.0, share / rest)


@triton.jit
def gradient_factors(
    upstream, upstream_lse, upstream_own, mass, surprise, lse, share, own_share, share_of_one, Z_LOSS: tl.constexpr
):
    """Return (what powers relative to the rest are multiplied by, the target's gradient, where all upstreams are 0).

    With u the upstream of m L + z_loss m lse**2, v of lse and s of the target's logit, the gradient is k (p - onehot_t) and
    k = u m (1 + 2 z_loss lse) + v, but at t it is k (p_t - 1) + (k - u m) + s.
    """
    weighed = upstream * mass
    beside = upstream_lse
    if Z_LOSS != 0.0:
        beside += tl.where(weighed == 0.0, 0.0, (2.0 * Z_LOSS) * weighed * lse)
    factor = weighed + beside
    # p_t - 1 where p_t is the larger part, else p_t: a penalty may outweigh u m by more than float64 holds
    at_target = tl.where(surprise > LN_2, factor * own_share - weighed, beside - factor * share)
    at_target = tl.where(beside == 0.0, 0.0 - weighed * share, at_target) + upstream_own
    silent = (weighed == 0.0) & (upstream_lse == 0.0) & (upstream_own == 0.0)
    return factor * share_of_one, at_target, silent
