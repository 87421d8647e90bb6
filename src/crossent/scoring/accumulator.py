"""What is kept of the rows that were read: counts and exact sums, so merging is addition."""

import numpy as np
from numpy.typing import NDArray

from crossent.arrays.exact_sum import ExactSum
from crossent.scoring.kinds import Kind
from crossent.scoring.losses import deviations, row_losses
from crossent.scoring.rows import IGNORED, MISSING, Rows

# Rows are said to miss a sum of 1 beyond the rounding of float32 probabilities, the usual way to store them.
SUM_TOLERANCE = float(np.sqrt(np.finfo(np.float32).eps))


class Accumulator:
    """The state of a score over some rows of a file.

    Merging is associative and commutative, and merging an empty accumulator changes nothing; both bit for bit, because
    the sums are exact. Any split of the rows into batches therefore gives the same score.
    """

    def __init__(self, classes: int) -> None:
        self.missing_labels = 0
        self.ignored_labels = 0
        self.tied = 0
        self.unnormalised = 0
        self.largest_deviation = 0.0
        self.rows = np.zeros(classes, np.int64)
        self.correct = np.zeros(classes, np.int64)
        self.impossible = np.zeros(classes, np.int64)
        self.undefined = np.zeros(classes, np.int64)
        # class -> exact sum of its finite losses; only for the classes that occur, since an exact sum is a long one
        self.finite_losses: dict[int, ExactSum] = {}

    def update(self, rows: Rows, kind: Kind) -> None:
        """Take in the rows of one batch."""
        self.missing_labels += int(np.count_nonzero(rows.labels == MISSING))
        self.ignored_labels += int(np.count_nonzero(rows.labels == IGNORED))
        scored = rows.labels >= 0
        predictions, labels = rows.predictions, rows.labels
        if not scored.all():
            predictions, labels = predictions[scored], labels[scored]
        if not len(labels):
            return
        losses = row_losses(predictions, labels, kind)
        self._count(labels, losses)
        self._add_losses(labels, losses)
        self._judge(predictions, labels, losses)
        missed = deviations(predictions, kind)
        missed = missed[~np.isnan(missed)]
        self.unnormalised += int(np.count_nonzero(missed > SUM_TOLERANCE))
        self.largest_deviation = max(self.largest_deviation, float(missed.max(initial=0.0)))

    def merge(self, other: "Accumulator") -> None:
        """Take in the rows that `other` has seen."""
        self.missing_labels += other.missing_labels
        self.ignored_labels += other.ignored_labels
        self.tied += other.tied
        self.unnormalised += other.unnormalised
        self.largest_deviation = max(self.largest_deviation, other.largest_deviation)
        self.rows += other.rows
        self.correct += other.correct
        self.impossible += other.impossible
        self.undefined += other.undefined
        for label, losses in other.finite_losses.items():
            self.finite_losses.setdefault(label, ExactSum()).merge(losses)

    def total(self) -> ExactSum:
        """Return the exact sum of all finite losses."""
        total = ExactSum()
        for losses in self.finite_losses.values():
            total.merge(losses)
        return total

    def _count(self, labels: NDArray[np.int64], losses: NDArray[np.float64]) -> None:
        classes = len(self.rows)
        self.rows += np.bincount(labels, minlength=classes)
        self.impossible += np.bincount(labels[np.isposinf(losses)], minlength=classes)
        self.undefined += np.bincount(labels[np.isnan(losses)], minlength=classes)

    def _add_losses(self, labels: NDArray[np.int64], losses: NDArray[np.float64]) -> None:
        finite = np.isfinite(losses)
        labels, losses = labels[finite], losses[finite]
        order = np.argsort(labels, kind="stable")
        labels, losses = labels[order], losses[order]
        present, starts = np.unique(labels, return_index=True)
        for label, part in zip(present.tolist(), np.split(losses, starts[1:]), strict=False):
            self.finite_losses.setdefault(label, ExactSum()).add(part)

    def _judge(self, predictions: NDArray[np.float64], labels: NDArray[np.int64], losses: NDArray[np.float64]) -> None:
        # The first of several equal maxima would make accuracy depend on the order of the columns, so a tie is no hit.
        own = predictions[np.arange(len(labels)), labels]
        highest = predictions.max(axis=1)
        tied = np.count_nonzero(predictions == highest[:, np.newaxis], axis=1) > 1
        hit = (own == highest) & ~np.isnan(losses)
        self.tied += int(np.count_nonzero(hit & tied))
        self.correct += np.bincount(labels[hit & ~tied], minlength=len(self.rows))
