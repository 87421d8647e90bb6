"""From rows of numbers to losses, gradients and their sums; the formulas themselves are crossent.definitions."""

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crossent.definitions.cross_entropy import cross_entropy, cross_entropy_gradient
from crossent.definitions.divergence import js_divergence, kl_divergence
from crossent.definitions.entropy import entropy
from crossent.definitions.sigmoid_cross_entropy import (
    sigmoid,
    sigmoid_cross_entropy,
    sigmoid_cross_entropy_gradient,
    softplus,
)
from crossent.definitions.softmax_cross_entropy import (
    log_softmax,
    smoothed,
    softmax,
    softmax_cross_entropy,
    softmax_cross_entropy_gradient,
)
from crossent.explaining.parts import Kind, LossKind
from crossent.explaining.reading import Given, Row, Rows
from crossent.explaining.targets import Target

SMALLEST_NORMAL = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True)
class Prediction:
    """Some rows, read: q and log q side by side, as exp underflows where log q does not."""

    given: Rows  # what `kind` says
    kind: Kind
    loss_kind: LossKind
    q: Rows
    log_q: Rows  # in nats
    log_not_q: Rows | None  # log(1 - q), for several labels
    not_q: Rows | None  # 1 - q, for several labels: where q rounds to 1, only the logit still has it


@dataclass(frozen=True)
class Weighing:
    """What the caller does to the targets: smoothing first, then class weights."""

    smoothing: float
    weight: Row | None  # (classes,)


@dataclass(frozen=True)
class Sums:
    """Everything that adds up over rows; amounts in nats."""

    # per class
    given: Row
    target: Row
    p: Row
    q: Row
    surprisal: Row
    surprisal_no: Row  # -log(1 - q), for several labels; else 0
    contribution: Row
    grad_logit: Row
    grad_prob: Row
    twice_gradient: Row  # of the loss in the real logits when softmax is applied twice
    squared_gradient: Row  # of the squared error in the logits
    # one number each
    weights: NDArray[np.float64]  # sum of w p: what a uniform guess pays log K for
    floor: NDArray[np.float64]
    kl: NDArray[np.float64]  # nan where q underflows under the truth
    entropy_prediction: NDArray[np.float64]
    js: NDArray[np.float64]
    brier: NDArray[np.float64]
    binary: NDArray[np.float64]
    twice: NDArray[np.float64]
    twice_lowest: NDArray[np.float64]

    def __add__(self, other: "Sums") -> "Sums":
        with np.errstate(invalid="ignore"):  # inf - inf among logits is nan, and no news
            return Sums(*(getattr(self, field.name) + getattr(other, field.name) for field in dataclasses.fields(self)))


@dataclass(frozen=True)
class PerRow:
    """What stays one number per row; losses in nats."""

    losses: Row
    denominators: Row  # what the row counts in the mean: 1, or the class weight of its target
    tops: NDArray[np.int64]  # the class of the largest q, -1 where q has a nan
    tied: NDArray[np.bool_]  # whether another class is as large
    margins: Row  # q of the true class minus the largest other; nan without a true class


def predict(given: Rows, kind: Kind, loss_kind: LossKind) -> Prediction:
    """Return the predictions that these numbers stand for."""
    # log 0 is -inf, and means it; exp underflows to 0 where the logarithm beside it does not
    with np.errstate(divide="ignore", under="ignore"):
        if loss_kind == "binary":
            if kind == "logits":
                log_q, log_not_q = -softplus(-given), -softplus(given)
                return Prediction(given, kind, loss_kind, sigmoid(given), log_q, log_not_q, sigmoid(-given))
            if kind == "log_probs":
                not_q = np.asarray(-np.expm1(given))
                return Prediction(
                    given, kind, loss_kind, np.asarray(np.exp(given)), given, np.asarray(np.log(not_q)), not_q
                )
            log_q, log_not_q = np.asarray(np.log(given)), np.asarray(np.log1p(-given))
            return Prediction(given, kind, loss_kind, given, log_q, log_not_q, np.asarray(1.0 - given))
        if kind == "logits":
            return Prediction(given, kind, loss_kind, softmax(given), log_softmax(given), None, None)
        if kind == "log_probs":
            return Prediction(given, kind, loss_kind, np.asarray(np.exp(given)), given, None, None)
        return Prediction(given, kind, loss_kind, given, np.asarray(np.log(given)), None, None)


def measure(given: Given, kind: Kind, target: Target, weighing: Weighing) -> tuple[Sums, PerRow]:
    """Return all sums over the rows, and what stays one number per row."""
    sums, rows = None, []
    for span in given.spans():
        prediction = predict(given.block(span), kind, target.loss_kind)
        labels = None if target.labels is None else target.labels[span]
        block, row = _measure_block(prediction, target.block(span), labels, weighing)
        sums = block if sums is None else sums + block
        rows.append(row)
    assert sums is not None  # `spans` is never empty
    columns = (np.concatenate([getattr(row, field.name) for row in rows]) for field in dataclasses.fields(PerRow))
    return sums, PerRow(*columns)


def _measure_block(
    prediction: Prediction, target: Rows, labels: NDArray[np.int64] | None, weighing: Weighing
) -> tuple[Sums, PerRow]:
    p = smoothed(target, weighing.smoothing) if weighing.smoothing else target
    w = np.ones(target.shape[1]) if weighing.weight is None else weighing.weight
    costs, no = contributions(prediction, p, w), prediction.log_not_q
    with np.errstate(invalid="ignore", over="ignore"):  # nan and inf of the input go their way
        sums = Sums(
            given=prediction.given.sum(axis=0),
            target=target.sum(axis=0),
            p=p.sum(axis=0),
            q=prediction.q.sum(axis=0),
            surprisal=-prediction.log_q.sum(axis=0),
            surprisal_no=np.zeros(target.shape[1]) if no is None else -no.sum(axis=0),
            contribution=costs.sum(axis=0),
            grad_logit=grad_logits(prediction, p, w).sum(axis=0),
            grad_prob=grad_probs(prediction, p, w).sum(axis=0),
            twice_gradient=_twice_gradient(prediction, p, w).sum(axis=0),
            squared_gradient=_squared_gradient(prediction, p).sum(axis=0),
            weights=np.asarray((w * p).sum() if prediction.loss_kind == "categorical" else len(p) * w.sum()),
            floor=_floor(prediction, p, weighing.weight).sum(axis=0),
            kl=_kl(prediction, p, weighing.weight).sum(axis=0),
            entropy_prediction=_entropy_prediction(prediction).sum(axis=0),
            js=_js(prediction, p).sum(axis=0),
            brier=np.square(prediction.q - p).sum(),
            binary=_binary(prediction, p).sum(),
            twice=_twice(prediction, p, w).sum(),
            twice_lowest=_twice_lowest(prediction, p, w),
        )
    return sums, _per_row(prediction, p, w, costs, target, labels, weighing)


def contributions(prediction: Prediction, p: Rows, w: Row) -> Rows:
    """Return what each class costs, in nats, with 0 log 0 = 0; a nan stays."""
    with np.errstate(invalid="ignore"):  # 0 * inf, which is replaced
        costs = np.where((p == 0.0) & (prediction.log_q == -np.inf), 0.0, p * -prediction.log_q)
        if prediction.log_not_q is not None:
            costs += np.where((p == 1.0) & (prediction.log_not_q == -np.inf), 0.0, (1.0 - p) * -prediction.log_not_q)
        return np.asarray(np.where((w == 0.0) & ~np.isnan(costs), 0.0, w * costs))


def row_losses(prediction: Prediction, p: Rows, w: Row, costs: Rows) -> Row:
    """Return the loss of each row by the definition that takes the prediction as it came."""
    if prediction.loss_kind == "binary" or prediction.kind == "log_probs":
        return np.asarray(costs.sum(axis=-1) + 0.0)
    if prediction.kind == "probs":
        return cross_entropy(w * p, prediction.q)
    return softmax_cross_entropy(prediction.given, w * p)


def grad_logits(prediction: Prediction, p: Rows, w: Row) -> Rows:
    """Return dL/dz of each row's loss in nats: q * sum(w p) - w p, with q as it is given."""
    if prediction.loss_kind == "binary":
        if prediction.kind == "logits":
            return np.asarray(w * sigmoid_cross_entropy_gradient(prediction.given, p))
        if prediction.kind == "log_probs":  # as for logits: q - 1 would be 0 where q rounds to 1
            return np.asarray(w * ((1.0 - p) * prediction.q - p * _no(prediction)))
        return np.asarray(w * (prediction.q - p))
    if prediction.kind == "logits":
        return softmax_cross_entropy_gradient(prediction.given, w * p)
    return np.asarray(prediction.q * (w * p).sum(axis=-1, keepdims=True) - w * p)


def grad_probs(prediction: Prediction, p: Rows, w: Row) -> Rows:
    """Return dL/dq of each row's loss in nats: -w p / q, and for several labels + w (1 - p) / (1 - q)."""
    slope = cross_entropy_gradient(w * p, prediction.q)
    if prediction.loss_kind == "binary":
        slope = slope - cross_entropy_gradient(w * (1.0 - p), _no(prediction))
    return slope


def _no(prediction: Prediction) -> Rows:
    assert prediction.not_q is not None  # several labels have it
    return prediction.not_q


def _answers(prediction: Prediction) -> NDArray[np.float64]:
    """Return q beside 1 - q, on a new last axis."""
    return np.stack([prediction.q, _no(prediction)], axis=-1)


def yes_and_no(values: Rows) -> NDArray[np.float64]:
    """Return each number beside its complement, on a new last axis."""
    return np.stack([values, 1.0 - values], axis=-1)


def _floor(prediction: Prediction, p: Rows, weight: Row | None) -> Row:
    """Return the least loss that any prediction has."""
    if prediction.loss_kind == "binary":
        return np.asarray((entropy(yes_and_no(p)) * (1.0 if weight is None else weight)).sum(axis=-1))
    if weight is None:
        return entropy(p)
    # sum t (-log q) with t = w p is least at q = t / sum(t), so the floor is that of a target reweighted
    shares, total = _shares(weight * p)
    return np.asarray(total * entropy(shares))


def _kl(prediction: Prediction, p: Rows, weight: Row | None) -> Row:
    """Return the excess over the floor; nan where q underflows under the truth and only a difference is left."""
    q, w = prediction.q, 1.0 if weight is None else weight
    vanished = (p > 0.0) & (q < SMALLEST_NORMAL) & (prediction.log_q > -np.inf)
    if prediction.loss_kind == "binary":
        assert prediction.log_not_q is not None  # several labels have it
        vanished |= (p < 1.0) & (_no(prediction) < SMALLEST_NORMAL) & (prediction.log_not_q > -np.inf)
        excess = (w * kl_divergence(yes_and_no(p), _answers(prediction))).sum(axis=-1)
    elif weight is None:
        excess = kl_divergence(p, q)
    else:
        shares, total = _shares(weight * p)
        excess = np.asarray(np.where(total == 0.0, 0.0, total * kl_divergence(shares, q)))
    return np.asarray(np.where(vanished.any(axis=-1), np.nan, excess))


def _shares(weights: Rows) -> tuple[Rows, Row]:
    total = weights.sum(axis=-1)
    safe = np.where(total == 0.0, 1.0, total)[..., np.newaxis]
    return np.minimum(weights / safe, 1.0), total


def _entropy_prediction(prediction: Prediction) -> Row:
    """Return H(q), with log q as it came: the logarithm of a q that rounds to 1 would be 0."""
    with np.errstate(invalid="ignore"):  # 0 * inf, which is replaced
        terms = np.where(prediction.q == 0.0, 0.0, prediction.q * -prediction.log_q)
        if prediction.log_not_q is not None:
            no = _no(prediction)
            terms = terms + np.where(no == 0.0, 0.0, no * -prediction.log_not_q)
    return np.asarray(terms.sum(axis=-1) + 0.0)


def _js(prediction: Prediction, p: Rows) -> Row:
    if prediction.loss_kind == "binary":
        return np.asarray(js_divergence(yes_and_no(p), _answers(prediction)).sum(axis=-1))
    return js_divergence(p, prediction.q)


def _binary(prediction: Prediction, p: Rows) -> Rows:
    if prediction.kind == "logits":
        return sigmoid_cross_entropy(prediction.given, p)
    each = prediction if prediction.loss_kind == "binary" else predict(prediction.given, prediction.kind, "binary")
    return contributions(each, p, np.ones(p.shape[1]))


def _twice(prediction: Prediction, p: Rows, w: Row) -> Rows:
    if prediction.kind != "probs":
        return np.zeros((0, p.shape[1]))  # nobody asks, and it would cost a quarter of the time
    if prediction.loss_kind == "binary":
        return np.asarray(w * sigmoid_cross_entropy(prediction.q, p))
    return softmax_cross_entropy(prediction.q, w * p)


def _twice_gradient(prediction: Prediction, p: Rows, w: Row) -> Rows:
    """Return the gradient that reaches the real logits: through softmax's Jacobian diag(q) - q q^T a second time."""
    if prediction.kind != "probs":
        return np.zeros((0, p.shape[1]))
    if prediction.loss_kind == "binary":
        return np.asarray(w * sigmoid_cross_entropy_gradient(prediction.q, p) * prediction.q * (1.0 - prediction.q))
    return through_softmax(softmax_cross_entropy_gradient(prediction.q, w * p), prediction.q)


def _twice_lowest(prediction: Prediction, p: Rows, w: Row) -> NDArray[np.float64]:
    """Return the least that softmax twice can report for certain targets; nan for others."""
    if not bool(((p == 0.0) | (p == 1.0)).all()):
        return np.asarray(np.nan)
    if prediction.loss_kind == "binary":
        return np.asarray((w * np.where(p == 1.0, math.log1p(math.exp(-1.0)), math.log(2.0))).sum())
    return np.asarray((w * p).sum() * lowest_after_second_softmax(p.shape[1]))


def lowest_after_second_softmax(classes: int) -> float:
    """Return ln(e + K - 1) - 1, in nats: the loss of a perfect one-hot prediction that goes through softmax again."""
    return math.log(math.e + classes - 1) - 1.0


def _squared_gradient(prediction: Prediction, p: Rows) -> Rows:
    slope = 2.0 / p.shape[1] * (prediction.q - p)
    if prediction.loss_kind == "binary":
        return np.asarray(slope * prediction.q * _no(prediction))
    return through_softmax(slope, prediction.q)


def through_softmax(slope: Rows, q: Rows) -> Rows:
    """Return a gradient in the probabilities as one in the logits."""
    return np.asarray(q * (slope - (q * slope).sum(axis=-1, keepdims=True)))


def _per_row(
    prediction: Prediction,
    p: Rows,
    w: Row,
    costs: Rows,
    target: Rows,
    labels: NDArray[np.int64] | None,
    weighing: Weighing,
) -> PerRow:
    losses = row_losses(prediction, p, w, costs)
    rows = len(target)
    denominators = np.ones(rows)
    if weighing.weight is not None and prediction.loss_kind == "categorical":
        # the class weight of the target as it was written, as crossent.cross_entropy counts it
        total = target.sum(axis=-1)
        denominators = (w * target).sum(axis=-1) / np.where(total == 0.0, 1.0, total)
        denominators[total == 0.0] = 1.0
    log_q = prediction.log_q
    known = ~np.isnan(log_q).any(axis=-1)
    tops = np.where(known, np.argmax(np.where(np.isnan(log_q), -np.inf, log_q), axis=-1), -1)
    tied = (log_q == log_q.max(axis=-1, keepdims=True)).sum(axis=-1) > 1
    margins = np.full(rows, np.nan)
    if labels is not None and target.shape[1] > 1:
        own = prediction.q[np.arange(rows), labels]
        others = prediction.q.copy()
        others[np.arange(rows), labels] = -np.inf
        margins = own - others.max(axis=-1)
    return PerRow(losses, denominators, tops, tied, margins)
