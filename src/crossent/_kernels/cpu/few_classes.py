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
    larger,
    load,
    load_integer,
    smaller,
    store,
    wide_vectors,
)
from crossent._kernels.cpu._vectors import scale_row, sum_apart
from crossent._kernels.cpu.block_sum import LINE_BYTES
from crossent._kernels.cpu.exp import exponential, narrow, same_type
from crossent._kernels.cpu.log import log1p_positive, log1p_single
from crossent._kernels.cpu.raise_tile import raise_run, raise_run_and_sum, step_numbers
from crossent._kernels.cpu.row_gradient import copy_out

# Above this many contiguous classes softmax_cross_entropy.py is faster: at 200 a row takes 135 against 103 ns, at 256 they
# are even, and at 512 it takes 190 against 266 (Xeon with AVX-512, one thread, 2026-11-23).
MOST_CLASSES = 256
# Rows of a tile: as many as keep its numbers in the first-level cache, and at least two lines of float32 a class.
_MOST_ROWS, _LEAST_ROWS = 128, 32
_TILE_NUMBERS = 4096
# Classes ahead of the one computed whose lines are asked for, where classes lie apart.
_AHEAD = 3
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
def place_rows(
    line: Any,
    outer_index: Any,
    inner_index: Any,
    inner: Any,
    outer_stride: Any,
    inner_stride: Any,
    count: Any,
    scratch: Any,
) -> Any:
    """Fill a line of scratch with where each row of a tile begins; two divisions a row would cost more than two classes."""
    for r in range(count):
        store(scratch, line + r, outer_index * outer_stride + inner_index * inner_stride, r)
        inner_index += 1
        if inner_index == inner:
            outer_index, inner_index = outer_index + 1, np.int64(0)


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
        sums = _SUMS + (c & 7) * _MOST_ROWS
        steps = count // step_numbers() * step_numbers()
        if steps > 0:
            # classes lie too far apart for the processor to see the next one coming
            after = c + _AHEAD
            if after < classes:
                ahead = x + (offset + after * class_stride) * size
            else:
                ahead = x + (offset + count + (after - classes) * class_stride) * size
            raise_run_and_sum(x, start, ahead, steps, scratch, _TILE + c * pitch, sums, np.int64(_TARGET), c, tag)
        for r in range(steps, count):
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
        total = count * classes
        ahead = x + (offset + total) * size
        steps = total // step_numbers() * step_numbers()
        if steps > 0:
            raise_run(x, offset, ahead, steps, scratch, np.int64(_TILE), tag, tag)
        for j in range(steps, total):
            store(scratch, _TILE + j, exponential(load(x, offset + j, tag, 1.0), tag), 1.0)
    else:
        for r in range(count):
            start = load_integer(scratch, _OFFSET + r)
            for c in range(classes):
                store(scratch, _TILE + r * classes + c, load(x, start + c * class_stride, tag, 1.0), 1.0)
        for j in range(count * classes):
            store(scratch, _TILE + j, exponential(load(scratch, _TILE + j, 1.0, 1.0), tag), 1.0)
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
    stream: Any,
    out_tag: Any,
) -> Any:
    """Write gradients class by class: row by row, 21 lines 256 KB apart fell out of cache."""
    wide_vectors()
    for c in range(classes):
        for r in range(count):
            multiplier = load(scratch, _MULTIPLIER + r, 1.0, 1.0)
            value = load(scratch, _TILE + c * pitch + r, 1.0, 1.0) * multiplier
            value = choose(multiplier == 0.0, 0.0, value)  # a row left out may hold anything
            store(scratch + _RESULT * 8, r, narrow(value, out_tag), out_tag)
        copy_out(scratch + _RESULT * 8, gradient + (offset + c * class_stride) * size, count * size, stream)


@inline
def write_rows(classes: Any, count: Any, scratch: Any, out: Any, size: Any, stream: Any, out_tag: Any) -> Any:
    """Write gradients of rows side by side, through scratch."""
    result = scratch + _RESULT * 8
    for r in range(count):
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
    outer_index, inner_index = first // inner, first % inner
    start, all_missing = first, np.int64(0)
    while start < last:
        count = smaller(most_rows, last - start)
        if inner >= most_rows:  # a tile then ends where the rows cease to be evenly spaced
            count = smaller(count, inner - inner_index)
        offset = outer_index * outer_stride + inner_index * inner_stride
        out_offset = outer_index * gradient_outer_stride + inner_index * gradient_inner_stride
        if gradient != 0 and gradient_inner_stride == 1 and gradient_class_stride != 1:
            # every class's piece of a tile then begins on the boundary of a line; past the caches too, (4, 21, 256, 256)
            # took 6.4 instead of 8.3 ms (7.2 through them; one thread, Zen 4)
            before = (-(gradient + out_offset * gradient_size) & np.int64(LINE_BYTES - 1)) // gradient_size
            count = before if 0 < before < count else count
        even = inner_index + count <= inner
        lanes = inner_stride == 1 and even and class_stride != 1
        whole = inner_stride == classes and class_stride == 1 and even
        first_outer, first_inner = outer_index, inner_index
        inner_index += count
        while inner_index >= inner:
            outer_index, inner_index = outer_index + 1, inner_index - inner
        if not (lanes or whole):
            place_rows(_OFFSET, first_outer, first_inner, inner, outer_stride, inner_stride, count, scratch)
        for r in range(count):
            target = load_integer(targets, start + r)
            weight = load(weights, start + r, 1.0, 1.0) if weights != 0 else 1.0
            own_scale = load(scales, start + r, 1.0, 1.0) if scales != 0 else 1.0
            store(scratch, _TARGET + r, np.int64(-1) if weight == 0.0 else target, r)
            store(scratch, _FACTOR + r, weight * unit, 1.0)
            store(scratch, _SCALE + r, scale * weight * unit * own_scale, 1.0)
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
                    stream,
                    out_tag,
                )
            elif fits and not lanes and missing == 0 and count * classes <= _TILE_NUMBERS:
                out = gradient + out_offset * gradient_size
                write_rows(classes, count, scratch, out, gradient_size, stream, out_tag)
            else:
                place_rows(
                    _OUT_OFFSET,
                    first_outer,
                    first_inner,
                    inner,
                    gradient_outer_stride,
                    gradient_inner_stride,
                    count,
                    scratch,
                )
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
