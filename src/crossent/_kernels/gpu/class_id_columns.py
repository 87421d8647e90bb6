"""Softmax cross-entropy of class ids, a thread to a row: few classes, or rows side by side in memory, as images have them.

Traffic in bytes: the logits once, and their gradient once. Each pass over the classes reads the logits again, from the first
or second cache, where the few rows of a program are.
"""

import triton
import triton.language as tl

from crossent._kernels.gpu.class_id_numbers import assert_known, factors_of_rows, store_numbers, targets_of
from crossent._kernels.gpu.rest import added, block_sum, certain_only, gradient_tile, reference_of
from crossent._kernels.gpu.rounding import rounded


@triton.jit
def class_id_columns(
    logits,  # rows of classes, where the layout says
    ids,  # (rows,) int64
    class_weight,  # (classes,) or None
    loss,  # (rows,) float64 or None, as the three below
    lse,
    accuracy,
    target_logit,
    upstream_loss,  # (rows,) float64 or None
    upstream_factor,  # () float64 or None
    upstream_lse,  # (rows,) float64 or None
    upstream_target_logit,  # (rows,) float64 or None
    gradient,  # rows of classes, where its own layout says, or None; may be the logits
    rows,
    classes,
    ignore_index,
    inner,
    outer_stride,
    inner_stride,
    class_stride,
    gradient_inner,
    gradient_outer_stride,
    gradient_inner_stride,
    gradient_class_stride,
    z_loss: tl.float64,
    PENALIZED: tl.constexpr,  # there is a z_loss
    ROWS: tl.constexpr,
    HALF: tl.constexpr,
    WIDE: tl.constexpr,  # the logits are float64
):
    """Solve ROWS rows. Reads and writes: see the head of this file."""
    real: tl.constexpr = tl.float64 if WIDE else tl.float32
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    targets = targets_of(ids, row, rows, classes, ignore_index)
    inside, counted, known, target = targets
    assert_known(counted, known)
    start = logits + (row // inner) * outer_stride + (row % inner) * inner_stride
    own = tl.load(start + target * class_stride, mask=known, other=0.0).to(tl.float64)
    place = target.to(tl.int32)
    top = tl.full((ROWS,), float("-inf"), real)
    before = top
    at = start
    for column in tl.range(0, classes, loop_unroll_factor=8):
        x = tl.load(at, mask=known & (column != place), other=float("-inf")).to(real)
        top = tl.maximum(top, x)
        if accuracy is not None:
            before = tl.where(column < place, tl.maximum(before, x), before)
        at += class_stride
    certain = top == float("inf")
    some_certain = tl.max(certain.to(tl.int32), axis=0) > 0
    reference, exponent = reference_of(top, HALF)
    rest = tl.full((ROWS,), 0.0, tl.float64)
    lost = rest
    at = start
    for column in tl.range(0, classes, loop_unroll_factor=8):
        x = tl.load(at, mask=known & (column != place), other=float("-inf")).to(real)[:, None]
        if some_certain:
            x = certain_only(x, certain)
        rest, lost = added(rest, lost, block_sum(x, reference, exponent, HALF), WIDE)
        at += class_stride
    rest += lost
    state = rest, top, before, own
    store_numbers(state, targets, row, class_weight, loss, lse, accuracy, target_logit, z_loss, PENALIZED, HALF)
    if gradient is not None:
        factor, at_target, still = factors_of_rows(
            (rest, top, own),
            targets,
            row,
            class_weight,
            upstream_loss,
            upstream_factor,
            upstream_lse,
            upstream_target_logit,
            z_loss,
            PENALIZED,
            HALF,
        )
        to = gradient + (row // gradient_inner) * gradient_outer_stride + (row % gradient_inner) * gradient_inner_stride
        at = start
        for column in tl.range(0, classes, loop_unroll_factor=8):
            x = tl.load(at, mask=known & (column != place), other=float("-inf")).to(real)[:, None]
            if some_certain:
                x = certain_only(x, certain)
            here = column + tl.arange(0, 1)
            value = gradient_tile(x, reference, exponent, factor, at_target, still, here, place, HALF)
            tl.store(to[:, None], rounded(value, gradient.dtype.element_ty), mask=inside[:, None])
            at += class_stride
            to += gradient_class_stride
