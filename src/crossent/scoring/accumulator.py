"""The state of a score over some rows: what is counted, summed and kept of them, and how two states become one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from crossent.scoring.state.calibration_bins import CalibrationBins
from crossent.scoring.state.class_sums import ClassSums
from crossent.scoring.state.encoding import Field, Fields
from crossent.scoring.state.kept_rows import KeptRows, fits
from crossent.scoring.state.keyed_sums import KeyedSums
from crossent.scoring.state.loss_histogram import LossHistogram
from crossent.scoring.state.resamples import Resamples
from crossent.scoring.state.scored_rows import ScoredRows
from crossent.scoring.state.totals import Totals
from crossent.scoring.state.worst_rows import WorstRows

# Beyond, bins for every class would take 100 KB each, and nobody looks at so many curves.
MOST_BINNED_CLASSES = 200
# A group is 640 bytes and a line of the output; a cluster only the bytes.
MOST_GROUPS, MOST_CLUSTERS = 10_000, 1_000_000


@dataclass(frozen=True)
class Shape:
    """What a state keeps room for; only states of one shape can be merged."""

    classes: int  # 0 where only losses are stored
    is_logarithm: bool
    is_weighted: bool
    is_soft: bool
    worst: int
    replicates: int
    anchors: tuple[float, ...]
    has_groups: bool
    has_clusters: bool


class Accumulator:
    """The state of a score over some rows.

    Merging is associative and commutative, and merging an empty accumulator changes nothing; both bit for bit, because
    sums are exact, counts are integers and lists have a total order. Any split of the rows into batches, files or tasks
    therefore gives the same score.
    """

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        is_weighted = shape.is_weighted or shape.is_soft
        self.totals = Totals(shape.anchors if shape.classes else ())
        self.classes = ClassSums(shape.classes, is_weighted=is_weighted)
        self.losses = LossHistogram(is_weighted=shape.is_weighted)
        self.worst = WorstRows(shape.worst)
        self.kept: KeptRows | None = KeptRows(shape.classes, is_logarithm=shape.is_logarithm) if shape.classes else None
        self.bins: CalibrationBins | None = None
        self.groups = KeyedSums("by", MOST_GROUPS) if shape.has_groups else None
        self.clusters = KeyedSums("cluster", MOST_CLUSTERS) if shape.has_clusters else None
        self.resamples = Resamples(shape.replicates) if shape.replicates else None

    def update(
        self, rows: ScoredRows, groups: Sequence[str | None] | None = None, clusters: Sequence[str | None] | None = None
    ) -> None:
        """Take in rows that have a loss."""
        self.totals.update(rows)
        self.losses.update(rows)
        self.worst.update(rows)
        for keyed, names in ((self.groups, groups), (self.clusters, clusters)):
            if keyed is not None and names is not None:
                keyed.update(names, rows)
        if self.resamples is not None:
            self.resamples.update(rows)
        if self.shape.classes:
            self.classes.update(rows)
            self._keep_or_bin(rows)

    def update_undefined(
        self,
        labels: NDArray[np.int64],
        weights: NDArray[np.float64] | None,
        groups: Sequence[str | None] | None = None,
        clusters: Sequence[str | None] | None = None,
        targets: NDArray[np.float64] | None = None,
    ) -> None:
        """Take in rows with a label whose prediction is NaN or missing."""
        self.totals.update_undefined(weights, len(labels))
        for keyed, names in ((self.groups, groups), (self.clusters, clusters)):
            if keyed is not None and names is not None:
                keyed.update_undefined(names, weights)
        if self.shape.classes:
            self.classes.update_undefined(labels, weights, targets)

    def merge(self, other: Self) -> None:
        """Take in the rows that `other` has seen; it stays as it is."""
        self.totals.merge(other.totals)
        self.classes.merge(other.classes)
        self.losses.merge(other.losses)
        self.worst.merge(other.worst)
        for own, theirs in ((self.groups, other.groups), (self.clusters, other.clusters)):
            if own is not None and theirs is not None:
                own.merge(theirs)
        if self.resamples is not None and other.resamples is not None:
            self.resamples.merge(other.resamples)
        self._merge_calibration(other)

    def fields(self) -> Fields:
        """Return everything, by name."""
        fields = self.totals.fields() | self.classes.fields() | self.losses.fields() | self.worst.fields()
        for part in (self.groups, self.clusters, self.resamples, self.kept, self.bins):
            if part is not None:
                fields |= part.fields()
        return fields

    def load(self, fields: dict[str, Field]) -> None:
        """Take over what `fields` gave."""
        for part in (self.totals, self.classes, self.losses, self.worst, self.groups, self.clusters, self.resamples):
            if part is not None:
                part.load(fields)
        if self.kept is not None and "kept.labels" in fields:
            self.kept.load(fields)
        elif "bins.top.hits.at" in fields:
            self.kept, self.bins = None, self._new_bins()
            self.bins.load(fields)

    def _keep_or_bin(self, rows: ScoredRows) -> None:
        if self.kept is not None and fits(len(self.kept) + len(rows), self.shape.classes):
            self.kept.update(rows)
        else:
            self._binned().update(rows)

    def _merge_calibration(self, other: Self) -> None:
        if not self.shape.classes:
            return
        if (
            self.kept is not None
            and other.kept is not None
            and fits(len(self.kept) + len(other.kept), self.shape.classes)
        ):
            self.kept.merge(other.kept)
            return
        bins = self._binned()
        if other.bins is not None:
            bins.merge(other.bins)
        elif other.kept is not None:
            for part in other.kept.every_part():
                bins.update(part)

    def _binned(self) -> CalibrationBins:
        """Return the bins, with the kept rows in them."""
        if self.bins is None:
            self.bins = self._new_bins()
            for part in self.kept.every_part() if self.kept is not None else ():
                self.bins.update(part)
            self.kept = None
        return self.bins

    def _new_bins(self) -> CalibrationBins:
        classes = self.shape.classes if self.shape.classes <= MOST_BINNED_CLASSES else 0
        return CalibrationBins(classes, is_weighted=self.shape.is_weighted or self.shape.is_soft)
