"""What was given to a diagnosis, read once: rows of outputs, targets, a loss, a history, and what the loss expects."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from crossent.explaining.diagnosing.functions import Function, Link, Wants
from crossent.explaining.diagnosing.history import History

Rows = NDArray[np.float64]
Labels = NDArray[np.int64]

# Ignore values that are common in data sets and tokenizers: torch's default, masks of segmentation, and padding
USUAL_IGNORED = (-100, 255, -1)


@dataclass(frozen=True)
class Targets:
    """One entry per row: class ids, or a distribution (softmax) or bits (sigmoid) over the classes."""

    labels: Labels | None  # (rows,)
    dense: Rows | None  # (rows, classes)

    @property
    def count(self) -> int:
        """Rows."""
        return len(self.labels if self.labels is not None else self.dense)  # type: ignore[arg-type]  # one is there


@dataclass(frozen=True)
class Outputs:
    """What the model gave to the loss, its class axis moved to the end and all other axes flattened."""

    values: Rows  # (rows, classes)
    shape: tuple[int, ...]  # as it came
    dtype: str
    class_axis: int  # of `shape`
    other_axes: tuple[tuple[int, Rows], ...]  # the sums of probabilities along each other axis: (axis, sums)
    other_log_axes: tuple[tuple[int, Rows], ...]  # the same, had it been log-probabilities
    complete: bool  # False where only some rows of a large batch were looked at
    count: int  # rows in all
    said: Literal["logits", "probs"] | None  # the caller's word for it


@dataclass(frozen=True)
class Case:
    """All that a rule may look at."""

    function: Function | None
    loss: float | None  # as given, in nats
    unit_in_last_place: float  # of that loss as it was written
    classes: int | None
    outputs: Outputs | None
    targets: Targets | None
    history: History | None
    counts: Rows | None  # (classes,) rows of each class, given or counted
    class_weight: Rows | None  # (classes,)
    ignore_index: int | None
    shape_note: str = ""  # set where only another class axis fits the targets
    refusal: str = ""  # set where torch itself would not take these targets

    @property
    def link(self) -> Link:
        """softmax or sigmoid."""
        if self.function is not None:
            # log_loss and its like take one column for two classes
            if self.outputs is not None and self.outputs.values.shape[1] == 1 and self.function.framework == "sklearn":
                return "sigmoid"
            return self.function.link
        if self.outputs is None or self.targets is None or self.targets.dense is None:
            return "softmax"
        dense = self.targets.dense
        one_hot = dense.shape[1] > 1 and bool((abs(dense.sum(axis=1) - 1.0) < 1e-3).all())
        binary = bool(((dense == 0.0) | (dense == 1.0)).all())
        return "sigmoid" if dense.shape[1] == 1 or (binary and not one_hot) else "softmax"

    @property
    def wants(self) -> Wants | None:
        """What the loss expects; without its name, what the caller called the outputs."""
        if self.function is not None:
            return self.function.wants
        return None if self.outputs is None else self.outputs.said

    @property
    def level(self) -> float | None:
        """The loss of which a single number speaks: the one given, or where the history stands at its end."""
        if self.loss is not None:
            return self.loss
        if self.history is None:
            return None
        tail = self.history.losses[-max(1, len(self.history.losses) // 4) :]
        return float(np.median(tail))

    @cached_property
    def counted(self) -> NDArray[np.bool_]:
        """(rows,) which targets are neither ignored nor outside the classes."""
        assert self.targets is not None
        if self.targets.labels is None:
            return np.ones(self.targets.count, dtype=bool)
        classes = self.classes if self.outputs is None else self.outputs.values.shape[1]
        inside = (self.targets.labels >= 0) & (self.targets.labels < (classes or 0))
        return inside & (self.targets.labels != self.ignore_index) if self.ignore_index is not None else inside

    @cached_property
    def dense(self) -> Rows | None:
        """(counted rows, classes) the targets as distributions or bits; None where they fit neither outputs nor loss."""
        if self.targets is None or self.outputs is None:
            return None
        if self.targets.dense is not None:
            return self.targets.dense if self.targets.dense.shape == self.outputs.values.shape else None
        labels = self.targets.labels
        if labels is None or len(labels) != len(self.outputs.values) or self.link == "sigmoid":
            return None
        counted = labels[self.counted]
        one_hot = np.zeros((len(counted), self.outputs.values.shape[1]))
        one_hot[np.arange(len(counted)), counted] = 1.0
        return one_hot

    @cached_property
    def rows(self) -> Rows | None:
        """(counted rows, classes) the outputs that go with `dense`."""
        if self.outputs is None or self.targets is None or self.dense is None:
            return None
        return self.outputs.values[self.counted]

    @cached_property
    def log_q(self) -> Rows | None:
        """(rows, classes) log-probabilities under what the loss expects; for a sigmoid those of "yes"."""
        if self.outputs is None:
            return None
        values = self.outputs.values
        found: Rows
        if self.wants == "log_probs":
            found = values
        elif self.wants == "probs":
            found = np.log(values)
        elif self.link == "sigmoid":
            found = -np.logaddexp(0.0, -values)
        else:
            found = values - log_sum_exp(values, 1)[:, None]
        return found

    @cached_property
    def row_losses(self) -> Rows | None:
        """(counted rows,) the loss of each row by its formula, nothing clipped; for a sigmoid (rows x classes,)."""
        if self.log_q is None or self.dense is None or self.outputs is None:
            return None
        if self.link == "sigmoid":
            return self.element_losses(self.dense)
        found: Rows = -times(self.dense, self.log_q[self.counted]).sum(axis=1)
        return found

    def element_losses(self, bits: Rows) -> Rows:
        """(counted rows x classes,) the binary loss of each element for these targets, the positive ones weighted."""
        assert self.log_q is not None
        assert self.outputs is not None
        values = self.outputs.values[self.counted]
        log_no = np.log1p(-values) if self.wants == "probs" else -np.logaddexp(0.0, values)
        weight = np.array(self.function.positive_weight if self.function is not None else ())
        # weights of another shape are none of the classes: `reading` says that the options are not known in full
        positive = bits * weight if len(weight) in (1, bits.shape[1]) else bits
        found: Rows = -(times(positive, self.log_q[self.counted]) + times(1.0 - bits, log_no)).ravel()
        return found

    @cached_property
    def frequencies(self) -> Rows | None:
        """(classes,) the share of each class; None where nothing tells it."""
        if self.counts is not None:
            shares: Rows = self.counts / self.counts.sum()
            return shares
        if self.targets is None or self.classes is None or not bool(self.counted.any()):
            return None
        if self.targets.labels is not None:
            found: Rows = np.bincount(self.targets.labels[self.counted], minlength=self.classes) / self.counted.sum()
            return found
        dense = self.targets.dense
        # targets outside [0, 1] have a finding of their own, and no frequencies
        if dense is None or not bool(((dense >= 0.0) & (dense <= 1.0)).all()):
            return None
        means: Rows = dense.mean(axis=0)
        return means


def log_sum_exp(values: Rows, axis: int) -> Rows:
    """Return log sum exp along an axis; -inf of nothing, nan of nan."""
    with np.errstate(all="ignore"):
        top = values.max(axis=axis, keepdims=True)
        top = np.where(np.isfinite(top), top, 0.0)
        found: Rows = np.log(np.exp(values - top).sum(axis=axis)) + np.squeeze(top, axis)
    return found


def times(weights: Rows, logs: Rows) -> Rows:
    """Return weight times log with 0 times anything but nan being 0."""
    return np.where((weights == 0.0) & ~np.isnan(logs), 0.0, weights * logs)
