"""The derivatives of a row's loss as torch operations: what second derivatives and tangents are made of.

With p the softmax of a row's logits, y its effective targets (class weight * ((1 - smoothing) target + smoothing / C)) and
m their sum, the loss is -sum_c y_c log p_c, its gradient m p - y, and its Hessian times a vector m p (v - <p, v>).
Any order of derivatives of these is torch's own.
"""

import torch

from crossent.torch._rows import Settings, counted_rows


def effective_targets(
    logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None, settings: Settings
) -> torch.Tensor:
    """Return y in the shape of the logits; all zero where a row is ignored."""
    axis, classes = settings.class_axis, logits.shape[settings.class_axis]
    counted = counted_rows(target, settings)
    if counted is not None:
        counted = counted.unsqueeze(axis)
    if target.is_floating_point():
        y = target.to(logits.dtype)
    else:
        ids = torch.where(counted, target.unsqueeze(axis), 0).long()
        y = torch.zeros_like(logits).scatter(axis, ids, 1.0)
    if settings.label_smoothing:
        y = y * (1.0 - settings.label_smoothing) + settings.label_smoothing / classes
    if weight is not None:
        shape = [1] * logits.dim()
        shape[axis] = classes
        y = y * weight.to(logits.dtype).reshape(shape)
    return y if counted is None else torch.where(counted, y, 0.0)


def gradient(
    of_rows: torch.Tensor, logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None, settings: Settings
) -> torch.Tensor:
    """Return upstream * (m p - y) of each row."""
    axis = settings.class_axis
    y = effective_targets(logits, target, weight, settings)
    p = torch.softmax(logits, axis)
    return of_rows.unsqueeze(axis).to(logits.dtype) * (y.sum(axis, keepdim=True) * p - y)


def through_target(of_y: torch.Tensor, weight: torch.Tensor | None, settings: Settings) -> torch.Tensor:
    """Return what effective targets make of a change of the targets; it is its own transpose."""
    of_y = of_y * (1.0 - settings.label_smoothing)
    if weight is None:
        return of_y
    shape = [1] * of_y.dim()
    shape[settings.class_axis] = weight.numel()
    return of_y * weight.to(of_y.dtype).reshape(shape)


def target_gradient(
    of_rows: torch.Tensor, logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None, settings: Settings
) -> torch.Tensor:
    """Return the gradient with respect to soft targets: -log p, for each row's upstream gradient.

    In float64: near 0 a difference of large numbers is all that is left of log p.
    """
    log_p = torch.log_softmax(logits.double(), settings.class_axis)
    of_y = -log_p * of_rows.unsqueeze(settings.class_axis)
    return through_target(of_y, weight, settings).to(target.dtype)


def hessian_times(p: torch.Tensor, mass: torch.Tensor, vector: torch.Tensor, settings: Settings) -> torch.Tensor:
    """Return m p (v - <p, v>) of each row, from its softmax p."""
    return mass * p * (vector - (p * vector).sum(settings.class_axis, keepdim=True))
