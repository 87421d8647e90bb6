"""One Term per class, the short table's choice among them, and the identities that tie them together."""

import math

import numpy as np

from crossent.explaining.codes import Words
from crossent.explaining.measuring import Sums
from crossent.explaining.parts import Check, LossKind, Rest, Term
from crossent.explaining.reading import Row
from crossent.units import LN_2

SHORT_TABLE = 12  # classes that a table shows in full
TOP_CLASSES = 8  # and beyond that the true class and so many others
EPSILON = float(np.finfo(np.float64).eps)


def total(values: object) -> float:
    """Return the sum of numbers, rounded once; inf where it is beyond float64."""
    try:
        return math.fsum(values)  # type: ignore[arg-type]  # anything that can be iterated over
    except OverflowError:
        return math.inf


def make_terms(
    sums: Sums,
    rows: int,
    divisor: float,
    unit: float,
    names: tuple[str, ...],
    loss_kind: LossKind,
    weight: Row | None,
    words: Words | None,
) -> tuple[Term, ...]:
    """Return the terms; `unit` is the base's unit in nats, `divisor` what turns sums over rows into the loss."""
    classes = len(names)
    count = float(rows) if rows else math.nan
    contribution = sums.contribution / divisor
    loss = total(contribution.tolist())
    shares = contribution / loss if 0.0 < loss < math.inf else np.full(classes, np.nan)
    surprisal = sums.surprisal / count
    columns = (
        sums.given / count,
        sums.target / count,
        sums.p / count,
        np.ones(classes) if weight is None else weight,
        sums.q / count,
        surprisal / unit,
        sums.surprisal_no / count / unit,
        contribution / unit,
        shares,
        surprisal / LN_2,
        sums.grad_logit / divisor,
        sums.grad_prob / divisor,
    )
    # + 0.0 turns -0.0 into 0.0: -log 1 is -0.0, and nobody should have to read that
    rows_of_terms = zip(*((column + 0.0).tolist() for column in columns), strict=True)
    terms = []
    for index, row in enumerate(rows_of_terms):
        given, target, p, w, q, surprise, no, cost, share, ideal, grad_logit, grad_prob = row
        terms.append(
            Term(
                index=index,
                name=names[index],
                given=given,
                target=target,
                p=p,
                weight=w,
                q=q,
                surprisal=surprise,
                surprisal_no=no if loss_kind == "binary" else None,
                contribution=cost,
                share=None if math.isnan(share) else share,
                ideal_bits=ideal,
                huffman_bits=None if words is None else words.lengths[index],
                huffman_code=None if words is None else words.words[index],
                grad_logit=grad_logit,
                grad_prob=grad_prob,
            )
        )
    return tuple(terms)


def select(terms: tuple[Term, ...], standing: Row, p: Row) -> tuple[tuple[int, ...], Rest | None]:
    """Return the classes of a short table, and the others together: the true class, then the top ones."""
    if len(terms) <= SHORT_TABLE:
        return tuple(range(len(terms))), None
    true_class = int(p.argmax())
    order = [int(index) for index in np.argsort(-standing, kind="stable") if index != true_class]
    shown = (true_class, *order[:TOP_CLASSES])
    left_out = set(range(len(terms))) - set(shown)
    others = [term for term in terms if term.index in left_out]
    return shown, Rest(
        count=len(others),
        p=total(term.p for term in others),
        q=total(term.q for term in others),
        contribution=total(term.contribution for term in others),
        grad_logit=total(term.grad_logit for term in others),
    )


def check_identities(
    loss: float,
    floor: float,
    kl: float | None,
    terms: tuple[Term, ...],
    loss_kind: LossKind,
    shortcut: float | None,
    pull: float,
    sum_tolerance: float,
) -> tuple[Check, ...]:
    """Return the identities with both sides; none for a loss that is not a number, none that were not computed.

    `pull` is what all targets weigh in the gradient: its rounding grows with it. `sum_tolerance` is how far the sum of
    q may be from 1 by the rounding of its dtype, 0 where q was computed here.
    """
    if math.isnan(loss):
        return ()
    classes = len(terms)
    checks = []
    if kl is not None:
        checks.append(_check("H(p,q) = H(p) + KL(p‖q)", loss, floor + kl, classes))
    room = 4.0 * EPSILON * classes * max(1.0, floor) + sum_tolerance * pull
    checks.append(Check("H(p,q) ≥ H(p)", loss, floor, max(0.0, floor - loss), loss >= floor - room))
    if loss_kind == "categorical":
        slopes = total(term.grad_logit for term in terms)
        checks.append(_check("Σ ∂L/∂z = 0", slopes, 0.0, classes, pull))
        if not checks[-1].holds and abs(slopes) <= sum_tolerance * pull:
            # the sum of q is 1 as far as its dtype can say, and so is this one 0
            checks[-1] = Check("Σ ∂L/∂z ≈ 0", slopes, 0.0, abs(slopes), holds=True)
    if shortcut is not None:
        checks.append(_check("−log q_true = full sum", shortcut, loss, classes))
    return tuple(checks)


def _check(name: str, left: float, right: float, classes: int, size: float = 1.0) -> Check:
    error = 0.0 if left == right else abs(left - right)
    # a sum of K terms, each with a logarithm, a product and a division rounded: 4 eps per term
    tolerance = 4.0 * EPSILON * classes * max(1.0, size, abs(left) if math.isfinite(left) else 1.0)
    return Check(name, left, right, error, error <= tolerance)
