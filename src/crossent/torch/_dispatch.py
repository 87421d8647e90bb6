"""The plain softmax loss by whoever can make it: the compiler's operator, torch.func's function, eager autograd, the kernels."""

from dataclasses import replace

import torch
import torch.nn.functional as F  # noqa: N812  # as everybody who reads this writes it
from torch.autograd import forward_ad

from crossent.torch import _gpu_autograd
from crossent.torch._arguments import is_differentiated, is_traced
from crossent.torch._autograd import CrossEntropy, EagerCrossEntropy, loss, total_weight
from crossent.torch._closed_form import effective_targets
from crossent.torch._extras import Extras
from crossent.torch._library import compiled_cross_entropy
from crossent.torch._rows import Settings

_NOTHING = Extras()


def softmax_loss(
    logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None, settings: Settings
) -> torch.Tensor:
    """Return the loss of tensors that the kernels read."""
    if is_differentiated(weight):
        return _with_weight_gradient(logits, target, weight, settings)
    if _gpu_autograd.serves(logits, target, weight, None, settings, _NOTHING):

        def again(x: torch.Tensor, t: torch.Tensor, w: torch.Tensor | None, _: None) -> torch.Tensor:
            return CrossEntropy.apply(x, t, w, settings)

        wish = _gpu_autograd.Wish(settings, _NOTHING, None, again)
        return _gpu_autograd.reduced_loss(logits, target, weight, None, wish)
    if is_traced():
        return compiled_cross_entropy(
            logits,
            target,
            weight,
            settings.class_axis,
            settings.reduction,
            settings.ignore_index,
            settings.label_smoothing,
            settings.loss_dtype,
        )
    if torch._C._are_functorch_transforms_active():
        return CrossEntropy.apply(logits, target, weight, settings)
    if not torch.is_grad_enabled() and forward_ad._current_level < 0:
        return loss(logits, target, weight, settings)
    return EagerCrossEntropy.apply(logits, target, weight, settings)


def torchs_loss(
    logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None, settings: Settings
) -> torch.Tensor:
    """Return torch's own loss, of any tensors."""
    return F.cross_entropy(
        logits,
        target,
        weight=weight,
        ignore_index=settings.ignore_index,
        reduction=settings.reduction,
        label_smoothing=settings.label_smoothing,
    )


def _with_weight_gradient(
    logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None, settings: Settings
) -> torch.Tensor:
    """Return the loss where class weights are differentiated too: they become a part of the targets."""
    plain = replace(settings, label_smoothing=0.0)
    y = effective_targets(logits, target, weight, settings)
    if target.is_floating_point() or settings.reduction != "mean":
        return CrossEntropy.apply(logits, y, None, plain)
    total = CrossEntropy.apply(logits, y, None, replace(plain, reduction="sum", loss_dtype=torch.float64))
    return (total / total_weight(target, weight, settings.ignore_index)).to(settings.loss_dtype)
