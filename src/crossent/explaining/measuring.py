"""From a row of numbers to terms, gradients and identities; the formulas themselves are crossent.definitions."""

import math
from dataclasses import dataclass

import numpy as np

from crossent.definitions.cross_entropy import cross_entropy, cross_entropy_gradient
from crossent.definitions.divergence import kl_divergence
from crossent.definitions.softmax_cross_entropy import (
    log_softmax,
    softmax,
    softmax_cross_entropy,
    softmax_cross_entropy_gradient,
)
from crossent.explaining.parts import Check, Kind, Rest, Term
from crossent.explaining.reading import Row, Target

SHORT_TABLE = 12  # classes that a table shows in full
TOP_CLASSES = 8  # and beyond that the true class and so many others
EPSILON = float(np.finfo(np.float64).eps)
SMALLEST_NORMAL = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True)
class Prediction:
    """One row, read: q and log q side by side, as exp underflows where log q does not."""

    given: Row  # (classes,), what `kind` says
    kind: Kind
    q: Row  # (classes,)
    log_q: Row  # (classes,), in nats

    @property
    def log_normalizer_nats(self) -> float | None:
        """Return log sum exp z of logits: z - log q, which is the same for every class."""
        if self.kind != "logits":
            return None
        return float(self.given.max() - self.log_q[int(self.given.argmax())])


def predict(given: Row, kind: Kind) -> Prediction:
    """Return the prediction that these numbers stand for."""
    if kind == "logits":
        return Prediction(given, kind, softmax(given), log_softmax(given))
    if kind == "log_probs":
        return Prediction(given, kind, np.asarray(np.exp(given)), given)
    with np.errstate(divide="ignore"):  # log 0 is -inf, and means it
        return Prediction(given, kind, given, np.asarray(np.log(given)))


def loss_nats(prediction: Prediction, p: Row) -> float:
    """Return H(p, q) by the definition that takes the prediction as it came."""
    if prediction.kind == "probs":
        return float(cross_entropy(p, prediction.q))
    if prediction.kind == "logits":
        return float(softmax_cross_entropy(prediction.given, p))
    return math.fsum(contributions(p, prediction.log_q)) + 0.0


def kl_nats(prediction: Prediction, p: Row) -> float | None:
    """Return KL(p || q), or None where q underflows under the truth: then only loss - H(p) is left."""
    vanished = (p > 0.0) & (prediction.q < SMALLEST_NORMAL) & (prediction.log_q > -np.inf)
    return None if bool(vanished.any()) else float(kl_divergence(p, prediction.q))


def contributions(p: Row, log_q: Row) -> Row:
    """Return p * (-log q), shape (classes,), in nats, with 0 log 0 = 0; a nan stays."""
    with np.errstate(invalid="ignore"):  # 0 * inf, which is replaced
        return np.asarray(np.where((p == 0.0) & (log_q == -np.inf), 0.0, p * -log_q))


def grad_logits(prediction: Prediction, p: Row) -> Row:
    """Return dL/dz of the loss in nats, shape (classes,): q * sum(p) - p, with q as it is given."""
    if prediction.kind == "logits":
        return softmax_cross_entropy_gradient(prediction.given, p)
    return np.asarray(prediction.q * math.fsum(p) - p)


def make_terms(prediction: Prediction, p: Row, names: tuple[str, ...], unit: float) -> tuple[Term, ...]:
    """Return one Term per class; `unit` is the base's unit in nats."""
    columns = (
        prediction.given,
        p,
        prediction.q,
        -prediction.log_q / unit,
        contributions(p, prediction.log_q) / unit,
        grad_logits(prediction, p),
        cross_entropy_gradient(p, prediction.q),
    )
    # + 0.0 turns -0.0 into 0.0: -log 1 is -0.0, and nobody should have to read that
    rows = zip(names, *((column + 0.0).tolist() for column in columns), strict=True)
    return tuple(Term(index, *row) for index, row in enumerate(rows))


def select(terms: tuple[Term, ...], log_q: Row, target: Target) -> tuple[tuple[int, ...], Rest | None]:
    """Return the classes of a short table, and the others together: the true class, then the top ones."""
    if len(terms) <= SHORT_TABLE:
        return tuple(range(len(terms))), None
    true_class = int(target.p.argmax())
    order = [int(index) for index in np.argsort(-log_q, kind="stable") if index != true_class]
    shown = (true_class, *order[:TOP_CLASSES])
    others = [term for term in terms if term.index not in shown]
    return shown, Rest(
        count=len(others),
        p=math.fsum(term.p for term in others),
        q=math.fsum(term.q for term in others),
        contribution=math.fsum(term.contribution for term in others),
        grad_logit=math.fsum(term.grad_logit for term in others),
    )


def check_identities(
    loss: float, entropy_target: float, kl: float | None, terms: tuple[Term, ...], target: Target
) -> tuple[Check, ...]:
    """Return the identities with both sides; none for a loss that is not a number, none that were not computed."""
    if math.isnan(loss):
        return ()
    classes = len(terms)
    checks = []
    if kl is not None:
        checks.append(_check("H(p,q) = H(p) + KL(p‖q)", loss, entropy_target + kl, classes))
    checks.append(_check("Σ ∂L/∂z = 0", math.fsum(term.grad_logit for term in terms), 0.0, classes))
    if target.true_class is not None:
        shortcut = terms[target.true_class].surprisal
        checks.append(_check("−log q_true = full sum", shortcut, loss, classes))
    return tuple(checks)


def _check(name: str, left: float, right: float, classes: int) -> Check:
    error = 0.0 if left == right else abs(left - right)
    # a sum of K terms, each with a logarithm, a product and a division rounded: 4 eps per term
    tolerance = 4.0 * EPSILON * classes * max(1.0, abs(left) if math.isfinite(left) else 1.0)
    return Check(name, left, right, error, error <= tolerance)
