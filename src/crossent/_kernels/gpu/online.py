"""Sums over the classes of a row relative to its likeliest class, made in one pass, lane by lane, and put together at the end.

A lane holds what it has seen of a row: with a its likeliest class so far,

    top    z_a                                 place     a, the first of equals
    rest   sum_{c != a} e**(z_c - z_a)         spread    sum_c e**(z_c - z_a) (z_a - z_c)
    own    y_a                                 others    sum_{c != a} y_c
    gaps   sum_c y_c (z_a - z_c)

No term is negative where the targets y are not, so nothing cancels. Lanes need no word from each other until the pass is
over: a reduction for every block would cost more than the block. A lane that has seen nothing has top = -inf.
"""

from typing import Any, NamedTuple

import triton
import triton.language as tl

NOWHERE: tl.constexpr = tl.constexpr(2147483647)


class Sums(NamedTuple):
    """Of lanes, (rows, lanes), or of rows, (rows,): float64, places int32."""

    top: Any
    place: Any
    rest: Any
    spread: Any
    own: Any
    others: Any
    gaps: Any
    target_logit: Any  # sum_c t_c z_c
    best: Any  # the largest t
    best_place: Any  # its first place
    nan_place: Any  # of the first NaN among the logits
    named: Any  # how many targets t are not 0


@triton.jit
def nothing_seen(ROWS: tl.constexpr, CLASSES: tl.constexpr):
    """Return the state of lanes before the pass."""
    zero = tl.zeros([ROWS, CLASSES], tl.float64)
    nowhere = tl.full([ROWS, CLASSES], NOWHERE, tl.int32)
    lowest = tl.full([ROWS, CLASSES], -float("inf"), tl.float64)
    none = tl.zeros([ROWS, CLASSES], tl.int32)
    return Sums(lowest, nowhere, zero, zero, zero, zero, zero, zero, lowest, nowhere, nowhere, none)


@triton.jit
def difference(z, top, DOUBLE: tl.constexpr):
    """Return z - top, -inf where z is, and what was lost in rounding if DOUBLE, for logits that need all of float64."""
    d = tl.where(z == -float("inf"), -float("inf"), z - top)
    if DOUBLE:
        back = d - z
        lost = (z - (d - back)) - (top + back)
        return d, tl.where(lost == lost, lost, 0.0)
    return d, d * 0.0


@triton.jit
def see(
    seen,
    z,
    t,
    y,
    c,
    inside,
    DOUBLE: tl.constexpr,
    WITH_ENTROPY: tl.constexpr,
    WITH_TARGET_LOGIT: tl.constexpr,
    WITH_ACCURACY: tl.constexpr,
    WITH_NAMED: tl.constexpr,
):
    """Return the state of lanes after one more class each: logits z, targets t, effective targets y, class c.

    Outside the row z is -inf and the targets are 0.
    """
    top, place, rest, spread, own, others, gaps, target_logit, best, best_place, nan_place, named = seen
    gain = z > top
    d, lost = difference(z, top, DOUBLE)
    distance = tl.abs(d)
    e = tl.exp(-distance)
    if DOUBLE:
        e = e + e * tl.where(gain, -lost, lost)
    if WITH_ENTROPY:
        term = e * tl.where(gain, spread + distance * (1.0 + rest), distance)
        spread = tl.where(gain, 0.0, spread) + tl.where(e == 0.0, 0.0, term)
    rest = tl.where(gain, (1.0 + rest) * e, rest + e)
    moved = tl.where(gain, own + others, y)
    gaps = gaps + tl.where(moved == 0.0, 0.0, moved * distance)
    others = others + tl.where(gain, own, y)
    own = tl.where(gain, y, own)
    # the first class of a lane is its likeliest also where its logit is -inf
    place = tl.where(gain | ((place == NOWHERE) & inside), c, place)
    top = tl.where(gain, z, top)
    if WITH_TARGET_LOGIT:
        target_logit = target_logit + tl.where(t == 0.0, 0.0, t * z)
    if WITH_ACCURACY:
        likely = tl.where(t == t, t, float("inf"))  # the first NaN, as everywhere
        better = (likely > best) & inside
        best_place = tl.where(better, c, best_place)
        best = tl.where(better, likely, best)
        nan_place = tl.where((z != z) & (c < nan_place), c, nan_place)
    if WITH_NAMED:
        named = named + tl.where(t != 0.0, 1, 0)
    return Sums(top, place, rest, spread, own, others, gaps, target_logit, best, best_place, nan_place, named)


@triton.jit
def joined(
    seen,
    DOUBLE: tl.constexpr,
    WITH_ENTROPY: tl.constexpr,
    WITH_TARGET_LOGIT: tl.constexpr,
    WITH_ACCURACY: tl.constexpr,
    WITH_NAMED: tl.constexpr,
):
    """Return the sums of rows, or of parts of them, from those of their lanes."""
    top, place, rest, spread, own, others, gaps, target_logit, best, best_place, nan_place, named = seen
    row_top = tl.max(top, 1)
    row_place = tl.min(tl.where(top == row_top[:, None], place, NOWHERE), 1)
    is_row = place == row_place[:, None]
    d, lost = difference(top, row_top[:, None], DOUBLE)
    d = tl.where(is_row, 0.0, d)
    e = tl.exp(d)
    if DOUBLE:
        e = e + e * lost
    whole = e * (1.0 + rest)
    row_spread = tl.zeros_like(row_top)
    if WITH_ENTROPY:
        row_spread = tl.sum(tl.where(whole == 0.0, 0.0, e * spread - d * whole), 1)
    row_rest = tl.sum(tl.where(is_row, rest, whole), 1)
    mass = own + others
    row_gaps = tl.sum(gaps + tl.where(is_row | (mass == 0.0), 0.0, -d * mass), 1)
    row_own = tl.sum(tl.where(is_row, own, 0.0), 1)
    row_others = tl.sum(tl.where(is_row, others, mass), 1)
    row_target_logit = tl.zeros_like(row_top)
    if WITH_TARGET_LOGIT:
        row_target_logit = tl.sum(target_logit, 1)
    row_best, row_best_place, row_nan_place = row_top, row_place, row_place
    if WITH_ACCURACY:
        row_best = tl.max(best, 1)
        row_best_place = tl.min(tl.where(best == row_best[:, None], best_place, NOWHERE), 1)
        row_nan_place = tl.min(nan_place, 1)
    row_named = row_place
    if WITH_NAMED:
        row_named = tl.sum(named, 1)
    return Sums(
        row_top,
        row_place,
        row_rest,
        row_spread,
        row_own,
        row_others,
        row_gaps,
        row_target_logit,
        row_best,
        row_best_place,
        row_nan_place,
        row_named,
    )


@triton.jit
def only_possible(
    sums,  # Sums of rows
    impossible,  # (ROWS,)
):
    """Return sums whose `rest`, and with it whatever is made of it, is NaN where no probabilities are made of the logits,

    and whose targets, too, are NaN where they name no class.
    """
    top, place, rest, spread, own, others, gaps, target_logit, best, best_place, nan_place, named = sums
    rest = tl.where(impossible | (top == -float("inf")), float("nan"), rest)
    own = tl.where(impossible, float("nan"), own)
    return Sums(top, place, rest, spread, own, others, gaps, target_logit, best, best_place, nan_place, named)


@triton.jit
def keep(
    sums,  # Sums of rows
    scratch,  # (12, rows, parts) float64
    row,  # (ROWS,) int64
    rows,
    part,
    parts,
    mask,  # (ROWS,)
):
    """Store what a part of rows has seen."""
    at = scratch + row * parts + part
    for field in tl.static_range(12):
        tl.store(at + field * tl.cast(rows, tl.int64) * parts, sums[field].to(tl.float64), mask=mask)


@triton.jit
def _places(at, here):
    """Return places that were stored as float64; NOWHERE by hand, as a number beside `mask` is a float32, and rounds it up."""
    return tl.where(here, tl.load(at, mask=here, other=0.0).to(tl.int32), NOWHERE)


@triton.jit
def kept(
    scratch,  # (12, rows, parts) float64
    row,  # (ROWS,) int64
    rows,
    parts,
    PARTS: tl.constexpr,  # a power of two, at least `parts`
):
    """Return what the parts of rows have seen, as lanes."""
    part = tl.arange(0, PARTS)[None, :]
    at = scratch + row[:, None] * parts + part
    step = tl.cast(rows, tl.int64) * parts
    here = part < parts
    lowest = -float("inf")
    return Sums(
        tl.load(at, mask=here, other=lowest),
        _places(at + step, here),
        tl.load(at + 2 * step, mask=here, other=0.0),
        tl.load(at + 3 * step, mask=here, other=0.0),
        tl.load(at + 4 * step, mask=here, other=0.0),
        tl.load(at + 5 * step, mask=here, other=0.0),
        tl.load(at + 6 * step, mask=here, other=0.0),
        tl.load(at + 7 * step, mask=here, other=0.0),
        tl.load(at + 8 * step, mask=here, other=lowest),
        _places(at + 9 * step, here),
        _places(at + 10 * step, here),
        tl.load(at + 11 * step, mask=here, other=0.0).to(tl.int32),
    )
