"""Autograd for the softmax loss: values and gradients from the kernels, everything beyond from the closed forms.

The gradient is computed when it is asked for, one read and one write of memory, with the upstream gradient folded in; or with
the loss where it may be kept (EagerCrossEntropy).
"""

import math
from dataclasses import replace
from typing import Any

import torch
from torch._C._functorch import is_legacy_batchedtensor
from torch.autograd import forward_ad

from crossent.arrays.machine import memory_budget_bytes
from crossent.torch import _closed_form, _gpu, _gpu_autograd, _gpu_rows, _room, _rows
from crossent.torch._arguments import is_batched
from crossent.torch._extras import Extras
from crossent.torch._rows import Settings

# Gradients up to this size are kept from forward to backward; larger ones are made there, at the price of reading the
# logits once more.
KEPT_BYTES = memory_budget_bytes()


def _with_batch(tensor: torch.Tensor, at: int | None, size: int) -> torch.Tensor:
    """Return a tensor with the mapped dimension first, repeated where it had none."""
    return tensor.movedim(at, 0) if at is not None else tensor.expand(size, *tensor.shape)


def loss(logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None, settings: Settings) -> torch.Tensor:
    """Return the reduced loss, without a thought of derivatives."""
    if _gpu.serves(logits.device):
        return _gpu_autograd.loss(logits, target, weight, settings)
    rows = _rows.as_targets(target, settings, logits.shape)
    weights = _rows.class_weights(weight)
    problem = _rows.solve(logits, rows, weights, settings)
    if settings.reduction == "none":
        return torch.from_numpy(problem.losses).to(settings.loss_dtype)
    total = problem.exact_total()
    value = total.divided_by(_rows.total_weight(rows, weights) if settings.reduction == "mean" else 1)
    return torch.tensor(value, dtype=settings.loss_dtype, device="cpu")


def gradient_of(
    of_rows: torch.Tensor, logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None, settings: Settings
) -> torch.Tensor:
    """Return upstream * (m p - y) of each row, without a thought of derivatives."""
    out = _room.empty_like(logits)
    if _gpu.serves(logits.device):
        upstream = {"loss": of_rows.reshape(-1)}
        _gpu_rows.solve(logits, target, weight, settings, Extras(), upstream, out)
        return out
    scale, scales = _rows.rows_of(of_rows)
    rows = _rows.as_targets(target, settings, logits.shape)
    _rows.solve(logits, rows, _rows.class_weights(weight), settings, scale=scale, scales=scales, out=out)
    return out


class CrossEntropy(torch.autograd.Function):
    """The reduced loss of logits and targets; the weights are constants."""

    @staticmethod
    def forward(
        logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None, settings: Settings
    ) -> torch.Tensor:
        return loss(logits, target, weight, settings)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        logits, target, weight, settings = inputs
        ctx.save_for_backward(logits, target, weight)
        ctx.save_for_forward(logits, target, weight)
        ctx.settings = settings

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        logits, target, weight = ctx.saved_tensors
        settings = ctx.settings
        of_rows = upstream_of_rows(upstream, logits, target, weight, settings)
        of_logits = of_target = None
        if ctx.needs_input_grad[0]:
            # torch.autograd.grad(is_grads_batched=True) knows no rule for Gradient
            if is_legacy_batchedtensor(upstream):
                of_logits = _closed_form.gradient(of_rows, logits, target, weight, settings)
            else:
                of_logits = Gradient.apply(of_rows, logits, target, weight, settings)
        if ctx.needs_input_grad[1]:
            of_target = _closed_form.target_gradient(of_rows, logits, target, weight, settings)
        return of_logits, of_target, None, None

    @staticmethod
    def jvp(ctx: Any, logits_t: torch.Tensor | None, target_t: torch.Tensor | None, *_: Any) -> torch.Tensor:
        logits, target, weight = ctx.saved_tensors
        settings = ctx.settings
        shape = settings.rows_shape(logits.shape)
        # sums of halves would overflow, so that float64 is what everything is added in
        ones = torch.ones((), dtype=torch.float64, device=logits.device).expand(shape)
        change = torch.zeros(shape, dtype=torch.float64, device=logits.device)
        if logits_t is not None:
            gradient = Gradient.apply(ones, logits, target, weight, settings)
            change = change + (gradient.double() * logits_t).sum(settings.class_axis)
        if target_t is not None and target_t.is_floating_point():
            gradient = _closed_form.target_gradient(ones, logits, target, weight, settings)
            change = change + (gradient.double() * target_t).sum(settings.class_axis)
        if settings.reduction != "none":
            change = change.sum()
        if settings.reduction == "mean":
            change = change / _denominator(logits, target, weight, settings)
        return change.to(settings.loss_dtype)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *inputs: Any) -> tuple[torch.Tensor, int]:
        logits, target, weight, settings = inputs
        size = info.batch_size
        logits, target = (_with_batch(t, at, size) for t, at in zip((logits, target), in_dims[:2], strict=True))
        if in_dims[2] is not None:  # weights of their own: nothing to share
            weights = weight.movedim(in_dims[2], 0)
            with_weights = zip(logits, target, weights, strict=True)
            return torch.stack([CrossEntropy.apply(*three, settings) for three in with_weights]), 0
        axis = settings.class_axis + 1
        if settings.reduction == "none":
            return CrossEntropy.apply(logits, target, weight, replace(settings, class_axis=axis)), 0
        batched = replace(settings, class_axis=axis, reduction="none", loss_dtype=torch.float64)
        sums = CrossEntropy.apply(logits, target, weight, batched).reshape(size, -1).sum(1)
        if settings.reduction == "mean" and target.is_floating_point():
            sums = sums / settings.rows_shape(logits.shape[1:]).numel()
        elif settings.reduction == "mean":
            sums = sums / torch.stack([total_weight(own, weight, settings.ignore_index) for own in target.unbind(0)])
        return sums.to(settings.loss_dtype), 0


class EagerCrossEntropy(torch.autograd.Function):
    """CrossEntropy outside of torch.func: the gradient of a mean or a sum is made with the loss where it is small enough.

    In the old style, whose `apply` saves 40 us: with setup_context torch reads the signature of `forward` at every call.
    """

    @staticmethod
    def forward(
        ctx: Any, logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None, settings: Settings
    ) -> torch.Tensor:
        ctx.save_for_backward(logits, target, weight)
        ctx.settings, ctx.gradient = settings, None
        forward_mode = forward_ad._current_level >= 0
        if forward_mode:
            ctx.save_for_forward(logits, target, weight)
        # tangents want a gradient that can be differentiated; a half would be rounded before the upstream gradient scales it
        may_keep = ctx.needs_input_grad[0] and not forward_mode and logits.dtype.itemsize > 2
        may_keep = may_keep and not _gpu.serves(logits.device)  # which has a function of its own for what can be kept
        if not may_keep or settings.reduction == "none" or logits.nbytes > KEPT_BYTES:
            return loss(logits, target, weight, settings)
        small = _rows.small_mean(logits, target, weight, settings)
        if small is not None:
            value, ctx.gradient = small
            # 1 us; torch.tensor takes 2.6
            return torch.scalar_tensor(value, dtype=settings.loss_dtype, device="cpu")
        rows, weights = _rows.as_targets(target, settings, logits.shape), _rows.class_weights(weight)
        divisor = _rows.total_weight(rows, weights) if settings.reduction == "mean" else 1.0
        out = _room.empty_like(logits)
        problem = _rows.solve(logits, rows, weights, settings, scale=_rows.inverse(divisor), out=out)
        ctx.gradient = out
        return torch.tensor(problem.exact_total().divided_by(divisor), dtype=settings.loss_dtype, device="cpu")

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        gradient, ctx.gradient = ctx.gradient, None  # handed on as it is: a second backward makes it anew
        plain = not (is_batched(upstream) or torch.is_grad_enabled() or ctx.needs_input_grad[1])
        if gradient is not None and plain:
            ctx.saved_tensors  # noqa: B018  # torch's error where one of them was written to since
            scale = float(upstream)
            if math.isfinite(scale):  # else an ignored row's 0 would become NaN
                return gradient if scale == 1.0 else gradient.mul_(scale), None, None, None
        results: tuple[torch.Tensor | None, ...] = CrossEntropy.backward(ctx, upstream)
        return results

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> torch.Tensor:
        change: torch.Tensor = CrossEntropy.jvp(ctx, *tangents)
        return change


class Gradient(torch.autograd.Function):
    """upstream * (m p - y) of each row: differentiable in all three."""

    @staticmethod
    def forward(
        upstream: torch.Tensor,
        logits: torch.Tensor,
        target: torch.Tensor,
        weight: torch.Tensor | None,
        settings: Settings,
    ) -> torch.Tensor:
        return gradient_of(upstream, logits, target, weight, settings)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        upstream, logits, target, weight, settings = inputs
        ctx.save_for_backward(upstream, logits, target, weight)
        ctx.save_for_forward(upstream, logits, target, weight)
        ctx.settings = settings

    @staticmethod
    def backward(ctx: Any, vector: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        upstream, logits, target, weight = ctx.saved_tensors
        settings, axis = ctx.settings, ctx.settings.class_axis
        of_upstream = of_logits = of_target = None
        y = _closed_form.effective_targets(logits, target, weight, settings)
        mass, p = y.sum(axis, keepdim=True), torch.softmax(logits, axis)
        up = upstream.to(logits.dtype).unsqueeze(axis)
        if ctx.needs_input_grad[0]:
            of_upstream = ((mass * p - y) * vector).sum(axis).to(upstream.dtype)
        if ctx.needs_input_grad[1]:
            of_logits = up * _closed_form.hessian_times(p, mass, vector, settings)
        if ctx.needs_input_grad[2]:
            of_y = up * ((p * vector).sum(axis, keepdim=True) - vector)
            of_target = _closed_form.through_target(of_y, weight, settings)
        return of_upstream, of_logits, of_target, None, None

    @staticmethod
    def jvp(
        ctx: Any, upstream_t: torch.Tensor | None, logits_t: torch.Tensor | None, target_t: torch.Tensor | None, *_: Any
    ) -> torch.Tensor:
        upstream, logits, target, weight = ctx.saved_tensors
        settings, axis = ctx.settings, ctx.settings.class_axis
        y = _closed_form.effective_targets(logits, target, weight, settings)
        mass, p = y.sum(axis, keepdim=True), torch.softmax(logits, axis)
        up = upstream.to(logits.dtype).unsqueeze(axis)
        change = torch.zeros_like(logits)
        if upstream_t is not None:
            change = change + upstream_t.to(logits.dtype).unsqueeze(axis) * (mass * p - y)
        if logits_t is not None:
            change = change + up * _closed_form.hessian_times(p, mass, logits_t, settings)
        if target_t is not None and target_t.is_floating_point():
            y_t = _closed_form.through_target(target_t, weight, settings)
            change = change + up * (y_t.sum(axis, keepdim=True) * p - y_t)
        return change

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *inputs: Any) -> tuple[torch.Tensor, int]:
        upstream, logits, target, weight, settings = inputs
        size = info.batch_size
        upstream, logits, target = (
            _with_batch(t, at, size) for t, at in zip((upstream, logits, target), in_dims[:3], strict=True)
        )
        if in_dims[3] is not None:
            weights = weight.movedim(in_dims[3], 0)
            each = zip(upstream, logits, target, weights, strict=True)
            return torch.stack([Gradient.apply(*four, settings) for four in each]), 0
        batched = replace(settings, class_axis=settings.class_axis + 1)
        return Gradient.apply(upstream, logits, target, weight, batched), 0


def total_weight(target: torch.Tensor, weight: torch.Tensor | None, ignore_index: int) -> torch.Tensor:
    """Return, float64, what a mean over class ids divides by: the weights of the rows that are not ignored."""
    counted = target != ignore_index
    if weight is None:
        return counted.sum().double()
    return (weight.double()[torch.where(counted, target, 0).long()] * counted).sum()


def _denominator(
    logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None, settings: Settings
) -> torch.Tensor | float:
    """Return what a mean divides by."""
    if target.is_floating_point():
        return float(settings.rows_shape(logits.shape).numel())
    return total_weight(target, weight, settings.ignore_index)


def upstream_of_rows(
    upstream: torch.Tensor, logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None, settings: Settings
) -> torch.Tensor:
    """Return the upstream gradient of each row's loss."""
    if settings.reduction == "none":
        return upstream
    if settings.reduction == "mean":
        # float64, so that the kernel's one rounding is the only one
        upstream = upstream.double() / _denominator(logits, target, weight, settings)
    return upstream.expand(settings.rows_shape(logits.shape))
