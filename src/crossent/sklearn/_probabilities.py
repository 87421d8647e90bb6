"""Predicted probabilities: whether they are ones, whether rows sum to 1, and what the true class of each row costs."""

import math
from typing import Any

import numpy as np

from crossent.arrays.cross_entropy import cross_entropy_from_probs
from crossent.errors import NormalizationError, RangeError
from crossent.sklearn._arguments import as_floats, check_at_most_two_dimensions, check_finite, check_not_empty

# What a block holds at most: 1e6 x 100 float32 took 135 ms by blocks of 2**18 numbers, 91 ms by 2**21, 83 ms by 2**23
# (2 cores). Numbers for a row come besides, some 60 bytes: 8 MB.
_BLOCK_NUMBERS, _BLOCK_ROWS = 2**21, 2**17
_LEAST = math.ulp(0.0)


def rows_of_a_block(probs: np.ndarray) -> int:
    """Return how many rows are worked on at a time."""
    columns = probs.shape[1] if probs.ndim == 2 else 1
    return max(min(_BLOCK_NUMBERS // columns, _BLOCK_ROWS), 1)


def read_probabilities(value: Any) -> tuple[np.ndarray, bool]:
    """Return the probabilities, and whether their sums need a look; raise unless all of them lie in [0, 1]."""
    probs = as_floats(value)
    check_at_most_two_dimensions(probs)
    if probs.size and probs.ndim and _is_in_order(probs):
        return probs, False
    check_finite(probs)
    check_not_empty(probs)
    highest, lowest = probs.max(), probs.min()
    if highest > 1:
        message = f"y_prob contains values greater than 1: {highest}"
        raise RangeError(message)
    if lowest < 0:
        message = f"y_prob contains values lower than 0: {lowest}"
        raise RangeError(message)
    return probs, True


def _is_in_order(probs: np.ndarray) -> bool:
    """Say whether all is surely well, in one pass on every thread; the host's own rules read the matrix five times."""
    if probs.ndim == 1 or probs.shape[1] == 1:
        return bool(probs.min() >= 0 and probs.max() <= 1)
    step = rows_of_a_block(probs)
    for start in range(0, len(probs), step):
        block = probs[start : start + step]
        try:
            first_class = np.zeros(len(block), np.int64)
            losses = cross_entropy_from_probs(
                block, first_class, zero="clip", eps=_LEAST, normalized="raise", reduction="none"
            )
        except (RangeError, NormalizationError):
            return False
        if np.isnan(losses).any():
            return False
    return True


def sums_are_off(probs: np.ndarray) -> bool:
    """Say whether a row's sum, as the host makes it, is not close to 1."""
    if probs.ndim == 1 or probs.shape[1] == 1:
        return False  # 1 - p and p
    tolerance = math.sqrt(np.finfo(probs.dtype).eps)
    one = probs.dtype.type(1)
    step = rows_of_a_block(probs)
    return not all(
        np.isclose(np.sum(probs[start : start + step], axis=1), one, rtol=tolerance, atol=1e-8).all()
        for start in range(0, len(probs), step)
    )


def predictions_at(block: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return the predictions of these entries as float64; of a single column, that of class 0 is 1 - p."""
    if block.ndim == 2 and block.shape[1] > 1:
        return np.asarray(block[rows, columns], dtype=np.float64)
    positive = np.asarray(block.reshape(-1)[rows], dtype=np.float64)
    return np.where(columns == 0, 1.0 - positive, positive)


def surprisals(predictions: np.ndarray) -> np.ndarray:
    """Return -log of each prediction, infinite at 0, in nats."""
    entries = predictions.reshape(-1, 1)
    losses = cross_entropy_from_probs(
        entries, np.zeros(len(entries), np.int64), zero="clip", eps=_LEAST, normalized="ignore", reduction="none"
    )
    return np.where(predictions == 0.0, np.inf, losses)
