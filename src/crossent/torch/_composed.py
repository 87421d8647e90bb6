"""Rows with extras (see _extras.py) as differentiable operations: any order of derivatives, every transform, every compiler.

Slower than _tiles.py, which it is the derivative of, and holds float64 logits. The loss of plain rows is the kernels' own.
"""

from collections.abc import Callable
from dataclasses import replace

import torch

from crossent.torch import _gpu
from crossent.torch._extras import Extras
from crossent.torch._rows import Settings

# logits, targets, class weights, settings with reduction="none" -> the loss of each row
RowLoss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor | None, Settings], torch.Tensor]


def wide_dtype(logits: torch.Tensor) -> torch.dtype:
    """Return float64, or on other devices, where that is slow or missing, float32 at least."""
    own = logits.device.type == "cpu" or _gpu.serves(logits.device)
    return torch.float64 if own else torch.promote_types(logits.dtype, torch.float32)


def bent(logits: torch.Tensor, extras: Extras) -> torch.Tensor:
    """Return z."""
    z = logits.to(wide_dtype(logits))
    if extras.softcap is not None:
        z = _tanh(z / extras.softcap) * extras.softcap
    return z / extras.temperature if extras.temperature != 1.0 else z


def _tanh(u: torch.Tensor) -> torch.Tensor:
    """Return tanh with a slope that keeps its digits: far out torch's own, 1 - tanh**2, cancels, and s (1 - s) does not."""
    far = torch.where(u >= 0.0, 1.0 - 2.0 * torch.sigmoid(-2.0 * u), 2.0 * torch.sigmoid(2.0 * u) - 1.0)
    return torch.where(u.abs() < 1.0, torch.tanh(u), far)


def rows(
    logits: torch.Tensor,
    target: torch.Tensor,
    counted: torch.Tensor | None,
    weight: torch.Tensor | None,
    settings: Settings,
    extras: Extras,
    row_loss: RowLoss,
) -> dict[str, torch.Tensor]:
    """Return the numbers of each row, 0 where `counted` is False; soft targets have the shape of the logits."""
    axis = settings.class_axis
    soft = target.is_floating_point()
    z = bent(logits, extras)
    if counted is not None:
        z = torch.where(counted.unsqueeze(axis), z, 0.0)  # so that nothing of these rows comes back as a gradient
        target = torch.where(counted.unsqueeze(axis) if soft else counted, target, 0)
    if soft:
        target = target.to(z.dtype)
    weight = None if weight is None else weight.to(z.dtype)
    plain = replace(settings, reduction="none", ignore_index=-100, loss_dtype=z.dtype)
    numbers = {"loss": row_loss(z, target, weight, plain)}
    likeliest = z.detach().argmax(axis)
    if extras.z_loss or "lse" in extras.returns or "entropy" in extras.returns:
        certain = replace(plain, label_smoothing=0.0)
        surprise = row_loss(z, likeliest, None, certain)
        top = z.gather(axis, likeliest.unsqueeze(axis))
        numbers["lse"] = top.squeeze(axis) + surprise
        if extras.z_loss:
            numbers["loss"] = numbers["loss"] + extras.z_loss * _mass(target, weight, settings) * numbers["lse"] ** 2
        if "entropy" in extras.returns:
            p = torch.softmax(z, axis)
            numbers["entropy"] = surprise + (p * (top - torch.where(p > 0.0, z, top))).sum(axis)
    if "target_logit" in extras.returns:
        if soft:
            numbers["target_logit"] = (target * torch.where(target == 0.0, 0.0, z)).sum(axis)
        else:
            numbers["target_logit"] = z.gather(axis, target.long().unsqueeze(axis)).squeeze(axis)
    if "accuracy" in extras.returns:
        numbers["accuracy"] = (likeliest == (target.argmax(axis) if soft else target)).to(z.dtype)
    if counted is not None:
        numbers = {name: torch.where(counted, value, 0.0) for name, value in numbers.items()}
    return numbers


def _mass(target: torch.Tensor, weight: torch.Tensor | None, settings: Settings) -> torch.Tensor | float:
    """Return m, the sum of each row's effective targets."""
    axis, smoothing = settings.class_axis, settings.label_smoothing
    if target.is_floating_point():
        own = target
        if weight is not None:
            shape = [1] * target.dim()
            shape[axis] = weight.numel()
            own = target * weight.reshape(shape)
        mass = own.sum(axis)
    elif weight is None:
        return 1.0
    else:
        mass = weight[target.long()]
    if not smoothing:
        return mass
    return mass * (1.0 - smoothing) + smoothing * (1.0 if weight is None else weight.mean())
