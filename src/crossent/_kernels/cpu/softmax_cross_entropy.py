"""Rows kernel of arrays.softmax_cross_entropy: class ids, many classes, each row contiguous.

The loss of a row x with target t is log1p(rest / e_t), rest = sum over j != t of e**x_j: t is left out of the sum, so
nothing cancels at any confidence, and t's gradient is -rest / (rest + e_t). No maximum is subtracted (in float32 that
costs up to 64 ulp at margins of 80): sums are kept relative to 2**M, M the exponent of an early maximum of the *rest*.

Half-precision rows take e**x, relative to nothing, from a table (half_exp.py), and these sums only where it doesn't serve.
One pass, guarded: a block whose largest exponent exceeds M by 40 moves M there and is summed again. The gradient's
second pass finds the row in cache. Rows outside the fast range (infinities, NaN, huge numbers) go to careful.py.

Traffic in bytes: rows * classes * size read, and as much written with a gradient.
"""

from typing import Any

import numpy as np

from crossent._kernels.cpu._jit import kernel
from crossent._kernels.cpu._llvm import fence, load, load_integer, power_of_two, store
from crossent._kernels.cpu.blocks import SCRATCH_BYTES, rest_of_row
from crossent._kernels.cpu.careful import careful_row
from crossent._kernels.cpu.exp import cast, faintest_exponent, lowest_exponent, mantissa_and_exponent, narrow, same_type
from crossent._kernels.cpu.half_exp import GREATEST_EXPONENT, LEAST_EXPONENT, rest_from_table
from crossent._kernels.cpu.odds import LARGEST_TARGET, loss_of_odds, normalizer, odds_against, share_of_rest
from crossent._kernels.cpu.row_gradient import clear_pending, gradient_of_row, scale_kept, write_pending

# powers of two that a row's kept summands are scaled by at most: both parts of the factor are normal float32 numbers
_FARTHEST_FACTOR = 64


@kernel
def rows(
    x: Any,  # address of the logits; class c of row r at (r // inner) * outer_stride + (r % inner) * inner_stride + c
    inner: Any,
    outer_stride: Any,
    inner_stride: Any,
    size: Any,  # bytes of one logit
    classes: Any,
    targets: Any,  # (rows,) int64; -1 skips the row: loss 0, gradient 0
    weights: Any,  # (rows,) float64, multiply loss and gradient; address 0 for ones
    scales: Any,  # (rows,) float64, multiply the gradient alone; address 0 for ones
    scale: Any,  # multiplies every gradient
    unit: Any,  # one nat in the unit of the loss
    losses: Any,  # (rows,) in loss_tag
    gradient: Any,  # address, or 0 for none; strides as for x, class stride 1
    gradient_outer_stride: Any,
    gradient_inner_stride: Any,
    gradient_size: Any,  # bytes of one entry
    stream: Any,  # whether gradients go past the caches
    table: Any,  # half_exp.table_of half-precision logits
    kept_row_bytes: Any,  # blocks.kept_bytes(classes, size of a kept summand)
    scratch: Any,  # blocks.scratch_bytes(classes, size of a kept summand), on a 64-byte boundary
    first: Any,
    last: Any,
    tag: Any,
    like: Any,
    kept_tag: Any,  # of the type of `like`; of another one where no gradient is asked for
    loss_tag: Any,
    out_tag: Any,
) -> Any:
    """Losses, and where asked for gradients, of rows first to last."""
    # carried along: a 64-bit division takes as long as 20 classes
    outer_index, inner_index = first // inner, first % inner
    room, other_room = scratch + SCRATCH_BYTES, scratch + SCRATCH_BYTES + kept_row_bytes
    if same_type(kept_tag, like):
        clear_pending(scratch)
    for r in range(first, last):
        base = outer_index * outer_stride + inner_index * inner_stride
        out = np.int64(0)
        if same_type(kept_tag, like) and gradient != 0:
            out_base = outer_index * gradient_outer_stride + inner_index * gradient_inner_stride
            out = gradient + out_base * gradient_size
        inner_index += 1
        if inner_index == inner:
            outer_index, inner_index = outer_index + 1, np.int64(0)
        target = load_integer(targets, r)
        weight = load(weights, r, 1.0, 1.0) if weights != 0 else 1.0
        row_scale = scale * weight * unit
        if scales != 0:
            row_scale *= load(scales, r, 1.0, 1.0)
        if target < 0 or weight == 0.0:
            store(losses, r, 0.0, loss_tag)
            if out != 0:
                for c in range(classes):
                    store(out, c, 0.0, out_tag)
            continue
        # two rooms in turn: what the last row kept is still being written from the other
        room, other_room = other_room, room
        looked_up, total = False, 0.0
        if not same_type(tag, like):
            looked_up, total = rest_from_table(x + base * size, classes, target, table, room, like, kept_tag)
        if looked_up:
            fast, smallest, kept = True, np.int64(0), False
            rest, reference = mantissa_and_exponent(total)
        else:
            fast, rest, reference, smallest, kept = rest_of_row(
                x + base * size, size, classes, target, room, scratch, tag, like, kept_tag
            )
        if same_type(kept_tag, like):
            write_pending(scratch, like)
        target_logit = load(x, base + target, tag, 1.0)
        if fast and abs(target_logit) < LARGEST_TARGET:
            q, k, exponent, mantissa = odds_against(rest, reference, target_logit)
            loss = loss_of_odds(q, k)
            if same_type(kept_tag, like) and out != 0:
                m, e = normalizer(rest, reference, exponent, mantissa, row_scale)
                # every entry lies in [0.35, 1.42) * 2**(n - e); an exponent at the clamp may stand for a smaller one
                floor = max(reference + faintest_exponent(like), e + np.int64(1) + lowest_exponent(like))
                if kept and smallest > floor and abs(reference - e) < _FARTHEST_FACTOR:
                    factor = m * power_of_two(reference - e)
                    store(room, target, cast(0.0 - rest, like), like)  # times the factor: the target's gradient
                    scale_kept(room, classes, out, gradient_size, factor, stream, scratch, like, out_tag)
                else:
                    if looked_up and LEAST_EXPONENT <= e <= GREATEST_EXPONENT:
                        store(room, target, 0.0, 1.0)
                        factor = m * power_of_two(-e)
                        scale_kept(room, classes, out, gradient_size, factor, stream, scratch, like, out_tag)
                    else:
                        row = x + base * size
                        gradient_of_row(
                            row, size, classes, out, gradient_size, m, e, stream, scratch, tag, like, out_tag
                        )
                    # not from the factor: for halves its rounding error would move -511/512 across a middle
                    store(out, target, narrow(0.0 - row_scale * share_of_rest(q, k), out_tag), out_tag)
        else:
            loss = careful_row(x, base, np.int64(1), classes, target, row_scale, out, np.int64(1), tag, out_tag)
        store(losses, r, loss * weight * unit, loss_tag)
    if same_type(kept_tag, like):
        write_pending(scratch, like)
    if stream:
        fence()
