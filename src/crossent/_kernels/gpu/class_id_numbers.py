"""From a row's rest to everything that is asked of it, for the kernels of class ids: numbers stored, gradient's factors returned."""

import triton
import triton.language as tl

from crossent._kernels.gpu.odds import gradient_factors, odds_of


@triton.jit
def targets_of(ids, class_weight, row, rows, classes, ignore_index):
    """Return of rows (ROWS,): inside, counted, known, the target and its weight (0 and 1 where it is no class)."""
    inside = row < rows
    target = tl.load(ids + row, mask=inside, other=0)
    counted = inside & (target != ignore_index)
    known = counted & (target >= 0) & (target < classes)
    target = tl.where(known, target, 0)
    if class_weight is None:
        mass = tl.full(row.shape, 1.0, tl.float64)
    else:
        mass = tl.load(class_weight + target, mask=known, other=1.0).to(tl.float64)
    return inside, counted, known, target, mass


@triton.jit
def optional(pointer, row, mask, absent: tl.constexpr):
    """Return the numbers (ROWS,) of rows as float64, or a constant where there is no tensor."""
    if pointer is None:
        numbers = tl.full(row.shape, absent, tl.float64)
    else:
        numbers = tl.load(pointer + row, mask=mask, other=absent).to(tl.float64)
    return numbers


@triton.jit
def upstream_of_rows(upstream_loss, upstream_factor, row, mask):
    """Return the upstream gradients (ROWS,) of the losses."""
    u = optional(upstream_loss, row, mask, 1.0 if upstream_factor is not None else 0.0)
    if upstream_factor is not None:
        u = u * tl.load(upstream_factor)
    return u


@triton.jit
def conclude(
    state,  # (rest, reference, exponent, top, before) of rows, (ROWS,) float64 each; see rest.py
    targets,  # (inside, counted, known, target, mass), of targets_of
    own,  # (ROWS,) float64: the targets' logits
    row,  # (ROWS,) int64
    loss,  # (rows,) float64 or None, as the three below
    lse,
    accuracy,
    target_logit,
    upstream_loss,  # (rows,) float64 or None
    upstream_factor,  # () float64 or None
    upstream_lse,  # (rows,) float64 or None
    upstream_target_logit,  # (rows,) float64 or None
    Z_LOSS: tl.constexpr,
):
    """Store what is asked of rows; return (factor, target's gradient, where the gradient is 0 whatever the logits are)."""
    rest, reference, exponent, top, before = state
    inside, counted, known, _, mass = targets
    # a statement, for the interpreter knows no tl.device_assert; on a GPU it is one
    assert tl.max((counted & (known == 0)).to(tl.int32), axis=0) == 0, "a target is neither a class nor ignore_index"
    rest = tl.where(known, rest, float("nan"))
    certain = top == float("inf")
    surprise, normalizer, share, own_share, share_of_one = odds_of(rest, reference, exponent, own, certain)
    if loss is not None:
        value = tl.where((mass == 0.0) & (surprise == float("inf")), 0.0, mass * surprise)
        if Z_LOSS != 0.0:
            value += tl.where(mass == 0.0, 0.0, Z_LOSS * mass * (normalizer * normalizer))
        tl.store(loss + row, tl.where(counted, value, 0.0), mask=inside)
    if lse is not None:
        tl.store(lse + row, tl.where(counted, normalizer, 0.0), mask=inside)
    if accuracy is not None:  # of equal logits the first one counts; none where the row is NaN
        right = counted & (own > before) & (own >= top) & (surprise == surprise)
        tl.store(accuracy + row, tl.where(right, 1.0, 0.0).to(tl.float64), mask=inside)
    if target_logit is not None:
        tl.store(target_logit + row, tl.where(counted, tl.where(known, own, float("nan")), 0.0), mask=inside)
    factor, at_target, silent = gradient_factors(
        upstream_of_rows(upstream_loss, upstream_factor, row, counted),
        optional(upstream_lse, row, counted, 0.0),
        optional(upstream_target_logit, row, counted, 0.0),
        mass,
        surprise,
        normalizer,
        share,
        own_share,
        share_of_one,
        Z_LOSS,
    )
    return factor, at_target, silent | (counted == 0)
