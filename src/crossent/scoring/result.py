"""The score of files of predictions: a state that merges, and what follows from it."""

import json
import math
from functools import cached_property
from typing import Any

from crossent.scoring.calibration import Calibration, calibration_of
from crossent.scoring.distribution import LossDistribution, distribution_of
from crossent.scoring.mergeable import Mergeable
from crossent.scoring.parts import ClassScore, GroupScore, LanguageModel, WorstRow, language_model, with_the_others
from crossent.scoring.temperature import Temperature, anchor_for, temperature_of
from crossent.scoring.uncertainty import (
    Interval,
    bootstrap_interval,
    cluster_interval,
    group_intervals,
    normal_interval,
)
from crossent.units import nats_to_bits, perplexity_of_nats

# Raised when a name of the dictionary changes its meaning or goes; a new name does not raise it.
SCHEMA_VERSION = 2


class Score(Mergeable):
    """The cross-entropy of predictions, in nats unless the name says otherwise: `score()` returns one.

    A score is also the state it was made from: `merge` adds the rows of another one, `to_bytes` and `from_bytes` keep it.
    Merging is associative and commutative bit for bit, and merging an empty score changes nothing, so that days, files
    and machines can be scored apart.

    Parameters
    ----------
    reading : Reading, optional
        How batches are to be understood; taken from the first score that is merged where it is not given.
    options : Options, optional

    Attributes
    ----------
    rows, missing_labels, ignored_labels, bad_labels : int
        Rows with a label, which are the ones scored; rows whose label is missing, -100, or no class (if counted).
    weight : float
        Sum of their weights; the rows where no weights are given.
    impossible, undefined : int
        Rows whose prediction is 0 where the truth is, which make the cost inf; rows whose prediction is NaN or missing,
        which make it NaN.
    cost, total : float
        Mean and sum of the losses of all rows; each is the exact value rounded once.
    finite_cost, finite_total : float
        The same over all rows but the impossible and undefined ones.
    interval : Interval
        Where `finite_cost` may lie.
    prior_cost, improvement : float
        Cost of predicting the label frequencies for every row, which is their entropy; 1 - cost / prior_cost (D2).
    accuracy, correct, tied : float, int, int
        Rows whose truth has the highest prediction alone; rows where it shares it, which do not count as correct.
    brier : float
        Mean over rows of sum_j (p_j - y_j)**2.
    prediction_entropy, target_entropy, divergence : float
        Mean entropies of the predictions and of the truths; cost - target_entropy, the KL divergence.
    unnormalised, largest_deviation : int, float
        Rows whose probabilities miss a sum of 1 by more than 0.0003, and the most by which any row misses it. They are
        scored as they are.
    classes, groups, worst : tuple
        Of ClassScore, GroupScore and WorstRow.
    calibration, temperature, losses, language : Calibration, Temperature, LossDistribution, LanguageModel or None
    sources : dict
        The files, and the rows read of each.
    reading : Reading
        What was read and how it was understood.
    """

    def __repr__(self) -> str:
        return "Score()" if self._state is None else f"Score(cost={self.cost!r}, rows={self.rows})"

    @property
    def rows(self) -> int:
        return self._count("rows")

    @property
    def missing_labels(self) -> int:
        return self._count("missing_labels")

    @property
    def ignored_labels(self) -> int:
        return self._count("ignored_labels")

    @property
    def bad_labels(self) -> int:
        return self._count("bad_labels")

    @property
    def bad_label_values(self) -> dict[str, int]:
        """Labels that are no class, and their rows: the first hundred in order."""
        return dict(self._full.totals.bad_labels)

    @property
    def weightless(self) -> int:
        """Rows with a label and weight 0, which are not scored."""
        return self._count("weightless")

    @property
    def impossible(self) -> int:
        return self._count("impossible")

    @property
    def undefined(self) -> int:
        return self._count("undefined")

    @property
    def clipped(self) -> int:
        """Rows whose loss was cut off because `zero="clip"` asked for it."""
        return self._count("clipped")

    @property
    def correct(self) -> int:
        return self._count("correct")

    @property
    def tied(self) -> int:
        return self._count("tied")

    @property
    def unnormalised(self) -> int:
        return self._count("unnormalised")

    @property
    def largest_deviation(self) -> float:
        return self._full.totals.largest_deviation

    @cached_property
    def weight(self) -> float:
        return self._full.totals.sums["weight"].value()

    @cached_property
    def finite_cost(self) -> float:
        sums = self._full.totals.sums
        return sums["loss"].divided_by(sums["finite_weight"])

    @cached_property
    def finite_total(self) -> float:
        return self._full.totals.sums["loss"].value()

    @property
    def cost(self) -> float:
        """Mean loss in nats: NaN with an undefined row, else inf with an impossible one, else that of all rows."""
        return with_the_others(self.finite_cost, self.impossible, self.undefined)

    @property
    def total(self) -> float:
        """Sum of the losses in nats, with the same rule as `cost`."""
        return with_the_others(self.finite_total, self.impossible, self.undefined)

    @property
    def bits_per_row(self) -> float:
        return nats_to_bits(self.cost)

    @property
    def perplexity(self) -> float:
        """e**cost: the number of equally likely classes that would be as surprising."""
        return perplexity_of_nats(self.cost)

    @cached_property
    def accuracy(self) -> float:
        sums = self._full.totals.sums
        return sums["correct_weight"].divided_by(sums["weight"]) if self._has_classes else math.nan

    @cached_property
    def brier(self) -> float:
        return self._mean("brier")

    @cached_property
    def prediction_entropy(self) -> float:
        return self._mean("entropy")

    @cached_property
    def target_entropy(self) -> float:
        return self._mean("target_entropy")

    @property
    def divergence(self) -> float:
        """Mean KL divergence of the predictions from the truths in nats: what is left of the cost above its least."""
        return self.cost - self.target_entropy

    @cached_property
    def prior_cost(self) -> float:
        weights = self._full.classes.weight()
        total = math.fsum(weights)
        shares = [weight / total for weight in weights.tolist() if weight]
        return math.fsum(-share * math.log(share) for share in shares) if shares else math.nan

    @property
    def improvement(self) -> float:
        """1 - cost / prior_cost: 1 is perfect, 0 no better than the label frequencies; NaN if only one class occurs."""
        return 1.0 - self.cost / self.prior_cost if self.prior_cost else math.nan

    # -- what stands behind it

    @cached_property
    def interval(self) -> Interval:
        """Where `finite_cost` may lie: by cluster or bootstrap where asked for, else as if rows were independent."""
        state = self._full
        if state.clusters is not None:
            return cluster_interval(state.clusters, self.options.level)
        if state.resamples is not None:
            return bootstrap_interval(state.resamples, state.totals, self.options.level)
        return normal_interval(state.totals, self.options.level)

    @cached_property
    def classes(self) -> tuple[ClassScore, ...]:
        sums = self._full.classes
        weight, finite_weight, losses = sums.weight(), sums.finite_weight(), sums.sums["loss"].values()
        return tuple(
            ClassScore(
                mapping.name,
                rows=int(sums.counts["rows"][c]),
                weight=float(weight[c]),
                correct=int(sums.counts["correct"][c]),
                impossible=int(sums.counts["impossible"][c]),
                undefined=int(sums.counts["undefined"][c]),
                finite_cost=float(losses[c] / finite_weight[c]) if finite_weight[c] else math.nan,
            )
            for c, mapping in enumerate(self.reading.classes)
        )

    @cached_property
    def groups(self) -> tuple[GroupScore, ...]:
        groups = self._full.groups
        if groups is None:
            return ()
        weight, finite, losses = (groups.sums[name].values() for name in ("weight", "finite_weight", "loss"))
        intervals = group_intervals(groups, self.options.level)
        return tuple(
            GroupScore(
                name,
                rows=int(groups.counts["rows"][place]),
                weight=float(weight[place]),
                correct=int(groups.counts["correct"][place]),
                impossible=int(groups.counts["impossible"][place]),
                undefined=int(groups.counts["undefined"][place]),
                finite_cost=float(losses[place] / finite[place]) if finite[place] else math.nan,
                interval=interval,
            )
            for name, place, interval in zip(groups.names(), groups.order().tolist(), intervals, strict=True)
        )

    @cached_property
    def worst(self) -> tuple[WorstRow, ...]:
        names = [each.name for each in self.reading.classes]
        return tuple(
            WorstRow(
                *(kept.loss_nats, kept.source, kept.row, kept.id),
                names[kept.truth] if kept.truth >= 0 else "",
                kept.truth_prediction,
                names[kept.top] if kept.top >= 0 else "",
                kept.top_prediction,
            )
            for kept in self._full.worst.rows
        )

    @cached_property
    def calibration(self) -> Calibration | None:
        return calibration_of(self._full, tuple(each.name for each in self.reading.classes))

    @cached_property
    def temperature(self) -> Temperature | None:
        return temperature_of(self._full)

    def anchor(self) -> float:
        """Return the 1 / T near which a longer score should take its sums."""
        return anchor_for(self._full)

    @cached_property
    def losses(self) -> LossDistribution:
        return distribution_of(self._full.losses)

    @cached_property
    def language(self) -> LanguageModel | None:
        """Perplexities and bits per byte; None with weights, and with classes unless tokens, bytes or words are counted."""
        counts = self._full.totals.counts
        if self.reading.weight_column is not None:
            return None
        if self._has_classes and not (counts["tokens"] or counts["bytes"] or counts["words"]):
            return None
        return language_model(self.total, self.rows, counts)

    # -- as text

    def to_dict(self) -> dict[str, Any]:
        """Return every number and every decision; numbers that JSON lacks are the strings "inf", "-inf" and "nan"."""
        from crossent.scoring.plain import as_plain

        return as_plain(self, SCHEMA_VERSION)

    def to_json(self) -> str:
        """Return `to_dict` as JSON."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False, ensure_ascii=False)

    def to_html(self) -> str:
        """Return a report as one page that needs nothing else: pictures, tables, how the files were understood."""
        from crossent.scoring.report.page import page_of

        return page_of(self)

    @property
    def _has_classes(self) -> bool:
        return bool(self._full.shape.classes)

    def _count(self, name: str) -> int:
        return self._full.totals.counts[name]

    def _mean(self, name: str) -> float:
        """Return a mean over the rows that have a loss."""
        sums = self._full.totals.sums
        if not self._has_classes:
            return math.nan
        if not self.undefined:
            return sums[name].divided_by(sums["weight"])
        defined = math.fsum(self._full.losses.weight())
        return sums[name].value() / defined if defined else math.nan
