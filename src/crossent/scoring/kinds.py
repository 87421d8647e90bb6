"""Probabilities, logits or log-probabilities: what the numbers themselves say."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["probs", "logits", "log_probs", "losses", "truth_log_probs"]

WORDS: dict[Kind, str] = {
    "probs": "probabilities",
    "logits": "logits",
    "log_probs": "log-probabilities",
    "losses": "losses",
    "truth_log_probs": "log-probabilities of the truth",
}
# One number per row, what the truth was given: the cost follows, and nothing about other classes.
SCALARS: tuple[Kind, ...] = ("losses", "truth_log_probs")

# Files keep two to four decimals, so a row of ten classes may miss 1 by half a percent; logits miss it by far more.
_SUM_TOLERANCE = 0.01


def kind_by_evidence(predictions: NDArray[np.float64]) -> Kind | None:
    """Return the only kind that the rows allow, or None where they allow several or none; shape (rows, classes)."""
    rows = predictions[~np.isnan(predictions).any(axis=1)]
    if not len(rows):
        return None
    if rows.max() <= 0.0 and _sums_to_one(np.exp(rows)):
        return "log_probs"
    if rows.min() < 0.0 or rows.max() > 1.0:
        return "logits"
    return "probs" if _sums_to_one(rows) else None


def _sums_to_one(rows: NDArray[np.float64]) -> bool:
    return bool(np.all(np.abs(rows.sum(axis=1) - 1.0) <= _SUM_TOLERANCE))
