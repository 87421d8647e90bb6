"""Rows kernel of arrays.cross_entropy: the loss of probabilities, or of their logarithms. float64 throughout.

    loss = sum_j y_j L_j,   L_j = -log q_j,   -log max(q_j, eps),   log(sum(q) / q_j)   or   -(log q_j as given)

Every term is >= 0, so nothing cancels; products and sums carry their rounding errors. log(sum / q_j) is log1p of
(sum - q_j) / q_j with the sum kept in two parts, for a prediction near 1 costs near 0.

Traffic in bytes: rows * classes * (size + target size) read, and rows * classes * size written with a gradient.
"""

from typing import Any

import numpy as np

from crossent._kernels.cpu._jit import inline, kernel
from crossent._kernels.cpu._llvm import choose, fma, larger, load, load_integer, smaller, store, wide_vectors
from crossent._kernels.cpu._vectors import sum_apart
from crossent._kernels.cpu.careful import fill_row
from crossent._kernels.cpu.exp import narrow
from crossent._kernels.cpu.log import log1p_positive, log_positive
from crossent._kernels.cpu.targets import CLASS_IDS, fill_targets, is_allowed, two_sum

# What stands in for a row's sum where an entry is no probability: the door then looks for the entry.
INVALID = -1.0
# Rows of a tile of plain_rows, and the numbers that it holds: 32 KB stay in the first-level cache.
_MOST_ROWS, _TILE_NUMBERS = 128, 4096


def scratch_bytes(classes: int) -> int:
    """Return what one thread needs: a row of predictions and a row of targets, float64."""
    return (2 * classes + 16) * 8


@inline
def surprisal(q: Any, total: Any, total_error: Any, logarithms: Any, rescale: Any, floor: Any) -> Any:
    """Return L_j of one class, in nats; never -0.0."""
    if logarithms:
        return 0.0 - q
    if rescale:
        return log1p_positive(((total - q) + total_error) / q) if q > 0.0 else np.inf
    return 0.0 - log_positive(max(q, floor))


@inline
def slope(q: Any, y: Any, mass: Any, total: Any, logarithms: Any, rescale: Any, floor: Any) -> Any:
    """Return the derivative of the row's loss with respect to one entry as given."""
    share = 0.0
    if rescale and total == 0.0:  # nothing to divide by: impossible where the truth is, 0 elsewhere, never inf - inf
        return -np.inf if y > 0.0 else 0.0
    if y != 0.0:
        share = -y if logarithms else -y / q
        if not logarithms and q < floor:
            share = 0.0  # the clipped loss does not move
    return share + mass / total if rescale else share


def plain_scratch_bytes(classes: int) -> int:
    """Return what one thread needs for plain_rows: a line of predictions of the targets, and the tile."""
    return (_MOST_ROWS + max(_TILE_NUMBERS, classes) + 8) * 8


@kernel
def plain_rows(
    x: Any,  # address of the probabilities; class c of row r at (r // inner) * outer_stride + (r % inner) * inner_stride
    inner: Any,  # + c * class_stride
    outer_stride: Any,
    inner_stride: Any,
    class_stride: Any,
    classes: Any,
    targets: Any,  # (rows,) int64; -1 skips the row: loss 0
    floor: Any,  # eps to clip at, or 0
    unit: Any,  # one nat in the unit of the loss
    losses: Any,  # (rows,) in loss_tag
    sums: Any,  # (rows,) float64: the sum of a row's probabilities, or INVALID
    tolerance: Any,  # how far a sum may be from 1
    scratch: Any,  # plain_scratch_bytes(classes), on a 64-byte boundary
    first: Any,
    last: Any,
    tag: Any,
    loss_tag: Any,
) -> Any:
    """Losses of class ids without a gradient, by tiles of rows, and sums; return how many of these are in doubt.

    The loss has the bits of `rows`. The sum is a plain one: it is only compared with 1.
    """
    wide_vectors()
    most = smaller(larger(_TILE_NUMBERS // classes, np.int64(1)), np.int64(_MOST_ROWS))
    outer, within = first // inner, first % inner
    doubtful = np.int64(0)
    start = first
    while start < last:
        count = smaller(most, last - start)
        count = smaller(count, inner - within)
        place = outer * outer_stride + within * inner_stride
        outside = False
        if class_stride == 1 and inner_stride == classes:
            for j in range(count * classes):
                q = load(x, place + j, tag, 1.0)
                store(scratch, _MOST_ROWS + j, q, 1.0)
                outside |= (q < 0.0) | (q > 1.0)
        else:
            for r in range(count):
                for c in range(classes):
                    q = load(x, place + r * inner_stride + c * class_stride, tag, 1.0)
                    store(scratch, _MOST_ROWS + r * classes + c, q, 1.0)
                    outside |= (q < 0.0) | (q > 1.0)
        for r in range(count):
            line = _MOST_ROWS + r * classes
            target = load_integer(targets, start + r)
            total = sum_apart(scratch, line, classes, np.int64(-1))
            q = load(scratch, line + larger(target, np.int64(0)), 1.0, 1.0)
            q = choose(total == total, q, np.nan)
            if outside:
                for c in range(classes):
                    entry = load(scratch, line + c, 1.0, 1.0)
                    total = INVALID if entry < 0.0 or entry > 1.0 else total
            total = choose(target < 0, 1.0, total)
            store(sums, start + r, total, 1.0)
            doubtful += abs(total - 1.0) > tolerance
            store(scratch, r, choose(target < 0, 1.0, q), 1.0)
        for r in range(count):
            q = load(scratch, r, 1.0, 1.0)
            loss = 0.0 - log_positive(choose(q < floor, floor, q))
            store(losses, start + r, loss * unit, loss_tag)
        start += count
        within += count
        if within == inner:
            outer, within = outer + 1, np.int64(0)
    return doubtful


@kernel
def rows(
    x: Any,  # address of the predictions; class c of row r at (r // inner) * outer_stride + (r % inner) * inner_stride
    inner: Any,  # + c * class_stride
    outer_stride: Any,
    inner_stride: Any,
    class_stride: Any,
    classes: Any,
    counted: Any,  # (rows,) int64; -1 skips the row: loss 0, gradient 0
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
    logarithms: Any,
    rescale: Any,
    floor: Any,  # eps to clip at, or 0
    scales: Any,  # (rows,) float64, multiply the gradient alone; address 0 for ones
    scale: Any,  # multiplies every gradient
    unit: Any,  # one nat in the unit of the loss
    losses: Any,  # (rows,) in loss_tag
    sums: Any,  # (rows,) float64: the sum of a row's probabilities, or INVALID
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
    """Losses, sums, and where asked for gradients, of rows first to last."""
    own_y = scratch + 8 * classes
    one_hot = kind == CLASS_IDS and smoothing == 0.0 and class_weights == 0
    # carried along: two divisions a row took as long as ten classes
    next_outer, next_within = first // inner, first % inner
    for r in range(first, last):
        outer, within = next_outer, next_within
        next_within += 1
        if next_within == inner:
            next_outer, next_within = next_outer + 1, np.int64(0)
        place = outer * outer_stride + within * inner_stride
        mask_place = outer * mask_outer_stride + within * mask_inner_stride
        out = np.int64(0)
        if gradient != 0:
            out = gradient + (outer * gradient_outer_stride + within * gradient_inner_stride) * gradient_size
        if load_integer(counted, r) < 0:
            store(losses, r, 0.0, loss_tag)
            store(sums, r, 1.0, 1.0)
            if out != 0:
                fill_row(out, gradient_class_stride, classes, 0.0, out_tag)
            continue
        total, total_error, nan_seen, valid = 0.0, 0.0, False, True
        for c in range(classes):
            q = load(x, place + c * class_stride, tag, 1.0)
            valid = valid and not (q > 0.0 if logarithms else (q < 0.0 or q > 1.0))
            if not is_allowed(mask, mask_place, mask_class_stride, c):
                q = -np.inf if logarithms else 0.0
            nan_seen = nan_seen or q != q
            store(scratch, c, q, 1.0)
            if not logarithms:
                total, total_error = two_sum(total, total_error, q)
        store(sums, r, (1.0 if logarithms else total + total_error) if valid else INVALID, 1.0)

        first_class, last_class = np.int64(0), classes
        if one_hot:
            first_class = load_integer(targets, r)
            last_class = first_class + 1
        else:
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
        loss, error, mass, infinite = 0.0, 0.0, 0.0, False
        for c in range(first_class, last_class):
            y_c = 1.0 if one_hot else load(own_y, c, 1.0, 1.0)
            if y_c != 0.0:
                mass += y_c
                term = surprisal(load(scratch, c, 1.0, 1.0), total, total_error, logarithms, rescale, floor)
                product = y_c * term
                if product < np.inf:
                    loss, error = two_sum(loss, error + fma(y_c, term, -product), product)
                else:  # or NaN, from NaN targets
                    infinite = infinite or product == np.inf
                    nan_seen = nan_seen or product != product
        loss = np.nan if nan_seen else np.inf if infinite else loss + error
        store(losses, r, loss * unit, loss_tag)
        if out != 0:
            row_scale = scale * unit
            if scales != 0:
                row_scale *= load(scales, r, 1.0, 1.0)
            for c in range(classes):
                q = load(scratch, c, 1.0, 1.0)
                y_c = np.float64(c == first_class) if one_hot else load(own_y, c, 1.0, 1.0)
                value = np.nan
                if not nan_seen:
                    value = slope(q, y_c, mass, total, logarithms, rescale, floor)
                    value = value * row_scale if row_scale != 0.0 else 0.0
                store(out, c * gradient_class_stride, narrow(value, out_tag), out_tag)
