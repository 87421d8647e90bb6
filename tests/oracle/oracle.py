"""Exact answers at 50 digits: cross-entropies, entropies, divergences and their gradients, nothing of crossent in them.

Each function takes Python floats (every float16, bfloat16, float32 and float64 is one, exactly) and returns mpf numbers.
No formula here subtracts two numbers that are nearly equal where the result could be wanted relative to itself.
"""

import math
from collections import Counter
from collections.abc import Sequence

import mpmath

DIGITS = 50
exact = mpmath.MPContext()
exact.dps = DIGITS
Number = mpmath.mpf


class SoftmaxRow:
    """One row of logits, and everything that softmax makes of it.

    With M the largest logit, standing at its first place, and ``rest`` the sum of exp(x_k - M) over all other places::

        -log p_j = (M - x_j) + log1p(rest)          p_j = exp(x_j - M) / (1 + rest)

    One +inf logit takes all of the probability.  Two of them, a NaN, or nothing but -inf make the row undefined.
    """

    def __init__(self, logits: Sequence[float]) -> None:
        self.logits = [float(logit) for logit in logits]
        certain = self.logits.count(math.inf)
        self.undefined = any(math.isnan(logit) for logit in self.logits) or certain > 1 or max(self.logits) == -math.inf
        if self.undefined:
            return
        self.maximum = max(self.logits)
        self.place = self.logits.index(self.maximum)
        counts = Counter(self.logits)  # large rows of the tables hold few distinct values: each needs one exp
        self.relative = {logit: self._relative(logit) for logit in counts}
        counts[self.maximum] -= 1
        self.rest = exact.fsum(count * self.relative[logit] for logit, count in counts.items())

    def _relative(self, logit: float) -> Number:
        if logit == self.maximum:
            return exact.mpf(1)
        if logit == -math.inf or self.maximum == math.inf:
            return exact.mpf(0)
        return exact.exp(exact.mpf(logit) - exact.mpf(self.maximum))

    def loss(self, place: int) -> Number:
        """Return -log p of one class, in nats."""
        if self.undefined:
            return exact.nan
        logit = self.logits[place]
        if self.relative[logit] == 0 and (logit == -math.inf or self.maximum == math.inf):
            return exact.inf
        distance = exact.mpf(0) if logit == self.maximum else exact.mpf(self.maximum) - exact.mpf(logit)
        return distance + exact.log1p(self.rest)

    def probability(self, place: int) -> Number:
        """Return p of one class."""
        return exact.nan if self.undefined else self.relative[self.logits[place]] / (1 + self.rest)

    def complement(self, place: int) -> Number:
        """Return 1 - p of one class, as the sum of the others' probabilities."""
        if self.undefined:
            return exact.nan
        others = self.rest if place == self.place else 1 + self.rest - self.relative[self.logits[place]]
        return others / (1 + self.rest)


def softmax_cross_entropy(row: SoftmaxRow, target: dict[int, Number]) -> Number:
    """Return sum_j y_j (-log p_j) in nats; `target` holds the y_j that are not 0, and 0 log 0 = 0."""
    if row.undefined:
        return exact.nan
    return exact.fsum(weight * row.loss(place) for place, weight in target.items() if weight != 0)


def softmax_cross_entropy_gradient(row: SoftmaxRow, target: dict[int, Number], place: int) -> tuple[Number, Number]:
    """Return the gradient p_j sum(y) - y_j with respect to one logit, and its scale max(p_j sum(y), y_j).

    Written as p_j sum_{k != j} y_k - y_j (1 - p_j), which at a one-hot target subtracts nothing.
    """
    if row.undefined:
        return exact.nan, exact.nan
    own = target.get(place, exact.mpf(0))
    others = exact.fsum(weight for other, weight in target.items() if other != place)
    probability = row.probability(place)
    gradient = probability * others - own * row.complement(place)
    return gradient, max(probability * (own + others), own)


def hard_target(place: int) -> dict[int, Number]:
    """Return the target of a class id."""
    return {place: exact.mpf(1)}


def soft_target(weights: Sequence[float]) -> dict[int, Number]:
    """Return the target of a distribution over the classes."""
    return {place: exact.mpf(float(weight)) for place, weight in enumerate(weights) if weight != 0}


def top_k_target(ids: Sequence[int], probs: Sequence[float], classes: int, rest: str) -> dict[int, Number]:
    """Return the target of the k listed classes; under "uniform" the others share equally what is missing to 1."""
    target = {int(place): exact.mpf(float(weight)) for place, weight in zip(ids, probs, strict=True)}
    if rest == "uniform" and len(target) < classes:
        share = (1 - exact.fsum(target.values())) / (classes - len(target))
        target.update({place: share for place in range(classes) if place not in target})
    return target


def smoothed(target: dict[int, Number], smoothing: float, classes: int) -> dict[int, Number]:
    """Return y (1 - e) + e / C for every class."""
    amount = exact.mpf(smoothing)
    return {place: target.get(place, 0) * (1 - amount) + amount / classes for place in range(classes)}


def weighted(target: dict[int, Number], class_weight: Sequence[float]) -> dict[int, Number]:
    """Return y_j w_j: class weights multiply after smoothing."""
    return {place: weight * exact.mpf(float(class_weight[place])) for place, weight in target.items()}


def sigmoid_cross_entropy(logit: float, target: float) -> tuple[Number, Number, Number]:
    """Return the loss y log(1 + e^-x) + (1 - y) log(1 + e^x) in nats, its gradient s(x) - y, and the gradient's scale."""
    if math.isnan(logit) or math.isnan(target):
        return exact.nan, exact.nan, exact.nan
    yes, no = exact.mpf(target), 1 - exact.mpf(target)
    loss = (yes * _softplus(-logit) if yes else 0) + (no * _softplus(logit) if no else 0)
    up, down = _sigmoid(logit), _sigmoid(-logit)
    return loss, no * up - yes * down, max(up, yes)


def _softplus(value: float) -> Number:
    if math.isinf(value):
        return exact.inf if value > 0 else exact.mpf(0)
    tail = exact.log1p(exact.exp(-abs(exact.mpf(value))))
    return exact.mpf(value) + tail if value > 0 else tail


def _sigmoid(value: float) -> Number:
    if math.isinf(value):
        return exact.mpf(1 if value > 0 else 0)
    tail = exact.exp(-abs(exact.mpf(value)))
    return 1 / (1 + tail) if value > 0 else tail / (1 + tail)


def negative_log(probability: float) -> Number:
    """Return -log q in nats; +inf at q = 0."""
    return exact.inf if probability == 0 else -exact.log(exact.mpf(probability))


def cross_entropy(target: dict[int, Number], probs: Sequence[float]) -> Number:
    """Return -sum p log q in nats, with 0 log 0 = 0."""
    return exact.fsum(weight * negative_log(probs[place]) for place, weight in target.items() if weight != 0)


def cross_entropy_gradient(target: dict[int, Number], probs: Sequence[float], place: int) -> Number:
    """Return -p/q for one class: 0 where p = 0, -inf where only q = 0."""
    weight = target.get(place, exact.mpf(0))
    if weight == 0:
        return exact.mpf(0)
    return exact.ninf if probs[place] == 0 else -weight / exact.mpf(probs[place])


def entropy(probs: Sequence[float]) -> Number:
    """Return -sum p log p in nats."""
    return exact.fsum(-exact.mpf(p) * exact.log(exact.mpf(p)) for p in probs if p != 0)


def kl_divergence(first: Sequence[float], second: Sequence[float]) -> tuple[Number, Number]:
    """Return sum p log(p/q) in nats, and the sum of the terms' magnitudes, against which rounding is measured."""
    terms = [_relative_entropy(exact.mpf(p), exact.mpf(q)) for p, q in zip(first, second, strict=True)]
    return exact.fsum(terms), exact.fsum(abs(term) for term in terms)


def js_divergence(first: Sequence[float], second: Sequence[float]) -> tuple[Number, Number]:
    """Return (KL(p, m) + KL(q, m)) / 2 in nats with m = (p + q) / 2, and the sum of the terms' magnitudes."""
    terms = []
    for p_float, q_float in zip(first, second, strict=True):
        p, q = exact.mpf(p_float), exact.mpf(q_float)
        middle = (p + q) / 2
        terms += [_relative_entropy(p, middle) / 2, _relative_entropy(q, middle) / 2]
    return exact.fsum(terms), exact.fsum(abs(term) for term in terms)


def _relative_entropy(p: Number, q: Number) -> Number:
    if p == 0:
        return exact.mpf(0)
    return exact.inf if q == 0 else p * exact.log(p / q)


def as_pair(value: Number) -> tuple[float, float]:
    """Return the float64 nearest to an exact number, and the float64 nearest to what it leaves out."""
    high = float(value)
    return high, (float(value - exact.mpf(high)) if math.isfinite(high) else 0.0)
