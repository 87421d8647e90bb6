"""The vocabulary split over the ranks of a process group: each holds some classes of every row, in the order of the ranks.

Two reductions make the rows whole: M, the largest logit anywhere, then sums relative to it. With d_c = M - z_c >= 0 and the
classes at M left out of the sum,

    rest = sum e**-d_c + (classes at M) - 1      L = log1p(rest)      lse = M + L      loss = sum y_c d_c + m L + z_loss m lse**2

as in _tiles.py: only terms of one sign, so that a confident row keeps its digits whichever rank has its target. Torch
operations on tiles of float64, for tensors on any device; on a GPU nobody waits for them (gloo on the CPU, NCCL there).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist

from crossent.arrays.targets import TopKTargets
from crossent.torch import _gpu
from crossent.torch._composed import bent
from crossent.torch._extended import counted_top_k, flat_rows
from crossent.torch._extras import DIFFERENTIABLE, Extras
from crossent.torch._rows import Settings
from crossent.torch._shards import Shard, at_ignored, check, shard_of
from crossent.torch._tiles import TILE_NUMBERS, Upstream

# On a GPU a tile of the CPU's size does not fill the device: 64 MB of float64 an array.
_GPU_TILE_NUMBERS = 2**23
# What each rank adds to a row.
_SUMS = (
    "rest",
    "at_top",
    "distance",
    "mass_rest",
    "mass_top",
    "own_weight",
    "information",
    "target_logit",
    "given",
    "ones",
    "others",
)


@dataclass(frozen=True, slots=True)
class Whole:
    """What all ranks know of each row, (rows,) float64."""

    top: torch.Tensor  # M
    rest: torch.Tensor
    surprise: torch.Tensor  # L
    mass: torch.Tensor  # m
    mass_rest: torch.Tensor  # of the targets, away from M
    mass_top: torch.Tensor  # and at M
    given: torch.Tensor  # the sum of the targets as they came
    entropy: torch.Tensor
    counted: torch.Tensor  # boolean

    def rows(self, these: slice) -> "Whole":
        """Return what is known of some rows."""
        return Whole(*(getattr(self, name)[these] for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class Rows:
    """This rank's logits and their targets, classes last."""

    logits: torch.Tensor  # (rows, classes here)
    target: Any  # (rows,) ids among all classes, (rows, classes here), or top-k among all classes
    weight: torch.Tensor | None  # (classes here,)
    settings: Settings
    extras: Extras

    def tiles(self) -> Iterator[slice]:
        """Yield the rows of each tile."""
        numbers = TILE_NUMBERS if self.logits.device.type == "cpu" else _GPU_TILE_NUMBERS
        step = max(1, numbers // max(self.logits.shape[1], 1))
        for start in range(0, len(self.logits), step):
            yield slice(start, min(start + step, len(self.logits)))

    def plain_targets(self, these: slice, shard: Shard) -> torch.Tensor:
        """Return the targets of some rows as given, (n, classes here) float64."""
        here, offset, device = self.logits.shape[1], shard.offset, self.logits.device
        if isinstance(self.target, TopKTargets):
            ids = _gpu.moved(self.target.ids[these].astype("int64"), device) - offset
            shares = _gpu.moved(self.target.probs[these], device)
            background = torch.zeros(len(ids), 1, dtype=torch.float64, device=device)
            width = ids.shape[1]
            if self.target.rest == "uniform":
                others = shard.classes - width
                missing = (1.0 - shares.sum(1, keepdim=True)).clamp(min=0.0)
                background = torch.where(others > 0, missing / others, 0.0)
            dense = background.repeat(1, here + 1)  # the last column takes what lies on other ranks
            inside = (ids >= 0) & (ids < here)
            return dense.scatter_(1, torch.where(inside, ids, here), shares)[:, :here]
        if self.target.is_floating_point():
            return self.target[these].double()
        ids = self.target[these].long() - offset
        dense = torch.zeros(len(ids), here + 1, dtype=torch.float64, device=device)
        inside = (ids >= 0) & (ids < here) & (self.target[these] != self.settings.ignore_index)
        return dense.scatter_(1, torch.where(inside, ids, here)[:, None], 1.0)[:, :here]

    def effective(self, plain: torch.Tensor, shard: Shard) -> torch.Tensor:
        """Return y: smoothed over all classes, times class weights."""
        y = plain
        if self.settings.label_smoothing:
            y = y * (1.0 - self.settings.label_smoothing) + self.settings.label_smoothing / shard.classes.double()
        return y if self.weight is None else y * self.weight.double()


def _distances(z: torch.Tensor, top: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return d and where it is 0; z == M first, as inf - inf is NaN."""
    at_top = z == top[:, None]
    return torch.where(at_top, 0.0, top[:, None] - z), at_top


def _sums_of(rows: Rows, these: slice, top: torch.Tensor, shard: Shard) -> torch.Tensor:
    """Return this rank's part of the sums of some rows, (n, len(_SUMS))."""
    z = bent(rows.logits[these], rows.extras).double()
    plain = rows.plain_targets(these, shard)
    y = rows.effective(plain, shard)
    d, at_top = _distances(z, top)
    e = torch.exp(-d)
    weight = torch.ones((), dtype=torch.float64, device=z.device) if rows.weight is None else rows.weight.double()
    parts = {
        "rest": torch.where(at_top, 0.0, e).sum(1),
        "at_top": at_top.sum(1).double(),
        "distance": torch.where(y == 0.0, 0.0, y * d).sum(1),
        "mass_rest": torch.where(at_top, 0.0, y).sum(1),
        "mass_top": torch.where(at_top, y, 0.0).sum(1),
        "own_weight": (plain * weight).sum(1),
        "information": torch.where(e == 0.0, 0.0, e * d).sum(1),
        "target_logit": torch.where(plain == 0.0, 0.0, plain * z).sum(1),
        "given": plain.sum(1),
        # a row that is one-hot of ignore_index does not take part: a 1 there, and nothing else
        "ones": at_ignored(plain, rows.settings.ignore_index - shard.offset),
        "others": (plain != 0.0).sum(1).double(),
    }
    return torch.stack([parts[name] for name in _SUMS], 1)


def solve(rows: Rows, shard: Shard) -> tuple[dict[str, torch.Tensor], Shard, Whole]:
    """Return the numbers of each row, the shard with everybody's sizes, and what `fill` needs to know.

    With the numbers comes "own_weight", what the row adds to what a mean divides by.
    """
    device, count = rows.logits.device, len(rows.logits)
    top = torch.full((count,), -torch.inf, dtype=torch.float64, device=device)
    first = torch.zeros(count, dtype=torch.int64, device=device)  # of the classes at the top here
    for these in rows.tiles():
        if rows.logits.shape[1]:
            top[these], first[these] = bent(rows.logits[these], rows.extras).double().max(1)
    broken = top.isnan()  # a maximum need not keep NaN: it travels in a sum
    own_top = torch.where(broken, -torch.inf, top)
    largest = shard.reduced(torch.cat([own_top, shard.sizes.double()]), dist.ReduceOp.MAX)
    shard = Shard(shard.group, largest[count:].long())
    _check_ids(rows, shard)
    top = largest[:count]

    wanted = "accuracy" in rows.extras.returns
    ranks = len(shard.sizes) if wanted else 0
    sums = torch.zeros(count, len(_SUMS) + ranks, dtype=torch.float64, device=device)
    for these in rows.tiles():
        sums[these, : len(_SUMS)] = _sums_of(rows, these, top[these], shard)
    sums[:, 0].masked_fill_(broken, torch.nan)
    if wanted:  # where the top is, of each rank that has it: the likeliest class is the first
        sums[:, len(_SUMS) + shard.rank] = torch.where(own_top == top, first + shard.offset + 1, 0).double()
    whole, numbers = _together(rows, shard, top, shard.reduced(sums, dist.ReduceOp.SUM))
    return numbers, shard, whole


def fill(rows: Rows, shard: Shard, whole: Whole, upstream: Upstream, out: torch.Tensor) -> None:
    """Fill `out` with this rank's gradient of what `upstream` says."""
    for these in rows.tiles():
        _fill(rows, shard, these, whole, upstream.rows(these), out)


def scale_of(rows: Rows, whole: Whole, up: Upstream) -> torch.Tensor:
    """Return what p is multiplied by in the gradient of each row."""
    factor, s = (
        _factor(rows, whole, up)[0],
        torch.zeros_like(whole.mass) if up.target_logit is None else up.target_logit,
    )
    scale = factor.abs() + (s * whole.given).abs() + (0.0 if up.entropy is None else up.entropy.abs())
    return torch.where(whole.counted, scale / rows.extras.temperature, 0.0)


def _factor(rows: Rows, whole: Whole, up: Upstream) -> tuple[torch.Tensor, torch.Tensor]:
    """Return k = u m (1 + 2 z_loss lse) + v, and what of it is not u m."""
    zero = torch.zeros_like(whole.mass)
    u, v = (zero if given is None else given for given in (up.loss, up.lse))
    if rows.extras.z_loss:
        lse = whole.top + whole.surprise
        v = v + torch.where(u * whole.mass == 0.0, 0.0, 2.0 * rows.extras.z_loss * u * whole.mass * lse)
    return u * whole.mass + v, v


def _check_ids(rows: Rows, shard: Shard) -> None:
    """Raise torch's IndexError where an id is no class, on a GPU later; every rank has the same targets, so every rank does."""
    if isinstance(rows.target, TopKTargets):
        ids = _gpu.moved(rows.target.ids.astype("int64"), rows.logits.device)
        ignored = _certain(rows)[:, None]
    elif not rows.target.is_floating_point():
        ids, ignored = rows.target, rows.target == rows.settings.ignore_index
    else:
        return
    wrong = ~ignored & ((ids < 0) | (ids >= shard.classes))
    if ids.device.type != "cpu":
        torch._assert_async(~wrong.any(), "A target is out of bounds.")
    elif bool(wrong.any()):
        message = f"Target {int(ids[wrong][0])} is out of bounds."
        raise IndexError(message)


def _certain(rows: Rows) -> torch.Tensor:
    """Return which rows of top-k targets are certain of `ignore_index`."""
    counted = counted_top_k(rows.target, rows.settings.ignore_index)
    if counted is None:
        return torch.zeros(len(rows.target.ids), dtype=torch.bool, device=rows.logits.device)
    return _gpu.moved(~counted, rows.logits.device)


def _together(rows: Rows, shard: Shard, top: torch.Tensor, sums: torch.Tensor) -> tuple[Whole, dict[str, torch.Tensor]]:
    """Return what the sums of all ranks say of each row."""
    part = dict(zip(_SUMS, sums.t(), strict=False))
    rest = part["rest"] + (part["at_top"] - 1.0)  # in this order: 1e-17 + 1 - 1 is 0
    undefined = (top == -torch.inf) | ((top == torch.inf) & (part["at_top"] > 1.0))
    surprise = torch.where(undefined, torch.nan, torch.log1p(rest))
    mass, lse = part["mass_rest"] + part["mass_top"], top + surprise
    counted = ~((part["ones"] == 1.0) & (part["others"] == 1.0))
    if _is_ids(rows.target):
        counted = rows.target != rows.settings.ignore_index
    elif isinstance(rows.target, TopKTargets):
        counted = ~_certain(rows)
    entropy = surprise + part["information"] / (1.0 + rest)
    loss = torch.where(mass == 0.0, 0.0, part["distance"] + mass * surprise)
    if rows.extras.z_loss:
        loss = loss + torch.where(mass == 0.0, 0.0, rows.extras.z_loss * mass * lse * lse)
    numbers = {
        "loss": loss,
        "lse": lse,
        "entropy": entropy,
        "target_logit": part["target_logit"],
        "own_weight": part["own_weight"] if _is_ids(rows.target) else torch.ones_like(loss),
    }
    if "accuracy" in rows.extras.returns:
        places = sums[:, len(_SUMS) :]
        likeliest = torch.where(places > 0.0, places, torch.inf).min(1).values - 1.0
        numbers["accuracy"] = (likeliest == _best(rows, shard)).double()
    numbers = {name: torch.where(counted, value, 0.0) for name, value in numbers.items()}
    whole = Whole(top, rest, surprise, mass, part["mass_rest"], part["mass_top"], part["given"], entropy, counted)
    return whole, numbers


def _is_ids(target: Any) -> bool:
    return isinstance(target, torch.Tensor) and not target.is_floating_point()


def _best(rows: Rows, shard: Shard) -> torch.Tensor:
    """Return the class that each row's target has most of, among all classes, the first of several."""
    if _is_ids(rows.target):
        return rows.target
    # soft targets are in parts too: one more pair of reductions, for accuracy alone
    own = torch.full((len(rows.logits),), -1.0, dtype=torch.float64, device=rows.logits.device)
    first = torch.zeros(len(own), dtype=torch.int64, device=own.device)
    for these in rows.tiles():
        if rows.logits.shape[1]:
            own[these], first[these] = rows.plain_targets(these, shard).max(1)
    largest = shard.reduced(own.clone(), dist.ReduceOp.MAX)
    place = torch.where(own == largest, -(first + shard.offset), -shard.classes)
    return -shard.reduced(place, dist.ReduceOp.MAX)


def _fill(rows: Rows, shard: Shard, these: slice, whole: Whole, up: Upstream, out: torch.Tensor) -> None:
    """Fill in this rank's gradient of some rows."""
    x = rows.logits[these]
    z = bent(x, rows.extras).double()
    top, rest, surprise = whole.top[these], whole.rest[these], whole.surprise[these]
    zero = torch.zeros_like(top)
    u, w, s = (zero if given is None else given for given in (up.loss, up.entropy, up.target_logit))
    own = whole.rows(these)
    factor, v = _factor(rows, own, up)
    plain = rows.plain_targets(these, shard)
    y = rows.effective(plain, shard)
    d, at_top = _distances(z, top)
    p = torch.exp(-d) / (1.0 + rest)[:, None]
    p = torch.where(surprise.isnan()[:, None], torch.nan, p)
    gradient = torch.where(factor[:, None] == 0.0, 0.0, factor[:, None] * p) - u[:, None] * y
    # at the top, p - 1 and m - y would cancel: they are sums of what lies elsewhere
    elsewhere = own.mass_rest[:, None] + (own.mass_top[:, None] - y)
    at_their_place = v[:, None] + u[:, None] * elsewhere - (factor * rest / (1.0 + rest))[:, None]
    gradient = torch.where(at_top, at_their_place, gradient)
    if up.entropy is not None:
        information = torch.where(p == 0.0, 0.0, (d + surprise[:, None]) * p)
        gradient += (information - p * whole.entropy[these][:, None]) * w[:, None]
    if up.target_logit is not None:
        gradient += plain * s[:, None]
    if rows.extras.softcap is not None:
        gradient *= torch.cosh(x.double() / rows.extras.softcap).pow_(-2.0)
    gradient /= rows.extras.temperature
    # what lies at the top was written over: a row that is NaN is NaN there too
    gradient.masked_fill_((surprise.isnan() & (scale_of(rows, own, up) != 0.0))[:, None], torch.nan)
    gradient.masked_fill_(~own.counted[:, None], 0.0)
    out[these] = gradient.to(out.dtype)


class TensorParallelRows(torch.autograd.Function):
    """The numbers of each row of this rank's logits (rows, classes here): the loss, its weight, those of `returns`."""

    @staticmethod
    def forward(
        ctx: Any,
        logits: torch.Tensor,
        target: Any,
        weight: torch.Tensor | None,
        settings: Settings,
        extras: Extras,
        group: Any,
    ) -> tuple[torch.Tensor, ...]:
        ctx.set_materialize_grads(False)
        kept = target if isinstance(target, torch.Tensor) else None
        ctx.save_for_backward(logits, kept, weight)
        ctx.top_k = None if kept is not None else target
        rows = Rows(logits, target, weight, settings, extras)
        numbers, ctx.shard, ctx.whole = solve(rows, shard_of(group, logits.shape[1], logits.device))
        ctx.names = ("loss", "own_weight", *(name for name in extras.returns if name != "dropped_mass"))
        ctx.wish = settings, extras
        ctx.mark_non_differentiable(*(numbers[name] for name in ctx.names if name in ("own_weight", "accuracy")))
        return tuple(numbers[name] for name in ctx.names)

    @staticmethod
    def backward(ctx: Any, *upstream: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        if torch.is_grad_enabled():
            message = "With `process_group` a loss can be differentiated once: backward without create_graph=True."
            raise RuntimeError(message)
        logits, target, weight = ctx.saved_tensors
        given = {
            name: of_row.double()
            for name, of_row in zip(ctx.names, upstream, strict=True)
            if of_row is not None and name in ("loss", *DIFFERENTIABLE)
        }
        out = torch.empty_like(logits)
        rows = Rows(logits, ctx.top_k if target is None else target, weight, *ctx.wish)
        fill(rows, ctx.shard, ctx.whole, Upstream(**given), out)
        return (out, *(None,) * 5)


def rows_of(
    logits: torch.Tensor,
    target: Any,
    weight: torch.Tensor | None,
    settings: Settings,
    extras: Extras,
    group: Any,
) -> dict[str, torch.Tensor]:
    """Return the numbers of each row, of the rows' shape, from this rank's logits of any shape."""
    axis = settings.class_axis
    shape = settings.rows_shape(logits.shape)
    check(logits, target, weight, shape, axis, group)
    flat = logits.movedim(axis, -1).reshape(shape.numel(), logits.shape[axis])
    if isinstance(target, TopKTargets):
        target = flat_rows(target)
    elif target.is_floating_point():
        target = target.movedim(axis, -1).reshape(shape.numel(), logits.shape[axis])
    else:
        target = target.reshape(-1)
    made = TensorParallelRows.apply(flat, target, weight, settings, extras, group)
    names = ("loss", "own_weight", *(name for name in extras.returns if name != "dropped_mass"))
    return {name: value.reshape(shape) for name, value in zip(names, made, strict=True)}
