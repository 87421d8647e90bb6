"""What every function answers for a given truth and prediction, by its rule: no package is started."""

import math
from collections.abc import Sequence

import numpy as np

from crossent.definitions.softmax_cross_entropy import log_softmax
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
# The rules that can be told from logits, and whether they take the logarithm without forming q first. The others make
# something of their own of q, a logarithm that is -inf where q underflows: from logits they are not known exactly.
FROM_LOGITS = {
    "logits": True,
    "log-probs": True,
    "metric, logits": True,
    "logits, at most 64 apart": False,
    "metric, softmax, floor 1e-16": False,
}
# Beyond rounding to half precision a row of q is no distribution, and no logits would make it.
_SUM_TOLERANCE = 1e-3


def answers_for(
    p: Sequence[float], q: Sequence[float], *, logits: Sequence[float] | None = None, short: bool = False
) -> tuple[PackageAnswer, ...]:
    """Return what each function answers for truth p and prediction q, by its rule; `short` is the ten best known.

    Functions that take logits get `logits`, without them log q. The two differ where q underflows to 0. The class in question is the one with the largest p. Functions that take a class id are left out where p is no
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
    scores = None if logits is None else np.asarray(logits, dtype=np.float64)
    if scores is not None and scores.shape != truth.shape:
        message = f"`logits` must be a row of the same classes as `p`, got the shapes {scores.shape} and {truth.shape}."
        raise ShapeError(message)
    return _answers(truth, prediction, "given", scores, short=short)


def answers_at(q0: float, *, short: bool = False) -> tuple[PackageAnswer, ...]:
    """Return what each function answers where the true class of two is predicted with probability q0."""
    if not 0.0 <= q0 <= 1.0:
        message = f"`q0` must lie in [0, 1], got {q0}."
        raise RangeError(message)
    return _answers(np.array([1.0, 0.0]), np.array([q0, 1.0 - q0]), f"q={float(q0)!r}", None, short=short)


def by_rule(
    function: Function, p: Row, q: Row, watched: int, case: str, logits: Row | None = None
) -> PackageAnswer | None:
    """Return what a function's rule says; None where it cannot be asked."""
    one_hot = bool(((p == 0.0) | (p == 1.0)).all()) and float(p.sum()) == 1.0
    if function.target == "id" and not one_hot:
        return None
    if function.rule == "metric, binary floor 1e-15" and p[watched] not in (0.0, 1.0):
        return None  # it takes any positive label for 1
    needs_sum = function.reads == "logits" and function.target != "binary"
    if (needs_sum or function.rule == "metric, probs that sum to 1") and not _sums_to_one(q):
        return None
    if logits is not None and function.reads != "probs":
        if function.rule not in FROM_LOGITS:
            return None
        value, gradient = _from_logits(function, p, logits, watched)
    else:
        value, gradient = evaluate(RULES[function.rule], p, q, watched, function.dtype, reads=function.reads)
    note = f"one probability: that of class {watched}" if function.target == "binary" else ""
    if not function.answers:
        note = BY_READING
    return function.told(case, value, None if function.by == "none" else gradient, note, "formula")


def _from_logits(function: Function, p: Row, logits: Row, watched: int) -> tuple[float, float | None]:
    """Return loss and derivative of a function that takes logits, by its rule: softmax in its dtype's numbers."""
    with np.errstate(over="ignore", invalid="ignore"):
        given = logits.astype(function.dtype).astype(np.float64)
        log_q = log_softmax(given)
    q = np.exp(log_q)
    value, gradient = evaluate(RULES[function.rule], p, q, watched, function.dtype, reads=function.reads)
    if FROM_LOGITS[function.rule]:  # it never forms q, which may underflow
        value = float(-(p[p != 0.0] * log_q[p != 0.0]).sum()) + 0.0
    return value, gradient


def _answers(p: Row, q: Row, case: str, logits: Row | None, *, short: bool) -> tuple[PackageAnswer, ...]:
    functions = [function for package in recorded().values() for function in package]
    if short:
        known = {(function.package, function.name, function.dtype): function for function in functions}
        functions = [known[key] for key in SHORT]
    else:
        functions += BY_SOURCE
    watched = int(p.argmax())
    answers = (by_rule(function, p, q, watched, case, logits) for function in functions)
    return tuple(answer for answer in answers if answer is not None)


def _sums_to_one(q: Row) -> bool:
    return abs(math.fsum(q) - 1.0) <= _SUM_TOLERANCE
