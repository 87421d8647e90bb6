"""The softmax loss as one operator, crossent::cross_entropy, for torch.compile and torch.export: they see what it
returns, not how. In eager mode autograd calls the kernels itself (_autograd.py), which saves 20 us and knows forward mode.
"""

from typing import Any

import torch

from crossent.torch import _closed_form
from crossent.torch._autograd import gradient_of, loss, upstream_of_rows
from crossent.torch._rows import Settings


@torch.library.custom_op("crossent::cross_entropy", mutates_args=(), device_types=("cpu", "cuda"))
def compiled_cross_entropy(
    logits: torch.Tensor,
    target: torch.Tensor,
    weight: torch.Tensor | None,
    class_axis: int,
    reduction: str,
    ignore_index: int,
    label_smoothing: float,
    loss_dtype: torch.dtype,
) -> torch.Tensor:
    """See softmax_cross_entropy.cross_entropy."""
    return loss(logits, target, weight, Settings(class_axis, reduction, ignore_index, label_smoothing, loss_dtype))


@compiled_cross_entropy.register_fake
def _(
    logits: torch.Tensor,
    target: torch.Tensor,
    weight: torch.Tensor | None,
    class_axis: int,
    reduction: str,
    ignore_index: int,
    label_smoothing: float,
    loss_dtype: torch.dtype,
) -> torch.Tensor:
    shape = logits.shape[:class_axis] + logits.shape[class_axis + 1 :] if reduction == "none" else ()
    return logits.new_empty(shape, dtype=loss_dtype)


@torch.library.custom_op("crossent::cross_entropy_backward", mutates_args=(), device_types=("cpu", "cuda"))
def compiled_gradient(
    of_rows: torch.Tensor,
    logits: torch.Tensor,
    target: torch.Tensor,
    weight: torch.Tensor | None,
    class_axis: int,
    ignore_index: int,
    label_smoothing: float,
) -> torch.Tensor:
    """See _autograd.Gradient."""
    settings = Settings(class_axis, "none", ignore_index, label_smoothing, logits.dtype)
    return gradient_of(of_rows, logits, target, weight, settings)


@compiled_gradient.register_fake
def _(
    of_rows: torch.Tensor,
    logits: torch.Tensor,
    target: torch.Tensor,
    weight: torch.Tensor | None,
    class_axis: int,
    ignore_index: int,
    label_smoothing: float,
) -> torch.Tensor:
    return torch.empty_like(logits)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    logits, target, weight, *settings = inputs
    ctx.save_for_backward(logits, target, weight)
    ctx.settings = Settings(*settings)


def _backward(ctx: Any, upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    logits, target, weight = ctx.saved_tensors
    settings = ctx.settings
    of_rows = upstream_of_rows(upstream, logits, target, weight, settings)
    of_logits = of_target = None
    if ctx.needs_input_grad[0]:
        of_logits = compiled_gradient(
            of_rows, logits, target, weight, settings.class_axis, settings.ignore_index, settings.label_smoothing
        )
    if ctx.needs_input_grad[1]:
        of_target = _closed_form.target_gradient(of_rows, logits, target, weight, settings)
    return of_logits, of_target, None, None, None, None, None, None


compiled_cross_entropy.register_autograd(_backward, setup_context=_keep)
