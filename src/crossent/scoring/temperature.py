"""The temperature that would lower the cost most, and by how much: predictions p**(1 / T), normalized anew.

With b = 1 / T the cost is convex in b::

    cost(b) = mean( log sum_j p_j**b - b log p_truth )

so that Newton's steps find the one minimum. Of more rows than are kept, the exact sums of the cost and of its first four
derivatives at a few b are known (state/totals.py): the cost is their Taylor polynomial.

Reference: C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, "On calibration of modern neural networks", ICML 2017.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crossent.scoring.accumulator import Accumulator
from crossent.scoring.state.columns import Columns, logarithms
from crossent.scoring.state.scored_rows import ScoredRows
from crossent.scoring.state.totals import total_of

Floats = NDArray[np.float64]

# 1 / T is looked for between these: perfect predictions have no optimum, and cost less the colder they are.
_LOWEST, _HIGHEST = 2.0**-6, 2.0**6
_STEPS = 60
# Newton's steps shorter than this, relative to 1 / T, square their error each time: one that does not is rounding.
_ROUNDING = 1e-6
# A gain below this part of the cost is rounding: T stays at 1, as for predictions that no temperature changes.
_NOTHING = 2e-15
# Relative to the anchor: within it the polynomial's next term is below a thousandth of the gain.
_REACH = 0.25
# Temperatures of the curve, on both sides of the optimum.
_CURVE = 25


@dataclass(frozen=True)
class Temperature:
    """The best temperature, the cost there and the nats that it would gain over T = 1, over rows with a finite loss.

    It lies between 1/64 and 64, and is 1 where no other gains anything. A loss that was clipped counts as it was before.
    `is_exact` says whether every row was looked at for each step; otherwise `is_close` says whether the optimum lies near
    enough to where the sums were taken. `curve` are pairs (T, cost) around the optimum.
    """

    temperature: float
    cost_nats: float
    gain_nats: float
    is_exact: bool
    is_close: bool
    curve: tuple[tuple[float, float], ...]


def temperature_of(state: Accumulator) -> Temperature | None:
    """Return the best temperature; None where only losses are known, or no row has a finite one."""
    if state.kept is not None:
        return _exact(state.kept.scored()) if len(state.kept) else None
    weight = state.totals.sums["tempered_weight"].value()
    if not state.totals.tempered or weight <= 0.0:
        return None
    return _from_sums({b: [s.value() / weight for s in sums] for b, sums in state.totals.tempered.items()})


def anchor_for(state: Accumulator) -> float:
    """Return the 1 / T to take sums at: a multiple of an eighth of a power of two, so that most days have the same."""
    at = _cost_of(state.kept.scored()) if state.kept is not None and len(state.kept) else None
    if at is None:
        return 1.0
    return float(2.0 ** (round(8.0 * math.log2(_best(at))) / 8.0))


def _exact(rows: ScoredRows) -> Temperature | None:
    at = _cost_of(rows)
    if at is None:
        return None
    b, cost = _best(at), at(1.0)[0]
    best = at(b)[0]
    temperatures = [2.0 ** (k / 12) / b for k in range(-_CURVE // 2 + 1, _CURVE // 2 + 1)]
    return Temperature(1.0 / b, best, cost - best, True, True, tuple((t, at(1.0 / t)[0]) for t in temperatures))


def _best(at: Callable[[float], tuple[float, float, float]]) -> float:
    """Return where the cost is least; 1 where it is no less anywhere."""
    b, cost = _minimum(at), at(1.0)[0]
    return b if cost - at(b)[0] > _NOTHING * cost else 1.0


def _cost_of(rows: ScoredRows) -> Callable[[float], tuple[float, float, float]] | None:
    """Return the function of 1 / T that gives cost, slope and curvature; None where no row has a finite loss."""
    finite = np.isfinite(rows.losses)
    if not finite.any():
        return None
    assert rows.columns is not None
    # Logarithms that sum to 1 once exponentiated, so that no power of them overflows.
    columns = rows.columns.taken(finite)
    stored = columns.matrix()
    if not columns.is_logarithm:
        stored = logarithms(stored.reshape(-1)).reshape(stored.shape)
    columns = Columns(stored, stored.max(axis=0), is_logarithm=True)
    truths = -rows.losses[finite] - columns.shifts
    weights = np.ones(len(truths)) if rows.weights is None else rows.weights[finite]
    total = total_of(weights)

    def at(b: float) -> tuple[float, float, float]:
        moments = columns.tempered(b)
        first, second = moments[1] / moments[0], moments[2] / moments[0]
        values = logarithms(moments[0]) - b * truths, first - truths, second - first * first
        cost, slope, curvature = (total_of(weights * each) / total for each in values)
        return cost, slope, curvature

    return at


def _from_sums(derivatives: dict[float, list[float]]) -> Temperature:
    candidates = []
    for anchor, coefficients in derivatives.items():

        def at(b: float, anchor: float = anchor, c: list[float] = coefficients) -> tuple[float, float, float]:
            d = b - anchor
            return (
                c[0] + d * (c[1] + d * (c[2] / 2 + d * (c[3] / 6 + d * c[4] / 24))),
                c[1] + d * (c[2] + d * (c[3] / 2 + d * c[4] / 6)),
                c[2] + d * (c[3] + d * c[4] / 2),
            )

        low, high = anchor * (1.0 - 2.0 * _REACH), anchor * (1.0 + 2.0 * _REACH)
        b = _minimum(at, low, high, anchor)
        candidates.append((abs(b - anchor) / anchor, anchor, b, at))
    distance, anchor, b, at = min(candidates, key=lambda each: each[:2])
    best, cost = at(b)[0], derivatives[1.0][0]
    if abs(cost - best) <= _NOTHING * cost:
        distance, b, best = 0.0, 1.0, cost
    reach = [anchor * (1.0 + _REACH * k / (_CURVE // 2)) for k in range(-(_CURVE // 2), _CURVE // 2 + 1)]
    curve = sorted((1.0 / each, at(each)[0]) for each in reach)
    return Temperature(1.0 / b, best, cost - best, False, distance <= _REACH, tuple(curve))


def _minimum(
    at: Callable[[float], tuple[float, float, float]], low: float = _LOWEST, high: float = _HIGHEST, b: float = 1.0
) -> float:
    """Return where the slope of a convex function is 0: Newton's steps, or half the bracket where they gain too little."""
    previous = math.inf
    for _ in range(_STEPS):
        _, slope, curvature = at(b)
        if slope == 0.0:
            return b  # also where no temperature changes the cost: one-hot or uniform predictions
        low, high = (b, high) if slope < 0.0 else (low, b)
        following = b - slope / curvature if curvature > 0.0 else math.inf
        is_inside, is_slow = low <= following <= high, abs(slope) > 0.25 * previous
        if is_inside and is_slow and abs(following - b) <= _ROUNDING * b:
            return following
        # Where the cost falls as e**-b, Newton's steps are all alike and the slope a 1 / e of the one before: 60 of them
        # left separable rows at T = 1 / 20.
        if is_slow or not is_inside:
            following = math.sqrt(low * high)
        if abs(following - b) <= 1e-15 * b:
            return following
        previous, b = abs(slope), following
    return b
