"""Targets and predictions that are not logits: distributions, a teacher's top k, single probabilities, close pairs."""

import math

import mpmath
import numpy as np

GRID = 2**20  # distributions on this grid are exact in float32 too, and sum to exactly 1


def distribution(rng: np.random.Generator, classes: int) -> np.ndarray:
    """Return a Dirichlet draw, from nearly one-hot to nearly uniform; entries may be 0."""
    return rng.dirichlet(np.full(classes, 10 ** rng.uniform(-2, 2)))


def on_grid(rng: np.random.Generator, classes: int) -> np.ndarray:
    """Return multiples of 1 / GRID, all above 0, that sum to exactly 1."""
    counts = np.maximum(1, np.floor(GRID * rng.dirichlet(np.full(classes, 2.0))).astype(np.int64))
    counts[np.argmax(counts)] += GRID - counts.sum()
    return counts / GRID


def some_soft_target(rng: np.random.Generator, logits: np.ndarray, place: int) -> tuple[str, np.ndarray]:
    """Return a family's name and y_j >= 0 for a row, given the row so that zeros can meet its -inf."""
    classes = len(logits)
    kind = str(rng.choice(["distribution", "near_one_hot", "one_hot", "not_normalized", "zeros", "own_softmax", "none"],
                          p=[0.3, 0.2, 0.1, 0.15, 0.15, 0.09, 0.01]))  # fmt: skip
    weights = distribution(rng, classes)
    if kind == "near_one_hot":
        weights *= 10 ** rng.uniform(-30, -2)
        weights[place] = 1.0
    elif kind == "one_hot":
        weights = np.eye(classes)[place]
    elif kind == "not_normalized":
        weights *= 10 ** rng.uniform(-3, 3)
    elif kind == "zeros":
        weights[~(logits > 0)] = 0.0  # at -inf logits too, and at probabilities of 0
    elif kind == "own_softmax" and np.isfinite(logits).all():
        # The gradient all but vanishes. Not np.exp: its last bit depends on the processor, and so would the table.
        relative = [float(mpmath.exp(x)) for x in np.maximum(logits, logits.max() - 700) - logits.max()]
        weights = np.array(relative) / math.fsum(relative)
    elif kind == "none":
        weights = np.zeros(classes)
    return kind, weights


def some_top_k(rng: np.random.Generator, classes: int, place: int) -> tuple[np.ndarray, np.ndarray]:
    """Return up to 8 distinct ids, `place` among them, and float32 probabilities whose sum is at most 1."""
    count = int(rng.integers(1, min(8, classes) + 1))
    others = [other for other in rng.permutation(classes).tolist() if other != place]
    ids = rng.permutation([place, *others[: count - 1]])
    if rng.random() < 0.2:
        return ids, on_grid(rng, count).astype(np.float32)
    return ids, (rng.uniform(0.1, 0.98) * distribution(rng, count)).astype(np.float32)


def some_binary(rng: np.random.Generator, dtype: str) -> tuple[str, np.floating, np.floating]:
    """Return a family's name, a logit and a target in [0, 1]."""
    number = {"float32": np.float32, "float64": np.float64}[dtype]
    far = 105.0 if dtype == "float32" else 746.0
    kind = str(rng.choice(["normal", "confident", "tiny", "huge", "zero", "infinite", "undefined"],
                          p=[0.4, 0.35, 0.1, 0.1, 0.03, 0.015, 0.005]))  # fmt: skip
    logit = {
        "normal": 5 * rng.standard_normal(),
        "confident": rng.uniform(-far, far),
        "tiny": rng.choice([-1, 1]) * 10 ** rng.uniform(-37, -2),
        "huge": rng.choice([-1, 1]) * 10 ** rng.uniform(3, 30),
        "zero": rng.choice([-0.0, 0.0]),
        "infinite": rng.choice([-1, 1]) * np.inf,
        "undefined": np.nan,
    }[kind]
    target = rng.choice([0.0, 1.0]) if rng.random() < 0.6 else rng.uniform()
    if rng.random() < 0.1:
        target = 10 ** rng.uniform(-30, -1)
    return kind, number(logit), number(target)


def some_probs(rng: np.random.Generator, classes: int, dtype: type) -> tuple[str, np.ndarray, int]:
    """Return a family's name, predicted probabilities and a class: some zeros, some next to 1, some subnormal."""
    place = int(rng.integers(classes))
    kind = str(rng.choice(["distribution", "next_to_one", "zero", "tiny", "one"], p=[0.5, 0.2, 0.1, 0.15, 0.05]))
    predicted = distribution(rng, classes).astype(dtype)
    limits = np.finfo(dtype)
    if kind == "next_to_one":
        predicted[place] = 1 - rng.integers(1, 2000) * limits.epsneg
    elif kind == "zero":
        predicted[place] = 0.0
    elif kind == "tiny":
        predicted[place] = limits.smallest_subnormal * rng.integers(1, 2**20)
    elif kind == "one":
        predicted = np.eye(classes, dtype=dtype)[place]
    return kind, predicted, place


def some_pair(rng: np.random.Generator, classes: int, dtype: type) -> tuple[str, np.ndarray, np.ndarray]:
    """Return a family's name and two distributions: apart, close (on a grid, so both sum to 1), equal, with zeros."""
    kind = str(rng.choice(["apart", "close", "equal", "zeros", "faint"], p=[0.35, 0.3, 0.1, 0.2, 0.05]))
    first, second = distribution(rng, classes), distribution(rng, classes)
    if kind == "close":
        first = on_grid(rng, classes)
        second = first.copy()
        giver, taker = rng.integers(classes, size=2)
        step = int(rng.integers(1, max(2, round(first[giver] * GRID)))) if rng.random() < 0.3 else 1
        if first[giver] > step / GRID:
            second[giver] -= step / GRID
            second[taker] += step / GRID
    elif kind == "equal":
        second = first.copy()
    elif kind == "zeros":
        first[rng.random(classes) < 0.4] = 0.0
        if rng.random() < 0.5:
            second[first == 0] = 0.0
        else:
            second[rng.random(classes) < 0.2] = 0.0
    elif kind == "faint":
        second[rng.integers(classes)] = float(np.finfo(dtype).smallest_subnormal) * int(rng.integers(1, 1000))
    return kind, first.astype(dtype), second.astype(dtype)
