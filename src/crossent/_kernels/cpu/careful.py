"""The row of arrays.softmax_cross_entropy that the fast loops hand over: infinities, NaN, |x| beyond their range.

float64, one element at a time. x - m is exact where it matters: either both lie within a factor of two (Sterbenz), or
the difference is so large that its exponential is 0.
"""

from typing import Any

import numpy as np

from crossent._kernels.cpu._jit import inline
from crossent._kernels.cpu._llvm import fma, load, store
from crossent._kernels.cpu.exp import LN_2, exp_parts, exponent_of, mantissa_and_exponent, narrow, scaled
from crossent._kernels.cpu.log import log_positive
from crossent._kernels.cpu.odds import loss_of_odds, normalizer, odds_against, share_of_rest
from crossent._kernels.cpu.targets import two_sum

# e**d is 0 in float64 below -745.2
_VANISHED = -800.0
# Logits that exp_parts takes as they are, and a distance that leaves nothing beside the larger number.
_EXACT, _FAR = 1e11, 3e11


@inline
def survey(x: Any, base: Any, class_stride: Any, classes: Any, target: Any, tag: Any) -> Any:
    """Return (NaN seen, number of +inf, where the last one is, largest logit other than the target's)."""
    nan_seen, infinities, infinite_class, largest = False, 0, -1, -np.inf
    for c in range(classes):
        value = load(x, base + c * class_stride, tag, 0.0)
        nan_seen = nan_seen or value != value
        if value == np.inf:
            infinities += 1
            infinite_class = c
        if c != target and value > largest:
            largest = value
    return nan_seen, infinities, infinite_class, largest


@inline
def fill_row(out: Any, out_class_stride: Any, classes: Any, value: Any, out_tag: Any) -> Any:
    """Write one value to every entry of a gradient row."""
    for c in range(classes):
        store(out, c * out_class_stride, value, out_tag)


@inline
def careful_row(
    x: Any,
    base: Any,
    class_stride: Any,
    classes: Any,
    target: Any,
    scale: Any,
    out: Any,
    out_class_stride: Any,
    tag: Any,
    out_tag: Any,
) -> Any:
    """Return the loss in nats, and write scale * (softmax - onehot) unless `out` is 0."""
    nan_seen, infinities, infinite_class, largest = survey(x, base, class_stride, classes, target, tag)
    target_logit = load(x, base + target * class_stride, tag, 0.0)
    if nan_seen or infinities > 1 or (largest == -np.inf and target_logit == -np.inf):
        if out != 0:
            fill_row(out, out_class_stride, classes, np.nan, out_tag)
        return np.nan
    if infinities == 1 or largest == -np.inf:
        # all probability on one class: the infinite one, or the target where every other class is ruled out
        winner = infinite_class if infinities == 1 else target
        if out != 0:
            fill_row(out, out_class_stride, classes, 0.0, out_tag)
            if winner != target:
                store(out, winner * out_class_stride, narrow(scale, out_tag), out_tag)
                store(out, target * out_class_stride, narrow(-scale, out_tag), out_tag)
        return 0.0 if winner == target else np.inf

    # In the ordinary range nothing is subtracted, as rounding x - m would cost |x - m| ulp (see blocks.py).
    origin = largest if abs(largest) > _EXACT else 0.0
    top = largest - origin
    shifted, _ = exp_parts(top)
    reference = exponent_of(shifted)
    rest, error = 0.0, 0.0  # with the rounding errors: 1023 classes cost 29 ulp of the gradient without
    for c in range(classes):
        value = load(x, base + c * class_stride, tag, 0.0) - origin
        if c != target and value - top > _VANISHED:
            shifted, correction = exp_parts(value)
            rest, error = two_sum(rest, error, scaled(1.0 + correction, exponent_of(shifted) - reference))
    rest += error

    own = target_logit - origin
    if own - top < -_FAR:
        loss, share = log_positive(rest) + (reference * LN_2 - own), 1.0
        m, e = mantissa_and_exponent(scale / rest)
        e = reference - e
    else:
        # far ahead the rest has vanished, and any such distance says the same
        q, k, exponent, mantissa = odds_against(rest, reference, min(own, top + _FAR))
        loss, share = loss_of_odds(q, k), share_of_rest(q, k)
        m, e = normalizer(rest, reference, exponent, mantissa, scale)
    if out != 0:
        for c in range(classes):
            value = load(x, base + c * class_stride, tag, 0.0) - origin
            entry = 0.0
            if c == target:
                entry = 0.0 - scale * share
            elif value - top > 2.0 * _VANISHED:
                shifted, correction = exp_parts(value)
                entry = scaled(fma(m, correction, m), exponent_of(shifted) - e)  # one rounding less than m (1 + c)
            store(out, c * out_class_stride, narrow(entry, out_tag), out_tag)
    return loss
