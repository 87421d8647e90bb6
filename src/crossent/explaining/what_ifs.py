"""What else these numbers could have been: given to another loss, moved a little, or split otherwise."""

import dataclasses
import math

import numpy as np

from crossent.explaining.measuring import (
    Prediction,
    Sums,
    contributions,
    grad_logits,
    predict,
    row_losses,
)
from crossent.explaining.parts import AsBinary, AsLogits, AsSquared, Sensitivity, Unseen
from crossent.explaining.reading import Row, Rows

LOGIT_STEP = 0.1
PROB_STEP = 0.01
# the best step of a central difference is near the cube root of eps: rounding and curvature both stay near 1e-10
DIFFERENCE_STEP = 6e-6


def take_for_logits(sums: Sums, divisor: float, grad_norm: float, sums_to_one: bool, unit: float) -> AsLogits:
    """Return the loss of probabilities that are taken for logits, and how much of the gradient is left."""
    loss = float(sums.twice) / divisor / unit
    if not sums_to_one:
        return AsLogits(loss=loss, lowest=None, gradient_ratio=None)
    shrunk = float(np.linalg.norm(sums.twice_gradient / divisor))
    ratio = None
    if grad_norm > 0.0:
        ratio = grad_norm / shrunk if shrunk > 0.0 else math.inf
    lowest = float(sums.twice_lowest)
    return AsLogits(loss=loss, lowest=None if math.isnan(lowest) else lowest / divisor / unit, gradient_ratio=ratio)


def take_for_binary(sums: Sums, rows: int, classes: int, unit: float) -> AsBinary:
    """Return the loss where each class is a yes or no of its own."""
    amount = float(sums.binary) / (rows if rows else math.nan) / unit
    return AsBinary(sum=amount + 0.0, mean=amount / classes + 0.0)


def take_for_squared(sums: Sums, rows: int, classes: int, true_class: int | None) -> AsSquared:
    """Return the squared error of the probabilities and its slope in the logits."""
    count = rows if rows else math.nan
    slope = sums.squared_gradient / count
    return AsSquared(
        mean=float(sums.brier) / count / classes,
        grad_norm=float(np.linalg.norm(slope)),
        grad_true=None if true_class is None else float(slope[true_class]) + 0.0,
    )


def step_on(prediction: Prediction, p: Row, w: Row, divisor: float, unit: float) -> Sensitivity | None:
    """Return the loss after a small step on the true class, or the likeliest one of a soft target."""
    index = int(p.argmax())
    raised = step_logits(prediction, index, LOGIT_STEP)
    by_prob = None
    if prediction.q[0, index] + PROB_STEP <= 1.0:
        by_prob = _loss(_step_prob(prediction, index, PROB_STEP), p, w) / divisor / unit
    return Sensitivity(
        index=index,
        loss_if_logit_raised=_loss(raised, p, w) / divisor / unit,
        loss_if_prob_raised=by_prob,
    )


def _step_prob(prediction: Prediction, index: int, step: float) -> Prediction:
    """Return the prediction with more of one class, the others scaled down; of several labels, only that one moves.

    In logarithms, as the others may have a probability that rounds to 0 or 1 and a logit that does not.
    """
    before = float(prediction.q[0, index])
    log_q = prediction.log_q.copy()
    if prediction.log_not_q is not None:
        log_not_q = prediction.log_not_q.copy()
        log_q[0, index], log_not_q[0, index] = math.log(before + step), _log(1.0 - before - step)
        return dataclasses.replace(prediction, log_q=log_q, log_not_q=log_not_q)
    if before < 1.0:
        log_q += _log((1.0 - before - step) / (1.0 - before))
    log_q[0, index] = math.log(before + step)
    return Prediction(log_q, "log_probs", "categorical", np.exp(log_q), log_q, None, None)


def _log(value: float) -> float:
    return math.log(value) if value > 0.0 else -math.inf


def step_logits(prediction: Prediction, index: int, step: float) -> Prediction:
    """Return the prediction with one logit moved."""
    logits = _logits(prediction).copy()
    logits[0, index] += step
    return predict(logits, "logits", prediction.loss_kind)


def _logits(prediction: Prediction) -> Rows:
    """Return the logits; log q serves as such where none were given."""
    if prediction.kind == "logits":
        return prediction.given
    if prediction.loss_kind == "categorical":
        return prediction.log_q
    assert prediction.log_not_q is not None  # several labels have it
    with np.errstate(invalid="ignore"):
        return np.asarray(prediction.log_q - prediction.log_not_q)


def check_gradient(prediction: Prediction, p: Row, w: Row, shown: tuple[int, ...]) -> float | None:
    """Return the largest difference between dL/dz and a central difference of the loss, over the shown classes."""
    if not math.isfinite(_loss(prediction, p, w)):
        return None
    moving = [index for index in shown if math.isfinite(prediction.log_q[0, index])]  # a logit of -inf does not move
    if not moving:
        return 0.0
    # every step in one table: one at a time they took a millisecond, half of what a step of the page's drag costs
    logits = np.repeat(_logits(prediction), 2 * len(moving), axis=0)
    logits[np.arange(len(logits)), np.repeat(moving, 2)] += np.tile((DIFFERENCE_STEP, -DIFFERENCE_STEP), len(moving))
    losses = _losses(predict(logits, "logits", prediction.loss_kind), p, w).reshape(-1, 2)
    slopes = grad_logits(prediction, p[np.newaxis], w)[0, moving]
    worst = float(np.abs((losses[:, 0] - losses[:, 1]) / (2.0 * DIFFERENCE_STEP) - slopes).max())
    return worst if math.isfinite(worst) else None


def _losses(prediction: Prediction, p: Row, w: Row) -> Row:
    table = np.broadcast_to(p, prediction.given.shape)
    return row_losses(prediction, table, w, contributions(prediction, table, w))


def _loss(prediction: Prediction, p: Row, w: Row) -> float:
    return float(_losses(prediction, p, w)[0])


def split_otherwise(q: Row, p: Row, total_weight: float, weights: Row, divisor: float) -> Unseen | None:
    """Return another split among the classes with p = 0; None where there is no other."""
    free = p == 0.0
    total = float(q[free].sum())
    if int(free.sum()) < 2 or not total > 0.0 or bool(np.isnan(q).any()):
        return None
    share = total / int(free.sum())
    even = not bool(np.allclose(q[free], share, rtol=1e-9, atol=0.0))  # 1e-9: what a reader would call even
    other = q.copy()
    other[free] = share if even else 0.0
    if not even:
        other[int(np.argmax(free))] = total
    grad = (other * total_weight - weights * p) / divisor
    return Unseen(total=total, even=even, q=tuple(other.tolist()), grad_norm=float(np.linalg.norm(grad)))
