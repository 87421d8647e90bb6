"""The loops over a contiguous row, block by block: sum the rest, write the gradient. Rows kernels only arrange them.

A block is read where it lies. It is copied to scratch first where the target has to be left out, where it is the row's
ragged end, and where the numbers must be converted (half precision): one loop then serves all.
"""

from typing import Any

import numpy as np

from crossent._kernels.cpu._jit import inline
from crossent._kernels.cpu._llvm import (
    at_least,
    copy_bytes,
    fma,
    fusible_product,
    larger,
    load,
    power_of_two,
    prefetch,
    reorderable_add,
    smaller,
    store,
    stream_line,
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
    half_difference,
    least_integer,
    limit_of,
    lowest_exponent,
    narrow,
    power_over,
    same_type,
    scaled,
    store_half,
)

# 4 KB of float32: the horizontal sums at a block's end cost 5 % of it; 256 cost 20 %, and 4096 won nothing more.
BLOCK = 1024
# Four 16-lane vectors: copied blocks are padded to a whole number of unrolled steps.
STEP = 64
LINE_BYTES = 64
# How far ahead of the sums lines are asked for; 1 KB to 8 KB were tried, see sum_block.
AHEAD_BYTES = 4096
# One block of logits, and one of partial sums or gradients, each at most float64.
SCRATCH_BYTES = 2 * BLOCK * 8
_PREFIX = 256
GUARD = 40  # powers of two by which a later block may exceed the reference


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
def two_parts(x: Any, j: Any, low: Any, offset: Any, tag: Any, like: Any) -> Any:
    """Return (exponent with rounding bits, 2**(n - reference), its correction) of one element."""
    shifted, correction = exp_parts(at_least(load(x, j, tag, like), low))
    whole = power_over(shifted, offset)
    return shifted, whole, fusible_product(whole, correction)


@inline
def sum_block(x: Any, count: Any, reference: Any, sums: Any, ahead: Any, ahead_bytes: Any, tag: Any, like: Any) -> Any:
    """Return the sums of 2**(n - reference) and of its corrections, and the largest and the smallest exponent.

    Four elements are added in the arithmetic of x, the rest in float64: where one element outweighs all others, each
    float32 addition to it can cost half an ulp of the row. With 64 float32 lanes for a whole block, rows of the oracle
    table were off by 4.8 ulp; with this 15 % more instructions they are within 1.1.

    The four lie side by side, not a quarter of a block apart, and the lines at `ahead` are asked for: the processor's
    own prefetcher follows one stream a page. 4096 x 32000: 68 ms with quarters, 45 side by side, 32 with both (reading
    alone 23; 2026-11-22, two threads).
    """
    wide_vectors()
    low = cast((reference + faintest_exponent(like)) * LN_2, like)
    offset = exponent_offset(reference, like)
    steps = count // STEP
    lines = ahead_bytes // (steps * LINE_BYTES)
    for i in range(steps):
        for line in range(lines):
            prefetch(ahead + (i * lines + line) * LINE_BYTES)
        for lane in range(STEP // 4):
            j = i * STEP + lane
            shifted_0, whole_0, part_0 = two_parts(x, j, low, offset, tag, like)
            shifted_1, whole_1, part_1 = two_parts(x, j + STEP // 4, low, offset, tag, like)
            shifted_2, whole_2, part_2 = two_parts(x, j + STEP // 2, low, offset, tag, like)
            shifted_3, whole_3, part_3 = two_parts(x, j + 3 * STEP // 4, low, offset, tag, like)
            place = i * (STEP // 4) + lane
            store(sums, place, (whole_0 + whole_1) + (whole_2 + whole_3), like)
            store(sums, place + BLOCK // 4, (part_0 + part_1) + (part_2 + part_3), like)
            top = larger(larger(shifted_0, shifted_1), larger(shifted_2, shifted_3))
            bottom = smaller(smaller(shifted_0, shifted_1), smaller(shifted_2, shifted_3))
            store(sums, place + BLOCK // 2, top, top)
            store(sums, place + 3 * BLOCK // 4, bottom, bottom)
    powers, corrections = 0.0, 0.0
    largest, smallest = least_integer(like), greatest_integer(like)
    for j in range(count // 4):
        powers = reorderable_add(powers, load(sums, j, like, 1.0))
        corrections = reorderable_add(corrections, load(sums, j + BLOCK // 4, like, 1.0))
    for j in range(count // 4):
        largest = larger(largest, load(sums, j + BLOCK // 2, largest, largest))
        smallest = smaller(smallest, load(sums, j + 3 * BLOCK // 4, smallest, smallest))
    return powers, corrections, exponent_of(largest), exponent_of(smallest)


@inline
def fill_block(x: Any, count: Any, hole: Any, scratch: Any, tag: Any, like: Any) -> Any:
    """Copy a block to scratch with -inf at `hole` and up to a whole step; return its padded length, smallest exponent."""
    wide_vectors()
    smallest = greatest_integer(like)
    for j in range(count):
        value = load(x, j, tag, like)
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
def rest_of_row(x: Any, size: Any, classes: Any, target: Any, scratch: Any, tag: Any, like: Any) -> Any:
    """Return (fast, rest, reference, smallest): rest * 2**reference sums e**x_j over j != target.

    `fast` is False where these loops can't answer; `smallest` is the least exponent, or less.
    """
    limit = limit_of(like)
    known = False
    reference, smallest = np.int64(0), np.int64(2**62)
    total, error = 0.0, 0.0
    for start in range(0, classes, BLOCK):
        count = smaller(np.int64(BLOCK), classes - start)
        source = x + start * size
        in_place = count == BLOCK and (target < start or target >= start + BLOCK)
        least = smallest
        if not in_place:
            count, least = fill_block(source, count, target - start, scratch, tag, like)
        if not known:
            for width in (smaller(count, np.int64(_PREFIX)), count):  # all of it where the head is ruled out: masks
                if in_place:
                    top = largest_exponent(source, width, tag, like)
                else:
                    top = largest_exponent(scratch, width, like, like)
                if top >= -limit:
                    break
            if top > limit:
                return False, 0.0, reference, smallest
            known = top >= -limit
            reference = top if known else reference
        powers, corrections, largest = 0.0, 0.0, reference
        sums, ahead = scratch + BLOCK * 8, source + AHEAD_BYTES
        for _ in range(2):
            if in_place:
                powers, corrections, largest, least = sum_block(
                    source, count, reference, sums, ahead, count * size, tag, like
                )
            else:
                powers, corrections, largest, _least = sum_block(
                    scratch, count, reference, sums, ahead, count * size, like, like
                )
            if largest - reference <= GUARD:
                break
            if largest > limit:
                return False, 0.0, reference, smallest
            total, error = scaled(total, reference - largest), scaled(error, reference - largest)
            reference = largest
        if corrections != corrections:  # a NaN somewhere, whatever its sign
            return False, 0.0, reference, smallest
        smallest = smaller(smallest, least) if known else np.int64(-(2**62))
        if known:
            # two-sum: exact additions, their errors kept beside; 300 000 float64 classes would cost 7 ulp without
            for term in (powers, corrections):
                following = total + term
                back = following - total
                error += (total - (following - back)) + (term - back)
                total = following
    return known, total + error, reference, smallest


@inline
def gradient_block(x: Any, count: Any, out: Any, m: Any, e: Any, ahead: Any, like: Any, out_tag: Any) -> Any:
    """Write m e**x_j / 2**e where no entry is subnormal. m stays a pair, so that one entry rounds about once.

    This pass reads from cache; the lines at `ahead`, of the next row, are asked for meanwhile.
    """
    wide_vectors()
    offset = exponent_offset(e, like)
    high = cast(m, like)
    low = cast(m - high, like)
    for i in range(count // STEP):
        for line in range(4):
            prefetch(ahead + (4 * i + line) * LINE_BYTES)
        for lane in range(STEP):
            j = i * STEP + lane
            shifted, correction = exp_parts(load(x, j, like, like))
            value = (high + fma(high, correction, low)) * power_over(shifted, offset)
            store(out, j, narrow(value, out_tag), out_tag)


@inline
def gradient_block_half(
    x: Any, count: Any, out: Any, singles: Any, m: Any, e: Any, ahead: Any, tag: Any, out_tag: Any
) -> Any:
    """Do the same in float32 for entries stored in half precision, correctly rounded.

    The float32 value is within 2**-22 of the exact one (1.6 ulp on the oracle table). Where both ends of twice that
    distance round to the same half it is the right one; where not, in 1 of 60 steps, float64 decides (Ziv's test).
    """
    wide_vectors()
    single = np.float32(0)
    offset = exponent_offset(e, single)
    high = np.float32(m)
    low = np.float32(m - np.float64(high))
    below, above = np.float32(1.0 - 2.0**-21), np.float32(1.0 + 2.0**-21)
    for i in range(count // STEP):
        for line in range(2):
            prefetch(ahead + (2 * i + line) * LINE_BYTES)
        # two loops: one loop over 16-bit and 32-bit numbers became vectors of 64, and spilled
        for lane in range(STEP):
            shifted, correction = exp_parts(load(x, i * STEP + lane, tag, single))
            value = (high + fma(high, correction, low)) * power_over(shifted, offset)
            store(singles, lane, value, single)
        doubtful = half_difference(single, single, out_tag)
        for lane in range(STEP):
            value = load(singles, lane, single, single)
            store_half(out, i * STEP + lane, value, out_tag)
            doubtful |= half_difference(value * below, value * above, out_tag)
        if doubtful != 0:
            exact_offset = exponent_offset(e, 1.0)
            for lane in range(STEP):
                j = i * STEP + lane
                exact, rest = exp_parts(load(x, j, tag, 1.0))
                store(out, j, narrow(fma(m, rest, m) * power_over(exact, exact_offset), out_tag), out_tag)


@inline
def gradient_block_wide(x: Any, count: Any, out: Any, m: Any, e: Any, like: Any, out_tag: Any) -> Any:
    """Do the same over the whole range: two factors of 2**(n - e), so that a subnormal entry rounds once, -inf gives 0."""
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
def copy_out(source: Any, target: Any, size_bytes: Any, stream: Any) -> Any:
    """Copy a finished block to the output, past the caches where `stream` asks for it."""
    head = np.int64(0)
    lines = np.int64(0)
    if stream:
        head = smaller(-target & np.int64(63), size_bytes)
        lines = (size_bytes - head) >> np.int64(6)
        copy_bytes(target, source, head)
    for i in range(lines):
        stream_line(target + head + 64 * i, source + head + 64 * i)
    done = head + 64 * lines
    copy_bytes(target + done, source + done, size_bytes - done)


@inline
def gradient_of_row(
    x: Any,
    size: Any,
    classes: Any,
    out: Any,
    out_size: Any,
    m: Any,
    e: Any,
    plain: Any,
    stream: Any,
    scratch: Any,
    tag: Any,
    like: Any,
    out_tag: Any,
) -> Any:
    """Write m e**x / 2**e for a row, block by block through scratch, whose lines are aligned."""
    result = scratch + BLOCK * 8
    for start in range(0, classes, BLOCK):
        count = smaller(np.int64(BLOCK), classes - start)
        padded = count
        source = x + start * size
        if plain and count == BLOCK and not same_type(tag, like) and same_type(tag, out_tag):
            gradient_block_half(source, BLOCK, result, scratch, m, e, source + classes * size, tag, out_tag)
            copy_out(result, out + start * out_size, count * out_size, stream)
            continue
        if not same_type(tag, like) or count < BLOCK:
            padded = (count + STEP - 1) // STEP * STEP
            if classes > BLOCK:  # else scratch still holds the row, but for the target, whose entry is written last
                padded, _ = fill_block(source, count, np.int64(-1), scratch, tag, like)
            source = scratch
        if plain:
            gradient_block(source, padded, result, m, e, x + (classes + start) * size, like, out_tag)
        else:
            gradient_block_wide(source, padded, result, m, e, like, out_tag)
        copy_out(result, out + start * out_size, count * out_size, stream)
