"""The parts of an Explanation: data only, so that no two ways of showing it can disagree on a number."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["probs", "logits", "log_probs"]
TargetKind = Literal["index", "onehot", "soft"]
Guess = Literal["right", "wrong", "tie", "unknown"]


@dataclass(frozen=True)
class Term:
    """One class: surprisal and contribution in the explanation's base, both gradients of the loss in nats."""

    index: int
    name: str
    given: float  # the prediction as it came: a probability, a logit or a log-probability
    p: float
    q: float
    surprisal: float  # -log q
    contribution: float  # p * (-log q)
    grad_logit: float  # dL/dz = q * sum(p) - p
    grad_prob: float  # dL/dq = -p / q


@dataclass(frozen=True)
class Rest:
    """The classes that a short table leaves out, together."""

    count: int
    p: float
    q: float
    contribution: float
    grad_logit: float


@dataclass(frozen=True)
class Baselines:
    """How bad the loss is, next to what costs no thought."""

    uniform: float  # log K, in the explanation's base
    bits_worse: float  # loss minus log K, in bits
    verdict: str
    top_classes: tuple[int, ...]  # more than one is a tie, none means that q has a nan
    guess: Guess
    guess_text: str
    rank_true: int | None  # 1 + the classes that got more than the true one


@dataclass(frozen=True)
class AsLogits:
    """What a function that expects logits would make of these probabilities: softmax, twice."""

    loss: float  # in the explanation's base
    lowest: float | None  # log(e + K - 1) - log e: no probabilities get below it; None for a soft target
    gradient_ratio: float | None  # the gradient's norm without the second softmax, over the one with it


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
class Finding:
    """Something about this input that a reader should know before trusting the number."""

    code: str
    message: str
    advice: str
