"""Counts and exact sums for every class."""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from crossent._kernels.cpu import score_rows as kernels
from crossent.scoring.state.columns import logarithms
from crossent.scoring.state.encoding import Field, Fields, dense, sparse
from crossent.scoring.state.exact_vector import ExactVector
from crossent.scoring.state.scored_rows import ScoredRows

COUNTS = ("rows", "correct", "impossible", "undefined", "wrong_top_impossible", "cut_impossible")
# `wrong_top_loss`: -log(1 - p) of the rows where the class has a prediction of at least a half, and is wrong. Bins are too
# coarse for it; every other -log(1 - p) is smooth within a bin.
# `cut_off` and `cut_impossible`: what clipping took from losses, as calibration judges predictions that nobody clipped.
SUMS = ("loss", "wrong_top_loss", "cut_off")
WEIGHTS = ("weight", "finite_weight", "correct_weight")


class ClassSums:
    """Of each class: the rows whose truth it is, and their losses; weights only where they are not the rows."""

    def __init__(self, classes: int, *, is_weighted: bool) -> None:
        self.classes = classes
        self.counts = {name: np.zeros(classes, np.int64) for name in COUNTS}
        self.sums = {name: ExactVector(classes) for name in SUMS}
        self.weights = {name: ExactVector(classes) for name in WEIGHTS} if is_weighted else {}

    def update(self, rows: ScoredRows) -> None:
        """Take in rows that have a loss."""
        if rows.targets is not None:
            self._update_soft(rows, rows.targets)
        else:
            self._update_hard(rows)
        self._add_wrong_tops(rows)

    def update_undefined(
        self, labels: NDArray[np.int64], weights: NDArray[np.float64] | None, targets: NDArray[np.float64] | None
    ) -> None:
        """Take in rows whose prediction is NaN; of soft labels `targets` has the shares."""
        if targets is not None:
            row_weights = np.ones(len(targets)) if weights is None else weights
            rows, classes = np.nonzero(targets)
            self._count("rows", classes)
            self._count("undefined", classes)
            self.weights["weight"].add(classes, row_weights[rows] * targets[rows, classes])
            return
        self._count("rows", labels)
        self._count("undefined", labels)
        if self.weights:
            self.weights["weight"].add(labels, np.ones(len(labels)) if weights is None else weights)

    def merge(self, other: Self) -> None:
        for name, counts in other.counts.items():
            self.counts[name] += counts
        for name, sums in other.sums.items():
            self.sums[name].merge(sums)
        for name, sums in other.weights.items():
            self.weights[name].merge(sums)

    def weight(self) -> NDArray[np.float64]:
        """Return the weight of every class."""
        return self.weights["weight"].values() if self.weights else self.counts["rows"].astype(np.float64)

    def finite_weight(self) -> NDArray[np.float64]:
        """Return the weight of the rows with a finite loss."""
        if self.weights:
            return self.weights["finite_weight"].values()
        counts: NDArray[np.int64] = self.counts["rows"] - self.counts["impossible"] - self.counts["undefined"]
        return counts.astype(np.float64)

    def fields(self) -> Fields:
        fields: Fields = {}
        for name, counts in self.counts.items():
            fields |= sparse(f"class.{name}", counts)
        for name, sums in (self.sums | self.weights).items():
            fields |= sparse(f"class.{name}.sum", sums.canonical())
        return fields

    def load(self, fields: dict[str, Field]) -> None:
        for name, counts in self.counts.items():
            self.counts[name] = dense(f"class.{name}", fields, counts.shape)
        for name, sums in (self.sums | self.weights).items():
            sums.limbs = dense(f"class.{name}.sum", fields, sums.limbs.shape)

    def _count(self, name: str, labels: NDArray[np.int64]) -> None:
        self.counts[name] += np.bincount(labels, minlength=self.classes)

    def _update_hard(self, rows: ScoredRows) -> None:
        finite: Any = slice(None) if rows.finite is None else rows.finite
        hits = rows.hits
        self._count("rows", rows.labels)
        self._count("correct", rows.labels[hits])
        if rows.finite is not None:
            self._count("impossible", rows.labels[~rows.finite])
        self.sums["loss"].add(rows.labels[finite], rows.weighted(rows.losses)[finite])
        if rows.unclipped is not None:
            self._cut(rows.labels, rows.unclipped - rows.losses, rows.weights)
        if self.weights and rows.weights is not None:
            for name, chosen in (("weight", slice(None)), ("finite_weight", finite), ("correct_weight", hits)):
                self.weights[name].add(rows.labels[chosen], rows.weights[chosen])

    def _update_soft(self, rows: ScoredRows, targets: NDArray[np.float64]) -> None:
        assert rows.columns is not None
        for c in range(self.classes):
            share = rows.weighted(targets[:, c])
            takes_part = share > 0.0
            stored = rows.columns.at(np.full(len(rows), c, np.int64))
            unclipped = -stored if rows.columns.is_logarithm else -logarithms(stored)
            losses = np.minimum(unclipped, rows.highest)
            if rows.unclipped is not None:
                cut = np.where(takes_part, unclipped - losses, 0.0)
                self._cut(np.full(len(rows), c), cut, share)
            finite = takes_part & np.isfinite(losses)
            correct = takes_part & ~rows.is_tied & (rows.judged.tops == c)
            self.counts["rows"][c] += np.count_nonzero(takes_part)
            self.counts["correct"][c] += np.count_nonzero(correct)
            self.counts["impossible"][c] += np.count_nonzero(takes_part & ~finite)
            for name, chosen in (("weight", takes_part), ("finite_weight", finite), ("correct_weight", correct)):
                self.weights[name].add(np.full(np.count_nonzero(chosen), c), share[chosen])
            self.sums["loss"].add(np.full(np.count_nonzero(finite), c), (share[finite] * losses[finite]))

    def _cut(self, labels: NDArray[np.int64], cut: NDArray[np.float64], weights: NDArray[np.float64] | None) -> None:
        weighted = cut if weights is None else np.where(cut > 0.0, cut * weights, 0.0)
        some = (weighted > 0.0) & np.isfinite(weighted)
        self.sums["cut_off"].add(labels[some], weighted[some])
        self._count("cut_impossible", labels[np.isposinf(cut)])

    def _add_wrong_tops(self, rows: ScoredRows) -> None:
        is_half = rows.statistic(kernels.TOP) >= 0.5
        if not is_half.any():
            return
        tops = rows.judged.tops
        if rows.targets is None:
            wrong = (tops != rows.labels).astype(np.float64)  # a tie is no hit, but the class is the truth
        else:
            wrong = 1.0 - rows.targets[np.arange(len(rows)), tops]
        self._add_wrong(tops, rows.judged.rest_losses, wrong, rows.weights, is_half)
        # Two classes at a half each, or rows that sum to more than 1: the others have a half, too.
        shared = is_half & (rows.statistic(kernels.OTHERS) >= 0.5)
        if shared.any():
            self._add_wrong_seconds(rows, shared)

    def _add_wrong_seconds(self, rows: ScoredRows, shared: NDArray[np.bool_]) -> None:
        assert rows.columns is not None
        columns, tops, labels = rows.columns.taken(shared), rows.judged.tops[shared], rows.labels[shared]
        targets = None if rows.targets is None else rows.targets[shared]
        weights = None if rows.weights is None else rows.weights[shared]
        for c in range(self.classes):
            p = columns.probabilities(c)
            wrong = (labels != c).astype(np.float64) if targets is None else 1.0 - targets[:, c]
            places = np.full(len(p), c, np.int64)
            self._add_wrong(places, -logarithms(np.maximum(1.0 - p, 0.0)), wrong, weights, (tops != c) & (p >= 0.5))

    def _add_wrong(
        self,
        places: NDArray[np.int64],
        losses: NDArray[np.float64],
        wrong: NDArray[np.float64],
        weights: NDArray[np.float64] | None,
        chosen: NDArray[np.bool_],
    ) -> None:
        """Add -log(1 - p) of the chosen rows, as far as they are wrong."""
        chosen = chosen & (wrong > 0.0)
        losses = losses[chosen]
        finite = np.isfinite(losses)
        self._count("wrong_top_impossible", places[chosen][~finite])
        shares = wrong[chosen] if weights is None else weights[chosen] * wrong[chosen]
        self.sums["wrong_top_loss"].add(places[chosen][finite], (shares * losses)[finite])
