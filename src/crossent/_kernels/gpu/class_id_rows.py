"""Softmax cross-entropy of class ids, whole rows to a program: few classes, a row in registers, or blocks of a row.

Traffic in bytes: the logits once, and their gradient once. In blocks the gradient's pass reads the logits a second time, from
the L2 cache, where the row still is.
"""

import triton
import triton.language as tl

from crossent._kernels.gpu.odds import gradient_factors, odds_of
from crossent._kernels.gpu.rest import block_sum, carried_over, certain_only, reference_of, shares
from crossent._kernels.gpu.rounding import rounded


@triton.jit
def optional(pointer, row, mask, absent: tl.constexpr):
    """Return the numbers (ROWS,) of rows as float64, or a constant where there is no tensor."""
    if pointer is None:
        numbers = tl.full(row.shape, absent, tl.float64)
    else:
        numbers = tl.load(pointer + row, mask=mask, other=absent).to(tl.float64)
    return numbers


@triton.jit
def upstream_of_rows(upstream_loss, upstream_factor, row, mask):
    """Return the upstream gradients (ROWS,) of the losses."""
    u = optional(upstream_loss, row, mask, 1.0 if upstream_factor is not None else 0.0)
    if upstream_factor is not None:
        u = u * tl.load(upstream_factor)
    return u


@triton.jit
def numbers_of_rows(
    loss, lse, accuracy, target_logit, row, inside, counted, mass, own, found, first, Z_LOSS: tl.constexpr
):
    """Store the numbers of rows; `found` is (surprise, lse), `first` whether the target is the first of the likeliest."""
    surprise, normalizer = found
    if loss is not None:
        value = tl.where((mass == 0.0) & (surprise == float("inf")), 0.0, mass * surprise)
        if Z_LOSS != 0.0:
            value += Z_LOSS * mass * (normalizer * normalizer)
        tl.store(loss + row, tl.where(counted, value, 0.0), mask=inside)
    if lse is not None:
        tl.store(lse + row, tl.where(counted, normalizer, 0.0), mask=inside)
    if accuracy is not None:
        right = counted & first & (surprise == surprise)
        tl.store(accuracy + row, tl.where(right, 1.0, 0.0).to(tl.float64), mask=inside)
    if target_logit is not None:
        tl.store(target_logit + row, tl.where(counted, own, 0.0), mask=inside)


@triton.jit
def class_id_rows(
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
    Z_LOSS: tl.constexpr,
    ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
    SINGLE: tl.constexpr,  # one block holds all classes
    HALF: tl.constexpr,
    WIDE: tl.constexpr,  # the logits are float64
):
    """Solve ROWS rows. Reads and writes: see the head of this file."""
    real: tl.constexpr = tl.float64 if WIDE else tl.float32
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    inside = row < rows
    target = tl.load(ids + row, mask=inside, other=0)
    counted = inside & (target != ignore_index)
    known = (target >= 0) & (target < classes)
    tl.device_assert(known | (counted == 0), "a target is neither a class nor ignore_index")
    reads = counted & known
    start = logits + (row // inner) * outer_stride + (row % inner) * inner_stride
    own = tl.load(start + target * class_stride, mask=reads, other=0.0).to(tl.float64)
    mass = tl.full((ROWS,), 1.0, tl.float64)
    if class_weight is not None:
        mass = tl.load(class_weight + target, mask=reads, other=0.0).to(tl.float64)
    place = tl.where(reads, target, -1).to(tl.int32)
    columns = tl.arange(0, BLOCK)

    before = tl.full((ROWS,), float("-inf"), real)  # the largest logit of the classes before the target
    if SINGLE:
        at = start[:, None] + columns[None, :].to(tl.int64) * class_stride
        x = tl.load(at, mask=reads[:, None] & (columns < classes)[None, :], other=float("-inf")).to(real)
        if accuracy is not None:
            before = tl.max(tl.where(columns[None, :] < place[:, None], x, float("-inf")), axis=1)
        x = tl.where(columns[None, :] == place[:, None], float("-inf"), x)
        top = tl.max(x, axis=1)
        certain = top == float("inf")
        if tl.max(certain.to(tl.int32), axis=0) > 0:
            x = certain_only(x, certain)
        reference, exponent = reference_of(tl.where(certain, 0.0, top), HALF)
        rest = block_sum(x, reference, exponent, HALF)
    else:
        top = tl.full((ROWS,), float("-inf"), real)
        reference = tl.full((ROWS,), 0.0, real)
        exponent = tl.full((ROWS,), 0.0, real)
        rest = tl.full((ROWS,), 0.0, tl.float64)
        for begin in range(0, classes, BLOCK):
            column = begin + columns
            at = start[:, None] + column[None, :].to(tl.int64) * class_stride
            x = tl.load(at, mask=reads[:, None] & (column < classes)[None, :], other=float("-inf")).to(real)
            if accuracy is not None:
                ahead = tl.max(tl.where(column[None, :] < place[:, None], x, float("-inf")), axis=1)
                before = tl.maximum(before, ahead)
            x = tl.where(column[None, :] == place[:, None], float("-inf"), x)
            block_top = tl.max(x, axis=1)
            grows = block_top > top
            if tl.max(grows.to(tl.int32), axis=0) > 0:  # seldom after the first blocks
                top = tl.where(grows, block_top, top)
                new_reference, new_exponent = reference_of(top, HALF)
                carried = carried_over(rest, reference, exponent, new_reference, new_exponent)
                rest = tl.where(grows, tl.where(top == float("inf"), rest * 0.0, carried), rest)
                reference = tl.where(grows, new_reference, reference)
                exponent = tl.where(grows, new_exponent, exponent)
            certain = top == float("inf")
            if tl.max(certain.to(tl.int32), axis=0) > 0:
                x = certain_only(x, certain)
            rest += block_sum(x, reference, exponent, HALF)
        certain = top == float("inf")

    rest = tl.where(known, rest, float("nan"))
    surprise, normalizer, share, own_share, share_of_one = odds_of(
        rest, reference.to(tl.float64), exponent.to(tl.float64), own, certain
    )
    first = (own > before.to(tl.float64)) & (own >= top.to(tl.float64))
    numbers_of_rows(
        loss, lse, accuracy, target_logit, row, inside, counted, mass, own, (surprise, normalizer), first, Z_LOSS
    )
    if gradient is not None:
        factor, at_target, silent = gradient_factors(
            upstream_of_rows(upstream_loss, upstream_factor, row, counted),
            optional(upstream_lse, row, counted, 0.0),
            optional(upstream_target_logit, row, counted, 0.0),
            mass,
            surprise,
            normalizer,
            share,
            own_share,
            share_of_one,
            Z_LOSS,
        )
        still = (silent | (counted == 0))[:, None]
        at_target = at_target.to(real)[:, None]
        out = (
            gradient + (row // gradient_inner) * gradient_outer_stride + (row % gradient_inner) * gradient_inner_stride
        )
        if SINGLE:
            value = shares(x, reference, exponent, factor, HALF)
            value = tl.where(still, 0.0, tl.where(columns[None, :] == place[:, None], at_target, value))
            to = out[:, None] + columns[None, :].to(tl.int64) * gradient_class_stride
            tl.store(to, rounded(value, gradient.dtype.element_ty), mask=inside[:, None] & (columns < classes)[None, :])
        else:
            for begin in range(0, classes, BLOCK):
                column = begin + columns
                at = start[:, None] + column[None, :].to(tl.int64) * class_stride
                x = tl.load(at, mask=reads[:, None] & (column < classes)[None, :], other=float("-inf")).to(real)
                if tl.max(certain.to(tl.int32), axis=0) > 0:
                    x = certain_only(x, certain)
                value = shares(x, reference, exponent, factor, HALF)
                value = tl.where(still, 0.0, tl.where(column[None, :] == place[:, None], at_target, value))
                to = out[:, None] + column[None, :].to(tl.int64) * gradient_class_stride
                tl.store(
                    to, rounded(value, gradient.dtype.element_ty), mask=inside[:, None] & (column < classes)[None, :]
                )
