"""What only many rows have: the denominator of their mean, the worst of them, and how the losses are spread."""

import math

import numpy as np

from crossent.definitions.entropy import entropy
from crossent.explaining.measuring import PerRow, Sums, yes_and_no
from crossent.explaining.parts import Batch, Histogram, RowLoss, worst_first
from crossent.explaining.reading import Row
from crossent.explaining.targets import Target
from crossent.explaining.terms import total

WORST_SHOWN = 10
BINS_MOST = 12


def make_batch(
    rows: PerRow,
    sums: Sums,
    target: Target,
    names: tuple[str, ...],
    divisor: float,
    unit: float,
    weights: Row,
    *,
    weighted: bool,
) -> Batch:
    """Return the batch's own numbers; `divisor` turns sums into the loss, `unit` is the base's unit in nats."""
    losses = rows.losses / unit
    count = len(losses)
    amount, denominator = total(losses.tolist()), total(rows.denominators.tolist())
    worst_rows = max(1, count // 100) if count else 0
    worst = total(losses[worst_first(losses, worst_rows)].tolist())
    return Batch(
        rows=count,
        total=amount,
        mean=amount / denominator if denominator else math.nan,
        denominator=denominator,
        denominator_rule=_rule(target, weighted),
        effective_n=int((rows.denominators > 0.0).sum()),
        infinite_rows=int(np.isinf(losses).sum()),
        nan_rows=int(np.isnan(losses).sum()),
        worst_rows=tuple(
            RowLoss(int(row), float(losses[row]), _name(target.labels, row, names), _name(rows.tops, row, names))
            for row in worst_first(losses, WORST_SHOWN)
        ),
        worst_percent_rows=worst_rows,
        share_of_worst=worst / amount if 0.0 < amount < math.inf else None,
        histogram=_histogram(losses),
        target_entropy=_target_entropy(sums, count, target, weights) / divisor / unit,
        losses=losses,
    )


def _rule(target: Target, weighted: bool) -> str:
    if target.loss_kind == "binary":
        return "the number of rows; the loss of a row is the sum over its classes"
    return "the sum of the class weights of the targets" if weighted else "the number of rows"


def _name(classes: np.ndarray | None, row: int, names: tuple[str, ...]) -> str | None:
    return None if classes is None or classes[row] < 0 else names[int(classes[row])]


def _histogram(losses: Row) -> Histogram | None:
    finite = losses[np.isfinite(losses)]
    if not len(finite):
        return None
    low, high = float(finite.min()), float(finite.max())
    # one bin where all rows lose the same, or so nearly that no edges fit between
    bins = min(BINS_MOST, math.ceil(2.0 * math.sqrt(len(finite))))
    bins = bins if high - low > 1e-9 * max(1.0, abs(high)) and math.isfinite(high - low) else 1
    counts, edges = np.histogram(
        finite, bins=bins, range=(low, high) if bins > 1 else (max(low - 0.5, 0.0), high + 0.5)
    )
    return Histogram(tuple(edges.tolist()), tuple(counts.tolist()))


def _target_entropy(sums: Sums, count: int, target: Target, weights: Row) -> float:
    """Return the least sum of losses of one prediction for all rows."""
    if not count:
        return math.nan
    if target.loss_kind == "binary":
        mean = np.minimum(sums.p / count, 1.0)
        return count * float((weights * entropy(yes_and_no(mean))).sum())
    # sum w P (-log c) is least at c = w P / sum(w P), for the sums P of the targets
    costs = weights * sums.p
    whole = float(costs.sum())
    return whole * float(entropy(np.minimum(costs / whole, 1.0))) if whole > 0.0 else 0.0
