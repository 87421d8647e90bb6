"""What else these numbers could have been: fed to a function of logits, or split otherwise for the same loss."""

import math

import numpy as np

from crossent.definitions.softmax_cross_entropy import softmax_cross_entropy, softmax_cross_entropy_gradient
from crossent.explaining.parts import AsLogits, Unseen
from crossent.explaining.reading import Row, Target


def lowest_after_second_softmax(classes: int) -> float:
    """Return ln(e + K - 1) - 1, in nats: the loss of a perfect one-hot prediction that goes through softmax again."""
    return math.log(math.e + classes - 1) - 1.0


def take_for_logits(q: Row, target: Target, grad_norm: float, sums_to_one: bool, unit: float) -> AsLogits:
    """Return the loss of probabilities that are taken for logits.

    The gradient with respect to the real logits then passes softmax's Jacobian, diag(q) - q q^T, a second time.
    """
    loss_nats = float(softmax_cross_entropy(q, target.p))
    if not sums_to_one:
        return AsLogits(loss=loss_nats / unit, lowest=None, gradient_ratio=None)
    inner = softmax_cross_entropy_gradient(q, target.p)
    shrunk = float(np.linalg.norm(q * (inner - np.dot(q, inner))))
    ratio = None
    if grad_norm > 0.0:
        ratio = grad_norm / shrunk if shrunk > 0.0 else math.inf
    lowest = None if target.true_class is None else lowest_after_second_softmax(len(q)) / unit
    return AsLogits(loss=loss_nats / unit, lowest=lowest, gradient_ratio=ratio)


def split_otherwise(q: Row, target: Target) -> Unseen | None:
    """Return another split among the classes with p = 0; None where there is no other."""
    free = target.p == 0.0
    total = float(q[free].sum())
    if int(free.sum()) < 2 or not total > 0.0 or bool(np.isnan(q).any()):
        return None
    share = total / int(free.sum())
    even = not bool(np.allclose(q[free], share, rtol=1e-9, atol=0.0))  # 1e-9: what a reader would call even
    other = q.copy()
    other[free] = share if even else 0.0
    if not even:
        other[int(np.argmax(free))] = total
    grad = other * target.p.sum() - target.p
    return Unseen(
        total=total,
        even=even,
        q=tuple(other.tolist()),
        grad_norm=float(np.linalg.norm(grad)),
    )
