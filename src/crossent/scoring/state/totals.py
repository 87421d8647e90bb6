"""Counts and exact sums over all rows."""

from collections import Counter
from collections.abc import Mapping
from typing import Self

import numpy as np
from numpy.typing import NDArray

from crossent._kernels.cpu import score_rows as kernels
from crossent.arrays.exact_sum import ExactSum
from crossent.scoring.state.columns import tempered_derivatives
from crossent.scoring.state.encoding import Field, Fields
from crossent.scoring.state.scored_rows import ScoredRows

COUNTS = (
    *("rows", "correct", "tied", "impossible", "undefined", "clipped", "unnormalised", "bounded"),
    *("missing_labels", "ignored_labels", "bad_labels", "weightless", "top_impossible"),
    *("tokens", "bytes", "words", "unsized"),
)
# Of the rows with a finite loss l and weight w: w, w l, w**2, w**2 l, (w l)**2. Of all rows: w, w brier, w entropy, ...
# `tempered_weight` is that of the rows whose loss is finite unclipped.
SUMS = (
    *("weight", "correct_weight", "finite_weight", "loss", "weight_squared", "squared_loss", "squared_loss_squared"),
    *("brier", "entropy", "target_entropy", "top_loss", "tempered_weight"),
)
# Different labels that are no class, of those that are named.
_MOST_BAD_LABELS = 100


def total_of(values: NDArray[np.float64]) -> float:
    """Return the exact sum, rounded once; what math.fsum returns, which takes 20 times as long."""
    return ExactSum().add(values).value()


class Totals:
    """What the headline is made of."""

    def __init__(self, anchors: tuple[float, ...]) -> None:
        self.counts = dict.fromkeys(COUNTS, 0)
        self.sums = {name: ExactSum() for name in SUMS}
        # 1 / temperature -> sums of the tempered loss and of its first four derivatives
        self.tempered = {beta: [ExactSum() for _ in range(kernels.MOMENTS)] for beta in anchors}
        self.largest_deviation = 0.0
        self.bad_labels: dict[str, int] = {}

    def update(self, rows: ScoredRows) -> None:
        """Take in rows that have a loss."""
        finite = rows.finite
        self.counts["rows"] += len(rows)
        weights, losses = rows.weights, rows.losses
        self._add("weight", weights, len(rows))
        if finite is not None:
            self.counts["impossible"] += int(np.count_nonzero(~finite))
            losses = losses[finite]
            weights = None if weights is None else weights[finite]
        self._add("finite_weight", weights, len(losses))
        if weights is None:
            self.sums["loss"].add(losses)
            self.sums["weight_squared"].add([float(len(losses))])
            self.sums["squared_loss"].add(losses)
            self.sums["squared_loss_squared"].add_products(losses, losses)
        else:
            weighted = weights * losses
            self.sums["loss"].add_products(weights, losses)
            self.sums["weight_squared"].add_products(weights, weights)
            self.sums["squared_loss"].add_products(weights, weighted)
            self.sums["squared_loss_squared"].add_products(weighted, weighted)
        if rows.target_entropies is not None:
            self.sums["target_entropy"].add(rows.weighted(rows.target_entropies))
        if rows.statistics is not None:
            self._add_statistics(rows)

    def update_undefined(self, weights: NDArray[np.float64] | None, rows: int) -> None:
        """Take in rows whose prediction is NaN."""
        self.counts["rows"] += rows
        self.counts["undefined"] += rows
        self._add("weight", weights, rows)

    def add_bad_labels(self, values: list[str]) -> None:
        """Count labels that are no class, by their text."""
        self._merge_bad_labels(Counter(values))

    def merge(self, other: Self) -> None:
        for name, count in other.counts.items():
            self.counts[name] += count
        for name, total in other.sums.items():
            self.sums[name].merge(total)
        # Only what both have: sums over some of the rows would be no sums. Intersecting does not depend on the order.
        self.tempered = {beta: sums for beta, sums in self.tempered.items() if beta in other.tempered}
        for beta, sums in self.tempered.items():
            for own, theirs in zip(sums, other.tempered[beta], strict=True):
                own.merge(theirs)
        self.largest_deviation = max(self.largest_deviation, other.largest_deviation)
        self._merge_bad_labels(other.bad_labels)

    def fields(self) -> Fields:
        fields: Fields = {f"total.{name}": total.to_bytes() for name, total in self.sums.items()}
        fields["counts"] = np.array([self.counts[name] for name in COUNTS], np.int64)
        fields["tempered.anchors"] = np.array(sorted(self.tempered), np.float64)
        for i, beta in enumerate(sorted(self.tempered)):
            fields |= {f"tempered.{i}.{k}": total.to_bytes() for k, total in enumerate(self.tempered[beta])}
        fields["bad_labels.texts"] = sorted(self.bad_labels)
        fields["bad_labels.rows"] = np.array([self.bad_labels[text] for text in sorted(self.bad_labels)], np.int64)
        fields["largest_deviation"] = np.array([self.largest_deviation], np.float64)
        return fields

    def load(self, fields: dict[str, Field]) -> None:
        self.counts = dict(zip(COUNTS, np.asarray(fields["counts"]).tolist(), strict=True))
        self.sums = {name: _sum(fields[f"total.{name}"]) for name in SUMS}
        anchors = np.asarray(fields["tempered.anchors"]).tolist()
        self.tempered = {
            beta: [_sum(fields[f"tempered.{i}.{k}"]) for k in range(kernels.MOMENTS)] for i, beta in enumerate(anchors)
        }
        rows = np.asarray(fields["bad_labels.rows"]).tolist()
        self.bad_labels = {str(text): count for text, count in zip(fields["bad_labels.texts"], rows, strict=True)}
        self.largest_deviation = float(np.asarray(fields["largest_deviation"])[0])

    def _merge_bad_labels(self, others: Mapping[str, int]) -> None:
        for text, count in others.items():
            self.bad_labels[text] = self.bad_labels.get(text, 0) + count
        # The first in order: one that stays was never dropped from a part, so that the counts are whole.
        self.bad_labels = {text: self.bad_labels[text] for text in sorted(self.bad_labels)[:_MOST_BAD_LABELS]}

    def _add(self, name: str, weights: NDArray[np.float64] | None, rows: int) -> None:
        self.sums[name].add([float(rows)] if weights is None else weights)

    def _add_statistics(self, rows: ScoredRows) -> None:
        judged = rows.judged
        for name in ("correct", "tied", "top_impossible"):
            self.counts[name] += getattr(judged, name)
        if rows.targets is None:
            self._add("correct_weight", None if rows.weights is None else rows.weights[rows.hits], judged.correct)
        else:
            self.sums["correct_weight"].add(rows.weighted(rows.top_shares))
        self.sums["brier"].add(rows.weighted(judged.square_scores))
        self.sums["entropy"].add(rows.weighted(-rows.statistic(kernels.FIRST)))
        top_losses = rows.weighted(judged.top_losses)
        self.sums["top_loss"].add(top_losses[np.isfinite(top_losses)] if judged.top_impossible else top_losses)
        possible = rows.finite if rows.unclipped is None else np.isfinite(rows.unclipped)
        weights = rows.weights if rows.weights is None or possible is None else rows.weights[possible]
        self._add("tempered_weight", weights, len(rows) if possible is None else int(np.count_nonzero(possible)))
        for beta, sums in self.tempered.items():
            self._add_tempered(rows, beta, sums, possible)

    def _add_tempered(
        self, rows: ScoredRows, beta: float, sums: list[ExactSum], possible: NDArray[np.bool_] | None
    ) -> None:
        assert rows.columns is not None
        # What was clipped does not follow the temperature. Of soft labels too, as their shares sum to 1.
        losses = rows.losses if rows.unclipped is None else rows.unclipped
        truths = -losses
        if beta == 1.0:
            derivatives = tempered_derivatives(rows.moments, truths, beta)
        else:
            derivatives = tempered_derivatives(rows.columns.tempered(beta), truths, beta)
        # With the truth ruled out a row costs inf at every temperature.
        for own, values in zip(sums, derivatives, strict=True):
            own.add(rows.weighted(values) if possible is None else rows.weighted(values)[possible])


def _sum(field: Field) -> ExactSum:
    assert isinstance(field, bytes)
    return ExactSum.from_bytes(field)
