"""From a row's rest to everything that is asked of it, for the kernels of class ids: its numbers, its gradient's factors.

The numbers have a kernel of their own, a thread to a row: the kernels that read the logits give a row tens or hundreds of
threads, and logarithms in float64 in each of them took as long as the row's reading. Counted in instructions, not measured.
"""

import triton
import triton.language as tl

from crossent._kernels.gpu.odds import gradient_factors, settled, shares_of, surprise_of
from crossent._kernels.gpu.rest import reference_of


@triton.jit
def targets_of(ids, row, rows, classes, ignore_index):
    """Return of rows (ROWS,): inside, counted, known, and the target, 0 where it is no class."""
    inside = row < rows
    target = tl.load(ids + row, mask=inside, other=0).to(tl.int64)
    counted = inside & (target != ignore_index)
    known = counted & (target >= 0) & (target < classes)
    return inside, counted, known, tl.where(known, target, 0)


@triton.jit
def assert_known(counted, known):
    """Fail, on a GPU some time later, where a row that counts has no class."""
    # a statement, for the interpreter knows no tl.device_assert; on a GPU it is one
    assert tl.max((counted & (known == 0)).to(tl.int32), axis=0) == 0, "a target is neither a class nor ignore_index"


@triton.jit
def mass_of(class_weight, target, known):
    """Return the targets' weights (ROWS,) float64."""
    if class_weight is None:
        mass = tl.full(target.shape, 1.0, tl.float64)
    else:
        mass = tl.load(class_weight + target, mask=known, other=1.0).to(tl.float64)
    return mass


@triton.jit
def optional(pointer, row, mask, absent: tl.constexpr):
    """Return the numbers (ROWS,) of rows as float64, or a constant where there is no tensor."""
    if pointer is None:
        numbers = tl.full(row.shape, absent, tl.float64)
    else:
        numbers = tl.load(pointer + row, mask=mask, other=absent).to(tl.float64)
    return numbers


@triton.jit
def factors_of_rows(
    state,  # (rest, top, own) of rows, (ROWS,) each: float64, the logits' type, float64
    targets,  # of targets_of
    row,  # (ROWS,) int64
    class_weight,  # (classes,) or None
    upstream_loss,  # (rows,) float64 or None
    upstream_factor,  # () float64 or None
    upstream_lse,  # (rows,) float64 or None
    upstream_target_logit,  # (rows,) float64 or None
    z_loss,  # float64
    PENALIZED: tl.constexpr,  # it is not 0
    HALF: tl.constexpr,
):
    """Return (factor, target's gradient, where the gradient is 0 whatever the logits are), (ROWS,) each."""
    rest, top, own = state
    _, counted, known, target = targets
    certain = top == float("inf")
    reference, exponent = reference_of(top, HALF)
    reference = reference.to(tl.float64)
    exponent = exponent.to(tl.float64)
    rest, own = settled(rest, own, known, certain)
    share, own_share, share_of_one = shares_of(rest, reference, exponent, own)
    lse = own
    if PENALIZED:
        _, lse = surprise_of(rest, reference, exponent, own, certain)
    u = optional(upstream_loss, row, counted, 1.0 if upstream_factor is not None else 0.0)
    if upstream_factor is not None:
        u = u * tl.load(upstream_factor)
    v = optional(upstream_lse, row, counted, 0.0)
    s = optional(upstream_target_logit, row, counted, 0.0)
    mass = mass_of(class_weight, target, known)
    factor, at_target, silent = gradient_factors(u, v, s, mass, lse, share, own_share, share_of_one, z_loss, PENALIZED)
    return factor, at_target, silent | (counted == 0)


@triton.jit
def store_numbers(
    state,  # (rest, top, before, own) of rows, (ROWS,) each: float64, the logits' type twice, float64
    targets,  # of targets_of
    row,  # (ROWS,) int64
    class_weight,  # (classes,) or None
    loss,  # (rows,) float64 or None, as the three below
    lse,
    accuracy,
    target_logit,
    z_loss,  # float64
    PENALIZED: tl.constexpr,  # it is not 0
    HALF: tl.constexpr,
):
    """Store what is asked of rows."""
    rest, top, before, own = state
    inside, counted, known, target = targets
    mass = mass_of(class_weight, target, known)
    reference, exponent = reference_of(top, HALF)
    certain = top == float("inf")
    rest, settled_own = settled(rest, own, known, certain)
    surprise, normalizer = surprise_of(rest, reference.to(tl.float64), exponent.to(tl.float64), settled_own, certain)
    if loss is not None:
        value = mass * surprise + 0.0  # a weight below 0 makes no -0.0
        if PENALIZED:
            value += z_loss * mass * (normalizer * normalizer)
        value = tl.where(mass == 0.0, 0.0, value)  # not weighed at all: as on the CPU, neither infinite nor NaN
        tl.store(loss + row, tl.where(counted, value, 0.0), mask=inside)
    if lse is not None:
        tl.store(lse + row, tl.where(counted, normalizer, 0.0), mask=inside)
    if accuracy is not None:  # of equal logits the first one counts; none where the row is NaN
        first = (own > before.to(tl.float64)) & (own >= top.to(tl.float64))
        right = counted & first & (surprise == surprise)
        tl.store(accuracy + row, tl.where(right, 1.0, 0.0).to(tl.float64), mask=inside)
    if target_logit is not None:
        tl.store(target_logit + row, tl.where(counted, tl.where(known, own, float("nan")), 0.0), mask=inside)


@triton.jit
def number_rows(
    ids,  # (rows,) int64
    class_weight,  # (classes,) or None
    states,  # (rows, 4) float64: the rest, its largest logit, the largest before the target, the target's
    loss,  # (rows,) float64 or None, as the three below
    lse,
    accuracy,
    target_logit,
    rows,
    classes,
    ignore_index,
    z_loss: tl.float64,
    PENALIZED: tl.constexpr,  # it is not 0
    HALF: tl.constexpr,
    WIDE: tl.constexpr,  # the logits are float64
    ROWS: tl.constexpr,
):
    """Make the numbers of ROWS rows. Reads 40 bytes a row; writes 8 for each number."""
    real: tl.constexpr = tl.float64 if WIDE else tl.float32
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    targets = targets_of(ids, row, rows, classes, ignore_index)
    inside, _, _, _ = targets
    rest = tl.load(states + row * 4, mask=inside, other=0.0)
    top = tl.load(states + row * 4 + 1, mask=inside, other=0.0).to(real)
    before = tl.load(states + row * 4 + 2, mask=inside, other=0.0).to(real)
    own = tl.load(states + row * 4 + 3, mask=inside, other=0.0)
    state = rest, top, before, own
    store_numbers(state, targets, row, class_weight, loss, lse, accuracy, target_logit, z_loss, PENALIZED, HALF)


@triton.jit
def store_states(states, row, mask, rest, top, before, own):
    """Leave rows to number_rows."""
    tl.store(states + row * 4, rest, mask=mask)
    tl.store(states + row * 4 + 1, top.to(tl.float64), mask=mask)
    tl.store(states + row * 4 + 2, before.to(tl.float64), mask=mask)
    tl.store(states + row * 4 + 3, own, mask=mask)
