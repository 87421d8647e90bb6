"""The numbers that name a bug: what a loss is when something particular went wrong, in nats."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Cap:
    """The largest loss that a row can have where a probability is clipped before its logarithm is taken."""

    nats: float
    clip: str
    where: str
    prior: float  # how often a reader meets it, next to the others: Keras and the old scikit-learn lead


# -ln of each clip; 100 is a clamp of the logarithm itself
CAPS = (
    Cap(-math.log(1e-7), "1e-7", "Keras", 1.0),
    Cap(-math.log(1e-15), "1e-15", "scikit-learn before 1.2, Kaggle, LightGBM, Spark", 1.0),
    Cap(-52 * math.log(0.5), "2.2e-16, eps of float64", "scikit-learn, yardstick", 0.95),
    Cap(-23 * math.log(0.5), "1.2e-7, eps of float32", "scikit-learn on float32, torch's Categorical, Flux", 0.95),
    Cap(100.0, "a logarithm clamped at -100", "torch's BCELoss", 0.95),
    Cap(-math.log(1e-6), "1e-6", "cleanlab, hand-written code", 0.9),
    Cap(-math.log(1e-8), "1e-8", "hand-written code", 0.9),
    Cap(-math.log(1e-10), "1e-10", "hand-written code", 0.9),
    Cap(-math.log(1e-12), "1e-12", "hand-written code", 0.85),
    Cap(-math.log(1e-16), "1e-16", "XGBoost", 0.85),
    Cap(126 * math.log(2.0), "1.2e-38, float32's smallest normal number", "log of an underflown float32", 0.8),
    Cap(149 * math.log(2.0), "1.4e-45, float32's smallest subnormal number", "log of an underflown float32", 0.8),
)
SMOOTHINGS = (0.1, 0.05, 0.2, 0.01)  # the usual ones, the most usual first
USUAL_CLASSES = (2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 20, 21, 26, 27, 50, 62, 80, 91, 100, 150, 200, 256, 365, 500,
                 1000, 10_000, 21_841, 30_522, 32_000, 50_257, 50_304, 65_536, 128_256, 151_936)  # fmt: skip
BATCH_SIZES = (8, 10, 16, 20, 24, 32, 48, 50, 64, 96, 100, 128, 200, 250, 256, 500, 512, 1000, 1024, 2048, 4096, 8192)


def uniform(classes: int) -> float:
    """Return ln K: every class gets the same probability."""
    return math.log(classes)


def lowest_after_two_softmaxes(classes: int) -> float:
    """Return ln(e + K - 1) - 1: the probabilities were one-hot and right before the second softmax."""
    return math.log(math.e + classes - 1) - 1.0


def highest_after_two_softmaxes(classes: int) -> float:
    """Return ln(e + K - 1): the probabilities were one-hot and wrong before the second softmax."""
    return math.log(math.e + classes - 1)


def smoothing_floor(classes: int, smoothing: float) -> float:
    """Return H(p) of a one-hot target smoothed as torch does it: 1 - e + e/K on its class, e/K on the others."""
    other = smoothing / classes
    return entropy_of_frequencies([1.0 - smoothing + other] + [other] * (classes - 1))


def entropy_of_frequencies(frequencies: ArrayLike) -> float:
    """Return H of class frequencies or counts, 0 log 0 = 0."""
    counts = np.asarray(frequencies, dtype=np.float64)
    shares = counts[counts > 0.0] / counts.sum()
    return abs(float(-(shares * np.log(shares)).sum()))


def binary_entropy(share: float) -> float:
    """Return H of one coin: the loss per element of a binary loss that has learnt only the base rate."""
    return entropy_of_frequencies([share, 1.0 - share])


# a second sigmoid: a right, certain answer is 1 or 0 after the first and costs this after the second
LOWEST_SIGMOID_TWICE_POSITIVE = math.log1p(math.exp(-1.0))
LOWEST_SIGMOID_TWICE_NEGATIVE = math.log(2.0)
