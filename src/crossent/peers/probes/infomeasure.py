"""infomeasure: cross-entropy of two samples, whose frequencies are the probabilities."""

from typing import Any

import infomeasure
import numpy as np

from crossent.peers.probes.function import Function

_SAMPLES = 10


def _sample(row: Any) -> Any:
    counts = np.round(row * _SAMPLES)
    if not np.allclose(counts, row * _SAMPLES, rtol=1e-9, atol=0.0) or counts.min() < 0.0 or counts.sum() != _SAMPLES:
        return None
    return np.repeat(np.arange(len(row)), counts.astype(int))


def _cross_entropy(q: Any, p: Any) -> Any:
    samples = [_sample(row[0]) for row in (p, q) if len(row)]
    if len(samples) != 2 or any(sample is None for sample in samples):
        return NotImplemented  # ten samples do not have these frequencies
    return infomeasure.cross_entropy(*samples, approach="discrete", base="e"), None


FUNCTIONS = (
    Function(
        "cross_entropy, discrete", "probs", "distribution", "float64", "metric, impossible dropped", _cross_entropy
    ),
)
