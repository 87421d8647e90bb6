"""The softmax loss with extras, weights of rows, top-k targets, a denominator of the caller's: rows, then what becomes of them."""

from typing import Any

import numpy as np
import torch
from torch.autograd import forward_ad

from crossent.arrays.targets import TargetRows, TopKTargets, read_targets
from crossent.errors import ShapeError
from crossent.torch import _certain, _composed, _gpu, _gpu_rows, _room, _rows, _tiles
from crossent.torch._arguments import is_batched, is_differentiated, is_traced
from crossent.torch._composed import RowLoss, wide_dtype
from crossent.torch._extras import DIFFERENTIABLE, Extras
from crossent.torch._rows import Settings, counted_rows
from crossent.torch._total import exactly

UPSTREAMS = ("loss", *DIFFERENTIABLE)
# torch.Tensor or TopKTargets; torch is Any for mypy, and so is this
Target = Any


def counted_top_k(target: TopKTargets, ignore_index: int) -> np.ndarray | None:
    """Return which rows of top-k targets take part, or None for all: not those certain of class `ignore_index`."""
    ignored = (target.ids == ignore_index) & (target.probs == 1.0)
    ignored = ignored.any(-1) & ((target.probs != 0.0).sum(-1) == 1)
    return ~ignored if torch.compiler.is_compiling() or ignored.any() else None


def check_top_k(target: TopKTargets, shape: torch.Size, settings: Settings, *, ids: bool = True) -> None:
    """Raise unless top-k targets fit logits of a shape; `ids` is False where other ranks have classes too."""
    rows, classes = tuple(settings.rows_shape(shape)), shape[settings.class_axis]
    if target.ids.shape[:-1] != rows:
        wanted = f"({', '.join(str(size) for size in (*rows, 'k'))})"
        message = (
            f"`target.ids` must have shape {wanted} to match `input` of shape {tuple(shape)}; got {target.ids.shape}."
        )
        raise ShapeError(message)
    if torch.compiler.is_compiling() or not ids:
        return  # no compiler may look at numbers; out of range, scatter raises
    counted = counted_top_k(target, settings.ignore_index)
    wrong = (target.ids < 0) | (target.ids >= classes)
    if counted is not None:
        wrong &= counted[..., None]
    if wrong.any():
        message = f"Target {int(target.ids[wrong][0])} is out of bounds."
        raise IndexError(message)


def taken(target: Target, index: Any) -> Target:
    """Return some rows of targets."""
    if isinstance(target, torch.Tensor):
        return target[index]
    some = TopKTargets.__new__(TopKTargets)  # they have been checked
    index = index.numpy() if isinstance(index, torch.Tensor) else index
    some.ids, some.probs, some.rest = target.ids[index], target.probs[index], target.rest
    return some


def flat_rows(target: TopKTargets) -> TopKTargets:
    """Return top-k targets with one dimension of rows."""
    width = target.ids.shape[-1]
    some: TopKTargets = taken(target, ...)
    some.ids, some.probs = target.ids.reshape(-1, width), target.probs.reshape(-1, width)
    return some


def _top_k_rows(target: TopKTargets, shape: torch.Size, settings: Settings) -> TargetRows:
    counted = counted_top_k(target, settings.ignore_index)
    flat = None if counted is None else counted.reshape(-1)
    return read_targets(target, tuple(shape), settings.class_axis, None, flat, "input")


def as_dense(target: TopKTargets, logits: torch.Tensor, settings: Settings) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return top-k targets as distributions of the logits' shape, and which rows take part."""
    axis, device = settings.class_axis, logits.device
    classes = logits.shape[axis]
    counted = counted_top_k(target, settings.ignore_index)
    taken = target.ids if counted is None else np.where(counted[..., None], target.ids, np.arange(target.ids.shape[-1]))
    ids = _gpu.moved(taken.astype(np.int64), device)
    shares = _gpu.moved(target.probs, device).to(wide_dtype(logits))
    dense = torch.zeros((*ids.shape[:-1], classes), dtype=shares.dtype, device=device)
    width = ids.shape[-1]
    if target.rest == "uniform" and width < classes:
        dense = dense + (1.0 - shares.sum(-1, keepdim=True)).clamp(min=0.0) / (classes - width)
    dense = dense.scatter(-1, ids, shares).movedim(-1, axis)
    return dense, None if counted is None else _gpu.moved(counted, device)


def composed_rows(
    logits: torch.Tensor,
    target: Target,
    weight: torch.Tensor | None,
    settings: Settings,
    extras: Extras,
    row_loss: RowLoss,
) -> dict[str, torch.Tensor]:
    """Return the numbers of each row by differentiable operations."""
    if isinstance(target, TopKTargets):
        target, counted = as_dense(target, logits, settings)
    else:
        counted = counted_rows(target, settings)
    return _composed.rows(logits, target, counted, weight, settings, extras, row_loss)


def tiled_rows(
    logits: torch.Tensor,
    target: Target,
    weight: torch.Tensor | None,
    settings: Settings,
    extras: Extras,
    upstream: _tiles.Upstream | None = None,
    out: torch.Tensor | None = None,
) -> dict[str, torch.Tensor]:
    """Return the numbers of each row, (rows,) float64, and fill in their gradient; nothing here can be differentiated."""
    if _gpu.serves(logits.device):
        given = (
            None
            if upstream is None
            else {name: up for name in UPSTREAMS if (up := getattr(upstream, name)) is not None}
        )
        return _gpu_rows.solve(logits, target, weight, settings, extras, given, out)
    dense = None
    if isinstance(target, TopKTargets):
        rows = _top_k_rows(target, logits.shape, settings)
    else:
        rows = _rows.as_targets(target, settings, logits.shape)
        dense = target if target.is_floating_point() else None
    if _certain.serves(rows, settings, extras, upstream):
        found = _certain.solve(logits, rows, weight, settings, extras, upstream, out)
        if found is not None:
            return found
    return _tiles.solve(logits, rows, dense, weight, settings, extras, upstream, out)


class ExtendedRows(torch.autograd.Function):
    """The numbers of each row of logits, float64: the loss, then those of `returns`."""

    @staticmethod
    def forward(
        ctx: Any,
        logits: torch.Tensor,
        target: Target,
        weight: torch.Tensor | None,
        settings: Settings,
        extras: Extras,
        row_loss: RowLoss,
        expected: torch.Tensor | None,  # of the rows' shape: the loss's upstream gradient, as far as can be foreseen
    ) -> tuple[torch.Tensor, ...]:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(logits, target if isinstance(target, torch.Tensor) else None, weight)
        ctx.target, ctx.wish = None if isinstance(target, torch.Tensor) else target, (settings, extras, row_loss)
        ctx.made = up = out = None
        if expected is not None and ctx.needs_input_grad[0]:
            up, out = _tiles.Upstream(expected.reshape(-1)), _room.empty_like(logits)
            ctx.made = out, expected
        numbers = tiled_rows(logits, target, weight, settings, extras, up, out)
        shape = settings.rows_shape(logits.shape)
        ctx.names = tuple(name for name in numbers if name != "scale")
        made = {name: numbers[name].reshape(shape) for name in ctx.names}
        if "accuracy" in made:
            ctx.mark_non_differentiable(made["accuracy"])
        return tuple(made.values())

    @staticmethod
    def backward(ctx: Any, *upstream: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        logits, target, weight = ctx.saved_tensors
        settings, extras, row_loss = ctx.wish
        target = ctx.target if target is None else target
        given = {
            name: of_row
            for name, of_row in zip(ctx.names, upstream, strict=True)
            if of_row is not None and name in UPSTREAMS
        }
        made, ctx.made = ctx.made, None  # handed on as it is: a second backward makes it anew
        if not given:
            return (None,) * 7
        create = torch.is_grad_enabled()
        if create or any(map(is_batched, given.values())):
            with torch.enable_grad():
                numbers = composed_rows(logits, target, weight, settings, extras, row_loss)
                outputs = [numbers[name] for name in given]
                of_logits = torch.autograd.grad(outputs, logits, list(given.values()), create_graph=create)[0]
            return (of_logits, *(None,) * 6)
        if made is not None and list(given) == ["loss"] and torch.equal(made[1], given["loss"]):
            return (made[0], *(None,) * 6)
        flat = {name: of_row.double().reshape(-1) for name, of_row in given.items()}
        out = _room.empty_like(logits)
        tiled_rows(logits, target, weight, settings, extras, _tiles.Upstream(**flat), out)
        return (out, *(None,) * 6)


def rows(
    logits: torch.Tensor,
    target: Target,
    weight: torch.Tensor | None,
    settings: Settings,
    extras: Extras,
    row_loss: RowLoss,
    *,
    readable: bool,
    expected: torch.Tensor | None,
) -> dict[str, torch.Tensor]:
    """Return the numbers of each row; `readable` where the kernels read the tensors.

    `expected` is the upstream gradient of the losses that a plain backward will bring: its gradient is made with the loss.
    """
    differentiated = isinstance(target, torch.Tensor) and is_differentiated(target)
    plain = readable and not (differentiated or is_differentiated(weight))
    if not plain or is_traced() or torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0:
        return composed_rows(logits, target, weight, settings, extras, row_loss)
    made = ExtendedRows.apply(logits, target, weight, settings, extras, row_loss, expected)
    names = ("loss", *(name for name in extras.returns if name != "dropped_mass"))
    return dict(zip(names, made, strict=True))


def weights_of_rows(
    logits: torch.Tensor,
    target: Target,
    weight: torch.Tensor | None,
    sample_weight: torch.Tensor | None,
    settings: Settings,
) -> torch.Tensor:
    """Return, float64, what each row adds to what a mean divides by."""
    shape = settings.rows_shape(logits.shape)
    if isinstance(target, TopKTargets):
        taking_part = counted_top_k(target, settings.ignore_index)
        counted = None if taking_part is None else _gpu.moved(taking_part, logits.device)
    else:
        counted = counted_rows(target, settings)
    dtype = wide_dtype(logits)
    weights = torch.ones((), dtype=dtype, device=logits.device).expand(shape)
    if weight is not None and isinstance(target, torch.Tensor) and not target.is_floating_point():
        # an id that is no class is named by the loss, which comes after
        weights = weight.to(dtype)[torch.where(counted, target, 0).long().clamp(0, len(weight) - 1)]
    if sample_weight is not None:
        weights = weights * sample_weight.to(dtype)
    return weights if counted is None else torch.where(counted, weights, 0.0)


def weighted(losses: torch.Tensor, sample_weight: torch.Tensor) -> torch.Tensor:
    """Return losses times weights; a row of weight 0 does not take part, whatever its loss."""
    return torch.where((sample_weight == 0.0) & ~losses.isfinite(), 0.0, losses) * sample_weight


def reduced(
    losses: torch.Tensor,
    sample_weight: torch.Tensor | None,
    denominator: torch.Tensor | float,
    settings: Settings,
) -> torch.Tensor:
    """Return what becomes of the losses of rows, float64, with their weights."""
    if sample_weight is not None:
        losses = weighted(losses, sample_weight.to(losses.dtype))
    if settings.reduction != "none":
        losses = exactly(losses, settings.reduction, denominator)
    return losses.to(settings.loss_dtype)


def expected_upstream(
    logits: torch.Tensor,
    sample_weight: torch.Tensor | None,
    denominator: torch.Tensor | float,
    settings: Settings,
    extras: Extras,
) -> torch.Tensor | None:
    """Return the upstream gradient of the losses that `reduced` hands back for 1, or None where none can be foreseen."""
    # of any size: made in backward it would take as much, and another second for the loss (4096 x 32000 with a cap)
    if settings.reduction == "none" or is_traced() or _gpu.serves(logits.device):
        return None
    if any(name in DIFFERENTIABLE for name in extras.returns) or torch._C._are_functorch_transforms_active():
        return None
    shape = settings.rows_shape(logits.shape)
    each = torch.ones((), dtype=torch.float64, device="cpu")
    if settings.reduction == "mean":
        each = each / (denominator.detach() if isinstance(denominator, torch.Tensor) else denominator)
    each = each.expand(shape)
    return each if sample_weight is None else each * sample_weight.detach().double()
