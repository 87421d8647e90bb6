"""Rows kernel of arrays.softmax_cross_entropy for everything but plain class ids: soft and top-k targets, smoothing,
class masks. float64 throughout.

With a the likeliest class, Y the sum of the targets and rest the sum of e**x over j != a,

    loss = sum_j y_j (x_a - x_j) + Y log1p(rest / e_a)

has only terms >= 0: nothing cancels, however confident the row. The gradient p_j Y - y_j cancels where the prediction
is right; p is known to 2 ulp of float64 there, and a's entry is taken as (Y - y_a) - Y rest / (rest + e_a).

Traffic in bytes: rows * classes * (size + target size) read, and rows * classes * size written with a gradient.
"""

from typing import Any

import numpy as np

from crossent._kernels.cpu._jit import inline, kernel
from crossent._kernels.cpu._llvm import fma, load, load_integer, store
from crossent._kernels.cpu.blocks import SCRATCH_BYTES, rest_of_row
from crossent._kernels.cpu.careful import fill_row
from crossent._kernels.cpu.exp import narrow, scaled
from crossent._kernels.cpu.odds import loss_of_odds, normalizer, odds_against, share_of_rest
from crossent._kernels.cpu.row_gradient import gradient_of_row
from crossent._kernels.cpu.targets import fill_targets, is_allowed, two_sum

# Beyond it logits are taken relative to the largest, which is then exact where it matters (see careful.py).
_EXACT = 1e11


def scratch_bytes(classes: int) -> int:
    """Return what one thread needs: two blocks, a row of logits, a row of targets, all float64."""
    return SCRATCH_BYTES + (2 * classes + 16) * 8


@inline
def distances(x: Any, y: Any, classes: Any, pivot_logit: Any) -> Any:
    """Return the sum of y_j (x_a - x_j), each product and sum with its rounding error, and the sums of y."""
    total, error = 0.0, 0.0
    mass, mass_error, infinite = 0.0, 0.0, False
    for c in range(classes):
        y_c = load(y, c, 1.0, 1.0)
        if y_c != 0.0:
            distance = pivot_logit - load(x, c, 1.0, 1.0)
            product = y_c * distance
            if product < np.inf:
                total, error = two_sum(total, error + fma(y_c, distance, -product), product)
            else:
                infinite = True
            mass, mass_error = two_sum(mass, mass_error, y_c)
    return np.inf if infinite else total + error, mass + mass_error


@inline
def row_of_infinities(
    y: Any, classes: Any, winner: Any, scale: Any, out: Any, out_class_stride: Any, out_tag: Any
) -> Any:
    """Return the loss of a row whose probability is all on `winner`, and write its gradient."""
    loss, mass = 0.0, 0.0
    for c in range(classes):
        mass += load(y, c, 1.0, 1.0)
        if c != winner and load(y, c, 1.0, 1.0) > 0.0:
            loss = np.inf
    if out != 0:
        for c in range(classes):
            value = (mass if c == winner else 0.0) - load(y, c, 1.0, 1.0)
            store(out, c * out_class_stride, narrow(scale * value, out_tag), out_tag)
    return loss


@inline
def soft_row(
    x: Any,  # scratch (classes,) float64 logits, -inf where ruled out; overwritten
    y: Any,  # scratch (classes,) float64 effective targets
    classes: Any,
    scale: Any,
    out: Any,
    out_class_stride: Any,
    blocks: Any,
    out_tag: Any,
) -> Any:
    """Return the loss in nats, and write scale * (p sum(y) - y) unless `out` is 0."""
    pivot, pivot_logit = np.int64(0), -np.inf
    infinities, nan_seen = 0, False
    for c in range(classes):
        value = load(x, c, 1.0, 1.0)
        nan_seen = nan_seen or value != value or load(y, c, 1.0, 1.0) != load(y, c, 1.0, 1.0)
        infinities += value == np.inf
        if value > pivot_logit:
            pivot, pivot_logit = np.int64(c), value
    if nan_seen or infinities > 1 or pivot_logit == -np.inf:
        if out != 0:
            fill_row(out, out_class_stride, classes, np.nan, out_tag)
        return np.nan
    if infinities == 1:
        return row_of_infinities(y, classes, pivot, scale, out, out_class_stride, out_tag)
    if abs(pivot_logit) > _EXACT:
        for c in range(classes):
            store(x, c, load(x, c, 1.0, 1.0) - pivot_logit, 1.0)
        pivot_logit = 0.0
    distance, mass = distances(x, y, classes, pivot_logit)
    any_rest, rest, reference, _, _ = rest_of_row(
        x, np.int64(8), classes, pivot, np.int64(0), blocks, 1.0, 1.0, np.int8(0)
    )
    if not any_rest:
        rest, reference = 0.0, np.int64(0)
    q, k, exponent, mantissa = odds_against(rest, reference, pivot_logit)
    loss = distance + mass * loss_of_odds(q, k) if rest > 0.0 else distance
    if out != 0:
        share = share_of_rest(q, k) if rest > 0.0 else 0.0
        if rest == 0.0:
            reference = exponent
        m, e = normalizer(rest, reference, exponent, mantissa, 1.0)
        gradient_of_row(x, np.int64(8), classes, x, np.int64(8), m, e, False, blocks, 1.0, 1.0, 1.0)
        others, others_error = 0.0, 0.0
        for c in range(classes):
            if c != pivot:
                others, others_error = two_sum(others, others_error, load(y, c, 1.0, 1.0))
        for c in range(classes):
            value = fma(load(x, c, 1.0, 1.0), mass, -load(y, c, 1.0, 1.0))
            if c == pivot and share < 0.5:
                value = fma(-mass, share, others + others_error)
            elif c == pivot:  # then `others` is larger than what would be left of the difference
                value = fma(mass, 1.0 / (1.0 + scaled(q, k)), -load(y, c, 1.0, 1.0))
            store(out, c * out_class_stride, narrow(scale * value, out_tag), out_tag)
    return loss


@kernel
def rows(
    x: Any,  # address of the logits; class c of row r at (r // inner) * outer_stride + (r % inner) * inner_stride
    inner: Any,  # + c * class_stride
    outer_stride: Any,
    inner_stride: Any,
    class_stride: Any,
    classes: Any,
    counted: Any,  # (rows,) int64; -1 skips the row: loss 0, gradient 0; -2 leaves it as it is
    kind: Any,  # see targets.py, also for the next eight
    targets: Any,
    target_outer_stride: Any,
    target_inner_stride: Any,
    target_class_stride: Any,
    shares: Any,
    uniform: Any,
    mask: Any,
    mask_outer_stride: Any,
    mask_inner_stride: Any,
    mask_class_stride: Any,
    class_weights: Any,
    smoothing: Any,
    scales: Any,  # (rows,) float64, multiply the gradient alone; address 0 for ones
    scale: Any,  # multiplies every gradient
    unit: Any,  # one nat in the unit of the loss
    losses: Any,  # (rows,) in loss_tag
    gradient: Any,  # address, or 0 for none; strides as for x
    gradient_outer_stride: Any,
    gradient_inner_stride: Any,
    gradient_class_stride: Any,
    gradient_size: Any,  # bytes of one entry
    scratch: Any,  # scratch_bytes(classes), on a 64-byte boundary
    first: Any,
    last: Any,
    tag: Any,
    target_tag: Any,
    loss_tag: Any,
    out_tag: Any,
) -> Any:
    """Losses, and where asked for gradients, of rows first to last."""
    own_x = scratch + SCRATCH_BYTES
    own_y = own_x + 8 * classes
    for r in range(first, last):
        if load_integer(counted, r) < -1:
            continue
        outer, within = r // inner, r % inner
        place = outer * outer_stride + within * inner_stride
        mask_place = outer * mask_outer_stride + within * mask_inner_stride
        out = np.int64(0)
        if gradient != 0:
            out = gradient + (outer * gradient_outer_stride + within * gradient_inner_stride) * gradient_size
        if load_integer(counted, r) < 0:
            store(losses, r, 0.0, loss_tag)
            if out != 0:
                fill_row(out, gradient_class_stride, classes, 0.0, out_tag)
            continue
        for c in range(classes):
            value = load(x, place + c * class_stride, tag, 1.0)
            store(own_x, c, value if is_allowed(mask, mask_place, mask_class_stride, c) else -np.inf, 1.0)
        fill_targets(
            own_y,
            classes,
            kind,
            r,
            targets,
            outer * target_outer_stride + within * target_inner_stride,
            target_class_stride,
            shares,
            uniform,
            mask,
            mask_place,
            mask_class_stride,
            class_weights,
            smoothing,
            target_tag,
        )
        row_scale = scale * unit
        if scales != 0:
            row_scale *= load(scales, r, 1.0, 1.0)
        loss = soft_row(own_x, own_y, classes, row_scale, out, gradient_class_stride, scratch, out_tag)
        store(losses, r, loss * unit, loss_tag)
