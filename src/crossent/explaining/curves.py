"""The points that the plots draw: the loss as one logit moves, -log q, and the loss over the triangle of 3 classes."""

import math
from dataclasses import dataclass

import numpy as np

from crossent.errors import OptionError
from crossent.explaining.explanation import Explanation
from crossent.explaining.options import BASES
from crossent.explaining.parts import Term

REACH = 6.0  # logits to either side: softmax is flat beyond
POINTS = 121
TRIANGLE_STEPS = 60
SMALLEST_Q = 1e-6


@dataclass(frozen=True)
class Slice:
    """The loss, in the explanation's base, as the logit of one class moves and the others stay."""

    index: int
    steps: tuple[float, ...]  # z - z now
    losses: tuple[float, ...]
    slope: float  # of the tangent at 0, in the explanation's base per unit of the logit


@dataclass(frozen=True)
class Curve:
    """-log q in the explanation's base."""

    q: tuple[float, ...]
    surprisals: tuple[float, ...]


@dataclass(frozen=True)
class Triangle:
    """The loss of every prediction over three classes."""

    q: tuple[tuple[float, float, float], ...]
    losses: tuple[float, ...]  # in the explanation's base


def slice_along(explanation: Explanation, index: int) -> Slice:
    """Return the loss as one logit moves: L + s log(1 + q (exp(d) - 1)) - t d, with t the class's target and s all."""
    if explanation.batch is not None:
        message = "a slice needs one prediction; got a batch: explain one of its rows."
        raise OptionError(message)
    term = explanation.terms[index]
    unit = BASES[explanation.base]
    # one sigmoid pushes against its own weight, a softmax against those of all classes
    pulls = [term.weight] if explanation.loss_kind == "binary" else [_pull(each) for each in explanation.terms]
    whole = math.fsum(pulls) / explanation.denominator
    own = _pull(term) / explanation.denominator
    steps = np.linspace(-REACH, REACH, POINTS)
    with np.errstate(invalid="ignore"):
        moved = whole * np.log1p(term.q * np.expm1(steps)) - own * steps
    losses = explanation.loss + moved / unit
    return Slice(index, tuple(steps.tolist()), tuple(losses.tolist()), term.grad_logit / unit)


def _pull(term: Term) -> float:
    return term.weight * term.p


def surprisal_curve(explanation: Explanation) -> Curve:
    """Return -log q from a millionth to 1, evenly in log q."""
    q = np.geomspace(SMALLEST_Q, 1.0, POINTS)
    return Curve(tuple(q.tolist()), tuple((np.abs(np.log(q)) / BASES[explanation.base]).tolist()))


def triangle(explanation: Explanation) -> Triangle:
    """Return the loss at an even grid inside the triangle of three classes."""
    if explanation.classes != 3 or explanation.batch is not None or explanation.loss_kind == "binary":
        message = (
            f"the triangle needs one prediction over 3 classes; got {explanation.classes} classes"
            f"{' in a batch' if explanation.batch is not None else ''}."
        )
        raise OptionError(message)
    pulls = np.array([_pull(term) for term in explanation.terms]) / explanation.denominator
    grid = [
        ((i + 1 / 3) / (TRIANGLE_STEPS + 1), (j + 1 / 3) / (TRIANGLE_STEPS + 1))
        for i in range(TRIANGLE_STEPS + 1)
        for j in range(TRIANGLE_STEPS + 1 - i)
    ]
    q = np.array([(first, second, 1.0 - first - second) for first, second in grid])
    losses = -(np.log(q) * pulls).sum(axis=1) / BASES[explanation.base]
    return Triangle(tuple((float(a), float(b), float(c)) for a, b, c in q), tuple(losses.tolist()))
