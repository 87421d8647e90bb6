"""Tensors on a GPU -> row losses and their gradients from its kernels, without copying: what _rows.py is to the CPU."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from crossent.arrays.targets import TopKTargets
from crossent.torch import _gpu
from crossent.torch._extras import Extras
from crossent.torch._rows import Settings


@dataclass(frozen=True, slots=True)
class TopK:
    """Top-k targets on a device."""

    ids: torch.Tensor  # (rows, k) int64
    probs: torch.Tensor  # (rows, k) float64
    uniform_rest: bool


def top_k_on(device: torch.device, target: TopKTargets) -> TopK:
    """Return top-k targets on a device."""
    width = target.ids.shape[-1]
    ids = _gpu.moved(target.ids.reshape(-1, width).astype(np.int64), device)
    return TopK(ids, _gpu.moved(target.probs.reshape(-1, width), device), target.rest == "uniform")


def _readable(tensor: torch.Tensor, class_axis: int) -> torch.Tensor:
    """Return a tensor, or a copy of one that lies in no order that the kernels know."""
    from crossent._kernels.gpu.layout import layout_of

    return tensor.contiguous() if layout_of(tensor, class_axis) is None else tensor


def _problem_of(
    logits: torch.Tensor,
    target: torch.Tensor | TopK,
    weight: torch.Tensor | None,
    settings: Settings,
    extras: Extras,
) -> Any:
    from crossent._kernels.gpu.problem import CLASS_IDS, DISTRIBUTIONS, TOP_K, Problem

    axis = settings.class_axis
    options: dict[str, Any]
    if isinstance(target, TopK):
        options = {"kind": TOP_K, "ids": target.ids, "probs": target.probs, "uniform_rest": target.uniform_rest}
    elif target.is_floating_point():
        options = {"kind": DISTRIBUTIONS, "probs": _readable(target.detach(), axis)}
    else:
        options = {"kind": CLASS_IDS, "ids": target.detach().reshape(-1).contiguous()}
    return Problem(
        logits=_readable(logits.detach(), axis),
        class_axis=axis,
        class_weight=None if weight is None else weight.detach().contiguous(),
        ignore_index=settings.ignore_index,
        label_smoothing=settings.label_smoothing,
        softcap=extras.softcap,
        temperature=extras.temperature,
        z_loss=extras.z_loss,
        **options,
    )


def solve(
    logits: torch.Tensor,
    target: torch.Tensor | TopKTargets | TopK,
    weight: torch.Tensor | None,
    settings: Settings,
    extras: Extras,
    upstream: dict[str, torch.Tensor] | None = None,  # the fields of the kernels' Upstream
    gradient: torch.Tensor | None = None,
) -> dict[str, torch.Tensor]:
    """Return the numbers of each row, (rows,) float64: the loss, then those of `returns`; fill in their gradient."""
    from crossent._kernels.gpu.problem import Numbers, Upstream

    if isinstance(target, TopKTargets):
        target = top_k_on(logits.device, target)
    problem = _problem_of(logits, target, weight, settings, extras)
    rows = settings.rows_shape(logits.shape).numel()
    wanted = ("loss", *(name for name in extras.returns if name != "dropped_mass"))
    numbers = {name: torch.empty(rows, dtype=torch.float64, device=logits.device) for name in wanted}
    if gradient is None:
        _gpu.solve(problem, Numbers(**numbers), None, None)
        return numbers
    given = Upstream(**{name: value.detach().double().contiguous() for name, value in (upstream or {}).items()})
    filled = _readable(gradient, settings.class_axis)
    _gpu.solve(problem, Numbers(**numbers), given, filled)
    if filled is not gradient:
        gradient.copy_(filled)
    return numbers


def upstream_of_losses(upstream: Any, rows: int, device: torch.device) -> torch.Tensor:
    """Return what the kernels' Upstream says of the loss of each row, (rows,) float64."""
    each = torch.ones(rows, dtype=torch.float64, device=device) if upstream.loss is None else upstream.loss
    return each if upstream.factor is None else each * upstream.factor
