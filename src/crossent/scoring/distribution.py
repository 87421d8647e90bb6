"""How the losses are spread: quantiles, the share of the cost in the worst rows, a histogram."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crossent.scoring.state.loss_histogram import LossHistogram, edges

LEVELS = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999, 1.0)
# Four bins to a factor of two are as fine as a picture shows.
_COARSE = 16


@dataclass(frozen=True)
class LossDistribution:
    """Quantiles as pairs (level, nats), each within 1.6 %: the mean of a bin that wide, so exact where its losses are equal.

    `worst_percent_share` is the part of the cost in the worst 1 % of the weight; NaN where the cost is infinite or 0. The
    histogram's first bin begins at 0, `infinite_weight` lies beyond its last edge.
    """

    quantiles: tuple[tuple[float, float], ...]
    worst_percent_share: float
    histogram_edges: tuple[float, ...]
    histogram_weight: tuple[float, ...]
    infinite_weight: float


def distribution_of(histogram: LossHistogram) -> LossDistribution:
    """Return the distribution of all rows that have a loss."""
    weight, loss = histogram.weight(), histogram.losses.values()
    with np.errstate(invalid="ignore"):
        mean = np.where(weight > 0.0, loss / weight, 0.0)
    mean[-1] = math.inf
    quantiles = tuple((level, _quantile(level, weight, mean)) for level in LEVELS)
    every = edges()
    finite = weight[:-1]
    coarse = np.add.reduceat(finite, np.arange(1, len(finite), _COARSE)) if len(finite) > 1 else finite
    starts = every[1:-1:_COARSE]
    used = np.flatnonzero(coarse)
    first, last = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 0)
    shown = tuple(starts[first : last + 1].tolist())
    return LossDistribution(
        quantiles,
        _worst_share(weight, loss),
        (0.0, *shown) if len(used) else (0.0, float(every[1])),
        (float(finite[0]), *coarse[first:last].tolist()),
        float(weight[-1]),
    )


def _quantile(level: float, weight: NDArray[np.float64], mean: NDArray[np.float64]) -> float:
    """Return the mean loss of the bin that the quantile lies in."""
    total = np.cumsum(weight)
    if not total[-1] > 0.0:
        return math.nan
    place = int(np.searchsorted(total, level * total[-1], side="left" if level else "right"))
    return float(mean[min(place, len(mean) - 1)])


def _worst_share(weight: NDArray[np.float64], loss: NDArray[np.float64]) -> float:
    cost = math.fsum(loss)
    if weight[-1] > 0.0 or not cost > 0.0:
        return math.nan
    left, worst = 0.01 * math.fsum(weight), 0.0
    for place in np.flatnonzero(weight)[::-1]:
        part = min(1.0, left / weight[place])
        worst += part * loss[place]
        left -= weight[place]
        if left <= 0.0:
            break
    return float(worst / cost)
