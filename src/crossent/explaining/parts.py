"""The parts of an Explanation: data only, so that no two ways of showing it can disagree on a number."""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["probs", "logits", "log_probs"]
TargetKind = Literal["index", "onehot", "soft", "multilabel"]
LossKind = Literal["categorical", "binary"]  # one answer among the classes, or a yes or no for each class
Reduction = Literal["mean", "sum"]
Guess = Literal["right", "wrong", "tie", "unknown"]


@dataclass(frozen=True)
class Term:
    """One class: surprisal and contribution in the explanation's base, both gradients of the loss in nats.

    In a batch, target, p, q and surprisal are means over the rows; contribution and gradients are what the class adds
    to the loss of all of them.
    """

    index: int
    name: str
    given: float  # the prediction as it came: a probability, a logit or a log-probability
    target: float  # the target as it came
    p: float  # the target after label smoothing
    weight: float  # the class weight, 1 without
    q: float
    surprisal: float  # -log q
    surprisal_no: float | None  # -log(1 - q), for several labels; None for one answer among the classes
    contribution: float  # w * p * (-log q); for several labels also w * (1 - p) * (-log(1 - q))
    share: float | None  # contribution / loss; None where that is no number
    ideal_bits: float  # -log2 q: the length of an ideal code word
    huffman_bits: int | None  # the length of this class's word in a Huffman code made for q; None where q = 0
    huffman_code: str | None
    grad_logit: float  # dL/dz = q * sum(w p) - w p
    grad_prob: float  # dL/dq = -w p / q


@dataclass(frozen=True)
class Rest:
    """The classes that a short table leaves out, together."""

    count: int
    p: float
    q: float
    contribution: float
    grad_logit: float


@dataclass(frozen=True)
class Codes:
    """A Huffman code made for q, and what it costs when the messages follow q, and when they follow p."""

    mean_bits: float  # sum q * length, at least H(q) in bits and less than 1 bit above it
    mean_bits_under_target: float  # sum p * length; inf where a class has no word


@dataclass(frozen=True)
class Baselines:
    """How bad the loss is, next to what costs no thought."""

    uniform: float  # log K for one row, in the explanation's base
    bits_worse: float  # loss minus uniform, in bits
    verdict: str
    prior: float | None  # the loss of predicting the class frequencies for every row
    prior_bits_worse: float | None
    prior_source: str | None  # where the class frequencies come from
    top_classes: tuple[int, ...]  # more than one is a tie, none means that q has a nan or that there are many rows
    guess: Guess
    guess_text: str
    rank_true: int | None  # 1 + the classes that got more than the true one
    top1: float | None  # the share of rows whose top guess is right: 1 or 0 for one row
    margin: float | None  # q of the true class minus the largest other q; in a batch the mean of it


@dataclass(frozen=True)
class AsLogits:
    """What a function that expects logits would make of these probabilities: softmax, twice."""

    loss: float  # in the explanation's base
    lowest: float | None  # log(e + K - 1) - log e: no probabilities get below it; None for a soft target
    gradient_ratio: float | None  # the gradient's norm without the second softmax, over the one with it


@dataclass(frozen=True)
class AsBinary:
    """The same numbers under binary cross-entropy, one yes or no per class, in the explanation's base."""

    sum: float
    mean: float  # over the classes


@dataclass(frozen=True)
class AsSquared:
    """The same numbers under the squared error of the probabilities."""

    mean: float  # over the classes
    grad_norm: float  # of its slope in the logits
    grad_true: float | None  # its slope in the true class's logit: near 0 for a confident error


@dataclass(frozen=True)
class Sensitivity:
    """What a small step on the true class does to the loss, in the explanation's base."""

    index: int
    loss_if_logit_raised: float  # z + 0.1
    loss_if_prob_raised: float | None  # q + 0.01, the other classes scaled down; None where q > 0.99


@dataclass(frozen=True)
class Unseen:
    """Another split of the probability among the classes with p = 0: the same loss, another gradient."""

    total: float  # the probability that was split anew
    even: bool  # split evenly; else all of it went to one class
    q: tuple[float, ...]
    grad_norm: float


@dataclass(frozen=True)
class Check:
    """An identity that must hold, both sides computed on their own."""

    name: str
    left: float
    right: float
    absolute_error: float
    holds: bool


@dataclass(frozen=True)
class RowLoss:
    """One row of a batch: its loss in the explanation's base, its true class and its top guess."""

    row: int
    loss: float
    true_name: str | None  # None where the target is no single class
    guess_name: str | None  # None where q has a nan


@dataclass(frozen=True)
class Histogram:
    """How many finite row losses lie in each of equally wide bins."""

    edges: tuple[float, ...]  # one more than counts, in the explanation's base
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Batch:
    """What only many rows have; losses are in the explanation's base and without the class weights' denominator."""

    rows: int
    total: float  # the sum of the row losses
    mean: float  # total / denominator
    denominator: float
    denominator_rule: str
    effective_n: int  # rows whose weight is above 0
    infinite_rows: int
    nan_rows: int
    worst_rows: tuple[RowLoss, ...]  # the ten with the largest losses
    worst_percent_rows: int  # one row in a hundred, at least one
    share_of_worst: float | None  # of the total, by those; None where the total is not above 0 and finite
    histogram: Histogram | None  # None where no loss is finite
    # the least loss of one prediction for all rows: H of the mean target, or what weights and a sum make of it
    target_entropy: float
    losses: NDArray[np.float64] = field(compare=False, repr=False)  # (rows,), read-only

    def __post_init__(self) -> None:
        object.__setattr__(self, "losses", _frozen(self.losses))

    def __setstate__(self, state: dict[str, Any]) -> None:
        # a pickled or copied array is writeable again
        self.__dict__.update({**state, "losses": _frozen(state["losses"])})

    def worst(self, count: int) -> tuple[tuple[int, float], ...]:
        """Return (row, loss) of so many rows, the largest loss first; a nan is larger than any."""
        order = worst_first(self.losses, count)
        return tuple((int(row), float(self.losses[row])) for row in order)


def _frozen(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a copy that stays read-only: its memory is that of bytes, so the flag cannot be set back."""
    return np.frombuffer(values.tobytes(), dtype=np.float64)


def worst_first(losses: NDArray[np.float64], count: int) -> NDArray[np.intp]:
    """Return the rows of the largest losses, in order; the earlier row first among equals."""
    return np.argsort(np.where(np.isnan(losses), -np.inf, -losses), kind="stable")[: max(count, 0)]
