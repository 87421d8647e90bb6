"""The first pass over a contiguous row, block by block: sum the rest. Rows kernels only arrange the loops.

A block is read where it lies, but for half precision beyond half_exp.py's table, which is converted in scratch first.
"""

from typing import Any

import numpy as np

from crossent._kernels.cpu._jit import inline
from crossent._kernels.cpu._llvm import load, load_integer, smaller, store, wide_vectors
from crossent._kernels.cpu.block_sum import LINE_BYTES, MOST_STEP_BYTES, largest_of, step_bytes, sum_vectors
from crossent._kernels.cpu.exp import LN_2, cast, exp_parts, exponent_of, faintest_exponent, limit_of, same_type, scaled
from crossent._kernels.cpu.targets import two_sum

# 4 KB of float32: the horizontal sums at a block's end cost 3 % of it.
BLOCK = 1024
# How far ahead of the sums lines are asked for, into the first-level cache: 4096 x 32000 took 26.0, 24.5, 23.9 and 24.1 ms
# for 1, 1.5, 2 and 3 KB; into the second level 2 to 3 ms more at any distance (2026-11-23, two threads).
AHEAD_BYTES = 2048
# One block of logits, one of gradients, each at most float64, and a line that says what is pending; two rows of kept
# summands come after them.
RESULT = BLOCK * 8
PENDING = RESULT + BLOCK * 8
SCRATCH_BYTES = PENDING + LINE_BYTES
# Logits that the first reference is taken from: 256 cost a row 20 ns more.
_PREFIX = 64
_GUARD = 40  # powers of two by which a later block may exceed the reference


def scratch_bytes(classes: int, kept_size: int) -> int:
    """Return what one thread needs, with summands of so many bytes kept for two rows."""
    return SCRATCH_BYTES + 2 * kept_bytes(classes, kept_size)


def kept_bytes(classes: int, size: int) -> int:
    """Return what one row of kept summands needs: whole steps."""
    return -(-classes * size // MOST_STEP_BYTES) * MOST_STEP_BYTES


@inline
def sum_block(
    x: Any, count: Any, hole: Any, reference: Any, ahead: Any, kept: Any, scratch: Any, like: Any, kept_tag: Any
) -> Any:
    """Return the sums of 2**(n - reference) and of its corrections over j != hole, the largest n, the least logit.

    Each sum comes with its rounding errors. Where `kept_tag` has the type of `like`, what is summed goes to `kept` as
    well, rounded, for the gradient to scale, and what is pending of the last row's gradient is written in between.

    float32 powers are added in float64 at once, corrections four by four before: added to 2**23 times its size, a power
    vanishes, which cost rows where one element outweighs the others 1.9 of 2.4 ulp; corrections are half as large. Worst
    of 40 000 rows of 300 to 3000 normal logits of scale 4 and 20, loss and gradient in ulp: both eight by eight 2.4 and
    4.1, both four by four 2.3 and 3.2, powers in pairs 1.4 and 2.8, this 1.0 and 2.0. float64 sums carry their rounding
    errors: 5.3 and 6.9 -> 2.3 and 3.7 ulp.
    """
    wide_vectors()
    low = cast((reference + faintest_exponent(like)) * LN_2, like)
    pending = scratch + PENDING
    source, target, left = np.int64(0), np.int64(0), np.int64(0)
    high_factor, low_factor, stream = cast(0.0, like), cast(0.0, like), np.int64(0)
    if same_type(kept_tag, like):
        source, target, left = load_integer(pending, 0), load_integer(pending, 1), load_integer(pending, 2)
        high_factor, low_factor = cast(load(pending, 3, 1.0, 1.0), like), cast(load(pending, 4, 1.0, 1.0), like)
        stream = load_integer(pending, 5)
    writing = left * LINE_BYTES // step_bytes()
    sums = sum_vectors(
        *(x, count, hole, reference, low, ahead, kept),
        *(source, target, high_factor, low_factor, writing, stream, kept_tag),
    )
    if same_type(kept_tag, like):
        size = np.int64(4) if same_type(like, np.float32(0)) else np.int64(8)
        written = smaller(writing, (count * size + step_bytes() - 1) // step_bytes()) * step_bytes()
        store(pending, 0, source + written, left)
        store(pending, 1, target + written, left)
        store(pending, 2, left - written // LINE_BYTES, left)
    return sums


@inline
def convert_block(x: Any, count: Any, scratch: Any, tag: Any, like: Any) -> Any:
    """Write a block of logits to scratch, like `like`."""
    wide_vectors()
    for j in range(count):
        store(scratch, j, load(x, j, tag, like), like)


@inline
def rest_of_row(
    x: Any, size: Any, classes: Any, target: Any, room: Any, scratch: Any, tag: Any, like: Any, kept_tag: Any
) -> Any:
    """Return (fast, rest, reference, smallest, kept): rest * 2**reference sums e**x_j over j != target.

    `fast` is False where these loops can't answer; `smallest` is the least exponent, or less. Where
    `kept_tag` has the type of `like`, the summands go to `room`; `kept` says whether they are relative to one reference.
    """
    limit = limit_of(like)
    moved, known = False, False
    step = np.int64(8) if same_type(like, 1.0) else np.int64(4)
    reference, smallest, least_logit = np.int64(0), np.int64(-(2**62)), cast(np.inf, like)
    total, error = 0.0, 0.0
    for start in range(0, classes, BLOCK):
        count = smaller(np.int64(BLOCK), classes - start)
        hole = target - start if start <= target < start + count else np.int64(-1)
        source = x + start * size
        ahead, place = source + AHEAD_BYTES, room + start * step
        if not same_type(tag, like):
            convert_block(source, count, scratch, tag, like)
            source = scratch
        if not known:
            for width in (smaller(count, np.int64(_PREFIX)), count):  # all of it where the head is ruled out: masks
                largest_logit = largest_of(source, width, hole, like)
                shifted, _ = exp_parts(largest_logit)
                top = exponent_of(shifted)
                if top >= -limit:
                    break
            if top > limit:
                return False, 0.0, reference, smallest, False
            if same_type(like, np.float32(0)) and top < -limit and largest_logit > -np.inf:
                # not ruled out, only far below: it may matter to a block that lies hardly higher
                return False, 0.0, reference, smallest, False
            known = top >= -limit
            reference = top if known else reference
        for _ in range(2):
            powers, powers_error, corrections, corrections_error, largest, least = sum_block(
                source, count, hole, reference, ahead, place, scratch, like, kept_tag
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
        least_logit = min(least_logit, least)
        if known:
            # with their rounding errors: 300 000 float64 classes would cost 7 ulp without
            total, error = two_sum(total, error + (powers_error + corrections_error), powers)
            total, error = two_sum(total, error, corrections)
    if same_type(kept_tag, like):
        shifted, _ = exp_parts(least_logit)  # -inf stands far below every exponent
        smallest = exponent_of(shifted)
    return known, total + error, reference, smallest, not moved
