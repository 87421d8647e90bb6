"""What the tests of the numbers of a score share: tables of predictions, and a score that keeps no rows."""

from typing import Any

import numpy as np
import pytest

from crossent.scoring.state import kept_rows


def columns(labels: Any, predictions: np.ndarray, prefix: str = "prob_", **beside: Any) -> dict[str, Any]:
    """Return a table with `target`, one column per class, and what stands beside them."""
    return {"target": labels} | {f"{prefix}{c}": predictions[:, c] for c in range(predictions.shape[1])} | beside


def soft_columns(shares: np.ndarray, predictions: np.ndarray, prefix: str = "prob_", **beside: Any) -> dict[str, Any]:
    """Return a table with one column per class for the truth, too."""
    table = columns([0] * len(shares), predictions, prefix, **beside)
    del table["target"]
    return {f"target_{c}": shares[:, c] for c in range(shares.shape[1])} | table


def keep_no_rows(monkeypatch: pytest.MonkeyPatch, beyond: int = 0) -> None:
    """Make a score bin its rows beyond so many, as it does beyond 100 000."""
    monkeypatch.setattr(kept_rows, "MOST_ROWS", beyond)


def softmax(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def drawn(rng: np.random.Generator, predictions: np.ndarray) -> np.ndarray:
    """Return one label for each row, drawn from the predictions."""
    labels = (predictions.cumsum(axis=1) < rng.random((len(predictions), 1))).sum(axis=1)
    return np.minimum(labels, predictions.shape[1] - 1)
