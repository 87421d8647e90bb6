"""Autograd for losses of tensors on a GPU: one read for a value, one read and one write for a value with its gradient.

Losses of each row and what is differentiated twice go the ways of the CPU (_autograd.py, _extended.py), with these kernels
underneath. Here is the rest: a sum or a mean, whose gradient is made with it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.autograd import forward_ad

from crossent.arrays.targets import TopKTargets
from crossent.torch import _extended, _gpu, _gpu_rows
from crossent.torch._arguments import is_batched, is_differentiated, is_traced
from crossent.torch._extras import DIFFERENTIABLE, Extras, with_returns
from crossent.torch._rows import Settings, counted_rows

# torch.Tensor or TopKTargets; torch is Any for mypy, and so is this
Target = Any
# logits, targets, class weights, weights of rows -> the same loss by operations that can be differentiated again
Again = Callable[[torch.Tensor, Target, torch.Tensor | None, torch.Tensor | None], torch.Tensor]


@dataclass(frozen=True, slots=True)
class Wish:
    """What a loss is asked for besides its tensors."""

    settings: Settings
    extras: Extras
    denominator: torch.Tensor | float | None  # the caller's own
    again: Again
    differentiated: bool = False
    top_k: TopKTargets | None = None


def denominator_of(
    logits: torch.Tensor,
    target: Target,
    weight: torch.Tensor | None,
    sample_weight: torch.Tensor | None,
    settings: Settings,
) -> tuple[torch.Tensor | float, torch.Tensor | None]:
    """Return what a mean divides by, exact: a number where shapes say it, else () float64; and its inverse if that is known too."""
    ids = isinstance(target, torch.Tensor) and not target.is_floating_point()
    if sample_weight is None and not (ids and weight is not None):
        if ids:
            return _gpu.counted(target.detach(), settings.ignore_index)
        if isinstance(target, TopKTargets):
            taking_part = _extended.counted_top_k(target, settings.ignore_index)
            rows = settings.rows_shape(logits.shape).numel() if taking_part is None else taking_part.sum()
            return float(rows), None
        counted = counted_rows(target.detach(), settings)
        if counted is None:
            return float(settings.rows_shape(logits.shape).numel()), None
        return counted.sum().double(), None
    return _gpu.total(_extended.weights_of_rows(logits, target, weight, sample_weight, settings)), None


def inverse_of(denominator: torch.Tensor | float, device: torch.device) -> torch.Tensor:
    """Return what a mean multiplies gradients by, () float64; nobody has one where nobody takes part."""
    if isinstance(denominator, torch.Tensor):
        return torch.where(denominator == 0.0, 0.0, 1.0 / denominator)
    return torch.full((), 1.0 / denominator if denominator else 0.0, dtype=torch.float64, device=device)


def _reduced(
    numbers: dict[str, torch.Tensor],
    sample_weight: torch.Tensor | None,
    denominator: torch.Tensor | float,
    settings: Settings,
) -> tuple[torch.Tensor, ...]:
    """Return the loss, then the other numbers in the shape of the rows."""
    losses = numbers.pop("loss")
    if sample_weight is not None:
        losses = _extended.weighted(losses, sample_weight.double().reshape(-1))
    return _gpu.total(losses, denominator, settings.loss_dtype), *numbers.values()


def loss(logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None, settings: Settings) -> torch.Tensor:
    """Return torch's own loss, without a thought of derivatives."""
    numbers = _gpu_rows.solve(logits, target, weight, settings, Extras())
    if settings.reduction == "none":
        return numbers["loss"].reshape(settings.rows_shape(logits.shape)).to(settings.loss_dtype)
    denominator: torch.Tensor | float = 1.0
    if settings.reduction == "mean":
        denominator, _ = denominator_of(logits, target, weight, None, settings)
    return _reduced(numbers, None, denominator, settings)[0]


class ReducedLoss(torch.autograd.Function):
    """The loss, then the numbers of `returns`, (rows,) float64, which are constants."""

    @staticmethod
    def forward(
        ctx: Any,
        logits: torch.Tensor,
        target: torch.Tensor | _gpu_rows.TopK,
        weight: torch.Tensor | None,
        sample_weight: torch.Tensor | None,
        wish: Wish,
    ) -> tuple[torch.Tensor, ...]:
        settings = wish.settings
        ctx.set_materialize_grads(False)
        named = (target.ids, target.probs) if isinstance(target, _gpu_rows.TopK) else (target,)
        ctx.save_for_backward(logits, weight, sample_weight, *named)
        denominator: torch.Tensor | float = 1.0 if wish.denominator is None else wish.denominator
        inverse = None
        if settings.reduction == "mean" and wish.denominator is None:
            own = target if wish.top_k is None else wish.top_k
            denominator, inverse = denominator_of(logits, own, weight, sample_weight, settings)
        ctx.wish, ctx.made, ctx.factor = wish, None, None
        upstream = None
        if wish.differentiated:
            ctx.factor = inverse_of(denominator, logits.device) if inverse is None else inverse
            # a float16 loses what is small before the upstream gradient scales it up: its gradient is made in backward
            if logits.dtype != torch.float16:
                upstream, ctx.made = _upstream(ctx.factor, sample_weight), torch.empty_like(logits)
        numbers = _gpu_rows.solve(logits, target, weight, settings, wish.extras, upstream, ctx.made)
        results = _reduced(numbers, sample_weight, denominator, settings)
        ctx.mark_non_differentiable(*results[1:])
        return results

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor | None, *_: Any) -> tuple[torch.Tensor | None, ...]:
        logits, weight, sample_weight, *named = ctx.saved_tensors  # torch's error where one was written to since
        made, ctx.made = ctx.made, None  # handed on as it is: a second backward makes it anew
        wish, nothing = ctx.wish, (None,) * 4
        if upstream is None:
            return None, *nothing
        create = torch.is_grad_enabled()
        if create or is_batched(upstream) or forward_ad._current_level >= 0:
            target = named[0] if wish.top_k is None else wish.top_k
            with torch.enable_grad():
                again = wish.again(logits, target, weight, sample_weight)
                return torch.autograd.grad(again, logits, upstream, create_graph=create)[0], *nothing
        if made is not None:
            _gpu.scale(made, upstream)
            return made, *nothing
        made = torch.empty_like(logits)
        target = named[0] if wish.top_k is None else _gpu_rows.TopK(named[0], named[1], wish.top_k.rest == "uniform")
        given = _upstream(ctx.factor * upstream, sample_weight)
        _gpu_rows.solve(logits, target, weight, wish.settings, replace(wish.extras, returns=()), given, made)
        return made, *nothing


def _upstream(factor: torch.Tensor, sample_weight: torch.Tensor | None) -> dict[str, torch.Tensor]:
    """Return the upstream gradient of the losses of rows."""
    return {"factor": factor} if sample_weight is None else {"factor": factor, "loss": sample_weight.reshape(-1)}


def serves(
    logits: torch.Tensor,
    target: Target,
    weight: torch.Tensor | None,
    sample_weight: torch.Tensor | None,
    settings: Settings,
    extras: Extras,
) -> bool:
    """Say whether a loss is one of these: a sum or a mean, of which the logits alone are differentiated, in backward."""
    if not _gpu.serves(logits.device) or settings.reduction == "none" or is_traced():
        return False
    if torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0:
        return False
    constants = (None if isinstance(target, TopKTargets) else target, weight, sample_weight)
    if torch.is_grad_enabled() and any(map(is_differentiated, constants)):
        return False
    differentiated = torch.is_grad_enabled() and logits.requires_grad
    return not (differentiated and any(name in DIFFERENTIABLE for name in extras.returns))


def reduced_loss(
    logits: torch.Tensor,
    target: Target,
    weight: torch.Tensor | None,
    sample_weight: torch.Tensor | None,
    wish: Wish,
) -> Any:
    """Return the loss, with the numbers that were asked for."""
    # inside of `forward` nobody can tell: there it looks as if evaluation wanted a gradient, too
    wish = replace(wish, differentiated=torch.is_grad_enabled() and logits.requires_grad)
    if isinstance(target, TopKTargets):
        wish, target = replace(wish, top_k=target), _gpu_rows.top_k_on(logits.device, target)
    loss, *found = ReducedLoss.apply(logits, target, weight, sample_weight, wish)
    shape, dtype = wish.settings.rows_shape(logits.shape), torch.promote_types(wish.settings.loss_dtype, torch.float32)
    names = [name for name in wish.extras.returns if name != "dropped_mass"]
    numbers = {name: number.reshape(shape).to(dtype) for name, number in zip(names, found, strict=True)}
    if "dropped_mass" in wish.extras.returns:
        numbers["dropped_mass"] = torch.zeros(shape, dtype=dtype, device=logits.device)
    return with_returns(loss, numbers, wish.extras)
