"""Rows of predictions against their true class, when statistics and losses are known: one pass in place of some fifty of NumPy's.

    a hit: the truth has the highest prediction alone,   its square score sum p**2 - 2 p_truth + 1,
    -log of the rest, what the highest prediction leaves to the others,   and -log of the highest where it is right, else that

Traffic in bytes: 88 a row read, 33 written; counts of bins stay in the first-level cache.
"""

from typing import Any

import numpy as np

from crossent._kernels.cpu._jit import inline, kernel
from crossent._kernels.cpu._llvm import bits_of, choose, load, load_integer, smaller, store, wide_vectors
from crossent._kernels.cpu.exact_vector import add_to_limbs
from crossent._kernels.cpu.log import log_positive
from crossent._kernels.cpu.score_rows import BINS, LOGARITHM, OTHERS, SQUARES, TIES, TOP, TOP_CLASS, UNIT_EXPONENT

SQUARE_SCORE, REST_LOSS, TOP_LOSS = range(3)
NUMBERS = 3
_UNITS = 2.0**UNIT_EXPONENT
_BIN_SHIFT = np.int64(24)  # UNIT_EXPONENT - log2(BINS)
_LAST_BIN = np.int64(BINS - 1)

# A bin of losses is a power of two and the first six bits of the mantissa: at most 1.6 % wide. The first holds 0 and all below
# 2**-64, the last inf.
LOSS_BITS = 6
LOWEST_EXPONENT, HIGHEST_EXPONENT = -64, 40
LOSS_BINS = ((HIGHEST_EXPONENT - LOWEST_EXPONENT) << LOSS_BITS) + 2
FIRST_LOSS_BIN = (1023 + LOWEST_EXPONENT) << LOSS_BITS


@kernel
def judge(
    statistics: Any,  # (STATISTICS, rows) float64, see score_rows.py
    labels: Any,  # (rows,) int64
    truths: Any,  # (rows,) float64: the prediction for the truth
    mode: Any,
    rows: Any,
    tops: Any,  # (rows,) int64, filled: the class with the highest prediction, the first of several
    hits: Any,  # (rows,) int64, filled: 0 or 1
    numbers: Any,  # (NUMBERS, rows) float64, filled
) -> Any:
    """Fill what is said of each row; return the hits, the truths that share the highest prediction, and infinite top losses."""
    wide_vectors()
    like = np.int64(0)
    correct, tied, impossible = np.int64(0), np.int64(0), np.int64(0)
    for r in range(rows):
        top, truth = load(statistics, TOP * rows + r, 1.0, 1.0), load(truths, r, 1.0, 1.0)
        top_class = np.int64(load(statistics, TOP_CLASS * rows + r, 1.0, 1.0))
        is_tied = load(statistics, TIES * rows + r, 1.0, 1.0) > 1.0
        left = 1.0 - top
        rest = choose(left > 0.0, left, 0.0)
        if mode == LOGARITHM:
            rest = load(statistics, OTHERS * rows + r, 1.0, 1.0)
        hit = (top_class == load_integer(labels, r)) & (not is_tied)
        rest_loss = 0.0 - log_positive(rest)
        loss = choose(hit, 0.0 - log_positive(top), rest_loss)
        store(tops, r, top_class, like)
        store(hits, r, choose(hit, np.int64(1), np.int64(0)), like)
        store(numbers, SQUARE_SCORE * rows + r, load(statistics, SQUARES * rows + r, 1.0, 1.0) - 2.0 * truth + 1.0, 1.0)
        store(numbers, REST_LOSS * rows + r, rest_loss, 1.0)
        store(numbers, TOP_LOSS * rows + r, loss, 1.0)
        correct += choose(hit, np.int64(1), np.int64(0))
        tied += choose(is_tied & (truth == top), np.int64(1), np.int64(0))
        impossible += choose(loss == np.inf, np.int64(1), np.int64(0))
    return correct, tied, impossible


@kernel
def count_losses(
    losses: Any,  # (rows,) float64, at least 0
    weighted: Any,  # (rows,) float64: weight times loss
    rows: Any,
    places: Any,  # (rows,) int64, filled: the bin of each loss
    counts: Any,  # (LOSS_BINS,) int64
    limbs: Any,  # (LOSS_BINS, width) int64, see exact_vector.py
    width: Any,
    lowest: Any,
) -> Any:
    """Count the losses by their size, and add up the finite ones of each bin: the upper bits of a double are its size."""
    like = np.int64(0)
    for r in range(rows):
        loss = load(losses, r, 1.0, 1.0)
        place = (bits_of(loss) >> np.int64(52 - LOSS_BITS)) - np.int64(FIRST_LOSS_BIN - 1)
        place = smaller(place, np.int64(LOSS_BINS - 2)) if place > 0 else like
        place = np.int64(LOSS_BINS - 1) if loss == np.inf else place
        store(places, r, place, like)
        store(counts, place, load_integer(counts, place) + 1, like)
        if loss < np.inf:
            add_to_limbs(limbs, place * width, lowest, load(weighted, r, 1.0, 1.0))


@inline
def _units(p: Any) -> Any:
    return np.int64(choose(p < 1.0, p, 1.0) * _UNITS)


@kernel
def bin_tops(
    tops: Any,  # (rows,) float64: the highest predictions
    hits: Any,  # (rows,) int64
    rows: Any,
    predictions: Any,  # (BINS, 2) int64: rows, and the sum of p above the lower edge in units
    right: Any,  # (BINS,) int64
) -> Any:
    """Count the highest predictions of rows, and how many were right; the last bin is closed."""
    like = np.int64(0)
    for r in range(rows):
        units = _units(load(tops, r, 1.0, 1.0))
        place = smaller(units >> _BIN_SHIFT, _LAST_BIN)
        store(predictions, 2 * place, load_integer(predictions, 2 * place) + 1, like)
        offset = load_integer(predictions, 2 * place + 1) + units - (place << _BIN_SHIFT)
        store(predictions, 2 * place + 1, offset, like)
        store(right, place, load_integer(right, place) + load_integer(hits, r), like)


@kernel
def bin_truths(labels: Any, truths: Any, rows: Any, right: Any) -> Any:
    """Count in right (classes, BINS) int64 the predictions truths (rows,) for the classes labels (rows,)."""
    for r in range(rows):
        place = smaller(_units(load(truths, r, 1.0, 1.0)) >> _BIN_SHIFT, _LAST_BIN)
        place += load_integer(labels, r) * np.int64(BINS)
        store(right, place, load_integer(right, place) + 1, place)
