"""Rows kernel of arrays.softmax_cross_entropy for two classes, any layout; float64 logits go to wide_range.py.

With d = x_other - x_target, exact enough in float64 for float32 logits at any distance, infinities included:

    loss = log(1 + e**d) = max(d, 0) + log1p(a),   a = e**-|d|,   share = e**d / (1 + e**d) = (1 or a) / (1 + a)

and the gradient is -share on the target and +share on the other class. One exponential a row instead of two, and no row
that another kernel has to compute. A tile of rows goes through scratch in float64, every step of it as vectors.

Traffic in bytes: rows * 2 * size read, and as much written with a gradient.
"""

from typing import Any

import numpy as np

from crossent._kernels.cpu._jit import inline, kernel
from crossent._kernels.cpu._llvm import choose, fence, load, load_integer, smaller, store, wide_vectors
from crossent._kernels.cpu.exp import exponential, narrow, same_type
from crossent._kernels.cpu.log import log1p_positive, log1p_single
from crossent._kernels.cpu.raise_tile import raise_run, step_numbers
from crossent._kernels.cpu.row_gradient import copy_out

# 16 KB of scratch in all: half of the first-level cache.
TILE_ROWS = 256
_TARGET, _DISTANCE, _FALL, _LOSS, _FACTOR, _SCALE, _SECOND = (TILE_ROWS * line for line in range(7))
_RESULT = 7 * TILE_ROWS
SCRATCH_BYTES = (_RESULT + 2 * TILE_ROWS) * 8


@inline
def read_weights(weights: Any, scales: Any, scale: Any, unit: Any, start: Any, count: Any, scratch: Any) -> Any:
    """Fill in what multiplies each row's loss and its gradient."""
    wide_vectors()
    for r in range(count):
        weight = load(weights, start + r, 1.0, 1.0) if weights != 0 else 1.0
        own_scale = load(scales, start + r, 1.0, 1.0) if scales != 0 else 1.0
        store(scratch, _FACTOR + r, weight * unit, 1.0)
        store(scratch, _SCALE + r, scale * weight * unit * own_scale, 1.0)


@inline
def read_distances(
    x: Any, offset: Any, row_stride: Any, class_stride: Any, targets: Any, count: Any, scratch: Any, tag: Any
) -> Any:
    """Fill in the targets, -1 for rows left out, the distances, and minus their sizes."""
    wide_vectors()
    # the same loop three times: with constant strides it becomes vectors
    if row_stride == 2 and class_stride == 1:
        for r in range(count):
            first, second = load(x, offset + 2 * r, tag, 1.0), load(x, offset + 2 * r + 1, tag, 1.0)
            store(scratch, _DISTANCE + r, second - first, 1.0)
    elif row_stride == 1:
        for r in range(count):
            first, second = load(x, offset + r, tag, 1.0), load(x, offset + class_stride + r, tag, 1.0)
            store(scratch, _DISTANCE + r, second - first, 1.0)
    else:
        for r in range(count):
            first = load(x, offset + r * row_stride, tag, 1.0)
            second = load(x, offset + r * row_stride + class_stride, tag, 1.0)
            store(scratch, _DISTANCE + r, second - first, 1.0)
    for r in range(count):
        target, distance = load_integer(targets, r), load(scratch, _DISTANCE + r, 1.0, 1.0)
        target = choose(load(scratch, _FACTOR + r, 1.0, 1.0) == 0.0, np.int64(-1), target)
        distance = choose(target == 1, 0.0 - distance, distance)
        distance = choose(target < 0, 0.0, distance)
        store(scratch, _TARGET + r, target, target)
        store(scratch, _DISTANCE + r, distance, 1.0)
        store(scratch, _FALL + r, 0.0 - abs(distance), 1.0)


@inline
def finish_rows(count: Any, scratch: Any, tag: Any) -> Any:
    """Fill in the losses, and the gradients on the second class."""
    wide_vectors()
    steps = count // step_numbers() * step_numbers()
    if steps > 0:
        fall, none = np.int64(_FALL), np.int64(0)
        raise_run(scratch, fall, scratch, steps, scratch, fall, none, none, none, 1.0, tag)
    for r in range(steps, count):
        store(scratch, _FALL + r, exponential(load(scratch, _FALL + r, 1.0, 1.0), tag), 1.0)
    for r in range(count):
        distance, fall = load(scratch, _DISTANCE + r, 1.0, 1.0), load(scratch, _FALL + r, 1.0, 1.0)
        target = load_integer(scratch, _TARGET + r)
        behind = distance > 0.0
        log = log1p_single(fall) if same_type(tag, np.float32(0)) else log1p_positive(fall)
        loss = (choose(behind, distance, 0.0) + log) * load(scratch, _FACTOR + r, 1.0, 1.0)
        share = choose(behind, 1.0, fall) / (1.0 + fall) * load(scratch, _SCALE + r, 1.0, 1.0)
        share = choose(target == 1, 0.0 - share, share)
        loss = choose(distance == distance, loss, np.nan)  # the logarithm has lost a NaN
        store(scratch, _LOSS + r, choose(target < 0, 0.0, loss), 1.0)
        store(scratch, _SECOND + r, choose(target < 0, 0.0, share), 1.0)


@inline
def write_gradient(
    gradient: Any,
    place: Any,
    row_stride: Any,
    class_stride: Any,
    size: Any,
    count: Any,
    stream: Any,
    scratch: Any,
    out_tag: Any,
) -> Any:
    """Write both classes' gradients; runs of them through scratch, where they can be vectors."""
    wide_vectors()
    result = scratch + _RESULT * 8
    if row_stride == 2 and class_stride == 1:
        for r in range(count):
            second = load(scratch, _SECOND + r, 1.0, 1.0)
            store(result, 2 * r, narrow(0.0 - second, out_tag), out_tag)
            store(result, 2 * r + 1, narrow(second, out_tag), out_tag)
        copy_out(result, gradient + place * size, 2 * count * size, stream)
    elif row_stride == 1:
        for r in range(count):
            second = load(scratch, _SECOND + r, 1.0, 1.0)
            store(result, r, narrow(0.0 - second, out_tag), out_tag)
            store(result, TILE_ROWS + r, narrow(second, out_tag), out_tag)
        copy_out(result, gradient + place * size, count * size, stream)
        copy_out(result + TILE_ROWS * size, gradient + (place + class_stride) * size, count * size, stream)
    else:
        for r in range(count):
            second, own = load(scratch, _SECOND + r, 1.0, 1.0), gradient + (place + r * row_stride) * size
            store(own, np.int64(0), narrow(0.0 - second, out_tag), out_tag)
            store(own, class_stride, narrow(second, out_tag), out_tag)


@kernel
def rows(
    x: Any,  # address of the logits; class c of row r at (r // inner) * outer_stride + (r % inner) * inner_stride
    inner: Any,  # + c * class_stride
    outer_stride: Any,
    inner_stride: Any,
    class_stride: Any,
    targets: Any,  # (rows,) int64; -1 skips the row: loss 0, gradient 0
    weights: Any,  # (rows,) float64, multiply loss and gradient; address 0 for ones
    scales: Any,  # (rows,) float64, multiply the gradient alone; address 0 for ones
    scale: Any,  # multiplies every gradient
    unit: Any,  # one nat in the unit of the loss
    losses: Any,  # (rows,) in loss_tag
    gradient: Any,  # address, or 0 for none; strides as for x
    gradient_outer_stride: Any,
    gradient_inner_stride: Any,
    gradient_class_stride: Any,
    gradient_size: Any,  # bytes of one entry
    stream: Any,  # whether gradients go past the caches
    scratch: Any,  # SCRATCH_BYTES, on a 64-byte boundary
    first: Any,
    last: Any,
    tag: Any,
    loss_tag: Any,
    out_tag: Any,
) -> Any:
    """Losses, and where asked for gradients, of rows first to last."""
    outer_index, inner_index = first // inner, first % inner
    start = first
    read_weights(np.int64(0), np.int64(0), scale, unit, start, np.int64(TILE_ROWS), scratch)
    while start < last:
        count = smaller(smaller(np.int64(TILE_ROWS), last - start), inner - inner_index)
        place = outer_index * outer_stride + inner_index * inner_stride
        if weights != 0 or scales != 0:
            read_weights(weights, scales, scale, unit, start, count, scratch)
        read_distances(x, place, inner_stride, class_stride, targets + 8 * start, count, scratch, tag)
        finish_rows(count, scratch, tag)
        for r in range(count):
            store(losses, start + r, load(scratch, _LOSS + r, 1.0, 1.0), loss_tag)
        if gradient != 0:
            out_place = outer_index * gradient_outer_stride + inner_index * gradient_inner_stride
            strides = (gradient_inner_stride, gradient_class_stride, gradient_size)
            write_gradient(gradient, out_place, *strides, count, stream, scratch, out_tag)
        start += count
        inner_index += count
        if inner_index == inner:
            outer_index, inner_index = outer_index + 1, np.int64(0)
    if stream:
        fence()
