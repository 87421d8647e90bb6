"""Kernel for rows of the softmax loss with any targets and any options: numbers of rows and their gradient. See problem.py.

Two passes over the classes of a row: the sums of online.py, then the gradient. A program has whole rows, or where those are
few and long a part of one: then the parts are seen in one launch, and in the next each program puts all parts together.

Traffic in bytes: rows * classes * (size + target size) read, and with a gradient rows * classes * size written; the second
read of both comes from the second-level cache as long as the rows that are worked on at the same time fit there. For each
number one exponential of float64, with a gradient two, with a cap four.
"""

import triton
import triton.language as tl

from crossent._kernels.gpu.bend import bent
from crossent._kernels.gpu.effective_targets import DISTRIBUTIONS, addresses, read_rows, read_tile, wide
from crossent._kernels.gpu.online import joined, keep, kept, nothing_seen, only_possible, see
from crossent._kernels.gpu.soft_gradient import write_gradient
from crossent._kernels.gpu.soft_numbers import store_numbers

# What a program has: whole rows; a part of one to look at; the same part, when all have been seen.
WHOLE, SEE, FINISH = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2)


@triton.jit
def solve_rows(
    logits,  # (rows, classes)
    place,  # Place of the logits
    targets,  # Targets
    outputs,  # Outputs
    upstream,  # Upstreams
    gradient,  # (rows, classes), None for none; may be the logits
    gradient_place,  # Place
    scratch,  # (12, rows, parts) float64; None for WHOLE
    rows,
    classes,
    parts,
    part_classes,  # how many classes a part has, the last one at most; a multiple of CLASSES
    ignore_index,
    unnamed: tl.float64,
    smoothing: tl.float64,
    smoothing_of_each: tl.float64,
    softcap: tl.float64,
    temperature: tl.float64,
    z_loss: tl.float64,
    KIND: tl.constexpr,
    UNIFORM: tl.constexpr,
    IGNORES: tl.constexpr,
    SMOOTHS: tl.constexpr,
    LISTED: tl.constexpr,
    CAPPED: tl.constexpr,
    HEATED: tl.constexpr,
    PENALIZED: tl.constexpr,
    WITH_ENTROPY: tl.constexpr,
    WITH_TARGET_LOGIT: tl.constexpr,
    WITH_ACCURACY: tl.constexpr,
    ROWS: tl.constexpr,
    CLASSES: tl.constexpr,
    PARTS: tl.constexpr,  # a power of two, at least `parts`
    STAGE: tl.constexpr,
):
    """ROWS rows each program, CLASSES classes at a time."""
    DOUBLE: tl.constexpr = logits.dtype.element_ty == tl.float64
    WITH_NAMED: tl.constexpr = KIND == DISTRIBUTIONS and IGNORES
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    valid = row < rows
    row = tl.where(valid, row, 0)
    class_id, background, counted, impossible = read_rows(
        targets, row, valid, classes, ignore_index, unnamed, KIND, UNIFORM, IGNORES
    )
    # a statement, for the interpreter knows no tl.device_assert; on a GPU it is one
    assert tl.max(impossible.to(tl.int32), 0) == 0, "a target is not a class"
    part = tl.program_id(1)
    start, stop = 0, classes
    if STAGE != WHOLE:
        start = part * part_classes
        stop = tl.minimum(start + part_classes, classes)
    if STAGE == FINISH:
        seen = kept(scratch, row, rows, parts, PARTS)
    else:
        seen = nothing_seen(ROWS, CLASSES)
        first = addresses(logits, place, row)[:, None]
        for block in range(start, stop, CLASSES):
            c = block + tl.arange(0, CLASSES)[None, :]
            inside = counted[:, None] & (c < classes)
            x = tl.load(first + c.to(tl.int64) * place.class_stride, mask=inside, other=0.0)
            z = tl.where(inside, bent(wide(x), softcap, temperature, CAPPED, HEATED), -float("inf"))
            t, y = read_tile(
                targets,
                row,
                class_id,
                background,
                block,
                c,
                inside,
                classes,
                smoothing,
                smoothing_of_each,
                KIND,
                SMOOTHS,
                LISTED,
            )
            seen = see(seen, z, t, y, c, inside, DOUBLE, WITH_ENTROPY, WITH_TARGET_LOGIT, WITH_ACCURACY, WITH_NAMED)
    sums = joined(seen, DOUBLE, WITH_ENTROPY, WITH_TARGET_LOGIT, WITH_ACCURACY, WITH_NAMED)
    if STAGE == SEE:
        keep(sums, scratch, row, rows, part, parts, valid)
    else:
        if WITH_NAMED:
            counted = counted & ~((class_id == 1) & (sums.named == 1))
        sums = only_possible(sums, impossible)
        if part == 0:
            store_numbers(outputs, row, valid, counted, impossible, sums, classes, z_loss, KIND, PENALIZED)
        if gradient is not None:
            tl.debug_barrier()  # no warp may write where another still reads
            write_gradient(
                gradient,
                gradient_place,
                logits,
                place,
                targets,
                upstream,
                row,
                valid,
                counted,
                class_id,
                background,
                sums,
                classes,
                start,
                stop,
                smoothing,
                smoothing_of_each,
                softcap,
                temperature,
                z_loss,
                KIND,
                SMOOTHS,
                LISTED,
                CAPPED,
                HEATED,
                PENALIZED,
                WITH_ENTROPY,
                WITH_TARGET_LOGIT,
                CLASSES,
            )
