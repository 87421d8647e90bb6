"""The edge cases put to every package: three classes, one row, each told in every form that the functions read."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crossent.peers.probes.function import Function

Values = tuple[float, ...]
Array = npt.NDArray[np.generic]


@dataclass(frozen=True)
class Case:
    """A row and its truth; None where a form cannot say it; `watched` is the class whose derivative is reported."""

    name: str
    title: str
    label: int | None = None
    distribution: Values | None = None
    probs: Values | None = None
    logits: Values | None = None
    watched: int = 0
    # asked only of functions that have an argument for it
    only_variants: bool = False
    rows: int = 1


_FIRST, _SECOND = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)
_IMPOSSIBLE = (0.0, 0.7, 0.3)
_ORDINARY = (0.2, 0.5, 0.3)
_INF, _NAN = math.inf, math.nan

CASES = (
    Case("zero", "prediction 0 for the true class", 0, _FIRST, _IMPOSSIBLE),
    Case("soft-zero", "prediction 0 for a class of a soft target", None, (0.5, 0.5, 0.0), _IMPOSSIBLE),
    Case("zero-zero", "0 log 0: truth 0 and prediction 0", 1, _SECOND, _IMPOSSIBLE),
    Case("perfect", "prediction 1 for the true class", 0, _FIRST, (1.0, 0.0, 0.0)),
    Case("ordinary", "nothing special", 0, _FIRST, _ORDINARY),
    Case("soft", "a soft target, nothing special", None, (0.6, 0.3, 0.1), _ORDINARY),
    Case("unnormalized", "predictions that sum to 0.6", 0, _FIRST, (0.2, 0.3, 0.1)),
    Case("above-one", "a prediction of 1.2 for the true class", 0, _FIRST, (1.2, 0.3, 0.1)),
    Case("negative", "a prediction of -0.1 for the true class", 0, _FIRST, (-0.1, 0.6, 0.5)),
    Case("all-zero", "every prediction 0, or every logit -inf", 0, _FIRST, (0.0, 0.0, 0.0), (-_INF, -_INF, -_INF)),
    Case("plus-inf", "logit +inf for the true class", 0, _FIRST, None, (_INF, 0.0, 0.0)),
    Case("plus-inf-elsewhere", "logit +inf for a wrong class", 1, _SECOND, None, (_INF, 0.0, 0.0)),
    Case("nan", "NaN for the true class", 0, _FIRST, (_NAN, 0.5, 0.5), (_NAN, 0.0, 0.0)),
    Case("large-logits", "logits 1e4, 0, -1e4; exactly 10000", 1, _SECOND, None, (1e4, 0.0, -1e4)),
    Case("shifted", "three equal logits of 1e8; exactly ln 3 = 1.0986", 0, _FIRST, None, (1e8, 1e8, 1e8)),
    Case("small-loss", "logits 20, 0, 0; exactly 4.12e-9", 0, _FIRST, None, (20.0, 0.0, 0.0)),
    Case("label-high", "label 3 of 3 classes", 3, None, _ORDINARY),
    Case("label-minus-one", "label -1", -1, None, _ORDINARY),
    Case("label-minus-100", "label -100", -100, None, _ORDINARY),
    Case("all-ignored", "every row ignored", 0, _FIRST, _ORDINARY, only_variants=True),
    Case("zero-weights", "every weight 0", 0, _FIRST, _ORDINARY, only_variants=True),
    Case("smoothing", "label smoothing 0.1, a wrong class ruled out", 0, _FIRST, (0.5, 0.0, 0.5), None, 1, True),
    Case("soft-sum", "a soft target that sums to 0.8", None, (0.5, 0.3, 0.0), _ORDINARY),
    Case("negative-target", "a target of -0.2", None, (-0.2, 1.2, 0.0), _ORDINARY),
    Case("empty", "no rows", 0, _FIRST, _ORDINARY, rows=0),
)
BY_NAME = {case.name: case for case in CASES}

# The slider of the page in real runs: q of the true class of two, from 1 to 0, between the clips and beyond them.
LADDER = (1.0, 0.5, 0.1, 1e-3, 3e-7, 3e-8, 3e-11, 3e-15, 3e-16, 3e-17, 3e-21, 3e-41, 3e-45, 3e-300, 1e-320, 0.0)


def step(q: float) -> Case:
    """Return the case of the slider at q."""
    return Case(f"q={q!r}", f"q = {q!r} for the true class of two", 0, (1.0, 0.0), (q, 1.0 - q))


def row(case: Case) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None:
    """Return truth and prediction where the case is an ordinary one of distributions: what a rule can be asked."""
    if case.only_variants or case.rows != 1 or case.distribution is None or case.probs is None:
        return None
    p, q = np.array(case.distribution), np.array(case.probs)
    inside = bool(((p >= 0.0) & (p <= 1.0)).all()) and bool(((q >= 0.0) & (q <= 1.0)).all())
    return (p, q) if inside and q.any() else None


def arguments(case: Case, function: Function) -> tuple[Array, Array] | None:
    """Return predictions and targets as this function reads them; None where it cannot be asked."""
    if case.only_variants and case.name not in function.variants:
        return None
    target = case.label if function.target == "id" else case.distribution
    prediction = _prediction(case, function.reads, binary=function.target == "binary")
    if target is None or prediction is None:
        return None
    predictions = np.repeat(np.array([prediction], dtype=function.dtype), case.rows, axis=0)
    if function.target == "id":
        return predictions, np.repeat(np.array([target], dtype=np.int64), case.rows)
    targets = np.repeat(np.array([target], dtype=function.dtype), case.rows, axis=0)
    if function.target == "binary":
        return predictions[:, case.watched], targets[:, case.watched]
    return predictions, targets


def _prediction(case: Case, reads: str, *, binary: bool) -> Values | None:
    if reads == "probs":
        return case.probs
    if reads == "logits" and case.logits is not None:
        return case.logits
    if case.probs is None or any(q < 0.0 for q in case.probs):
        return None
    if reads == "log_probs":
        return tuple(_log(q) for q in case.probs)
    if any(q > 1.0 for q in case.probs) or not abs(math.fsum(case.probs) - 1.0) < 1e-9:
        return None  # logits have no sum that could be wrong
    if binary:
        return tuple(_log(q) - _log(1.0 - q) for q in case.probs)
    return tuple(_log(q) for q in case.probs)


def _log(q: float) -> float:
    return -math.inf if q == 0.0 else math.log(q)
