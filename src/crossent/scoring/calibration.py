"""What the predictions are worth as probabilities: reliability curves, and the log score in its three parts.

For problems of two classes, with S the mean log loss and the recalibrated prediction from isotonic regression::

    miscalibration = S(prediction) - S(recalibrated)        discrimination = S(base rate) - S(recalibrated)
    uncertainty    = S(base rate)                            S = miscalibration - discrimination + uncertainty

Reference: T. Dimitriadis, T. Gneiting and A. I. Jordan, "Stable reliability diagrams for probabilistic classifiers",
PNAS 118(8), 2021 (CORP).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crossent._kernels.cpu import score_rows as kernels
from crossent.errors import MissingExtraError
from crossent.scoring.accumulator import MOST_BINNED_CLASSES, Accumulator
from crossent.scoring.state.calibration_bins import BINS, BinnedProblems
from crossent.scoring.state.scored_rows import ScoredRows
from crossent.scoring.state.totals import total_of

Floats = NDArray[np.float64]

# Bins of equal width for the calibration error and the diagram; 16 divide 4096, so that both ways give the same number.
EQUAL_BINS = 16
# Of the weight, by the last bits that bins lack.
_MOST_LOST = 1e-6
# Steps of the isotonic curve that a picture shows.
_MOST_STEPS = 200


@dataclass(frozen=True)
class Decomposition:
    """The log score of a problem of two classes: cost = miscalibration - discrimination + uncertainty, in nats."""

    cost: float
    miscalibration: float
    discrimination: float
    uncertainty: float


@dataclass(frozen=True)
class Reliability:
    """One problem of two classes: a class against the rest, or whether the highest prediction is right.

    The last five tuples are curves for pictures: bins of equal width that have rows, and the steps of the isotonic one.
    """

    name: str
    rows: int
    decomposition: Decomposition
    expected_calibration_error: float
    mean_prediction: tuple[float, ...]
    observed: tuple[float, ...]
    weight: tuple[float, ...]
    isotonic_prediction: tuple[float, ...]
    isotonic_observed: tuple[float, ...]


@dataclass(frozen=True)
class Calibration:
    """The top label's reliability, and that of every class against the rest where there are at most 200.

    `is_binned` says whether the curves come from 4096 bins or from every row; `bins` are those of equal width behind the
    expected calibration error.
    """

    is_binned: bool
    bins: int
    top_label: Reliability
    classes: tuple[Reliability, ...]
    note: str


@dataclass(frozen=True)
class _Problem:
    """A problem of two classes: predictions in rising order, or bins of them, with weight and share of truth."""

    name: str
    rows: int
    prediction: Floats
    weight: Floats
    truth: Floats
    cost: float


def calibration_of(state: Accumulator, names: tuple[str, ...]) -> Calibration | None:
    """Return the calibration of a state; None where only losses are known, no row has any, or weights are dust."""
    if not state.shape.classes:
        return None
    if state.bins is not None:
        # Bins keep weights down to 2**-60: of lighter ones, nothing that is worth a picture is left.
        weight = total_of(state.losses.weight())
        if not abs(total_of(state.bins.top.curve(0)[0]) - weight) <= _MOST_LOST * weight:
            return None
        top, classes = _binned(state, names)
        note = f"from {BINS} bins, as there are more rows than are kept"
        if not classes:
            note += f"; with more than {MOST_BINNED_CLASSES} classes only that of the highest prediction is kept"
        return Calibration(True, EQUAL_BINS, _reliability(top), tuple(map(_reliability, classes)), note)
    if state.kept is None or not len(state.kept):
        return None
    top, classes = _exact(state.kept.scored(), names)
    return Calibration(False, EQUAL_BINS, _reliability(top), tuple(map(_reliability, classes)), "from every row")


def _exact(rows: ScoredRows, names: tuple[str, ...]) -> tuple[_Problem, list[_Problem]]:
    assert rows.columns is not None
    weights = np.ones(len(rows)) if rows.weights is None else rows.weights
    top = rows.statistic(kernels.TOP)
    shares = rows.top_shares
    problems = []
    with np.errstate(divide="ignore"):
        top_cost = _cost(-np.log(top), rows.judged.rest_losses, weights, shares)
    top_problem = _sorted("highest prediction", top, weights, shares, top_cost)
    if len(names) <= MOST_BINNED_CLASSES:
        for c, name in enumerate(names):
            p = rows.columns.probabilities(c)
            truths = (rows.labels == c).astype(np.float64) if rows.targets is None else rows.targets[:, c]
            # Of logarithms, 1 - p of a confident row is the sum of the others; elsewhere the difference is exact enough.
            with np.errstate(divide="ignore"):
                others = -np.log(np.maximum(1.0 - p, 0.0))
            wrong = np.where((rows.judged.tops == c) & (p >= 0.5), rows.judged.rest_losses, others)
            problems.append(_sorted(name, p, weights, truths, _cost(_losses_of(rows, c), wrong, weights, truths)))
    return top_problem, problems


def _binned(state: Accumulator, names: tuple[str, ...]) -> tuple[_Problem, list[_Problem]]:
    assert state.bins is not None
    state.bins.unpack()
    totals = state.totals
    defined = totals.counts["rows"] - totals.counts["undefined"]
    problems = []
    top = state.bins.top
    weight = float(top.curve(0)[0].sum())
    top_cost = math.inf if totals.counts["top_impossible"] else totals.sums["top_loss"].value() / weight
    top_problem = _Problem("highest prediction", defined, *_curve(top, 0), top_cost)
    if state.bins.classes.problems:
        sums, counts = state.classes.sums, state.classes.counts
        truth_losses, cut_off, wrong_losses = (sums[name].values() for name in ("loss", "cut_off", "wrong_top_loss"))
        for c, name in enumerate(names):
            prediction, weights, truths = _curve(state.bins.classes, c)
            is_infinite = any(counts[which][c] for which in ("impossible", "cut_impossible", "wrong_top_impossible"))
            # Wrong predictions of at least a half are in `wrong_top_loss`; below, -log(1 - p) is smooth within a bin.
            below = prediction < 0.5
            others = float(np.sum(weights[below] * (1.0 - truths[below]) * -np.log1p(-prediction[below])))
            cost = float(truth_losses[c] + cut_off[c] + wrong_losses[c] + others) / float(weights.sum())
            problems.append(_Problem(name, defined, prediction, weights, truths, math.inf if is_infinite else cost))
    return top_problem, problems


def _curve(bins: BinnedProblems, problem: int) -> tuple[Floats, Floats, Floats]:
    weight, prediction, truth = bins.curve(problem)
    return prediction, weight, truth


def _sorted(name: str, p: Floats, weights: Floats, truths: Floats, cost: float) -> _Problem:
    """Return the problem with rows of one prediction taken together, as isotonic regression must."""
    # By all three, so that sums are taken in one order whatever that of the rows was.
    order = np.lexsort((weights, truths, p))
    p, weights, truths = p[order], weights[order], truths[order]
    starts = np.flatnonzero(np.append(True, p[1:] != p[:-1]))
    weight = np.add.reduceat(weights, starts)
    return _Problem(name, len(p), p[starts], weight, np.add.reduceat(weights * truths, starts) / weight, cost)


def _losses_of(rows: ScoredRows, c: int) -> Floats:
    """Return -log p of one class: of logarithms as they are stored, where p may be too small for a float."""
    assert rows.columns is not None
    stored = rows.columns.at(np.full(len(rows), c, np.int64))
    with np.errstate(divide="ignore"):
        losses: Floats = -stored if rows.columns.is_logarithm else -np.log(stored)
    return losses


def _cost(right: Floats, wrong: Floats, weights: Floats, truths: Floats) -> float:
    """Return the mean of t `right` + (1 - t) `wrong`, 0 inf being 0."""
    with np.errstate(invalid="ignore"):
        losses = np.where(truths > 0.0, truths * right, 0.0) + np.where(truths < 1.0, (1.0 - truths) * wrong, 0.0)
    return total_of(weights * losses) / total_of(weights) if len(right) else math.nan


def _reliability(problem: _Problem) -> Reliability:
    recalibrated = _isotonic(problem.truth, problem.weight)
    total = total_of(problem.weight)
    base = min(total_of(problem.weight * problem.truth) / total, 1.0)
    uncertainty = float(binary_entropy(np.array([base]))[0])
    # At its own optimum the cost of a recalibrated prediction is the entropy of what was observed there.
    recalibrated_cost = total_of(problem.weight * _cross(problem.truth, recalibrated)) / total
    decomposition = Decomposition(
        cost=problem.cost,
        miscalibration=problem.cost - recalibrated_cost,
        discrimination=uncertainty - recalibrated_cost,
        uncertainty=uncertainty,
    )
    places = np.minimum((problem.prediction * EQUAL_BINS).astype(np.int64), EQUAL_BINS - 1)
    weight, predicted, true = (
        np.bincount(places, values, minlength=EQUAL_BINS)
        for values in (problem.weight, problem.weight * problem.prediction, problem.weight * problem.truth)
    )
    used = weight > 0.0
    weight, predicted, true = weight[used], predicted[used], true[used]
    isotonic_prediction, isotonic_observed = _steps(problem.prediction, recalibrated)
    return Reliability(
        problem.name,
        problem.rows,
        decomposition,
        expected_calibration_error=float(np.abs(true - predicted).sum() / total),
        mean_prediction=tuple((predicted / weight).tolist()),
        observed=tuple((true / weight).tolist()),
        weight=tuple(weight.tolist()),
        isotonic_prediction=isotonic_prediction,
        isotonic_observed=isotonic_observed,
    )


def _isotonic(truth: Floats, weight: Floats) -> Floats:
    try:
        from scipy.optimize import isotonic_regression
    except ImportError as error:
        message = "calibration needs SciPy, which is not installed: pip install 'crossent[score]'"
        raise MissingExtraError(message) from error
    fitted: Floats = isotonic_regression(truth, weights=weight).x
    return np.clip(fitted, 0.0, 1.0)


def _cross(truth: Floats, prediction: Floats) -> Floats:
    """Return -t log p - (1 - t) log(1 - p), 0 log 0 being 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        right = np.where(truth > 0.0, -truth * np.log(prediction), 0.0)
        wrong = np.where(truth < 1.0, -(1.0 - truth) * np.log1p(-prediction), 0.0)
    cross: Floats = right + wrong
    return cross


def binary_entropy(p: Floats) -> Floats:
    """Return -p log p - (1 - p) log(1 - p) in nats."""
    return _cross(p, p)


def _steps(prediction: Floats, recalibrated: Floats) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return both ends of every step of the curve, thinned evenly where there are many."""
    changes = np.flatnonzero(np.diff(recalibrated) > 0.0)
    ends = np.unique(np.concatenate(([0], changes, changes + 1, [len(prediction) - 1])))
    if len(ends) > _MOST_STEPS:
        ends = ends[np.unique(np.linspace(0, len(ends) - 1, _MOST_STEPS).astype(np.int64))]
    return tuple(prediction[ends].tolist()), tuple(recalibrated[ends].tolist())
