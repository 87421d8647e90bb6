"""Elementwise kernel of arrays.sigmoid_cross_entropy: binary targets, from logits or probabilities. float64 throughout.

    loss = w1 y softplus(-x) + w0 (1 - y) softplus(x),   softplus(x) = max(x, 0) + log1p(e**-|x|)

Both terms are >= 0. Each slope is sigmoid(x) or its complement, z / (1 + z) or 1 / (1 + z) with z = e**-|x|: never
1 - sigmoid(x), which cancels.

Traffic in bytes: count * (size + target size) read, and count * size written for the loss and for a gradient.
"""

from typing import Any

import numpy as np

from crossent._kernels.cpu._jit import inline, kernel
from crossent._kernels.cpu._llvm import at_least, choose, load, store, wide_vectors
from crossent._kernels.cpu.exp import exp_parts, exponent_of, narrow, scaled
from crossent._kernels.cpu.log import log1p_positive, log_positive


@inline
def sides_of_logit(x: Any) -> Any:
    """Return (softplus(-x), softplus(x), sigmoid(-x), sigmoid(x)): the losses and slopes of targets 1 and 0."""
    away = abs(x)
    # e**-800 is 0; the clamp keeps the exponent in range and lets NaN pass
    shifted, correction = exp_parts(at_least(-away, -800.0))
    z = scaled(1.0 + correction, exponent_of(shifted))
    tail = log1p_positive(z)
    near, far = 1.0 / (1.0 + z), z / (1.0 + z)
    positive = x > 0.0
    linear_up, linear_down = choose(positive, x, 0.0), choose(positive, 0.0, -x)
    return linear_down + tail, linear_up + tail, choose(positive, far, near), choose(positive, near, far)


@inline
def sides_of_probability(q: Any, floor: Any) -> Any:
    """Return (-log q, -log(1 - q), and minus their derivatives' sizes); 1 - q is exact or rounds far below 1 ulp."""
    up, down = max(q, floor), max(1.0 - q, floor)
    near_one = q > 0.5
    loss_up = 0.0 - log_positive(up)
    # log1p of odds keeps -log(1 - q) accurate for a small q, where 1 - q drops its digits
    loss_down = 0.0 - log_positive(down) if near_one else log1p_positive(q / (1.0 - q))
    slope_up = 0.0 if q < floor else 1.0 / q
    slope_down = 0.0 if 1.0 - q < floor else 1.0 / (1.0 - q)
    return loss_up, loss_down, slope_up, slope_down


@kernel
def elements(
    x: Any,  # (count,) logits or probabilities, contiguous
    targets: Any,  # (count,) stored as target_tag, contiguous
    counted: Any,  # (count,) booleans, or address 0 for all
    probabilities: Any,
    floor: Any,  # eps to clip at, or 0
    weight_of_zero: Any,
    weight_of_one: Any,
    smoothing: Any,
    scales: Any,  # (count,) float64, multiply the gradient alone; address 0 for ones
    scale: Any,  # multiplies every gradient
    unit: Any,  # one nat in the unit of the loss
    losses: Any,  # (count,) in loss_tag
    gradient: Any,  # (count,) in out_tag, or address 0
    first: Any,
    last: Any,
    tag: Any,
    target_tag: Any,
    loss_tag: Any,
    out_tag: Any,
    byte_tag: Any,
) -> Any:
    """Losses, and where asked for gradients, of elements first to last."""
    wide_vectors()
    for i in range(first, last):
        value = load(x, i, tag, 1.0)
        y = load(targets, i, target_tag, 1.0)
        if counted != 0 and load(counted, i, byte_tag, 1.0) == 0.0:
            store(losses, i, 0.0, loss_tag)
            if gradient != 0:
                store(gradient, i, 0.0, out_tag)
            continue
        one = weight_of_one * ((1.0 - smoothing) * y + 0.5 * smoothing)
        zero = weight_of_zero * ((1.0 - smoothing) * (1.0 - y) + 0.5 * smoothing)
        if probabilities:
            loss_up, loss_down, slope_up, slope_down = sides_of_probability(value, floor)
        else:
            loss_up, loss_down, slope_up, slope_down = sides_of_logit(value)
        up = one * loss_up if one != 0.0 else 0.0
        down = zero * loss_down if zero != 0.0 else 0.0
        bad = value != value or y != y
        store(losses, i, np.nan if bad else (up + down) * unit, loss_tag)
        if gradient != 0:
            row_scale = scale * unit
            if scales != 0:
                row_scale *= load(scales, i, 1.0, 1.0)
            rise = zero * slope_down if zero != 0.0 else 0.0
            fall = one * slope_up if one != 0.0 else 0.0
            entry = (rise - fall) * row_scale if row_scale != 0.0 else 0.0
            store(gradient, i, narrow(np.nan if bad else entry, out_tag), out_tag)
