"""How bad is that: the loss beside perfect, uniform and prior predictions, and whether the top guess was right."""

import math
from dataclasses import dataclass

import numpy as np

from crossent.definitions.cross_entropy import cross_entropy
from crossent.explaining.digits import compact
from crossent.explaining.measuring import PerRow, Sums, yes_and_no
from crossent.explaining.names import shorten
from crossent.explaining.parts import Baselines, Guess, LossKind
from crossent.explaining.reading import Row
from crossent.explaining.targets import Target
from crossent.units import nats_to_bits

FLOOR_REACHED = 1.0 + 1e-12  # loss and floor are two sums of rounded terms: this close, they are equal
EQUAL_BITS = 0.005  # the verdict shows two decimals: less than half a hundredth of a bit is no difference


@dataclass(frozen=True)
class Place:
    """Where the guesses of one row or a batch stand."""

    top_classes: tuple[int, ...]
    guess: Guess
    text: str
    rank_true: int | None
    top1: float | None
    margin: float | None


def compare_with_baselines(
    loss_nats: float,
    floor_nats: float,
    sums: Sums,
    divisor: float,
    unit: float,
    loss_kind: LossKind,
    place: Place,
    prior: tuple[Row, str] | None,
    weight: Row,
) -> Baselines:
    """Return where a loss stands; `prior` is the class frequencies and where they come from."""
    classes = len(sums.p)
    answers = 2 if loss_kind == "binary" else classes
    weights = float(sums.weights) / divisor
    uniform = weights * math.log(answers)
    bits_worse = nats_to_bits(loss_nats - uniform)
    prior_nats = None if prior is None else _prior_nats(prior[0], sums, divisor, loss_kind, weight)
    times = "" if abs(weights - 1.0) < 1e-6 or not math.isfinite(weights) else f"{compact(weights)} × "
    return Baselines(
        uniform=uniform / unit,
        bits_worse=bits_worse,
        verdict=_verdict(
            loss_nats,
            floor_nats,
            bits_worse,
            f"guessing uniformly ({times}log {answers})",
            _perfect(weights, bool(((weight == 0.0) & (sums.p > 0.0)).any())),
        ),
        prior=None if prior_nats is None else prior_nats / unit,
        prior_bits_worse=None if prior_nats is None else nats_to_bits(loss_nats - prior_nats),
        prior_source=None if prior is None else prior[1],
        top_classes=place.top_classes,
        guess=place.guess,
        guess_text=place.text,
        rank_true=place.rank_true,
        top1=place.top1,
        margin=place.margin,
    )


def _prior_nats(prior: Row, sums: Sums, divisor: float, loss_kind: LossKind, weight: Row) -> float:
    """Return the loss of predicting the class frequencies for every row."""
    if loss_kind == "binary":
        yes = sums.p
        rows = float(sums.weights) / float(weight.sum()) if weight.sum() > 0.0 else math.nan
        both = np.stack([weight * yes, weight * (rows - yes)], axis=-1)
        return float(cross_entropy(np.maximum(both, 0.0), yes_and_no(prior)).sum()) / divisor
    return float(cross_entropy(weight * sums.p, prior)) / divisor


def place_of_row(log_q: Row, q: Row, p: Row, target: Target, names: tuple[str, ...], margin: float) -> Place:
    """Return where one row's guess stands; `log_q` beside q, so that underflow hides no order."""
    if target.loss_kind == "binary":
        right = int(((q > 0.5) == (p > 0.5)).sum())
        text = f"At a cut of 0.5, {right} of {len(names)} answers are right."
        return Place((), "unknown", text, None, right / len(names), None)
    top_classes = _largest(log_q)
    guess = _judge(top_classes, p)
    rank = None
    if target.labels is not None and top_classes:
        rank = 1 + int((log_q > log_q[target.labels[0]]).sum())
    top1 = None if guess == "unknown" else float(guess == "right")
    return Place(top_classes, guess, _guess_text(top_classes, guess, rank, names), rank, top1, _number(margin))


def place_of_batch(rows: PerRow, target: Target) -> Place:
    """Return the accuracy of many rows; a tie counts as wrong, as nobody guessed."""
    if target.labels is None or not len(rows.losses):
        return Place((), "unknown", "", None, None, None)
    right = (rows.tops == target.labels) & ~rows.tied
    share = float(right.mean())
    margin = float(rows.margins.mean())
    return Place((), "unknown", f"The top guess is right in {share:.1%} of the rows.", None, share, _number(margin))


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value + 0.0


def _largest(values: Row) -> tuple[int, ...]:
    return tuple(int(index) for index in (values == values.max()).nonzero()[0])


def _judge(top_classes: tuple[int, ...], p: Row) -> Guess:
    if not top_classes:
        return "unknown"
    if len(top_classes) > 1:
        return "tie"
    return "right" if top_classes[0] in _largest(p) else "wrong"


def _perfect(weights: float, uncounted: bool) -> str:
    """Return what a loss of 0 means: not much where class weights are 0."""
    if weights == 0.0:
        return "Nothing counts: the class weights of the target are 0."
    if uncounted:
        return "Perfect where it counts; the class weights of the rest are 0."
    return "Perfect: the truth got all of the probability."


def _verdict(loss_nats: float, floor_nats: float, bits_worse: float, uniform: str, perfect: str) -> str:
    if math.isnan(loss_nats):
        return "Not a number: it compares with nothing."
    if math.isinf(loss_nats):
        return f"Infinitely worse than {uniform}."
    if loss_nats == 0.0:
        return perfect
    if loss_nats <= floor_nats * FLOOR_REACHED:
        return "Perfect for this target: nothing scores below H(p)."
    if abs(bits_worse) < EQUAL_BITS:
        return f"No better and no worse than {uniform}."
    amount = f"{abs(bits_worse):.2f}"
    bits = "bit" if amount == "1.00" else "bits"
    return f"{amount} {bits} {'worse' if bits_worse > 0.0 else 'better'} than {uniform}."


def _guess_text(top_classes: tuple[int, ...], guess: Guess, rank: int | None, names: tuple[str, ...]) -> str:
    if guess == "unknown":
        return "Top guess: unknown."
    if guess == "tie":
        return f"Top guess: a tie of {len(top_classes)} classes."
    text = f"Top guess: class {shorten(names[top_classes[0]])} ({guess})."
    if guess == "wrong" and rank is not None and len(names) > 2:
        text += f" The true class ranks {rank} of {len(names)}."
    return text
