"""What a function makes of the losses of its rows: weights, smoothing, a divergence and the reduction, as it was told."""

import math
from dataclasses import dataclass

import numpy as np

from crossent.explaining.diagnosing.case import Case, Rows, times


@dataclass(frozen=True)
class Sums:
    """The weighted sum of the losses and what a mean divides it by."""

    total: float
    divisor: float

    @property
    def mean(self) -> float:
        """The weighted mean; nan of weights that are all 0."""
        return self.total / self.divisor if self.divisor > 0.0 else math.nan


def sums(case: Case, *, smoothing: float | None = None) -> Sums | None:
    """Return the sums under the options that were told, or under another smoothing; None without rows."""
    if case.row_losses is None or not len(case.row_losses) or case.dense is None or case.log_q is None:
        return None
    if smoothing is None:
        smoothing = case.function.smoothing if case.function is not None else 0.0
    cap = case.function.cap_nats if case.function is not None else math.inf
    if case.link == "sigmoid":
        return _of_elements(case, cap, smoothing)
    weight = _weight(case)
    if weight is None:
        return None
    if case.targets is not None and case.targets.labels is not None:
        return _of_ids(case, weight, cap, smoothing)
    return _of_distributions(case, weight, cap, smoothing)


def expected(case: Case) -> float | None:
    """Return the loss that the function gives for these rows; None where an option is not known."""
    if case.function is not None and not case.function.told_in_full:
        return None
    found = sums(case)
    if found is None or case.outputs is None:
        return None
    if case.function is not None and case.function.reduction == "sum":
        return found.total * case.outputs.count / len(case.outputs.values)
    return found.mean


def _of_ids(case: Case, weight: Rows, cap: float, smoothing: float) -> Sums:
    assert case.targets is not None
    assert case.targets.labels is not None
    assert case.row_losses is not None
    assert case.log_q is not None
    of_rows = weight[case.targets.labels[case.counted]]
    total = float(times(of_rows, np.minimum(case.row_losses, cap)).sum())
    if smoothing:
        # torch weighs the uniform part by the weights of all classes, and divides it by those of the targets
        uniform = float(times(weight, -case.log_q[case.counted]).sum()) / len(weight)
        total = (1.0 - smoothing) * total + smoothing * uniform
    return Sums(total, float(of_rows.sum()))


def _of_distributions(case: Case, weight: Rows, cap: float, smoothing: float) -> Sums:
    assert case.dense is not None
    assert case.log_q is not None
    assert case.outputs is not None
    p = (1.0 - smoothing) * case.dense + smoothing / case.dense.shape[1]
    losses = times(p * weight, -case.log_q[case.counted]).sum(axis=1)
    rows = len(losses)
    total = float(np.minimum(losses, cap).sum())
    if case.function is not None and case.function.divergence:
        total -= float(np.where(p > 0.0, -p * np.log(p), 0.0).sum())
        # reduction="batchmean" divides by the first axis alone, whatever positions there are besides
        rows = case.outputs.shape[0] if case.outputs.complete and case.outputs.class_axis else rows
    return Sums(total, float(rows))


def _of_elements(case: Case, cap: float, smoothing: float) -> Sums | None:
    assert case.row_losses is not None
    assert case.dense is not None
    weight = _weight(case)
    if weight is None:
        return None
    losses = case.element_losses((1.0 - smoothing) * case.dense + smoothing / 2.0) if smoothing else case.row_losses
    total = float(times(np.tile(weight, len(case.dense)), np.minimum(losses, cap)).sum())
    return Sums(total, float(len(losses)))


def _weight(case: Case) -> Rows | None:
    """Return the weight of each class; None where those given are not of the classes."""
    assert case.outputs is not None
    width = case.outputs.values.shape[1]
    if case.class_weight is None:
        return np.ones(width)
    if len(case.class_weight) not in (1, width):
        return None
    return np.broadcast_to(case.class_weight, (width,))
