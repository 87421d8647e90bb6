"""The gradient of rows from their sums (online.py) and a second look at their logits and targets.

With k = u m (1 + 2 z_loss lse) + v, for upstream gradients u of loss, v of lse, s of target_logit, h of entropy,

    dz_c = k p_c - u y_c + s t_c + h p_c ((z_a - z_c) - spread / (1 + rest))

where k p_a - u y_a = v + u others - k rest / (1 + rest): nothing cancels at the likeliest class either.
"""

from typing import Any, NamedTuple

import triton
import triton.language as tl

from crossent._kernels.gpu.bend import bent, slope_of_bent
from crossent._kernels.gpu.effective_targets import CLASS_IDS, addresses, read_tile, wide
from crossent._kernels.gpu.log import log1p
from crossent._kernels.gpu.online import difference
from crossent._kernels.gpu.rounding import narrow
from crossent._kernels.gpu.soft_numbers import is_silent


class Upstreams(NamedTuple):
    """Upstream gradients, (rows,) float64, or None; `factor` is ()."""

    loss: Any
    factor: Any
    lse: Any
    entropy: Any
    target_logit: Any


@triton.jit
def read_upstream(
    upstream,  # Upstreams
    row,  # (ROWS,) int64
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


@triton.jit
def write_gradient(
    gradient,  # (rows, classes); may be the logits
    gradient_place,  # Place
    logits,  # (rows, classes)
    place,  # Place
    targets,  # Targets
    upstream,  # Upstreams
    row,  # (ROWS,) int64, as the next five
    valid,
    counted,
    class_id,
    background,
    sums,  # Sums
    classes,
    start,  # the first class
    stop,  # the last, and one; before the end of the row a multiple of CLASSES away
    smoothing,
    smoothing_of_each,
    softcap,
    temperature,
    z_loss,
    KIND: tl.constexpr,
    SMOOTHS: tl.constexpr,
    LISTED: tl.constexpr,
    CAPPED: tl.constexpr,
    HEATED: tl.constexpr,
    PENALIZED: tl.constexpr,
    WITH_ENTROPY: tl.constexpr,
    WITH_TARGET_LOGIT: tl.constexpr,
    CLASSES: tl.constexpr,
):
    """Write the gradient of some classes of rows, CLASSES at a time, backwards."""
    DOUBLE: tl.constexpr = logits.dtype.element_ty == tl.float64
    rest, mass = sums.rest, sums.own + sums.others
    u, v, s, h = read_upstream(upstream, row)
    still = ((u == 0.0) & (v == 0.0) & (s == 0.0) & (h == 0.0)) | ~counted
    if PENALIZED:
        silent = is_silent(mass, rest, KIND) | (u == 0.0)
        v = v + tl.where(silent, 0.0, 2.0 * z_loss * u * mass * (sums.top + log1p(rest)))
    k = u * mass + v
    scale = k / (1.0 + rest)
    if KIND == CLASS_IDS:
        scale = tl.where(k == 0.0, 0.0, scale)
    away = tl.where(scale == 0.0, 0.0, scale * rest)
    at_place = tl.where(rest > 1.0, scale - u * sums.own, v + u * sums.others - away)
    entropy_scale = h / (1.0 + rest)
    mean_gap = sums.spread / (1.0 + rest)
    first = addresses(logits, place, row)[:, None]
    into = addresses(gradient, gradient_place, row)[:, None]
    last = start + (stop - start - 1) // CLASSES * CLASSES
    for back in range(0, stop - start, CLASSES):
        block = last - back  # what was read last is the likeliest to be in the cache
        c = block + tl.arange(0, CLASSES)[None, :]
        inside = valid[:, None] & (c < classes)
        moves = inside & ~still[:, None]
        x = tl.load(first + c.to(tl.int64) * place.class_stride, mask=moves, other=0.0, eviction_policy="evict_first")
        x = wide(x)
        z = bent(x, softcap, temperature, CAPPED, HEATED)
        t, y = read_tile(
            targets,
            row,
            class_id,
            background,
            block,
            c,
            moves,
            classes,
            smoothing,
            smoothing_of_each,
            KIND,
            SMOOTHS,
            LISTED,
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
            slope = slope + tl.where(e == 0.0, 0.0, entropy_scale[:, None] * e * (-d - mean_gap[:, None]))
        if CAPPED or HEATED:
            slope = slope * slope_of_bent(x, softcap, temperature, CAPPED, HEATED)
        slope = narrow(tl.where(still[:, None], 0.0, slope), gradient.dtype.element_ty)
        tl.store(into + c.to(tl.int64) * gradient_place.class_stride, slope, mask=inside, cache_modifier=".cs")
