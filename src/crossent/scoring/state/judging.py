"""What is said of rows against their truths: hits, square scores, and the problem "the highest prediction is right"."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crossent._kernels.cpu import judge_rows
from crossent._kernels.cpu import score_rows as kernels
from crossent.scoring.state.columns import Columns, exponentials, logarithms

if TYPE_CHECKING:
    from crossent.scoring.state.scored_rows import ScoredRows

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# -log of the smallest normal float64, 708.4, and a margin: beyond, p has lost digits, or all of them.
_LARGEST_EXACT = 708.0


@dataclass(frozen=True)
class Judged:
    """Of each row; the last three are counts."""

    tops: Integers  # the class with the highest prediction, the first of several
    hits: Integers  # 1 where the truth has it alone: the first of several would depend on the columns' order
    square_scores: Floats
    rest_losses: Floats  # -log of what is left beside the highest prediction; of logarithms with all its digits
    top_losses: Floats  # of the problem "the highest prediction is right"
    correct: int
    tied: int
    top_impossible: int


def judged(rows: "ScoredRows") -> Judged:
    """Return what is said of rows with statistics."""
    return _hard(rows) if rows.targets is None else _soft(rows, rows.targets)


def _hard(rows: "ScoredRows") -> Judged:
    assert rows.columns is not None
    assert rows.statistics is not None
    count = len(rows)
    tops, hits = np.empty((2, count), np.int64)
    numbers = np.empty((judge_rows.NUMBERS, count))
    mode = kernels.LOGARITHM if rows.columns.is_logarithm else kernels.PROBABILITY
    labels, truths = np.ascontiguousarray(rows.labels), np.ascontiguousarray(rows.truths)
    counts = judge_rows.judge(
        *(rows.statistics.ctypes.data, labels.ctypes.data, truths.ctypes.data, mode, count),
        *(tops.ctypes.data, hits.ctypes.data, numbers.ctypes.data),
    )
    square_scores, rest_losses, top_losses = numbers
    correct, tied, impossible = counts
    if _mend_rest(rows.columns, tops, rest_losses):
        np.copyto(top_losses, rest_losses, where=hits == 0)
        impossible = int(np.count_nonzero(np.isposinf(top_losses)))
    return Judged(tops, hits, square_scores, rest_losses, top_losses, correct, tied, impossible)


def _soft(rows: "ScoredRows", targets: Floats) -> Judged:
    assert rows.columns is not None
    tops, is_tied = rows.statistic(kernels.TOP_CLASS).astype(np.int64), rows.statistic(kernels.TIES) > 1.0
    hits = (tops == rows.labels) & ~is_tied
    top = rows.statistic(kernels.TOP)
    rest = rows.statistic(kernels.OTHERS) if rows.columns.is_logarithm else np.maximum(1.0 - top, 0.0)
    rest_losses = 0.0 - logarithms(rest)
    _mend_rest(rows.columns, tops, rest_losses)
    squares = rows.statistic(kernels.SQUARES).copy()
    for c in range(rows.columns.classes):
        share = targets[:, c]
        squares += share * share - 2.0 * share * rows.columns.probabilities(c)
    share = top_shares(targets, tops, is_tied)
    with np.errstate(invalid="ignore"):
        right, wrong = share * -logarithms(top), (1.0 - share) * rest_losses
    losses = np.where(share > 0.0, right, 0.0) + np.where(share < 1.0, wrong, 0.0)
    tied, impossible = is_tied & (rows.truths == top), ~np.isfinite(losses)
    counts = (int(np.count_nonzero(each)) for each in (hits, tied, impossible))
    return Judged(tops, hits.astype(np.int64), squares, rest_losses, losses, *counts)


def _mend_rest(columns: Columns, tops: Integers, rest_losses: Floats) -> bool:
    """Put -log of the sum of the other logarithms where it is too small for a float; say whether any was.

    Logits 2000 apart: the others sum to 0 as floats, and yet -log of their sum is 2000.
    """
    if not columns.is_logarithm or rest_losses.max(initial=0.0) < _LARGEST_EXACT:
        return False
    lost = rest_losses >= _LARGEST_EXACT
    part = columns.taken(lost)
    stored = part.matrix() - part.shifts
    stored[tops[lost], np.arange(len(part))] = -np.inf
    highest = stored.max(axis=0)
    ruled_out = np.isneginf(highest)
    shifted = stored - np.where(ruled_out, 0.0, highest)
    summed = logarithms(exponentials(shifted.reshape(-1)).reshape(shifted.shape).sum(axis=0))
    rest_losses[lost] = np.where(ruled_out, np.inf, -highest - summed)
    return True


def top_shares(targets: Floats, tops: Integers, is_tied: NDArray[np.bool_]) -> Floats:
    """Return how much of a soft truth lies on the class with the highest prediction."""
    return np.where(is_tied, 0.0, targets[np.arange(len(tops)), tops])
