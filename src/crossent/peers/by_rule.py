"""What every function answers for a given truth and prediction, by its rule: no package is started."""

import math
from collections.abc import Sequence

import numpy as np

from crossent.errors import RangeError, ShapeError
from crossent.peers.answer import PackageAnswer
from crossent.peers.by_source import BY_SOURCE
from crossent.peers.by_source import NOTE as BY_READING
from crossent.peers.recorded import Function, recorded
from crossent.peers.rules import RULES, Row, evaluate

# The rows of the short table: those that a reader is likely to have called, one for each of the seven answers in use.
SHORT = (
    ("crossent", "cross_entropy_from_probs", "float64"),
    ("torch", "cross_entropy, class ids", "float32"),
    ("torch", "binary_cross_entropy", "float32"),
    ("keras on torch", "categorical_crossentropy", "float32"),
    ("scikit-learn", "log_loss", "float64"),
    ("scikit-learn", "log_loss", "float32"),
    ("scipy", "special.rel_entr(p, q).sum()", "float64"),
    ("lightgbm", "multi_logloss", "float64"),
    ("xgboost", "mlogloss", "float32"),
    ("numpy by hand", "-(p * log(q)).sum()", "float64"),
)
# Beyond rounding to half precision a row of q is no distribution, and no logits would make it.
_SUM_TOLERANCE = 1e-3


def answers_for(p: Sequence[float], q: Sequence[float], *, short: bool = False) -> tuple[PackageAnswer, ...]:
    """Return what each function answers for truth p and prediction q, by its rule; `short` is the ten best known.

    The class in question is the one with the largest p. Functions that take a class id are left out where p is no
    one-hot row, those that take logits where q does not sum to 1; those that take one probability get that class's.
    Raises ShapeError where the lengths differ or are 0, RangeError where a number is negative, above 1 or NaN.
    """
    truth, prediction = np.asarray(p, dtype=np.float64), np.asarray(q, dtype=np.float64)
    if truth.ndim != 1 or truth.shape != prediction.shape or not truth.size:
        message = f"`p` and `q` must be rows of the same classes, got the shapes {truth.shape} and {prediction.shape}."
        raise ShapeError(message)
    for name, row in (("p", truth), ("q", prediction)):
        for index in np.flatnonzero(~((row >= 0.0) & (row <= 1.0))):
            message = f"`{name}` must lie in [0, 1]; class {index} has {row[index]}."
            raise RangeError(message)
    return _answers(truth, prediction, "given", short=short)


def answers_at(q0: float, *, short: bool = False) -> tuple[PackageAnswer, ...]:
    """Return what each function answers where the true class of two is predicted with probability q0."""
    if not 0.0 <= q0 <= 1.0:
        message = f"`q0` must lie in [0, 1], got {q0}."
        raise RangeError(message)
    return _answers(np.array([1.0, 0.0]), np.array([q0, 1.0 - q0]), f"q={float(q0)!r}", short=short)


def by_rule(function: Function, p: Row, q: Row, watched: int, case: str) -> PackageAnswer | None:
    """Return what a function's rule says; None where it cannot be asked."""
    one_hot = bool(((p == 0.0) | (p == 1.0)).all()) and float(p.sum()) == 1.0
    if function.target == "id" and not one_hot:
        return None
    if function.rule == "metric, binary floor 1e-15" and p[watched] not in (0.0, 1.0):
        return None  # it takes any positive label for 1
    needs_sum = function.reads == "logits" and function.target != "binary"
    if (needs_sum or function.rule == "metric, probs that sum to 1") and not _sums_to_one(q):
        return None
    value, gradient = evaluate(RULES[function.rule], p, q, watched, function.dtype, reads=function.reads)
    note = f"one probability: that of class {watched}" if function.target == "binary" else ""
    if not function.answers:
        note = BY_READING
    return function.told(case, value, None if function.by == "none" else gradient, note, "formula")


def _answers(p: Row, q: Row, case: str, *, short: bool) -> tuple[PackageAnswer, ...]:
    functions = [function for package in recorded().values() for function in package]
    if short:
        known = {(function.package, function.name, function.dtype): function for function in functions}
        functions = [known[key] for key in SHORT]
    else:
        functions += BY_SOURCE
    watched = int(p.argmax())
    answers = (by_rule(function, p, q, watched, case) for function in functions)
    return tuple(answer for answer in answers if answer is not None)


def _sums_to_one(q: Row) -> bool:
    return abs(math.fsum(q) - 1.0) <= _SUM_TOLERANCE
