"""The loss of each row through the NumPy door, and what can be wrong with its prediction."""

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from crossent.arrays.cross_entropy import cross_entropy_from_log_probs, cross_entropy_from_probs
from crossent.arrays.softmax_cross_entropy import cross_entropy
from crossent.errors import ImpossibleEventWarning, RangeError
from crossent.scoring.kinds import Kind


def row_losses(predictions: NDArray[np.float64], labels: NDArray[np.int64], kind: Kind) -> NDArray[np.float64]:
    """Return the loss of each row in nats, NaN where any number of the row is NaN; shape (rows,)."""
    losses = np.full(len(labels), np.nan)
    whole = ~np.isnan(predictions).any(axis=1)
    if not whole.any():
        return losses
    if not whole.all():
        predictions, labels = predictions[whole], labels[whole]
    with warnings.catch_warnings():
        # The impossible rows are counted and reported.
        warnings.simplefilter("ignore", ImpossibleEventWarning)
        if kind == "logits":
            losses[whole] = cross_entropy(predictions, labels, reduction="none")
        elif kind == "probs":
            losses[whole] = cross_entropy_from_probs(predictions, labels, reduction="none", normalized="ignore")
        else:
            losses[whole] = cross_entropy_from_log_probs(predictions, labels, reduction="none")
    return losses


def check_range(predictions: NDArray[np.float64], kind: Kind, columns: Sequence[str], start: int) -> None:
    """Raise RangeError at the first probability outside [0, 1], or log-probability above 0."""
    if kind == "logits":
        return
    outside = predictions > 0.0 if kind == "log_probs" else (predictions < 0.0) | (predictions > 1.0)
    if outside.any():
        row, position = (int(index) for index in np.argwhere(outside)[0])
        domain = "at most 0" if kind == "log_probs" else "in [0, 1]"
        message = (
            f"`{columns[position]}` must be {domain}, row {start + row} has {predictions[row, position]:.17g}; "
            f"if these are logits, say so with `logits`"
        )
        raise RangeError(message)


def deviations(predictions: NDArray[np.float64], kind: Kind) -> NDArray[np.float64]:
    """Return by how much the probabilities of each row miss a sum of 1, NaN for a row with NaN; 0 for logits."""
    if kind == "logits":
        return np.zeros(len(predictions))
    probabilities = np.exp(predictions) if kind == "log_probs" else predictions
    missed: NDArray[np.float64] = np.abs(probabilities.sum(axis=1) - 1.0)
    return missed
