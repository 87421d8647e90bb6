"""Rows with extras (see _extras.py), without a thought of derivatives: some rows at a time as float64 numbers that stay in cache.

With a the likeliest class of a row, the kernels give L = -log p_a and p - onehot_a without cancellation; all else is sums of
terms of one sign:

    lse = z_a + L        loss = sum_c y_c (z_a - z_c) + m L + z_loss m lse**2        entropy = L + sum_c p_c (z_a - z_c)

Traffic in bytes: rows * classes * size read, and as much written with a gradient; ten passes over float64 numbers in cache.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from crossent._kernels.cpu.targets import CLASS_IDS, DISTRIBUTIONS
from crossent.arrays.targets import TargetRows
from crossent.torch import _rows
from crossent.torch._extras import Extras
from crossent.torch._rows import Settings

# Numbers of a tile: with its gradient and one more array 6 MB of float64, a third of a core's share of a third-level cache
# or more. At 2**16 torch's threads wait for each other (4096 x 32000 with a cap, forward and backward: see dev/LOG.md).
TILE_NUMBERS = 2**18
# What a tile needs at most: logits, slopes, gradient, log-probabilities, targets, two temporaries.
TILE_BYTES = 7 * 8 * TILE_NUMBERS


@dataclass(frozen=True, slots=True)
class Upstream:
    """What the derivative of the result is with respect to each row's numbers, (rows,) float64; None for 0."""

    loss: torch.Tensor | None = None
    lse: torch.Tensor | None = None
    entropy: torch.Tensor | None = None
    target_logit: torch.Tensor | None = None

    def rows(self, these: slice) -> "Upstream":
        """Return the part of some rows."""
        parts = (self.loss, self.lse, self.entropy, self.target_logit)
        return Upstream(*(None if part is None else part[these] for part in parts))


@dataclass(frozen=True, slots=True)
class Truth:
    """The targets of all rows, class axis last."""

    rows: TargetRows
    dense: torch.Tensor | None  # (..., classes)
    weight: torch.Tensor | None  # (classes,) float64
    smoothing: float


@dataclass(frozen=True, slots=True)
class _Tile:
    """Some rows of targets, float64: of one class each, or dense."""

    counted: torch.Tensor | None  # (n,) boolean
    ids: torch.Tensor | None  # (n,), 0 where not counted
    share: torch.Tensor | None  # (n,) what the class of `ids` weighs
    plain: torch.Tensor | None  # (n, classes) targets as they were given
    effective: torch.Tensor | None  # (n, classes) y
    mass: torch.Tensor  # (n,) m


def solve(
    logits: torch.Tensor,
    target: TargetRows,
    dense: torch.Tensor | None,
    weight: torch.Tensor | None,
    settings: Settings,
    extras: Extras,
    upstream: Upstream | None = None,
    out: torch.Tensor | None = None,
) -> dict[str, torch.Tensor]:
    """Return the numbers of each row, (rows,) float64, and fill `out` with the gradient of what `upstream` says.

    With an upstream gradient comes "scale", what p is multiplied by in the gradient of each row.
    """
    moved = _rows_first(logits.detach(), settings.class_axis)
    moved_out = None if out is None else _rows_first(out, settings.class_axis)
    wide = None if weight is None else weight.detach().double()
    own = None if dense is None else _rows_first(dense.detach(), settings.class_axis)
    truth = Truth(target, own, wide, settings.label_smoothing)
    wanted = ("loss", *(name for name in extras.returns if name != "dropped_mass"))
    if upstream is not None:
        wanted = (*wanted, "scale")
    numbers = {name: torch.empty(target.ids.size, dtype=torch.float64, device="cpu") for name in wanted}
    for block, these in _tiles_of(moved):
        z, slope = _bent(moved[block], extras, with_slope=out is not None)
        up = None if upstream is None else upstream.rows(these)
        made, gradient = _solve_tile(z, _targets_of(truth, block, these, z), extras, up)
        for name in wanted:
            numbers[name][these] = made[name]
        if moved_out is not None and gradient is not None:
            if slope is not None:
                gradient *= slope
            if truth.rows.counted is not None:
                gradient[torch.from_numpy(~truth.rows.counted[these])] = 0.0
            moved_out[block] = gradient.view(moved_out[block].shape)
    return numbers


def _rows_first(tensor: torch.Tensor, class_axis: int) -> torch.Tensor:
    """Return a view with the classes last and at least one dimension of rows."""
    moved = tensor.movedim(class_axis, -1)
    return moved if moved.dim() > 1 else moved.unsqueeze(0)


def _tiles_of(moved: torch.Tensor) -> Iterator[tuple[slice, slice]]:
    """Yield pieces of the first dimension, each with the rows that it holds."""
    inner = moved[0].numel() if len(moved) else 1
    rows = inner // moved.shape[-1]
    step = max(1, TILE_NUMBERS // max(inner, 1))
    for start in range(0, len(moved), step):
        stop = min(start + step, len(moved))
        yield slice(start, stop), slice(start * rows, stop * rows)


def _bent(x: torch.Tensor, extras: Extras, *, with_slope: bool) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return z of some rows, (n, classes) float64, and dz/dx."""
    z = torch.empty(x.shape, dtype=torch.float64, device="cpu").copy_(x).view(-1, x.shape[-1])
    if extras.softcap is None:
        if extras.temperature != 1.0:
            z /= extras.temperature
        return z, None if extras.temperature == 1.0 else torch.tensor(
            1.0 / extras.temperature, dtype=torch.float64, device="cpu"
        )
    if extras.softcap > 64.0 * x.abs().max().item():
        # far below the cap the difference below would be known to 1e-16 of the cap only
        z /= extras.softcap
        slope = torch.cosh(z).pow_(-2.0).div_(extras.temperature) if with_slope else None
        return z.tanh_().mul_(extras.softcap / extras.temperature), slope
    # With t = e**(-2 |x / cap|), tanh = (1 - t) / (1 + t), and its slope 4 t / (1 + t)**2 has nothing that cancels, as
    # 1 - tanh**2 has. One exponential, 0.8 ns a number, for both; torch.tanh alone takes 2.7. Near 0 the difference is
    # known to 1e-16 of the cap, and so is every sum that z goes into.
    t = z.abs().mul_(-2.0 / extras.softcap).exp_()
    inverse = (1.0 + t).reciprocal_()
    z = torch.copysign((1.0 - t).mul_(inverse).mul_(extras.softcap / extras.temperature), z)
    slope = None
    if with_slope:
        slope = t.mul_(inverse).mul_(inverse).mul_(4.0 / extras.temperature)
    return z, slope


def _targets_of(truth: Truth, block: slice, these: slice, z: torch.Tensor) -> _Tile:
    rows, classes = truth.rows, z.shape[1]
    counted = None if rows.counted is None else torch.from_numpy(rows.counted[these])
    ids = share = plain = None
    if rows.kind == CLASS_IDS:
        ids = torch.from_numpy(np.maximum(rows.ids[these], 0))
        share = torch.ones(len(ids), dtype=torch.float64, device="cpu") if truth.weight is None else truth.weight[ids]
        if truth.smoothing == 0.0:
            return _Tile(counted, ids, share, None, None, share)
        plain = torch.zeros_like(z).scatter_(1, ids[:, None], 1.0)
    elif rows.kind == DISTRIBUTIONS:
        assert truth.dense is not None  # it is what the kind says
        plain = truth.dense[block].reshape(-1, classes).double()
    else:
        assert rows.top_ids is not None
        assert rows.shares is not None
        listed, shares = torch.from_numpy(rows.top_ids[these]), torch.from_numpy(rows.shares[these])
        plain = torch.zeros_like(z)
        if rows.uniform and rows.width < classes:
            plain += ((1.0 - shares.sum(1)).clamp_(min=0.0) / (classes - rows.width))[:, None]
        plain.scatter_(1, listed, shares)
    effective = plain
    if truth.smoothing:
        effective = plain * (1.0 - truth.smoothing) + truth.smoothing / classes
    if truth.weight is not None:
        effective = effective * truth.weight
    return _Tile(counted, ids, share, plain, effective, effective.sum(1))


def _solve_tile(
    z: torch.Tensor, target: _Tile, extras: Extras, up: Upstream | None
) -> tuple[dict[str, torch.Tensor], torch.Tensor | None]:
    """Return the numbers of some rows, and their gradient with respect to z."""
    top, likeliest = z.max(1)
    ids = likeliest if target.counted is None else torch.where(target.counted, likeliest, -1)
    with_entropy = "entropy" in extras.returns or (up is not None and up.entropy is not None)
    of_likeliest = torch.empty_like(z) if with_entropy or up is not None else None
    kernel = Settings(1, "none", -1, 0.0, torch.float64)
    taken = TargetRows(CLASS_IDS, ids.numpy(), None if target.counted is None else target.counted.numpy())
    surprise = torch.from_numpy(_rows.solve(z, taken, None, kernel, out=of_likeliest).losses)  # L
    lse = top + surprise
    numbers = {"lse": lse}
    if target.effective is None:
        assert target.ids is not None
        own = z.gather(1, target.ids[:, None]).squeeze(1)
        # at the likeliest class itself inf - inf would be NaN
        gap = torch.where(target.ids == likeliest, 0.0, top - own)
        numbers["loss"] = torch.where(target.mass == 0.0, 0.0, target.mass * (gap + surprise))
        numbers["target_logit"] = own
        best = target.ids
    else:
        assert target.plain is not None
        gaps = torch.where(target.effective == 0.0, 0.0, target.effective * (top[:, None] - z))
        gaps.scatter_(1, likeliest[:, None], 0.0)
        numbers["loss"] = gaps.sum(1) + torch.where(_is_silent(target, surprise), 0.0, target.mass * surprise)
        if "target_logit" in extras.returns:
            numbers["target_logit"] = torch.where(target.plain == 0.0, 0.0, target.plain * z).sum(1)
        best = target.ids if target.ids is not None else target.plain.argmax(1)
    if extras.z_loss:
        numbers["loss"] += torch.where(_is_silent(target, surprise), 0.0, extras.z_loss * target.mass * lse * lse)
    numbers["accuracy"] = (likeliest == best).double()
    of_entropy = None
    if with_entropy and of_likeliest is not None:
        p = of_likeliest.scatter_add(1, likeliest[:, None], torch.ones_like(top)[:, None])
        gaps = (top[:, None] - z).scatter_(1, likeliest[:, None], 0.0)  # where inf - inf would be NaN
        information = torch.where(p == 0.0, 0.0, (gaps + surprise[:, None]) * p)  # -p log p
        numbers["entropy"] = information.sum(1)
        if up is not None and up.entropy is not None:
            of_entropy = (information - p * numbers["entropy"][:, None]) * up.entropy[:, None]
    if target.counted is not None:
        for name, value in numbers.items():
            numbers[name] = torch.where(target.counted, value, 0.0)
    if up is None or of_likeliest is None:
        return numbers, None
    gradient, scale = _gradient_of(of_likeliest, lse, likeliest, target, extras, up)
    numbers["scale"] = scale / extras.temperature
    if up.entropy is not None:
        numbers["scale"] += up.entropy.abs() / extras.temperature
    if target.counted is not None:
        numbers["scale"] = torch.where(target.counted, numbers["scale"], 0.0)
    if of_entropy is not None:
        gradient += of_entropy
    return numbers, gradient


def _is_silent(target: _Tile, surprise: torch.Tensor) -> torch.Tensor:
    """Say whose targets weigh nothing: of class ids whatever the logits are, of soft targets unless the row is NaN."""
    silent = target.mass == 0.0
    return silent if target.effective is None else silent & ~surprise.isnan()


def _gradient_of(
    of_likeliest: torch.Tensor,  # p - onehot of the likeliest class; overwritten
    lse: torch.Tensor,
    likeliest: torch.Tensor,
    target: _Tile,
    extras: Extras,
    up: Upstream,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return k p - u y + s t with k = u m (1 + 2 z_loss lse) + v, for upstream gradients u of loss, v of lse, s of target_logit.

    And |k| + |s sum(t)|.
    """
    zero = torch.zeros_like(lse)
    u = zero if up.loss is None else up.loss
    v = zero if up.lse is None else up.lse
    s = zero if up.target_logit is None else up.target_logit
    if extras.z_loss:
        v = v + torch.where(u * target.mass == 0.0, 0.0, 2.0 * extras.z_loss * u * target.mass * lse)
    factor = u * target.mass + v
    still = factor == 0.0
    if target.effective is not None:
        still &= (u == 0.0) | ~lse.isnan()
    if bool(still.any()):
        of_likeliest[still] = 0.0  # also where it is NaN: such rows do not take part
    gradient = of_likeliest.mul_(factor[:, None])
    at = likeliest[:, None]
    if target.effective is None:
        assert target.ids is not None
        # at the likeliest class u m - u y is 0 or u m, without a difference
        is_target = target.ids == likeliest
        gradient.scatter_add_(1, at, torch.where(is_target, v + s, factor)[:, None])
        gradient.scatter_add_(1, target.ids[:, None], torch.where(is_target, 0.0, s - u * target.mass)[:, None])
        return gradient, factor.abs() + s.abs()
    assert target.plain is not None
    others = target.effective.scatter(1, at, 0.0)
    gradient.sub_(others * u[:, None])
    gradient.scatter_add_(1, at, (v + u * others.sum(1))[:, None])
    if up.target_logit is not None:
        gradient += target.plain * s[:, None]
    return gradient, factor.abs() + s.abs() * target.plain.sum(1).abs()
