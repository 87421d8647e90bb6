"""The loss of each row in nats, and what can be wrong with its prediction."""

import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossent._kernels.cpu import score_rows as kernels
from crossent.arrays.cross_entropy import cross_entropy_from_log_probs, cross_entropy_from_probs
from crossent.arrays.entropy import entropy
from crossent.arrays.softmax_cross_entropy import cross_entropy
from crossent.errors import ImpossibleEventError, ImpossibleEventWarning, NormalizationWarning, RangeError
from crossent.scoring.kinds import Kind
from crossent.scoring.options import KAGGLE_FLOOR, Options
from crossent.scoring.state.columns import Columns, logarithms
from crossent.scoring.state.scored_rows import Keys, ScoredRows, measured

Floats = NDArray[np.float64]

# Sums of losses and of their squares have room for 2**85; no cost is that large but by mistake.
_LARGEST_LOSS = 2.0**40
# Squares of weights must fit, too: sums by group and class run from 2**-288 to 2**95, and keep 2**-100 squared with 88 bits.
_SMALLEST_WEIGHT, _LARGEST_WEIGHT = 2.0**-100, 2.0**40


@dataclass(frozen=True)
class Stored:
    """Rows with a label and a weight above 0, as they came: predictions by column, and what stands beside them."""

    keys: Keys
    labels: NDArray[np.int64]
    columns: Columns
    weights: Floats | None = None
    targets: Floats | None = None  # (rows, classes), of soft labels

    def taken(self, chosen: NDArray[np.bool_]) -> "Stored":
        """Return some of the rows."""
        return Stored(
            self.keys.taken(chosen),
            self.labels[chosen],
            self.columns.taken(chosen),
            None if self.weights is None else self.weights[chosen],
            None if self.targets is None else self.targets[chosen],
        )


# What the first of the runs under way has saved, and an entry for each of them: the last one to end restores it.
_quiet: "list[warnings.catch_warnings[None] | None]" = []
_quiet_lock = threading.Lock()


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the doors: impossible rows and rows that miss a sum of 1 are counted and reported.

    Around a whole run and not around each call: the filters belong to the process, and threads would restore each other's.
    """
    with _quiet_lock:
        if not _quiet:
            saved = warnings.catch_warnings()
            saved.__enter__()
            warnings.simplefilter("ignore", ImpossibleEventWarning)
            warnings.simplefilter("ignore", NormalizationWarning)
            _quiet.append(saved)
        _quiet.append(None)
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet.pop()
            if len(_quiet) == 1 and (first := _quiet.pop()) is not None:
                first.__exit__(None, None, None)


def measure(
    stored: Stored, kind: Kind, options: Options, names: Sequence[str]
) -> tuple[ScoredRows, NDArray[np.bool_], int]:
    """Return the rows that have a loss, which rows have none for NaN, and how many predictions were clipped.

    `names` are the columns of the classes, for the sentence about a prediction out of range.
    """
    floored, missed = None, None
    if options.rules == "kaggle" and kind == "probs":
        missed = deviations(stored.columns.statistics(), kind)
        columns, floored = _by_kaggle(stored)
        stored = replace(stored, columns=columns)
    if kind == "logits":
        return _measure_logits(stored, options)
    statistics = stored.columns.statistics()
    _check_range(stored, statistics, kind, names)
    undefined = np.isnan(statistics[kernels.TOTAL])
    if undefined.any():
        stored = stored.taken(~undefined)
        statistics = np.ascontiguousarray(statistics[:, ~undefined])
    losses, entropies = None, None
    if stored.targets is not None:
        losses, entropies = _soft_losses(stored, kind), np.asarray(entropy(stored.targets))
    rows = measured(
        *(stored.keys, stored.labels, stored.columns),
        weights=stored.weights,
        targets=stored.targets,
        losses=losses,
        target_entropies=entropies,
        statistics=statistics,
    )
    rows, clipped = _clip(rows, options)
    # A higher floor of `zero="clip"` has counted these rows.
    if floored is not None and (options.eps is None or options.eps <= KAGGLE_FLOOR):
        clipped += int(np.count_nonzero(floored & ~undefined))
    if missed is not None:
        rows = replace(rows, missed=missed[~undefined])
    return _checked(rows), undefined, clipped


def measure_scalars(
    keys: Keys, values: Floats, weights: Floats | None, kind: Kind, options: Options
) -> tuple[ScoredRows, NDArray[np.bool_], int]:
    """Return rows of which only the loss is known, which have none, and how many were clipped."""
    losses = values if kind == "losses" else 0.0 - values
    undefined = np.isnan(losses)
    if (losses < 0.0).any():
        row = int(np.flatnonzero(losses < 0.0)[0])
        what = "losses must be at least 0" if kind == "losses" else "log-probabilities must be at most 0"
        message = f"{what}, row {keys.rows[row]} of '{keys.source}' has {values[row]:.17g}; are these something else?"
        raise RangeError(message)
    keys, losses = keys.taken(~undefined), losses[~undefined]
    weights = None if weights is None else weights[~undefined]
    labels = np.full(len(losses), -1, np.int64)
    rows, clipped = _clip(ScoredRows(keys, labels, losses, np.exp(-losses), weights, None, None), options)
    return _checked(rows), undefined, clipped


def deviations(statistics: Floats, kind: Kind) -> Floats:
    """Return by how much the probabilities of each row miss a sum of 1; 0 for logits."""
    if kind == "logits":
        return np.zeros(statistics.shape[1])
    missed: Floats = np.abs(statistics[kernels.TOTAL] - 1.0)
    return missed


def _measure_logits(stored: Stored, options: Options) -> tuple[ScoredRows, NDArray[np.bool_], int]:
    matrix = stored.columns.matrix()
    undefined = np.isnan(matrix).any(axis=0)
    tops = np.where(undefined, 0, matrix.argmax(axis=0))
    top_losses = np.asarray(cross_entropy(matrix, tops, axis=0, reduction="none"))
    undefined |= np.isnan(top_losses)
    if undefined.any():
        stored, matrix = stored.taken(~undefined), np.ascontiguousarray(matrix[:, ~undefined])
        tops, top_losses = tops[~undefined], top_losses[~undefined]
    highest = matrix[tops, np.arange(len(tops))]
    certain = np.isposinf(highest)
    if stored.targets is not None:
        losses = _soft_losses(
            replace(stored, columns=Columns(matrix, np.zeros(len(tops)), is_logarithm=True)), "logits"
        )
    else:
        losses = np.asarray(cross_entropy(matrix, stored.labels, axis=0, reduction="none"))
    if certain.any():
        # One logit of inf is a probability of 1, and the others are ruled out.
        matrix[:, certain] = np.where(np.isposinf(matrix[:, certain]), 0.0, -np.inf)
        highest = np.where(certain, 0.0, highest)
    # The class with the highest logit loses digits by no cancellation: log sum exp = its logit + its loss.
    columns = Columns(matrix, highest + top_losses, is_logarithm=True)
    rows = measured(
        *(stored.keys, stored.labels, columns),
        weights=stored.weights,
        targets=stored.targets,
        losses=losses,
        target_entropies=None if stored.targets is None else np.asarray(entropy(stored.targets)),
    )
    rows, clipped = _clip(rows, options)
    return _checked(rows), undefined, clipped


def _soft_losses(stored: Stored, kind: Kind) -> Floats:
    assert stored.targets is not None
    matrix = np.ascontiguousarray(stored.columns.matrix().T)
    options: dict[str, Any] = {"reduction": "none"}
    doors = {"logits": cross_entropy, "probs": cross_entropy_from_probs, "log_probs": cross_entropy_from_log_probs}
    return np.asarray(doors[kind](matrix, stored.targets, **options), np.float64)


def _clip(rows: ScoredRows, options: Options) -> tuple[ScoredRows, int]:
    """Return the rows with the losses that `zero` asks for, and how many were clipped."""
    if options.zero == "raise" and np.isposinf(rows.losses).any():
        row = int(np.flatnonzero(np.isposinf(rows.losses))[0])
        message = (
            f"`zero` is 'raise', and row {rows.keys.rows[row]} of '{rows.keys.source}' has prediction 0 where the truth is; "
            f"zero='inf' counts such rows"
        )
        raise ImpossibleEventError(message)
    if options.eps is None:
        return rows, 0
    highest = -float(np.log(options.eps))
    if rows.targets is None:
        clipped, losses = rows.losses > highest, np.minimum(rows.losses, highest)
    else:
        clipped, losses = _clip_soft(rows, rows.targets, highest)
    if not clipped.any():
        return rows, 0
    return replace(rows, losses=losses, unclipped=rows.losses, highest=highest), int(np.count_nonzero(clipped))


def _clip_soft(rows: ScoredRows, targets: Floats, highest: float) -> tuple[NDArray[np.bool_], Floats]:
    """Return which rows have a share of a class that costs more than `highest`, and the losses where it costs that."""
    assert rows.columns is not None
    clipped, losses = np.zeros(len(rows), np.bool_), np.zeros(len(rows))
    for c in range(rows.columns.classes):
        stored = rows.columns.at(np.full(len(rows), c, np.int64))
        costs = -stored if rows.columns.is_logarithm else -logarithms(stored)
        clipped |= (targets[:, c] > 0.0) & (costs > highest)
        losses += targets[:, c] * np.minimum(costs, highest)
    return clipped, np.where(clipped, losses, rows.losses)


def _by_kaggle(stored: Stored) -> tuple[Columns, NDArray[np.bool_]]:
    """Return the predictions as Kaggle scores them, and which rows would cost more unclipped."""
    matrix = stored.columns.matrix()
    with np.errstate(invalid="ignore", divide="ignore"):
        matrix = matrix / matrix.sum(axis=0)
        is_low = matrix < KAGGLE_FLOOR
    if stored.targets is None:
        floored = is_low[stored.labels, np.arange(len(stored.labels))]
    else:
        floored = (is_low & (stored.targets.T > 0.0)).any(axis=0)
    matrix = np.clip(matrix, KAGGLE_FLOOR, 1.0 - KAGGLE_FLOOR)
    return Columns(matrix, stored.columns.shifts, is_logarithm=False), floored


def _check_range(stored: Stored, statistics: Floats, kind: Kind, names: Sequence[str]) -> None:
    """Raise RangeError at the first probability outside [0, 1], or log-probability above 0."""
    if statistics[kernels.TOP].max(initial=0.0) < 1.0 and statistics[kernels.LOWEST].min(initial=0.0) >= 0.0:
        return
    suspects = (statistics[kernels.TOP] >= 1.0) | (statistics[kernels.LOWEST] < 0.0)
    rows = np.flatnonzero(suspects)
    matrix = stored.columns.taken(suspects).matrix().T
    outside = matrix > 0.0 if kind == "log_probs" else (matrix < 0.0) | (matrix > 1.0)
    if outside.any():
        row, position = (int(index) for index in np.argwhere(outside)[0])
        domain = "at most 0" if kind == "log_probs" else "in [0, 1]"
        message = (
            f"`{names[position]}` must be {domain}, row {stored.keys.rows[rows[row]]} has {matrix[row, position]:.17g}; "
            f"if these are logits, say so with `logits`"
        )
        raise RangeError(message)


def _checked(rows: ScoredRows) -> ScoredRows:
    if rows.weights is not None:
        strange = (rows.weights < _SMALLEST_WEIGHT) | (rows.weights > _LARGEST_WEIGHT)
        if strange.any():
            row = int(np.flatnonzero(strange)[0])
            message = (
                f"weights must be 0 or lie between 2**-100 and 2**40, row {rows.keys.rows[row]} of '{rows.keys.source}' has "
                f"{rows.weights[row]:.17g}; multiply all of them by one number, or write 0"
            )
            raise RangeError(message)
    losses = rows.weighted(rows.losses)
    too_large = (losses > _LARGEST_LOSS) & (losses < np.inf) if losses.max(initial=0.0) > _LARGEST_LOSS else None
    if too_large is not None and too_large.any():
        row = int(np.flatnonzero(too_large)[0])
        message = (
            f"losses times weights must be below 2**40 nats, row {rows.keys.rows[row]} of '{rows.keys.source}' has "
            f"{losses[row]:.3g}; are the predictions logits, and the weights weights?"
        )
        raise RangeError(message)
    return rows
