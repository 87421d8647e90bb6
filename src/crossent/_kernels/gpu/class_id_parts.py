"""Softmax cross-entropy of class ids, rows split over programs: few rows of huge vocabularies, which would leave processors idle.

Three launches: `see_parts` leaves (top, rest, before) of each part of a row, `join_parts` makes of them the row's
state and its gradient's factors, `write_parts` makes the gradient. Traffic in bytes: the logits once, and for a gradient a second time
(from the L2 cache as far as they fit there) and the gradient once; 24 bytes a part and 32 a row besides.
"""

import triton
import triton.language as tl

from crossent._kernels.gpu.class_id_numbers import assert_known, factors_of_rows, store_states, targets_of
from crossent._kernels.gpu.rest import (
    carried_over,
    certain_only,
    gradient_tile,
    largest_before,
    reference_of,
    with_block,
)
from crossent._kernels.gpu.rounding import rounded


@triton.jit
def see_parts(
    logits,  # rows of classes, where the layout says
    ids,  # (rows,) int64
    partial,  # (rows, parts, 3) float64: the largest logit but the target, the rest, the largest before the target
    rows,
    classes,
    ignore_index,
    parts,
    classes_of_part,  # a multiple of BLOCK
    inner,
    outer_stride,
    inner_stride,
    class_stride,
    BLOCK: tl.constexpr,
    HALF: tl.constexpr,
    WIDE: tl.constexpr,  # the logits are float64
    ORDER: tl.constexpr,  # `before` is wanted
):
    """Sum up one part of one row. Reads the part; writes 24 bytes."""
    real: tl.constexpr = tl.float64 if WIDE else tl.float32
    program = tl.program_id(0).to(tl.int64)
    part = program % parts
    row = program // parts + tl.arange(0, 1)
    _, _, known, target = targets_of(ids, row, rows, classes, ignore_index)
    start = logits + (row // inner) * outer_stride + (row % inner) * inner_stride
    place = target.to(tl.int32)
    first = (part * classes_of_part).to(tl.int32)
    behind = tl.minimum(first + classes_of_part, classes)
    top = tl.full((1,), float("-inf"), real)
    before = top
    rest = tl.full((1,), 0.0, tl.float64)
    lost = rest
    reference, exponent = reference_of(top, HALF)
    for begin in range(first, behind, BLOCK):
        here = begin + tl.arange(0, BLOCK)
        at = start[:, None] + here[None, :].to(tl.int64) * class_stride
        x = tl.load(at, mask=known[:, None] & (here < behind)[None, :], other=float("-inf")).to(real)
        if ORDER:
            before = tl.maximum(before, largest_before(x, here, place))
        x = tl.where(here[None, :] == place[:, None], float("-inf"), x)
        rest, lost, reference, exponent, top = with_block(x, rest, lost, reference, exponent, top, HALF)
    at_part = partial + (row * parts + part) * 3
    tl.store(at_part, top.to(tl.float64))
    tl.store(at_part + 1, rest + lost)
    tl.store(at_part + 2, before.to(tl.float64))


@triton.jit
def join_parts(
    logits,  # rows of classes, where the layout says: only the targets' are read
    ids,  # (rows,) int64
    class_weight,  # (classes,) or None
    states,  # (rows, 4) float64 or None: what number_rows makes numbers of
    upstream_loss,  # (rows,) float64 or None
    upstream_factor,  # () float64 or None
    upstream_lse,  # (rows,) float64 or None
    upstream_target_logit,  # (rows,) float64 or None
    partial,  # (rows, parts, 3) float64, of see_parts
    joined,  # (rows, 4) float64 or None: top, the gradient's factor, the target's gradient, 1 where the gradient is 0
    rows,
    classes,
    ignore_index,
    parts,
    inner,
    outer_stride,
    inner_stride,
    class_stride,
    z_loss: tl.float64,
    PENALIZED: tl.constexpr,  # there is a z_loss
    PARTS: tl.constexpr,  # the power of two that parts fit in
    HALF: tl.constexpr,
    WIDE: tl.constexpr,  # the logits are float64
):
    """Join the parts of one row. Reads 24 bytes a part; writes 64."""
    real: tl.constexpr = tl.float64 if WIDE else tl.float32
    row = tl.program_id(0).to(tl.int64) + tl.arange(0, 1)
    targets = targets_of(ids, row, rows, classes, ignore_index)
    inside, counted, known, target = targets
    assert_known(counted, known)
    start = logits + (row // inner) * outer_stride + (row % inner) * inner_stride
    own = tl.load(start + target * class_stride, mask=known, other=0.0).to(tl.float64)
    part = tl.arange(0, PARTS)
    at = partial + (row[:, None] * parts + part[None, :]) * 3
    some = (part < parts)[None, :]
    tops = tl.load(at, mask=some, other=float("-inf")).to(real)
    rests = tl.load(at + 1, mask=some, other=0.0)
    before = tl.max(tl.load(at + 2, mask=some, other=float("-inf")), axis=1)
    top = tl.max(tops, axis=1)
    reference, exponent = reference_of(top, HALF)
    references, exponents = reference_of(tops, HALF)
    carried = carried_over(rests, references, exponents, reference[:, None], exponent[:, None])
    beaten = (top == float("inf"))[:, None] & (tops < float("inf"))
    rest = tl.sum(tl.where(beaten, rests * 0.0, carried), axis=1)
    if states is not None:
        store_states(states, row, inside, rest, top, before, own)
    if joined is not None:
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
        tl.store(joined + row * 4, top.to(tl.float64))
        tl.store(joined + row * 4 + 1, factor)
        tl.store(joined + row * 4 + 2, at_target)
        tl.store(joined + row * 4 + 3, still.to(tl.float64))


@triton.jit
def write_parts(
    logits,  # rows of classes, where the layout says
    ids,  # (rows,) int64
    joined,  # (rows, 4) float64, of join_parts
    gradient,  # rows of classes, where its own layout says; may be the logits
    rows,
    classes,
    ignore_index,
    parts,
    classes_of_part,
    inner,
    outer_stride,
    inner_stride,
    class_stride,
    gradient_inner,
    gradient_outer_stride,
    gradient_inner_stride,
    gradient_class_stride,
    BLOCK: tl.constexpr,
    HALF: tl.constexpr,
    WIDE: tl.constexpr,  # the logits are float64
):
    """Write the gradient of one part of one row. Reads the part; writes as much."""
    real: tl.constexpr = tl.float64 if WIDE else tl.float32
    program = tl.program_id(0).to(tl.int64)
    part = program % parts
    row = program // parts + tl.arange(0, 1)
    _, _, known, target = targets_of(ids, row, rows, classes, ignore_index)
    place = target.to(tl.int32)
    top = tl.load(joined + row * 4).to(real)
    factor = tl.load(joined + row * 4 + 1)
    at_target = tl.load(joined + row * 4 + 2)
    still = tl.load(joined + row * 4 + 3) != 0.0
    reference, exponent = reference_of(top, HALF)
    certain = top == float("inf")
    start = logits + (row // inner) * outer_stride + (row % inner) * inner_stride
    out = gradient + (row // gradient_inner) * gradient_outer_stride + (row % gradient_inner) * gradient_inner_stride
    first = (part * classes_of_part).to(tl.int32)
    behind = tl.minimum(first + classes_of_part, classes)
    last = first + (behind - first - 1) // BLOCK * BLOCK
    for back in range(0, behind - first, BLOCK):
        here = last - back + tl.arange(0, BLOCK)  # what was read last is the likeliest to be in the cache
        some = (here < behind)[None, :]
        at = start[:, None] + here[None, :].to(tl.int64) * class_stride
        x = tl.load(at, mask=known[:, None] & some, other=float("-inf"), eviction_policy="evict_first").to(real)
        if tl.max(certain.to(tl.int32), axis=0) > 0:
            x = certain_only(x, certain)
        value = gradient_tile(x, reference, exponent, factor, at_target, still, here, place, HALF)
        to = out[:, None] + here[None, :].to(tl.int64) * gradient_class_stride
        tl.store(to, rounded(value, gradient.dtype.element_ty), mask=some, cache_modifier=".cs")
