"""Tensors on the CPU -> row losses and their gradients from the kernels, without copying: below autograd, above NumPy's door.

Nothing here knows about derivatives: a loss is a number per row, a gradient a tensor to fill.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from crossent._kernels.cpu.targets import DISTRIBUTIONS
from crossent.arrays import _softmax
from crossent.arrays._input import as_array, as_numbers
from crossent.arrays._plain import PLAIN, mean_and_gradient
from crossent.arrays._problem import Problem
from crossent.arrays._rows import read_options
from crossent.arrays.exact_sum import ExactSum
from crossent.arrays.targets import TargetRows, read_targets
from crossent.errors import LabelError, RangeError


@dataclass(frozen=True, slots=True)
class Settings:
    """What a loss is asked for besides its tensors, as autograd hands it on."""

    class_axis: int
    reduction: str
    ignore_index: int
    label_smoothing: float
    loss_dtype: torch.dtype

    def rows_shape(self, shape: torch.Size) -> torch.Size:
        """Return the shape of the row losses of logits of a shape."""
        return shape[: self.class_axis] + shape[self.class_axis + 1 :]


def counted_rows(target: torch.Tensor, settings: Settings) -> torch.Tensor | None:
    """Return which rows take part, or None for all: not those of class `ignore_index`, nor its one-hots."""
    if not target.is_floating_point():
        return target != settings.ignore_index
    axis = settings.class_axis
    if not 0 <= settings.ignore_index < target.shape[axis]:
        return None
    own = target.select(axis, settings.ignore_index)
    return (own != 1.0) | ((target != 0.0).sum(axis) != 1)


def as_ids(target: torch.Tensor, settings: Settings, shape: torch.Size) -> TargetRows:
    """Return class ids as the kernels take them; torch's own IndexError where one is no class."""
    try:
        return read_targets(target.detach(), tuple(shape), settings.class_axis, settings.ignore_index, None, "input")
    except LabelError:
        array = target.detach().numpy()
        classes = shape[settings.class_axis]
        wrong = array[(array != settings.ignore_index) & ((array < 0) | (array >= classes))]
        message = f"Target {int(wrong.reshape(-1)[0])} is out of bounds."
        raise IndexError(message) from None


def as_distributions(target: torch.Tensor, settings: Settings, shape: torch.Size) -> TargetRows:
    """Return soft labels as the kernels take them; as in torch, they may be any numbers."""
    kept = counted_rows(target.detach(), settings)
    counted = None if kept is None or bool(kept.all()) else kept.reshape(-1).numpy()
    try:
        return read_targets(target.detach(), tuple(shape), settings.class_axis, None, counted, "input")
    except RangeError:  # negative or infinite ones: all of them go the general way
        ids = np.full(settings.rows_shape(shape).numel(), -1, np.int64)
        return TargetRows(DISTRIBUTIONS, ids, counted, dense=as_numbers(as_array(target.detach(), "target"), "target"))


def as_targets(target: torch.Tensor, settings: Settings, shape: torch.Size) -> TargetRows:
    """Tell class ids from soft labels by their type."""
    return (as_distributions if target.is_floating_point() else as_ids)(target, settings, shape)


def class_weights(weight: torch.Tensor | None) -> np.ndarray | None:
    """Return class weights as float64."""
    return None if weight is None else weight.detach().double().contiguous().numpy()


def total_weight(target: TargetRows, weight: np.ndarray | None) -> float | ExactSum:
    """Return what torch's mean divides by: the weights of the rows that are not ignored, or the rows themselves."""
    if target.dense is not None:
        return float(target.ids.size)
    ids = target.ids if target.counted is None else target.ids[target.counted]
    return float(ids.size) if weight is None else ExactSum().add(weight[ids])


def inverse(denominator: float | ExactSum) -> float:
    """Return what a mean multiplies gradients by; nobody has one where nobody takes part."""
    plain = denominator.value() if isinstance(denominator, ExactSum) else denominator
    return 1.0 / plain if plain else 0.0


def solve(
    logits: torch.Tensor,
    target: TargetRows,
    weight: np.ndarray | None,
    settings: Settings,
    *,
    scale: float = 1.0,
    scales: np.ndarray | None = None,  # (rows,) float64
    out: torch.Tensor | None = None,
    loss_dtype: Any = None,
) -> Problem:
    """Fill in the losses of every row, and in `out` their gradients times scale, and times each row's.

    A row whose scale is 0 has a gradient of 0, also where its loss is NaN.
    """
    numbers = as_numbers(as_array(logits.detach(), "input"), "input")
    problem = Problem(
        options=read_options(
            label_smoothing=settings.label_smoothing, reduction="sum", denominator="weight", base=None, empty="nan"
        ),
        numbers=numbers,
        axis=settings.class_axis,
        mask=None,
        rows=target,
        sample_weight=None,
        class_weight=weight,
        weight_of_rows=None if weight is None else weight[np.maximum(target.ids, 0)],  # of rows with a certain class
        denominator=1.0,
        scale=scale,
        scales=scales,
        losses=np.empty(tuple(settings.rows_shape(logits.shape)), loss_dtype or numbers.result),
        result=None,
        gradient=None if out is None else as_numbers(as_array(out, "out"), "out"),
    )
    _softmax.fill(problem, stream=False)
    if out is not None and scales is not None:
        still = (scales == 0.0) & ~np.isfinite(problem.losses.reshape(-1))
        if still.any():
            shape = problem.losses.shape
            out.movedim(settings.class_axis, -1)[torch.from_numpy(still.reshape(shape))] = 0.0
    return problem


def small_mean(
    logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | None, settings: Settings
) -> tuple[float, torch.Tensor] | None:
    """Return the mean and its gradient of the commonest small call (see arrays/_plain.py), or None for any other."""
    if weight is not None or target.dtype != torch.int64 or settings.reduction != "mean" or settings.label_smoothing:
        return None
    if logits.dtype != torch.float32 or logits.dim() != 2 or 0 <= settings.ignore_index < logits.shape[1]:
        return None
    found = mean_and_gradient(logits.detach().numpy(), target.numpy(), PLAIN, 1, with_gradient=True)
    return None if found is None or found[1] is None else (found[0], torch.from_numpy(found[1]))


def rows_of(gradient: torch.Tensor) -> tuple[float, np.ndarray | None]:
    """Return an upstream gradient as a number for all rows, or as one for each."""
    if gradient.numel() and all(
        stride == 0 or size == 1 for stride, size in zip(gradient.stride(), gradient.shape, strict=True)
    ):
        return float(gradient.reshape(-1)[0]), None
    return 1.0, gradient.detach().double().contiguous().numpy().reshape(-1)
