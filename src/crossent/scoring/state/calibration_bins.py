"""Predictions of each class, and the highest of each row, in 4096 bins: what a calibration curve is made of.

64 bins halve the miscalibration and can make it negative; 4096 come close.
"""

from typing import Self

import numpy as np
from numpy.typing import NDArray

from crossent._kernels.cpu import judge_rows
from crossent._kernels.cpu import score_rows as kernels
from crossent.scoring.state.columns import Columns
from crossent.scoring.state.encoding import Field, Fields, dense, sparse
from crossent.scoring.state.exact_vector import BIN_LIMBS, BIN_LOWEST, ExactVector
from crossent.scoring.state.scored_rows import ScoredRows

BINS = kernels.BINS
_UNITS = 2.0**kernels.UNIT_EXPONENT
_WIDTH_BITS = kernels.UNIT_EXPONENT - 12  # a bin's width in units


class BinnedProblems:
    """The bins of some problems of two classes: is this prediction right or not."""

    def __init__(self, problems: int, *, is_weighted: bool) -> None:
        self.problems = problems
        self.predictions = np.zeros((problems, BINS, 2), np.int64)  # rows; sum of p above the lower edge, in units
        self.hits = np.zeros((problems, BINS), np.int64)
        sums = (problems * BINS, BIN_LOWEST, BIN_LIMBS)
        # weight, weight times prediction, weight times truth
        self.weights = [ExactVector(*sums) for _ in range(3)] if is_weighted else []

    def merge(self, other: Self) -> None:
        self.predictions += other.predictions
        self.hits += other.hits
        for own, theirs in zip(self.weights, other.weights, strict=True):
            own.merge(theirs)

    def add_weighted(
        self,
        problem: NDArray[np.int64],
        p: NDArray[np.float64],
        weights: NDArray[np.float64],
        truths: NDArray[np.float64],
    ) -> None:
        """Add rows to the sums of weights."""
        places = problem * BINS + place_of(p)
        for sums, values in zip(self.weights, (weights, weights * p, weights * truths), strict=True):
            sums.add(places, values)

    def curve(self, problem: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return weight, mean prediction and mean truth of the bins that have any, in rising order."""
        if self.weights:
            own = slice(problem * BINS, (problem + 1) * BINS)
            weight, predicted, true = (part_of(sums, own) for sums in self.weights)
        else:
            rows, units = self.predictions[problem].T
            weight = rows.astype(np.float64)
            predicted = units / _UNITS + rows * (np.arange(BINS) / BINS)
            true = self.hits[problem].astype(np.float64)
        used = weight > 0.0
        return weight[used], predicted[used] / weight[used], true[used] / weight[used]

    def fields(self, name: str) -> Fields:
        fields = sparse(f"{name}.predictions", self.predictions) | sparse(f"{name}.hits", self.hits)
        for i, sums in enumerate(self.weights):
            fields |= sparse(f"{name}.weights.{i}", sums.canonical())
        return fields

    def load(self, name: str, fields: dict[str, Field]) -> None:
        self.predictions = dense(f"{name}.predictions", fields, self.predictions.shape)
        self.hits = dense(f"{name}.hits", fields, self.hits.shape)
        for i, sums in enumerate(self.weights):
            sums.limbs = dense(f"{name}.weights.{i}", fields, sums.limbs.shape)


class CalibrationBins:
    """One problem per class, where there are few, and one for the highest prediction."""

    def __init__(self, classes: int, *, is_weighted: bool) -> None:
        self.classes = BinnedProblems(classes, is_weighted=is_weighted)
        # Rows that were counted since, two numbers in one; see the kernel.
        self._packed = np.zeros((classes, BINS), np.int64)
        self._packed_rows = 0
        self.top = BinnedProblems(1, is_weighted=is_weighted)

    def update(self, rows: ScoredRows) -> None:
        columns = rows.columns
        assert columns is not None
        top = rows.statistic(kernels.TOP)
        hits = rows.judged.hits
        judge_rows.bin_tops(
            *(top.ctypes.data, hits.ctypes.data, len(rows)),
            *(self.top.predictions.ctypes.data, self.top.hits.ctypes.data),
        )
        if self.classes.problems:
            self._bin(columns)
            if rows.targets is None:
                labels, truths = np.ascontiguousarray(rows.labels), np.ascontiguousarray(rows.truths)
                right = self.classes.hits.ctypes.data
                judge_rows.bin_truths(labels.ctypes.data, truths.ctypes.data, len(rows), right)
        if self.top.weights:
            self._update_weights(rows, columns, top)

    def merge(self, other: Self) -> None:
        if other._packed_rows:
            self._unpack(other._packed)
        self.classes.merge(other.classes)
        self.top.merge(other.top)

    def unpack(self) -> None:
        """Have everything in `classes`."""
        if self._packed_rows:
            self._unpack(self._packed)
            self._packed[:] = 0
            self._packed_rows = 0

    def _unpack(self, packed: NDArray[np.int64]) -> None:
        # Class by class: temporaries of all of them would be the largest arrays of the process.
        for own, bins in zip(self.classes.predictions, packed, strict=True):
            own[:, 0] += bins >> kernels.PACKED_SHIFT
            own[:, 1] += bins & ((1 << kernels.PACKED_SHIFT) - 1)

    def fields(self) -> Fields:
        self.unpack()
        return self.classes.fields("bins.classes") | self.top.fields("bins.top")

    def load(self, fields: dict[str, Field]) -> None:
        self.classes.load("bins.classes", fields)
        self.top.load("bins.top", fields)

    def _bin(self, columns: Columns) -> None:
        for first in range(0, len(columns), kernels.PACKED_ROWS):
            last = min(first + kernels.PACKED_ROWS, len(columns))
            if self._packed_rows + last - first > kernels.PACKED_ROWS:
                self.unpack()
            self._packed_rows += last - first
            columns.bin_into(self._packed, first, last)

    def _update_weights(self, rows: ScoredRows, columns: Columns, top: NDArray[np.float64]) -> None:
        weights = np.ones(len(rows)) if rows.weights is None else rows.weights
        self.top.add_weighted(np.zeros(len(rows), np.int64), top, weights, rows.top_shares)
        for c in range(self.classes.problems):
            truths = (rows.labels == c).astype(np.float64) if rows.targets is None else rows.targets[:, c]
            self.classes.add_weighted(np.full(len(rows), c), columns.probabilities(c), weights, truths)


def place_of(p: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the bin of each probability, as the kernel does; the last bin is closed."""
    places: NDArray[np.int64] = np.minimum(_units(p) >> _WIDTH_BITS, BINS - 1)
    return places


def _units(p: NDArray[np.float64]) -> NDArray[np.int64]:
    return (np.minimum(p, 1.0) * _UNITS).astype(np.int64)


def part_of(sums: ExactVector, own: slice) -> NDArray[np.float64]:
    """Return some of the sums, rounded."""
    part = ExactVector(0, sums.lowest, sums.limbs.shape[1])
    part.limbs = sums.canonical()[own]
    return part.values()
