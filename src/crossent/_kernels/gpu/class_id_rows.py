"""Softmax cross-entropy of class ids, whole rows to a program: few classes, a row in registers, or blocks of a row.

Traffic in bytes: the logits once, and their gradient once. In blocks the gradient's pass reads the logits a second time, from
the L2 cache as far as the rows in flight fit there: backwards, so that rows too long for it still find their last blocks.
"""

import triton
import triton.language as tl

from crossent._kernels.gpu.class_id_numbers import assert_known, factors_of_rows, store_states, targets_of
from crossent._kernels.gpu.rest import block_sum, certain_only, gradient_tile, largest_before, reference_of, with_block
from crossent._kernels.gpu.rounding import rounded


@triton.jit
def class_id_rows(
    logits,  # rows of classes, where the layout says
    ids,  # (rows,) int64
    class_weight,  # (classes,) or None
    states,  # (rows, 4) float64 or None: what number_rows makes numbers of
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
    BLOCK: tl.constexpr,
    SINGLE: tl.constexpr,  # one block holds all classes
    HALF: tl.constexpr,
    WIDE: tl.constexpr,  # the logits are float64
    ORDER: tl.constexpr,  # accuracy is wanted
):
    """Solve ROWS rows. Reads and writes: see the head of this file."""
    real: tl.constexpr = tl.float64 if WIDE else tl.float32
    # what the gradient's pass will read is to stay in the L2 cache, what nobody reads again to leave it
    FIRST_PASS: tl.constexpr = "evict_last" if gradient is not None else "evict_first"
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    targets = targets_of(ids, row, rows, classes, ignore_index)
    inside, counted, known, target = targets
    assert_known(counted, known)
    start = logits + (row // inner) * outer_stride + (row % inner) * inner_stride
    own = tl.load(start + target * class_stride, mask=known, other=0.0).to(tl.float64)
    place = target.to(tl.int32)
    column = tl.arange(0, BLOCK)

    top = tl.full((ROWS,), float("-inf"), real)
    before = top
    if SINGLE:
        at = start[:, None] + column[None, :].to(tl.int64) * class_stride
        x = tl.load(at, mask=known[:, None] & (column < classes)[None, :], other=float("-inf")).to(real)
        if ORDER:
            before = largest_before(x, column, place)
        x = tl.where(column[None, :] == place[:, None], float("-inf"), x)
        top = tl.max(x, axis=1)
        certain = top == float("inf")
        if tl.max(certain.to(tl.int32), axis=0) > 0:
            x = certain_only(x, certain)
        reference, exponent = reference_of(top, HALF)
        rest = block_sum(x, reference, exponent, HALF)
    else:
        rest = tl.full((ROWS,), 0.0, tl.float64)
        lost = rest
        reference, exponent = reference_of(top, HALF)
        for begin in range(0, classes, BLOCK):
            here = begin + column
            at = start[:, None] + here[None, :].to(tl.int64) * class_stride
            x = tl.load(
                at, mask=known[:, None] & (here < classes)[None, :], other=float("-inf"), eviction_policy=FIRST_PASS
            ).to(real)
            if ORDER:
                before = tl.maximum(before, largest_before(x, here, place))
            x = tl.where(here[None, :] == place[:, None], float("-inf"), x)
            rest, lost, reference, exponent, top = with_block(x, rest, lost, reference, exponent, top, HALF)
        rest += lost

    if states is not None:
        store_states(states, row, inside, rest, top, before, own)
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
        out = (
            gradient + (row // gradient_inner) * gradient_outer_stride + (row % gradient_inner) * gradient_inner_stride
        )
        if SINGLE:
            value = gradient_tile(x, reference, exponent, factor, at_target, still, column, place, HALF)
            to = out[:, None] + column[None, :].to(tl.int64) * gradient_class_stride
            value = rounded(value, gradient.dtype.element_ty)
            tl.store(to, value, mask=inside[:, None] & (column < classes)[None, :])
        else:
            certain = top == float("inf")
            last = (classes - 1) // BLOCK * BLOCK
            for back in range(0, classes, BLOCK):
                here = last - back + column  # what was read last is the likeliest to be in the cache
                at = start[:, None] + here[None, :].to(tl.int64) * class_stride
                read = known[:, None] & (here < classes)[None, :]
                x = tl.load(at, mask=read, other=float("-inf"), eviction_policy="evict_first").to(real)
                if tl.max(certain.to(tl.int32), axis=0) > 0:
                    x = certain_only(x, certain)
                value = gradient_tile(x, reference, exponent, factor, at_target, still, here, place, HALF)
                to = out[:, None] + here[None, :].to(tl.int64) * gradient_class_stride
                value = rounded(value, gradient.dtype.element_ty)
                tl.store(to, value, mask=inside[:, None] & (here < classes)[None, :], cache_modifier=".cs")
