"""Kernel for rows of the softmax loss with any targets and any options: numbers of rows and their gradient. See problem.py.

With D = log1p(rest) and the sums of online.py, m = own + others,

    loss = gaps + m D + z_loss m lse**2        lse = top + D        entropy = D + spread / (1 + rest)

and with k = u m (1 + 2 z_loss lse) + v, for upstream gradients u of loss, v of lse, s of target_logit, h of entropy,

    dz_c = k p_c - u y_c + s t_c + h p_c ((z_a - z_c) - spread / (1 + rest))

where k p_a - u y_a = v + u others - k rest / (1 + rest): nothing cancels at the likeliest class either.

Traffic in bytes: rows * classes * (size + target size) read, and with a gradient rows * classes * size written; the second
read of both comes from the second-level cache as long as the rows that are worked on at the same time fit there. Per number
an exponential of float64, with a gradient two, with a cap four.
"""

from typing import Any, NamedTuple

import triton
import triton.language as tl

from crossent._kernels.gpu.bend import bent, slope_of_bent
from crossent._kernels.gpu.effective_targets import CLASS_IDS, DISTRIBUTIONS, addresses, read_rows, read_tile, wide
from crossent._kernels.gpu.log import log1p
from crossent._kernels.gpu.narrow import narrow
from crossent._kernels.gpu.online import difference, joined, nothing_seen, see


class Outputs(NamedTuple):
    """Where numbers go, (rows,) float64, or None."""

    loss: Any
    lse: Any
    entropy: Any
    accuracy: Any
    target_logit: Any


class Upstreams(NamedTuple):
    """Upstream gradients, (rows,) float64, or None; `factor` is ()."""

    loss: Any
    factor: Any
    lse: Any
    entropy: Any
    target_logit: Any


@triton.jit
def solve_rows(
    logits,  # (rows, classes)
    place,  # Place of the logits
    targets,  # Targets
    outputs,  # Outputs
    upstream,  # Upstreams
    gradient,  # (rows, classes), None for none; may be the logits
    gradient_place,  # Place
    rows,
    classes,
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
    CAPPED: tl.constexpr,
    HEATED: tl.constexpr,
    PENALIZED: tl.constexpr,
    WITH_ENTROPY: tl.constexpr,
    WITH_TARGET_LOGIT: tl.constexpr,
    WITH_ACCURACY: tl.constexpr,
    ROWS: tl.constexpr,
    CLASSES: tl.constexpr,
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
    first = addresses(logits, place, row)[:, None]
    seen = nothing_seen(ROWS, CLASSES)
    for start in range(0, classes, CLASSES):
        c = start + tl.arange(0, CLASSES)[None, :]
        inside = counted[:, None] & (c < classes)
        x = tl.load(first + c.to(tl.int64) * place.class_stride, mask=inside, other=0.0)
        z = tl.where(inside, bent(wide(x), softcap, temperature, CAPPED, HEATED), -float("inf"))
        t, y = read_tile(
            targets, row, class_id, background, c, inside, classes, smoothing, smoothing_of_each, KIND, SMOOTHS
        )
        seen = see(seen, z, t, y, c, inside, DOUBLE, WITH_ENTROPY, WITH_TARGET_LOGIT, WITH_ACCURACY, WITH_NAMED)
    sums = joined(seen, DOUBLE, WITH_ENTROPY, WITH_TARGET_LOGIT, WITH_ACCURACY, WITH_NAMED)
    if WITH_NAMED:
        counted = counted & ~((class_id == 1) & (sums.named == 1))
    rest = tl.where(impossible, float("nan"), sums.rest)
    surprise = log1p(rest)
    lse = sums.top + surprise
    inverse = 1.0 / (1.0 + rest)
    mass = tl.where(impossible, float("nan"), sums.own + sums.others)
    mean_gap = sums.spread * inverse
    # a class of weight 0 silences its rows, also where they are NaN; soft targets that are all 0 silence infinities alone
    silent = mass == 0.0
    if KIND != CLASS_IDS:
        silent = silent & (rest == rest)
    if outputs.loss is not None:
        loss = sums.gaps + tl.where(silent, 0.0, mass * surprise)
        if PENALIZED:
            loss = loss + tl.where(silent, 0.0, z_loss * mass * lse * lse)
        tl.store(outputs.loss + row, tl.where(counted, loss, 0.0), mask=valid)
    if outputs.lse is not None:
        tl.store(outputs.lse + row, tl.where(counted, lse, 0.0), mask=valid)
    if outputs.entropy is not None:
        tl.store(outputs.entropy + row, tl.where(counted, surprise + mean_gap, 0.0), mask=valid)
    if outputs.accuracy is not None:
        likeliest = tl.where(sums.nan_place < classes, sums.nan_place, sums.place)
        hit = counted & (likeliest == sums.best_place)
        tl.store(outputs.accuracy + row, tl.where(hit, 1.0, 0.0).to(tl.float64), mask=valid)
    if outputs.target_logit is not None:
        target_logit = tl.where(impossible, float("nan"), sums.target_logit)
        tl.store(outputs.target_logit + row, tl.where(counted, target_logit, 0.0), mask=valid)
    if gradient is not None:
        u, v, s, h = read_upstream(upstream, row)
        still = ((u == 0.0) & (v == 0.0) & (s == 0.0) & (h == 0.0)) | ~counted
        if PENALIZED:
            v = v + tl.where(silent | (u == 0.0), 0.0, 2.0 * z_loss * u * mass * lse)
        k = u * mass + v
        scale = k / (1.0 + rest)
        if KIND == CLASS_IDS:
            scale = tl.where(k == 0.0, 0.0, scale)
        away = tl.where(scale == 0.0, 0.0, scale * rest)
        at_place = tl.where(rest > 1.0, scale - u * sums.own, v + u * sums.others - away)
        into = addresses(gradient, gradient_place, row)[:, None]
        tl.debug_barrier()  # no warp may write where another still reads
        for start in range(0, classes, CLASSES):
            c = start + tl.arange(0, CLASSES)[None, :]
            inside = valid[:, None] & (c < classes)
            moves = inside & ~still[:, None]
            x = wide(tl.load(first + c.to(tl.int64) * place.class_stride, mask=moves, other=0.0))
            z = bent(x, softcap, temperature, CAPPED, HEATED)
            t, y = read_tile(
                targets, row, class_id, background, c, moves, classes, smoothing, smoothing_of_each, KIND, SMOOTHS
            )
            is_place = c == sums.place[:, None]
            d, lost = difference(z, sums.top[:, None], DOUBLE)
            d = tl.where(is_place, 0.0, d)
            e = tl.exp(d)
            if DOUBLE:
                e = e + e * lost
            slope = tl.where(scale[:, None] == 0.0, 0.0, scale[:, None] * e) - u[:, None] * y
            slope = tl.where(is_place, at_place[:, None], slope)
            if WITH_TARGET_LOGIT:
                slope = slope + s[:, None] * t
            if WITH_ENTROPY:
                p = e * inverse[:, None]
                slope = slope + tl.where(p == 0.0, 0.0, h[:, None] * p * (-d - mean_gap[:, None]))
            if CAPPED or HEATED:
                slope = slope * slope_of_bent(x, softcap, temperature, CAPPED, HEATED)
            slope = narrow(tl.where(still[:, None], 0.0, slope), gradient.dtype.element_ty)
            tl.store(into + c.to(tl.int64) * gradient_place.class_stride, slope, mask=inside)


@triton.jit
def read_upstream(
    upstream,  # Upstreams
    row,
):
    """Return the upstream gradients of rows: of loss, lse, target_logit, entropy."""
    zero = row.to(tl.float64) * 0.0
    u, v, s, h = zero, zero, zero, zero
    if upstream.loss is not None:
        u = tl.load(upstream.loss + row)
        if upstream.factor is not None:
            u = u * tl.load(upstream.factor)
    elif upstream.factor is not None:
        u = zero + tl.load(upstream.factor)
    if upstream.lse is not None:
        v = tl.load(upstream.lse + row)
    if upstream.target_logit is not None:
        s = tl.load(upstream.target_logit + row)
    if upstream.entropy is not None:
        h = tl.load(upstream.entropy + row)
    return u, v, s, h
