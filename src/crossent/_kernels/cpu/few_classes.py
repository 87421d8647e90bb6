"""Rows kernel of arrays.softmax_cross_entropy for few classes, or any class stride.

A tile of rows goes through scratch as float64, whose range holds e**x of ordinary logits as they are: no maximum is
looked for, and nothing subtracted. What belongs to a row is computed across the rows of the tile, as vectors. The
method is that of softmax_cross_entropy: the target is left out of the sum, loss = log1p(rest / e_t). A row whose rest or
target lies outside e**-300 to e**300, and every row of float64, is computed by wide_range.py instead, row by row, so
that a row's bits do not depend on its neighbours.

Traffic in bytes: rows * classes * size read, and as much written with a gradient.
"""

from typing import Any

import numpy as np

from crossent._kernels.cpu._jit import inline, kernel
from crossent._kernels.cpu._llvm import (
    choose,
    fence,
    fetch_to_second,
    larger,
    load,
    load_integer,
    scale_row,
    smaller,
    store,
    sum_apart,
    wide_vectors,
)
from crossent._kernels.cpu.blocks import LINE_BYTES, STEP
from crossent._kernels.cpu.exp import exponential, narrow, same_type
from crossent._kernels.cpu.log import log1p_positive, log1p_single
from crossent._kernels.cpu.row_gradient import copy_out

# Above this many contiguous classes softmax_cross_entropy.py is faster: at 200 a row takes 135 against 103 ns, at 256 they
# are even, and at 512 it takes 190 against 266 (Xeon with AVX-512, one thread, 2026-11-23).
MOST_CLASSES = 256
# Rows of a tile: as many as keep its numbers in the first-level cache, and at least two lines of float32 a class.
_MOST_ROWS, _LEAST_ROWS = 128, 32
_TILE_NUMBERS = 4096
# Scratch starts with lines of one number a row, then gradients on their way out, then the tile.
_TARGET, _SCALE, _FACTOR, _TARGET_POWER, _REST, _LOSS, _MULTIPLIER, _OFFSET, _OUT_OFFSET = (
    _MOST_ROWS * line for line in range(9)
)
_SUMS = 9 * _MOST_ROWS  # eight lines
_RESULT = 17 * _MOST_ROWS
_TILE = _RESULT + _TILE_NUMBERS + 8
# Within it neither rest * total nor the products with its reciprocal leave the range of float64.
_LEAST_POWER, _MOST_POWER = 5.148200222412013e-131, 1.9424263952412558e130  # e**-300, e**300


def tile_rows(classes: int) -> int:
    """Return how many rows go through scratch together."""
    return min(max(_TILE_NUMBERS // classes // 8 * 8, _LEAST_ROWS), _MOST_ROWS)


def scratch_bytes(classes: int, rows: int) -> int:
    """Return what one thread needs for tiles of so many rows."""
    return (_TILE + rows * classes + 8) * 8


@inline
def raise_lanes(
    x: Any, size: Any, offset: Any, class_stride: Any, classes: Any, count: Any, pitch: Any, scratch: Any, tag: Any
) -> Any:
    """Fill the tile class by class with e**x, and in, per row, the target's and the sum of all others'.

    The sum has the order of sum_apart: the same bits in any layout.
    """
    wide_vectors()
    for r in range(8 * _MOST_ROWS):
        store(scratch, _SUMS + r, 0.0, 1.0)
    for c in range(classes):
        start = offset + c * class_stride
        # the next class lies too far away for the processor to see it coming
        for line in range((count * size + LINE_BYTES - 1) // LINE_BYTES):
            fetch_to_second(x + (start + class_stride) * size + line * LINE_BYTES)
        sums = _SUMS + (c & 7) * _MOST_ROWS
        for r in range(count):
            power = exponential(load(x, start + r, tag, 1.0), tag)
            store(scratch, _TILE + c * pitch + r, power, 1.0)
            power = choose(load_integer(scratch, _TARGET + r) == c, 0.0, power)
            store(scratch, sums + r, load(scratch, sums + r, 1.0, 1.0) + power, 1.0)
    for width in (4, 2, 1):
        for r in range(width * _MOST_ROWS):
            other = load(scratch, _SUMS + width * _MOST_ROWS + r, 1.0, 1.0)
            store(scratch, _SUMS + r, load(scratch, _SUMS + r, 1.0, 1.0) + other, 1.0)
    for r in range(count):
        rest = load(scratch, _SUMS + r, 1.0, 1.0)
        store(scratch, _REST + r, rest, 1.0)
        place = _TILE + larger(load_integer(scratch, _TARGET + r), np.int64(0)) * pitch + r
        store(scratch, _TARGET_POWER + r, load(scratch, place, 1.0, 1.0), 1.0)
        store(scratch, place, 0.0 - rest, 1.0)  # times the row's multiplier it is the gradient


@inline
def raise_rows(
    x: Any, size: Any, offset: Any, class_stride: Any, classes: Any, count: Any, whole: Any, scratch: Any, tag: Any
) -> Any:
    """Do the same row by row; `whole` where the tile's rows lie side by side."""
    wide_vectors()
    if whole:
        steps = count * classes // STEP
        ahead = x + (offset + count * classes) * size
        lines = STEP * size // LINE_BYTES
        for i in range(steps):
            for line in range(lines):
                fetch_to_second(ahead + (i * lines + line) * LINE_BYTES)
            for lane in range(STEP):
                j = i * STEP + lane
                store(scratch, _TILE + j, exponential(load(x, offset + j, tag, 1.0), tag), 1.0)
        for j in range(steps * STEP, count * classes):
            store(scratch, _TILE + j, exponential(load(x, offset + j, tag, 1.0), tag), 1.0)
    else:
        for r in range(count):
            start = load_integer(scratch, _OFFSET + r)
            for c in range(classes):
                store(scratch, _TILE + r * classes + c, load(x, start + c * class_stride, tag, 1.0), 1.0)
        for j in range(count * classes):
            store(scratch, _TILE + j, exponential(load(scratch, _TILE + j, 1.0, 1.0), tag), 1.0)
    if classes == 2:
        for r in range(count):
            first, second = load(scratch, _TILE + 2 * r, 1.0, 1.0), load(scratch, _TILE + 2 * r + 1, 1.0, 1.0)
            on_second = load_integer(scratch, _TARGET + r) == 1
            power, rest = choose(on_second, second, first), choose(on_second, first, second)
            store(scratch, _TARGET_POWER + r, power, 1.0)
            store(scratch, _REST + r, rest, 1.0)
            store(scratch, _TILE + 2 * r, choose(on_second, first, 0.0 - rest), 1.0)
            store(scratch, _TILE + 2 * r + 1, choose(on_second, 0.0 - rest, second), 1.0)
    else:
        for r in range(count):
            start = _TILE + r * classes
            target = larger(load_integer(scratch, _TARGET + r), np.int64(0))
            store(scratch, _TARGET_POWER + r, load(scratch, start + target, 1.0, 1.0), 1.0)
            rest = sum_apart(scratch, start, classes, target)
            store(scratch, _REST + r, rest, 1.0)
            store(scratch, start + target, 0.0 - rest, 1.0)


@inline
def finish_rows(count: Any, scratch: Any, tag: Any) -> Any:
    """Fill in, per row, the loss in nats (NaN where wide_range.py is needed) and the multiplier of the tile."""
    wide_vectors()
    for r in range(count):
        rest, power = load(scratch, _REST + r, 1.0, 1.0), load(scratch, _TARGET_POWER + r, 1.0, 1.0)
        scale = load(scratch, _SCALE + r, 1.0, 1.0)
        total = rest + power
        both = 1.0 / (power * total)  # one division for two quotients
        odds, inverse = rest * total * both, power * both
        loss = log1p_single(odds) if same_type(tag, np.float32(0)) else log1p_positive(odds)
        inside = (rest >= _LEAST_POWER) & (rest <= _MOST_POWER) & (power >= _LEAST_POWER) & (power <= _MOST_POWER)
        skipped = load_integer(scratch, _TARGET + r) < 0
        store(scratch, _LOSS + r, choose(skipped, 0.0, choose(inside, loss, np.nan)), 1.0)
        store(scratch, _MULTIPLIER + r, choose(skipped, 0.0, scale * inverse), 1.0)


@inline
def write_lanes(
    classes: Any,
    count: Any,
    pitch: Any,
    scratch: Any,
    gradient: Any,
    offset: Any,
    class_stride: Any,
    size: Any,
    out_tag: Any,
) -> Any:
    """Write gradients class by class: row by row, 21 lines 256 KB apart fell out of cache.

    Never past the caches: 5.2 against 4.3 ms for (4, 21, 256, 256), two threads.
    """
    wide_vectors()
    for c in range(classes):
        for r in range(count):
            multiplier = load(scratch, _MULTIPLIER + r, 1.0, 1.0)
            value = load(scratch, _TILE + c * pitch + r, 1.0, 1.0) * multiplier
            value = choose(multiplier == 0.0, 0.0, value)  # a row left out may hold anything
            store(scratch + _RESULT * 8, r, narrow(value, out_tag), out_tag)
        copy_out(scratch + _RESULT * 8, gradient + (offset + c * class_stride) * size, count * size, False)


@inline
def write_rows(classes: Any, count: Any, scratch: Any, out: Any, size: Any, stream: Any, out_tag: Any) -> Any:
    """Write gradients of rows side by side, through scratch."""
    result = scratch + _RESULT * 8
    for r in range(count if classes == 2 else 0):
        multiplier = load(scratch, _MULTIPLIER + r, 1.0, 1.0)
        first = load(scratch, _TILE + 2 * r, 1.0, 1.0) * multiplier
        second = load(scratch, _TILE + 2 * r + 1, 1.0, 1.0) * multiplier
        skipped = multiplier == 0.0
        store(result, 2 * r, narrow(choose(skipped, 0.0, first), out_tag), out_tag)
        store(result, 2 * r + 1, narrow(choose(skipped, 0.0, second), out_tag), out_tag)
    for r in range(count if classes != 2 else 0):
        multiplier = load(scratch, _MULTIPLIER + r, 1.0, 1.0)
        place = r * classes
        if multiplier == 0.0:
            for c in range(classes):
                store(result, place + c, 0.0, out_tag)
        elif same_type(out_tag, np.float32(0)):
            scale_row(scratch, _TILE + place, classes, multiplier, result + place * size, out_tag)
        else:
            for c in range(classes):
                entry = load(scratch, _TILE + place + c, 1.0, 1.0) * multiplier
                store(result, place + c, narrow(entry, out_tag), out_tag)
    copy_out(result, out, count * classes * size, stream)


@inline
def write_anywhere(
    classes: Any,
    count: Any,
    row_step: Any,
    class_step: Any,
    scratch: Any,
    gradient: Any,
    size: Any,
    class_stride: Any,
    out_tag: Any,
) -> Any:
    """Write gradients one by one, but for rows that are missing."""
    for r in range(count):
        loss = load(scratch, _LOSS + r, 1.0, 1.0)
        if loss != loss:
            continue
        multiplier = load(scratch, _MULTIPLIER + r, 1.0, 1.0)
        out = gradient + load_integer(scratch, _OUT_OFFSET + r) * size
        for c in range(classes):
            entry = load(scratch, _TILE + r * row_step + c * class_step, 1.0, 1.0) * multiplier
            entry = 0.0 if multiplier == 0.0 else entry
            store(out, c * class_stride, narrow(entry, out_tag), out_tag)


@kernel
def rows(
    x: Any,  # address of the logits; class c of row r at (r // inner) * outer_stride + (r % inner) * inner_stride
    inner: Any,  # + c * class_stride
    outer_stride: Any,
    inner_stride: Any,
    class_stride: Any,
    size: Any,  # bytes of one logit
    classes: Any,
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
    scratch: Any,  # scratch_bytes(classes, most_rows), on a 64-byte boundary
    most_rows: Any,  # tile_rows(classes)
    first: Any,
    last: Any,
    tag: Any,
    loss_tag: Any,
    out_tag: Any,
) -> Any:
    """Losses, and where asked for gradients, of rows first to last; return how many are missing, with a loss of NaN."""
    # carried along: two divisions a row would cost more than two classes
    outer_index, inner_index = first // inner, first % inner
    start, all_missing = first, np.int64(0)
    while start < last:
        count = smaller(most_rows, last - start)
        if inner >= most_rows:  # a tile then ends where the rows cease to be evenly spaced
            count = smaller(count, inner - inner_index)
        even = inner_index + count <= inner
        offset = outer_index * outer_stride + inner_index * inner_stride
        out_offset = outer_index * gradient_outer_stride + inner_index * gradient_inner_stride
        if even:
            for r in range(count):
                store(scratch, _OFFSET + r, offset + r * inner_stride, r)
                store(scratch, _OUT_OFFSET + r, out_offset + r * gradient_inner_stride, r)
            inner_index += count
        else:
            for r in range(count):
                store(scratch, _OFFSET + r, outer_index * outer_stride + inner_index * inner_stride, r)
                place = outer_index * gradient_outer_stride + inner_index * gradient_inner_stride
                store(scratch, _OUT_OFFSET + r, place, r)
                inner_index += 1
                if inner_index == inner:
                    outer_index, inner_index = outer_index + 1, np.int64(0)
        if inner_index == inner:
            outer_index, inner_index = outer_index + 1, np.int64(0)
        for r in range(count):
            target = load_integer(targets, start + r)
            weight = load(weights, start + r, 1.0, 1.0) if weights != 0 else 1.0
            own_scale = load(scales, start + r, 1.0, 1.0) if scales != 0 else 1.0
            store(scratch, _TARGET + r, np.int64(-1) if weight == 0.0 else target, r)
            store(scratch, _FACTOR + r, weight * unit, 1.0)
            store(scratch, _SCALE + r, scale * weight * unit * own_scale, 1.0)
        lanes = inner_stride == 1 and even and class_stride != 1
        whole = inner_stride == classes and class_stride == 1 and even
        row_step, class_step = (np.int64(1), most_rows) if lanes else (classes, np.int64(1))
        if lanes:
            raise_lanes(x, size, offset, class_stride, classes, count, most_rows, scratch, tag)
        else:
            raise_rows(x, size, offset, class_stride, classes, count, whole, scratch, tag)
        finish_rows(count, scratch, tag)
        missing = np.int64(0)
        for r in range(count):
            loss = load(scratch, _LOSS + r, 1.0, 1.0) * load(scratch, _FACTOR + r, 1.0, 1.0)
            loss = choose(load_integer(scratch, _TARGET + r) < 0, 0.0, loss)
            missing += loss != loss
            store(losses, start + r, loss, loss_tag)
        all_missing += missing
        if gradient != 0:
            fits = even and gradient_class_stride == 1 and gradient_inner_stride == classes
            if lanes and gradient_inner_stride == 1 and missing == 0:
                write_lanes(
                    classes,
                    count,
                    most_rows,
                    scratch,
                    gradient,
                    out_offset,
                    gradient_class_stride,
                    gradient_size,
                    out_tag,
                )
            elif fits and not lanes and missing == 0 and count * classes <= _TILE_NUMBERS:
                out = gradient + out_offset * gradient_size
                write_rows(classes, count, scratch, out, gradient_size, stream, out_tag)
            else:
                write_anywhere(
                    classes,
                    count,
                    row_step,
                    class_step,
                    scratch,
                    gradient,
                    gradient_size,
                    gradient_class_stride,
                    out_tag,
                )
        start += count
    if stream:
        fence()
    return all_missing
