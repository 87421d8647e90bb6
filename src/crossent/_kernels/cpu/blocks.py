"""The first pass over a contiguous row, block by block: sum the rest. Rows kernels only arrange the loops.

A block is read where it lies. It is copied to scratch first where the target has to be left out, where it is the row's
ragged end, and where the numbers must be converted (half precision beyond half_exp.py's table): one loop serves all.
"""

from typing import Any

import numpy as np

from crossent._kernels.cpu._jit import inline
from crossent._kernels.cpu._llvm import (
    at_least,
    fetch_to_first,
    fma,
    larger,
    load,
    load_integer,
    reorderable_add,
    scaled_line,
    smaller,
    store,
    stream_scaled_line,
    wide_vectors,
)
from crossent._kernels.cpu.exp import (
    LN_2,
    cast,
    exp_parts,
    exponent_of,
    exponent_offset,
    faintest_exponent,
    greatest_integer,
    least_integer,
    limit_of,
    power_over,
    same_type,
    scaled,
)
from crossent._kernels.cpu.targets import two_sum

# 4 KB of float32: the horizontal sums at a block's end cost 5 % of it; 256 cost 20 %, and 4096 won nothing more.
BLOCK = 1024
# Eight 16-lane vectors: copied blocks are padded to a whole number of unrolled steps.
STEP = 128
# What a block leaves of each of eight chains, and what each takes of a step.
LINE, EIGHTH = BLOCK // 8, STEP // 8
LINE_BYTES = 64
# How far ahead of the sums lines are asked for, into the first-level cache: 4096 x 32000 took 26.0, 24.5, 23.9 and 24.1 ms
# for 1, 1.5, 2 and 3 KB; into the second level 2 to 3 ms more at any distance (2026-11-23, two threads).
AHEAD_BYTES = 2048
# One block of logits, one of partial sums or gradients, each at most float64, and a line that says what is pending; two
# rows of kept summands come after them.
SUMS = BLOCK * 8
PENDING = SUMS + 12 * LINE * 8
SCRATCH_BYTES = PENDING + LINE_BYTES
# Logits that the first reference is taken from: 256 cost a row 20 ns more.
_PREFIX = 64
_GUARD = 40  # powers of two by which a later block may exceed the reference


def scratch_bytes(classes: int, kept_size: int) -> int:
    """Return what one thread needs, with summands of so many bytes kept for two rows."""
    return SCRATCH_BYTES + 2 * kept_bytes(classes, kept_size)


def kept_bytes(classes: int, size: int) -> int:
    """Return what one row of kept summands needs: whole steps and whole lines."""
    return -(-(classes + STEP) * size // LINE_BYTES) * LINE_BYTES


@inline
def largest_exponent(x: Any, count: Any, tag: Any, like: Any) -> Any:
    """Return the exponent of the largest e**x_j: far above limit_of for inf and NaN, far below for -inf."""
    wide_vectors()
    best = least_integer(like)
    for j in range(count):
        shifted, _ = exp_parts(load(x, j, tag, like))
        best = larger(best, shifted)
    return exponent_of(best)


@inline
def keep_parts(
    x: Any, j: Any, sums: Any, place: Any, kept: Any, low: Any, offset: Any, tag: Any, like: Any, kept_tag: Any
) -> Any:
    """Store 2**(n - reference) of one element, keep it with its correction; return the exponent's bits, the correction."""
    shifted, correction = exp_parts(at_least(load(x, j, tag, like), low))
    whole = power_over(shifted, offset)
    store(sums, place, whole, like)
    if same_type(kept_tag, like):
        store(kept, j, fma(whole, correction, whole), like)
    return shifted, whole * correction


@inline
def sum_line(sums: Any, start: Any, count: Any) -> Any:
    """Return the sum of float64 numbers and its rounding error; four chains, as each waits for its last sum."""
    total_0, total_1, total_2, total_3 = 0.0, 0.0, 0.0, 0.0
    error_0, error_1, error_2, error_3 = 0.0, 0.0, 0.0, 0.0
    for j in range(start, start + count, 4):
        total_0, error_0 = two_sum(total_0, error_0, load(sums, j, 1.0, 1.0))
        total_1, error_1 = two_sum(total_1, error_1, load(sums, j + 1, 1.0, 1.0))
        total_2, error_2 = two_sum(total_2, error_2, load(sums, j + 2, 1.0, 1.0))
        total_3, error_3 = two_sum(total_3, error_3, load(sums, j + 3, 1.0, 1.0))
    total_0, error_0 = two_sum(total_0, error_0 + error_1, total_1)
    total_2, error_2 = two_sum(total_2, error_2 + error_3, total_3)
    return two_sum(total_0, error_0 + error_2, total_2)


@inline
def sum_four(sums: Any, place: Any, like: Any) -> Any:
    """Return the float64 sum of the elements at one place of four lines."""
    pair = load(sums, place, like, 1.0) + load(sums, place + LINE, like, 1.0)
    return pair + (load(sums, place + 2 * LINE, like, 1.0) + load(sums, place + 3 * LINE, like, 1.0))


@inline
def write_line(source: Any, high: Any, low: Any, target: Any, stream: Any) -> Any:
    """Write one line of a gradient: kept summands times a factor of two parts."""
    if stream:
        stream_scaled_line(source, high, low, target)
    else:
        scaled_line(source, high, low, target)


@inline
def sum_block(
    x: Any,
    count: Any,
    reference: Any,
    kept: Any,
    ahead: Any,
    size: Any,
    scratch: Any,
    precise: Any,
    tag: Any,
    like: Any,
    kept_tag: Any,
) -> Any:
    """Return the sums of 2**(n - reference) and of its corrections, and the largest and the smallest exponent.

    Where `kept_tag` has the type of `like`, what is summed goes to `kept` as well, rounded, for the gradient to scale, and
    what is pending of the last row's gradient is written in between.

    float32 powers are added in float64 at once, corrections four by four before: added to 2**23 times its size, a power
    vanishes, which cost rows where one element outweighs the others 1.9 of 2.4 ulp; corrections are half as large. Worst
    of 40 000 rows of 300 to 3000 normal logits of scale 4 and 20, loss and gradient in ulp: both eight by eight 2.4 and
    4.1, both four by four 2.3 and 3.2, powers in pairs 1.4 and 2.8, this 1.0 and 2.0; the time 22, 24, 24 and 25 ms for
    4096 x 32000. Where float64 itself is asked for (`precise`) the sums carry their rounding errors: 5.3 and 6.9 -> 2.3
    and 3.7 ulp.

    The eight lie side by side, not an eighth of a block apart, and the lines at `ahead` are asked for: the processor's
    own prefetcher follows one stream a page. 4096 x 32000: 68 ms with four chains a quarter of a block apart, 45 side
    by side, 24 with lines asked for, 22 with eight chains (reading alone 15 to 22; 2026-11-23, two threads).
    """
    wide_vectors()
    low = cast((reference + faintest_exponent(like)) * LN_2, like)
    offset = exponent_offset(reference, like)
    sums, pending = scratch + SUMS, scratch + PENDING
    lines = STEP * size // LINE_BYTES
    written = np.int64(16) if same_type(like, 1.0) else np.int64(8)  # lines of gradient per step
    source, target, left = load_integer(pending, 0), load_integer(pending, 1), load_integer(pending, 2)
    high, low_part = cast(load(pending, 3, 1.0, 1.0), like), cast(load(pending, 4, 1.0, 1.0), like)
    stream = load_integer(pending, 5) != 0
    for i in range(count // STEP):
        if same_type(kept_tag, like) and left >= written:
            for line in range(written):
                write_line(source + line * LINE_BYTES, high, low_part, target + line * LINE_BYTES, stream)
            source, target, left = source + written * LINE_BYTES, target + written * LINE_BYTES, left - written
        for line in range(lines):
            fetch_to_first(ahead + (i * lines + line) * LINE_BYTES)
        for lane in range(EIGHTH):
            j, place = i * STEP + lane, i * EIGHTH + lane
            shifted_0, part_0 = keep_parts(x, j, sums, place, kept, low, offset, tag, like, kept_tag)
            shifted_1, part_1 = keep_parts(
                x, j + 1 * EIGHTH, sums, place + 1 * LINE, kept, low, offset, tag, like, kept_tag
            )
            shifted_2, part_2 = keep_parts(
                x, j + 2 * EIGHTH, sums, place + 2 * LINE, kept, low, offset, tag, like, kept_tag
            )
            shifted_3, part_3 = keep_parts(
                x, j + 3 * EIGHTH, sums, place + 3 * LINE, kept, low, offset, tag, like, kept_tag
            )
            store(sums, place + 8 * LINE, (part_0 + part_1) + (part_2 + part_3), like)
            shifted_4, part_4 = keep_parts(
                x, j + 4 * EIGHTH, sums, place + 4 * LINE, kept, low, offset, tag, like, kept_tag
            )
            shifted_5, part_5 = keep_parts(
                x, j + 5 * EIGHTH, sums, place + 5 * LINE, kept, low, offset, tag, like, kept_tag
            )
            shifted_6, part_6 = keep_parts(
                x, j + 6 * EIGHTH, sums, place + 6 * LINE, kept, low, offset, tag, like, kept_tag
            )
            shifted_7, part_7 = keep_parts(
                x, j + 7 * EIGHTH, sums, place + 7 * LINE, kept, low, offset, tag, like, kept_tag
            )
            store(sums, place + 9 * LINE, (part_4 + part_5) + (part_6 + part_7), like)
            top = larger(
                larger(larger(shifted_0, shifted_1), larger(shifted_2, shifted_3)),
                larger(larger(shifted_4, shifted_5), larger(shifted_6, shifted_7)),
            )
            store(sums, place + 10 * LINE, top, top)
            if same_type(kept_tag, like):
                bottom = smaller(
                    smaller(smaller(shifted_0, shifted_1), smaller(shifted_2, shifted_3)),
                    smaller(smaller(shifted_4, shifted_5), smaller(shifted_6, shifted_7)),
                )
                store(sums, place + 11 * LINE, bottom, bottom)
    if same_type(kept_tag, like):
        store(pending, 0, source, source)
        store(pending, 1, target, target)
        store(pending, 2, left, left)
    used = count // 8  # of each line
    total, corrections = 0.0, 0.0
    largest, smallest = least_integer(like), greatest_integer(like)
    if precise:
        for line in range(10):
            term, error = sum_line(sums, line * LINE, used)
            total, corrections = two_sum(total, corrections + error, term)
    for j in range(0 if precise else used):
        near = sum_four(sums, j, like)
        total = reorderable_add(total, near + sum_four(sums, j + 4 * LINE, like))
        pair = load(sums, j + 8 * LINE, like, 1.0) + load(sums, j + 9 * LINE, like, 1.0)
        corrections = reorderable_add(corrections, pair)
    for j in range(used):
        largest = larger(largest, load(sums, j + 10 * LINE, largest, largest))
        if same_type(kept_tag, like):
            smallest = smaller(smallest, load(sums, j + 11 * LINE, smallest, smallest))
    return total, corrections, exponent_of(largest), exponent_of(smallest)


@inline
def fill_block(x: Any, count: Any, hole: Any, scratch: Any, tag: Any, like: Any, kept_tag: Any) -> Any:
    """Copy a block to scratch with -inf at `hole` and up to a whole step; return its padded length, smallest exponent."""
    wide_vectors()
    smallest = greatest_integer(like)
    for j in range(count):
        value = load(x, j, tag, like)
        if same_type(kept_tag, like):
            shifted, _ = exp_parts(value)
            smallest = smaller(smallest, shifted)
        store(scratch, j, value, like)
    padded = (count + STEP - 1) // STEP * STEP
    nothing = cast(-np.inf, like)
    for j in range(count, padded):
        store(scratch, j, nothing, like)
    if 0 <= hole < count:
        store(scratch, hole, nothing, like)
    return padded, exponent_of(smallest)


@inline
def rest_of_row(
    x: Any, size: Any, classes: Any, target: Any, room: Any, scratch: Any, tag: Any, like: Any, kept_tag: Any
) -> Any:
    """Return (fast, rest, reference, smallest, kept): rest * 2**reference sums e**x_j over j != target.

    `fast` is False where these loops can't answer; `smallest` is the least exponent, or less. Where
    `kept_tag` has the type of `like`, the summands go to `room`; `kept` says whether they are relative to one reference.
    """
    limit = limit_of(like)
    moved, precise = False, same_type(tag, 1.0)
    step = np.int64(8) if same_type(like, 1.0) else np.int64(4)
    known = False
    reference, smallest = np.int64(0), np.int64(2**62)
    total, error = 0.0, 0.0
    for start in range(0, classes, BLOCK):
        count = smaller(np.int64(BLOCK), classes - start)
        source = x + start * size
        in_place = count == BLOCK and (target < start or target >= start + BLOCK)
        least = smallest
        if not in_place:
            count, least = fill_block(source, count, target - start, scratch, tag, like, kept_tag)
        if not known:
            for width in (smaller(count, np.int64(_PREFIX)), count):  # all of it where the head is ruled out: masks
                if in_place:
                    top = largest_exponent(source, width, tag, like)
                else:
                    top = largest_exponent(scratch, width, like, like)
                if top >= -limit:
                    break
            if top > limit:
                return False, 0.0, reference, smallest, False
            known = top >= -limit
            reference = top if known else reference
        powers, corrections, largest = 0.0, 0.0, reference
        ahead, place = source + AHEAD_BYTES, room + start * step
        for _ in range(2):
            if in_place:
                powers, corrections, largest, least = sum_block(
                    source, count, reference, place, ahead, size, scratch, precise, tag, like, kept_tag
                )
            else:
                powers, corrections, largest, _least = sum_block(
                    scratch, count, reference, place, ahead, size, scratch, precise, like, like, kept_tag
                )
            if largest - reference <= _GUARD:
                break
            if largest > limit:
                return False, 0.0, reference, smallest, False
            moved = True
            total, error = scaled(total, reference - largest), scaled(error, reference - largest)
            reference = largest
        if corrections != corrections:  # a NaN somewhere, whatever its sign
            return False, 0.0, reference, smallest, False
        smallest = smaller(smallest, least) if known else np.int64(-(2**62))
        if known:
            # with their rounding errors: 300 000 float64 classes would cost 7 ulp without
            total, error = two_sum(total, error, powers)
            total, error = two_sum(total, error, corrections)
    return known, total + error, reference, smallest, not moved
