"""The first pass over a contiguous row, block by block: sum the rest. Rows kernels only arrange the loops.

A block is read where it lies. It is copied to scratch first where the target has to be left out, where it is the row's
ragged end, and where the numbers must be converted (half precision): one loop then serves all.
"""

from typing import Any

import numpy as np

from crossent._kernels.cpu._jit import inline
from crossent._kernels.cpu._llvm import (
    at_least,
    fetch_to_first,
    fma,
    fusible_product,
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

# 4 KB of float32: the horizontal sums at a block's end cost 5 % of it; 256 cost 20 %, and 4096 won nothing more.
BLOCK = 1024
# Eight 16-lane vectors: copied blocks are padded to a whole number of unrolled steps.
STEP = 128
LINE_BYTES = 64
# How far ahead of the sums lines are asked for, into the first-level cache: 4096 x 32000 took 23-24 ms for 1 to 2 KB, 28 for
# 4 KB; into the second level 26 at the best, and 27 at the page's start only (2026-11-23, two threads).
AHEAD_BYTES = 1536
# One block of logits, one of partial sums or gradients, each at most float64, and a line that says what is pending; two
# rows of kept summands come after them.
PENDING = 2 * BLOCK * 8
SCRATCH_BYTES = PENDING + LINE_BYTES
# Logits that the first reference is taken from: 256 cost a row 20 ns more.
_PREFIX = 64
GUARD = 40  # powers of two by which a later block may exceed the reference


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
def two_parts(x: Any, j: Any, kept: Any, low: Any, offset: Any, tag: Any, like: Any, kept_tag: Any) -> Any:
    """Return (exponent with rounding bits, 2**(n - reference), its correction) of one element, and keep their sum."""
    shifted, correction = exp_parts(at_least(load(x, j, tag, like), low))
    whole = power_over(shifted, offset)
    if same_type(kept_tag, like):
        store(kept, j, fma(whole, correction, whole), like)
    return shifted, whole, fusible_product(whole, correction)


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
    sums: Any,
    kept: Any,
    ahead: Any,
    ahead_bytes: Any,
    pending: Any,
    tag: Any,
    like: Any,
    kept_tag: Any,
) -> Any:
    """Return the sums of 2**(n - reference) and of its corrections, and the largest and the smallest exponent.

    Where `kept_tag` has the type of `like`, what is summed goes to `kept` as well, rounded, for the gradient to scale, and
    what is pending of the last row's gradient is written in between.

    Eight elements are added in the arithmetic of x, the rest in float64: where one element outweighs all others, each
    float32 addition to it can cost half an ulp of the row. With 64 float32 lanes for a whole block, rows of the oracle
    table were off by 4.8 ulp; so they are within 1.3.

    The eight lie side by side, not an eighth of a block apart, and the lines at `ahead` are asked for: the processor's
    own prefetcher follows one stream a page. 4096 x 32000: 68 ms with four chains a quarter of a block apart, 45 side
    by side, 24 with lines asked for, 21 with eight chains (reading alone 15 to 22; 2026-11-23, two threads).
    """
    wide_vectors()
    low = cast((reference + faintest_exponent(like)) * LN_2, like)
    offset = exponent_offset(reference, like)
    steps = count // STEP
    lines = ahead_bytes // (steps * LINE_BYTES)
    written = np.int64(16) if same_type(like, 1.0) else np.int64(8)  # lines of gradient per step
    source, target, left = load_integer(pending, 0), load_integer(pending, 1), load_integer(pending, 2)
    high, low_part = cast(load(pending, 3, 1.0, 1.0), like), cast(load(pending, 4, 1.0, 1.0), like)
    stream = load_integer(pending, 5) != 0
    for i in range(steps):
        if same_type(kept_tag, like) and left >= written:
            for line in range(written):
                write_line(source + line * LINE_BYTES, high, low_part, target + line * LINE_BYTES, stream)
            source, target, left = source + written * LINE_BYTES, target + written * LINE_BYTES, left - written
        for line in range(lines):
            fetch_to_first(ahead + (i * lines + line) * LINE_BYTES)
        for lane in range(STEP // 8):
            # four and four: eight at once would not fit into the registers
            j, place = i * STEP + lane, i * (STEP // 8) + lane
            shifted_0, whole_0, part_0 = two_parts(x, j, kept, low, offset, tag, like, kept_tag)
            shifted_1, whole_1, part_1 = two_parts(x, j + 1 * STEP // 8, kept, low, offset, tag, like, kept_tag)
            shifted_2, whole_2, part_2 = two_parts(x, j + 2 * STEP // 8, kept, low, offset, tag, like, kept_tag)
            shifted_3, whole_3, part_3 = two_parts(x, j + 3 * STEP // 8, kept, low, offset, tag, like, kept_tag)
            powers = (whole_0 + whole_1) + (whole_2 + whole_3)
            parts = (part_0 + part_1) + (part_2 + part_3)
            top = larger(larger(shifted_0, shifted_1), larger(shifted_2, shifted_3))
            bottom = smaller(smaller(shifted_0, shifted_1), smaller(shifted_2, shifted_3))
            shifted_4, whole_4, part_4 = two_parts(x, j + 4 * STEP // 8, kept, low, offset, tag, like, kept_tag)
            shifted_5, whole_5, part_5 = two_parts(x, j + 5 * STEP // 8, kept, low, offset, tag, like, kept_tag)
            shifted_6, whole_6, part_6 = two_parts(x, j + 6 * STEP // 8, kept, low, offset, tag, like, kept_tag)
            shifted_7, whole_7, part_7 = two_parts(x, j + 7 * STEP // 8, kept, low, offset, tag, like, kept_tag)
            more_powers = (whole_4 + whole_5) + (whole_6 + whole_7)
            more_parts = (part_4 + part_5) + (part_6 + part_7)
            more_top = larger(larger(shifted_4, shifted_5), larger(shifted_6, shifted_7))
            more_bottom = smaller(smaller(shifted_4, shifted_5), smaller(shifted_6, shifted_7))
            store(sums, place, powers + more_powers, like)
            store(sums, place + BLOCK // 8, parts + more_parts, like)
            top = larger(top, more_top)
            store(sums, place + BLOCK // 4, top, top)
            if same_type(kept_tag, like):
                bottom = smaller(bottom, more_bottom)
                store(sums, place + 3 * BLOCK // 8, bottom, bottom)
    if same_type(kept_tag, like):
        store(pending, 0, source, source)
        store(pending, 1, target, target)
        store(pending, 2, left, left)
    total, corrections = 0.0, 0.0
    largest, smallest = least_integer(like), greatest_integer(like)
    for j in range(count // 8):
        total = reorderable_add(total, load(sums, j, like, 1.0))
        corrections = reorderable_add(corrections, load(sums, j + BLOCK // 8, like, 1.0))
    for j in range(count // 8):
        largest = larger(largest, load(sums, j + BLOCK // 4, largest, largest))
        if same_type(kept_tag, like):
            smallest = smaller(smallest, load(sums, j + 3 * BLOCK // 8, smallest, smallest))
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
    moved = False
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
        sums, ahead = scratch + BLOCK * 8, source + AHEAD_BYTES
        place = room + start * step
        for _ in range(2):
            if in_place:
                powers, corrections, largest, least = sum_block(
                    source, count, reference, sums, place, ahead, count * size, scratch + PENDING, tag, like, kept_tag
                )
            else:
                powers, corrections, largest, _least = sum_block(
                    scratch,
                    count,
                    reference,
                    sums,
                    place,
                    ahead,
                    count * size,
                    scratch + PENDING,
                    like,
                    like,
                    kept_tag,
                )
            if largest - reference <= GUARD:
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
            # two-sum: exact additions, their errors kept beside; 300 000 float64 classes would cost 7 ulp without
            for term in (powers, corrections):
                following = total + term
                back = following - total
                error += (total - (following - back)) + (term - back)
                total = following
    return known, total + error, reference, smallest, not moved
