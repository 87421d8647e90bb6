"""How far a mean loss may be from the one that more rows would give."""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from crossent.arrays.exact_sum import ExactSum
from crossent.scoring.state.exact_vector import LOWEST
from crossent.scoring.state.keyed_sums import KeyedSums
from crossent.scoring.state.resamples import Resamples
from crossent.scoring.state.totals import Totals

# Sums of groups are whole numbers in this unit, so that differences of sums of squares lose nothing.
_UNIT = 1 << LOWEST


@dataclass(frozen=True)
class Interval:
    """Where the mean loss lies, in nats, over rows with a finite loss.

    `method` is "normal" (rows are independent), "cluster" (only clusters are) or "bootstrap"; `units` counts the rows,
    clusters or replicates. Of fewer than two rows or clusters nothing follows: the numbers are NaN.
    """

    method: str
    level: float
    standard_error: float
    low: float
    high: float
    units: int


def why_undefined(interval: Interval) -> str:
    """Say what an interval lacks whose numbers are NaN."""
    what = "clusters that have rows" if interval.method == "cluster" else "rows"
    return f"No interval: it takes two {what} with a finite loss."


def normal_interval(totals: Totals, level: float) -> Interval:
    """Return the interval of the weighted mean: its linearized variance, sum (w (l - m))**2 / (sum w)**2 n / (n - 1)."""
    names = ("finite_weight", "loss", "weight_squared", "squared_loss", "squared_loss_squared")
    ratios = [totals.sums[name].as_integer_ratio() for name in names]
    sums = {name: numerator for name, (numerator, _) in zip(names, ratios, strict=True)}
    return _normal("normal", _finite_rows(totals), sums, ratios[0][1], level)


def group_intervals(groups: KeyedSums, level: float) -> list[Interval]:
    """Return the normal interval of every group, in the order of their names."""
    integers = {name: sums.integers() for name, sums in groups.sums.items()}
    finite = groups.counts["rows"] - groups.counts["impossible"] - groups.counts["undefined"]
    return [
        _normal("normal", int(finite[place]), {name: each[place] for name, each in integers.items()}, _UNIT, level)
        for place in groups.order().tolist()
    ]


def cluster_interval(clusters: KeyedSums, level: float) -> Interval:
    """Return the interval of a mean whose rows depend on each other within a cluster.

    Reference: C. Miller, "Clustered standard errors" as in Cameron and Miller, J. Human Resources 50(2), 2015, with the
    factor G / (G - 1) of G clusters.
    """
    weights, losses = clusters.sums["finite_weight"].integers(), clusters.sums["loss"].integers()
    return _clustered(list(zip(weights, losses, strict=True)), level)


def bootstrap_interval(resamples: Resamples, totals: Totals, level: float) -> Interval:
    """Return the quantiles of the replicates' means; of one row they are all the same, which says nothing."""
    means = resamples.means()
    if _finite_rows(totals) < 2 or not len(means):
        return Interval("bootstrap", level, math.nan, math.nan, math.nan, len(means))
    tail = (1.0 - level) / 2.0
    low, high = (float(value) for value in np.quantile(means, [tail, 1.0 - tail]))
    return Interval("bootstrap", level, float(np.std(means, ddof=1)), low, high, len(means))


def mean_interval(
    rows: int, sums: dict[str, ExactSum], clusters: list[tuple[ExactSum, ExactSum]] | None, level: float
) -> Interval:
    """Return the interval of a paired difference, by row or, where weights and sums of clusters are given, by cluster."""
    if clusters is not None:
        pairs = [(weight.as_integer_ratio()[0], total.as_integer_ratio()[0]) for weight, total in clusters]
        return _clustered(pairs, level)
    names = {"finite_weight": "weight", "loss": "difference", "weight_squared": "weight_squared"}
    names |= {"squared_loss": "cross", "squared_loss_squared": "squares"}
    ratios = {name: sums[own].as_integer_ratio() for name, own in names.items()}
    unit = ratios["loss"][1]
    return _normal("normal", rows, {name: numerator for name, (numerator, _) in ratios.items()}, unit, level)


def _finite_rows(totals: Totals) -> int:
    return totals.counts["rows"] - totals.counts["impossible"] - totals.counts["undefined"]


def _clustered(pairs: list[tuple[int, int]], level: float) -> Interval:
    """Return the interval from the weight and the sum of each cluster, as whole numbers in one unit."""
    used = [(weight, total) for weight, total in pairs if weight]
    weight, total = sum(pair[0] for pair in used), sum(pair[1] for pair in used)
    if len(used) < 2:
        return Interval("cluster", level, math.nan, math.nan, math.nan, len(used))
    # sum over clusters of (L_g - m W_g)**2 with m = total / weight, over a common denominator
    squares = sum((own * weight - total * share) ** 2 for share, own in used)
    variance = squares * len(used) / (weight**4 * (len(used) - 1))
    return _around("cluster", total / weight, math.sqrt(variance), level, len(used))


def _normal(method: str, rows: int, sums: dict[str, int], unit: int, level: float) -> Interval:
    weight, loss = sums["finite_weight"], sums["loss"]
    if rows < 2 or not weight:
        return Interval(method, level, math.nan, math.nan, math.nan, rows)
    # sum (w l - m w)**2 = Q - 2 m S + m**2 W with m = loss / weight; times weight**2 it is whole
    squares = (
        sums["squared_loss_squared"] * weight**2
        - 2 * sums["squared_loss"] * loss * weight
        + sums["weight_squared"] * loss**2
    )
    variance = max(squares, 0) * rows * unit / (weight**4 * (rows - 1))
    return _around(method, loss / weight, math.sqrt(variance), level, rows)


def _around(method: str, mean: float, error: float, level: float, units: int) -> Interval:
    reach = NormalDist().inv_cdf(0.5 + level / 2.0) * error
    return Interval(method, level, error, mean - reach, mean + reach, units)
