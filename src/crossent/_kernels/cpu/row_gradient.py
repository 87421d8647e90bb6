"""The second pass over a contiguous row: its gradient, from what the sums kept, or from the logits once more."""

from typing import Any

import numpy as np

from crossent._kernels.cpu._jit import inline
from crossent._kernels.cpu._llvm import (
    at_least,
    copy_bytes,
    fma,
    load,
    load_integer,
    power_of_two,
    smaller,
    store,
    stream_line,
    wide_vectors,
)
from crossent._kernels.cpu._vectors import scaled_line, stream_scaled_line
from crossent._kernels.cpu.block_sum import LINE_BYTES
from crossent._kernels.cpu.blocks import BLOCK, PENDING, RESULT, convert_block
from crossent._kernels.cpu.exp import (
    LN_2,
    cast,
    exp_parts,
    exponent_of,
    greatest_integer,
    least_integer,
    lowest_exponent,
    narrow,
    same_type,
    upper_half_rounded,
)


@inline
def copy_out(source: Any, target: Any, size_bytes: Any, stream: Any) -> Any:
    """Copy a finished block to the output, past the caches where `stream` asks for it."""
    head = np.int64(0)
    lines = np.int64(0)
    if stream:
        head = smaller(-target & np.int64(63), size_bytes)
        lines = (size_bytes - head) >> np.int64(6)
        if head > 0:  # calling memcpy for nothing takes as long as two lines
            copy_bytes(target, source, head)
    for i in range(lines):
        stream_line(target + head + 64 * i, source + head + 64 * i)
    done = head + 64 * lines
    if done < size_bytes:
        copy_bytes(target + done, source + done, size_bytes - done)


@inline
def scale_kept(
    kept: Any, classes: Any, out: Any, out_size: Any, factor: Any, stream: Any, scratch: Any, like: Any, out_tag: Any
) -> Any:
    """Write what rest_of_row kept, times a factor; most of it is left pending, for sum_block to write between the lines
    of the next row: 4096 x 32000 with the writing in a pass of its own took 45 ms instead of 30.

    The factor is a pair, so that one entry rounds about once more.
    """
    wide_vectors()
    high = cast(factor, like)
    low = cast(factor - high, like)
    if same_type(like, out_tag):
        head = smaller((-out & np.int64(LINE_BYTES - 1)) // out_size, classes) if stream else np.int64(0)
        lines = (classes - head) * out_size // LINE_BYTES
        for j in range(head):
            value = load(kept, j, like, like)
            store(out, j, fma(value, high, value * low), out_tag)
        for j in range(head + lines * LINE_BYTES // out_size, classes):
            value = load(kept, j, like, like)
            store(out, j, fma(value, high, value * low), out_tag)
        pending = scratch + PENDING
        store(pending, 0, kept + head * out_size, head)
        store(pending, 1, out + head * out_size, head)
        store(pending, 2, lines, head)
        store(pending, 3, np.float64(high), 1.0)
        store(pending, 4, np.float64(low), 1.0)
        store(pending, 5, np.int64(stream), head)
        return
    result = scratch + RESULT
    for start in range(0, classes, BLOCK):
        count = smaller(np.int64(BLOCK), classes - start)
        nearest = False
        if same_type(out_tag, np.uint16(0)):
            least = greatest_integer(np.float32(0))
            for j in range(count):
                entry, lower_half = upper_half_rounded(load(kept, start + j, like, 1.0) * factor)
                store(result, j, entry, out_tag)
                least = smaller(least, lower_half)
            nearest = least > least_integer(np.float32(0))
        for j in range(0 if nearest else count):
            store(result, j, narrow(load(kept, start + j, like, like) * factor, out_tag), out_tag)
        copy_out(result, out + start * out_size, count * out_size, stream)


@inline
def clear_pending(scratch: Any) -> Any:
    """Say that no gradient is left to write."""
    for slot in range(6):
        store(scratch + PENDING, slot, np.int64(0), slot)


@inline
def write_line(source: Any, high: Any, low: Any, target: Any, stream: Any) -> Any:
    """Write one line of a gradient: kept summands times a factor of two parts."""
    if stream:
        stream_scaled_line(source, high, low, target)
    else:
        scaled_line(source, high, low, target)


@inline
def write_pending(scratch: Any, like: Any) -> Any:
    """Write what is still left of a gradient."""
    pending = scratch + PENDING
    source, target, left = load_integer(pending, 0), load_integer(pending, 1), load_integer(pending, 2)
    high, low = cast(load(pending, 3, 1.0, 1.0), like), cast(load(pending, 4, 1.0, 1.0), like)
    stream = load_integer(pending, 5) != 0
    for line in range(left):
        write_line(source + line * LINE_BYTES, high, low, target + line * LINE_BYTES, stream)
    store(pending, 2, np.int64(0), left)


@inline
def gradient_block_wide(x: Any, count: Any, out: Any, m: Any, e: Any, like: Any, out_tag: Any) -> Any:
    """Write m e**x_j / 2**e over the whole range: two factors of 2**(n - e), so that a subnormal entry rounds once, -inf gives 0."""
    wide_vectors()
    lowest = lowest_exponent(like)
    low = cast((e + 2 * lowest) * LN_2, like)
    # entries below half of the smallest subnormal number: multiplying them out would trap into microcode
    vanishing = cast((e + lowest - 56) * LN_2, like)
    high = cast(m, like)
    tail = cast(m - high, like)
    zero = cast(0.0, like)
    for j in range(count):
        x_j = at_least(load(x, j, like, like), low)
        shifted, correction = exp_parts(x_j)
        value = high + fma(high, correction, tail)
        value = value if x_j > vanishing else zero
        shift = exponent_of(shifted) - e
        half = shift >> np.int64(1)
        value = value * cast(power_of_two(half), like) * cast(power_of_two(shift - half), like)
        store(out, j, narrow(value, out_tag), out_tag)


@inline
def gradient_of_row(
    x: Any,
    size: Any,
    classes: Any,
    out: Any,
    out_size: Any,
    m: Any,
    e: Any,
    stream: Any,
    scratch: Any,
    tag: Any,
    like: Any,
    out_tag: Any,
) -> Any:
    """Write m e**x / 2**e for a row, block by block through scratch, whose lines are aligned."""
    result = scratch + RESULT
    for start in range(0, classes, BLOCK):
        count = smaller(np.int64(BLOCK), classes - start)
        source = x + start * size
        if not same_type(tag, like):
            convert_block(source, count, scratch, tag, like)
            source = scratch
        gradient_block_wide(source, count, result, m, e, like, out_tag)
        copy_out(result, out + start * out_size, count * out_size, stream)
