"""Rows kernel of arrays.softmax_cross_entropy for two classes, any layout; float64 logits go to wide_range.py.

With d = x_other - x_target, exact enough in float64 for float32 logits at any distance, infinities included:

    loss = log(1 + e**d) = max(d, 0) + log1p(a),   a = e**-|d|,   share = e**d / (1 + e**d) = (1 or a) / (1 + a)

and the gradient is -share on the target and +share on the other class. One exponential a row instead of two, and no row
that another kernel has to compute: a is the square of e**(-|d| / 2), which float64 holds for |d| up to 1400, so that not
even a weight of 1e300 meets a number that has vanished. A tile of rows goes through scratch, every step of it as vectors.

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
_TARGET, _DISTANCE, _ROOT, _LOSS, _FACTOR, _SCALE, _SECOND = (TILE_ROWS * line for line in range(7))
_RESULT = 7 * TILE_ROWS
# 1 + a is 1 from here on, to 2**-60.
_FAINT = 42.0
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
def read_differences(x: Any, rows: Any, strides: Any, scratch: Any, tag: Any) -> Any:
    """Fill in how far the second class is ahead of the first."""
    wide_vectors()
    outer_index, inner_index, inner, count = rows
    outer_stride, row_stride, class_stride = strides
    offset = outer_index * outer_stride + inner_index * row_stride
    even = inner_index + count <= inner
    # the same loop three times: with constant strides it becomes vectors
    if even and row_stride == 2 and class_stride == 1:
        for r in range(count):
            first, second = load(x, offset + 2 * r, tag, 1.0), load(x, offset + 2 * r + 1, tag, 1.0)
            store(scratch, _DISTANCE + r, second - first, 1.0)
    elif even and row_stride == 1:
        for r in range(count):
            first, second = load(x, offset + r, tag, 1.0), load(x, offset + class_stride + r, tag, 1.0)
            store(scratch, _DISTANCE + r, second - first, 1.0)
    else:
        for r in range(count):
            place = outer_index * outer_stride + inner_index * row_stride
            store(scratch, _DISTANCE + r, load(x, place + class_stride, tag, 1.0) - load(x, place, tag, 1.0), 1.0)
            inner_index += 1
            if inner_index == inner:
                outer_index, inner_index = outer_index + 1, np.int64(0)


@inline
def finish_rows(targets: Any, weights: Any, start: Any, count: Any, scratch: Any, tag: Any) -> Any:
    """Fill in the losses, and the gradients on the second class."""
    wide_vectors()
    for r in range(count):
        target, distance = load_integer(targets, start + r), load(scratch, _DISTANCE + r, 1.0, 1.0)
        if weights != 0:
            target = choose(load(weights, start + r, 1.0, 1.0) == 0.0, np.int64(-1), target)
        distance = choose(target == 1, 0.0 - distance, distance)
        distance = choose(target < 0, 0.0, distance)
        store(scratch, _TARGET + r, target, target)
        store(scratch, _DISTANCE + r, distance, 1.0)
        store(scratch, _ROOT + r, -0.5 * abs(distance), 1.0)
    steps = count // step_numbers() * step_numbers()
    if steps > 0:
        raise_run(scratch, np.int64(_ROOT), scratch, steps, scratch, np.int64(_ROOT), 1.0, tag)
    for r in range(steps, count):
        store(scratch, _ROOT + r, exponential(load(scratch, _ROOT + r, 1.0, 1.0), tag), 1.0)
    for r in range(count):
        distance, root = load(scratch, _DISTANCE + r, 1.0, 1.0), load(scratch, _ROOT + r, 1.0, 1.0)
        target = load_integer(scratch, _TARGET + r)
        factor, scale = load(scratch, _FACTOR + r, 1.0, 1.0), load(scratch, _SCALE + r, 1.0, 1.0)
        fall = root * root
        behind, faint = distance > 0.0, distance < -_FAINT
        log = log1p_single(fall) if same_type(tag, np.float32(0)) else log1p_positive(fall)
        # a is its own logarithm, and its own share, where it is faint: its two halves are multiplied by the weight in turn
        loss = choose(faint, root * factor * root, (choose(behind, distance, 0.0) + log) * factor)
        share = choose(faint, root * scale * root, choose(behind, 1.0, fall) / (1.0 + fall) * scale)
        share = choose(target == 1, 0.0 - share, share)
        loss = choose(distance == distance, loss, np.nan)  # the logarithm has lost a NaN
        store(scratch, _LOSS + r, choose(target < 0, 0.0, loss), 1.0)
        store(scratch, _SECOND + r, choose(target < 0, 0.0, share), 1.0)


@inline
def write_gradient(gradient: Any, size: Any, rows: Any, strides: Any, stream: Any, scratch: Any, out_tag: Any) -> Any:
    """Write both classes' gradients; runs of them through scratch, where they can be vectors."""
    wide_vectors()
    outer_index, inner_index, inner, count = rows
    outer_stride, row_stride, class_stride = strides
    place = outer_index * outer_stride + inner_index * row_stride
    even = inner_index + count <= inner
    result = scratch + _RESULT * 8
    if even and row_stride == 2 and class_stride == 1:
        for r in range(count):
            second = load(scratch, _SECOND + r, 1.0, 1.0)
            store(result, 2 * r, narrow(0.0 - second, out_tag), out_tag)
            store(result, 2 * r + 1, narrow(second, out_tag), out_tag)
        copy_out(result, gradient + place * size, 2 * count * size, stream)
    elif even and row_stride == 1:
        for r in range(count):
            second = load(scratch, _SECOND + r, 1.0, 1.0)
            store(result, r, narrow(0.0 - second, out_tag), out_tag)
            store(result, TILE_ROWS + r, narrow(second, out_tag), out_tag)
        copy_out(result, gradient + place * size, count * size, stream)
        copy_out(result + TILE_ROWS * size, gradient + (place + class_stride) * size, count * size, stream)
    else:
        for r in range(count):
            own = gradient + (outer_index * outer_stride + inner_index * row_stride) * size
            second = load(scratch, _SECOND + r, 1.0, 1.0)
            store(own, np.int64(0), narrow(0.0 - second, out_tag), out_tag)
            store(own, class_stride, narrow(second, out_tag), out_tag)
            inner_index += 1
            if inner_index == inner:
                outer_index, inner_index = outer_index + 1, np.int64(0)


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
    strides = (outer_stride, inner_stride, class_stride)
    out_strides = (gradient_outer_stride, gradient_inner_stride, gradient_class_stride)
    read_weights(np.int64(0), np.int64(0), scale, unit, first, np.int64(TILE_ROWS), scratch)
    for start in range(first, last, TILE_ROWS):
        count = smaller(np.int64(TILE_ROWS), last - start)
        tile = (outer_index, inner_index, inner, count)
        if weights != 0 or scales != 0:
            read_weights(weights, scales, scale, unit, start, count, scratch)
        read_differences(x, tile, strides, scratch, tag)
        finish_rows(targets, weights, start, count, scratch, tag)
        for r in range(count):
            store(losses, start + r, load(scratch, _LOSS + r, 1.0, 1.0), loss_tag)
        if gradient != 0:
            write_gradient(gradient, gradient_size, tile, out_strides, stream, scratch, out_tag)
        inner_index += count
        outer_index, inner_index = outer_index + inner_index // inner, inner_index % inner
    if stream:
        fence()
