"""How bad is that: the loss beside a perfect and a uniform prediction, and whether the top guess was right."""

import math

from crossent.explaining.parts import Baselines, Guess
from crossent.explaining.reading import Row, Target
from crossent.units import nats_to_bits

FLOOR_REACHED = 1.0 + 1e-12  # loss and floor are two sums of rounded terms: this close, they are equal
EQUAL_BITS = 0.005  # the verdict shows two decimals: less than half a hundredth of a bit is no difference


def compare_with_baselines(
    loss_nats: float, floor_nats: float, log_q: Row, target: Target, names: tuple[str, ...], unit: float
) -> Baselines:
    """Return where a loss over so many classes stands; `log_q` instead of q, so that underflow hides no order."""
    classes = len(names)
    bits_worse = nats_to_bits(loss_nats - math.log(classes))
    top_classes = _largest(log_q)
    guess = _judge(top_classes, target)
    rank = None
    if target.true_class is not None and top_classes:
        rank = 1 + int((log_q > log_q[target.true_class]).sum())
    return Baselines(
        uniform=math.log(classes) / unit,
        bits_worse=bits_worse,
        verdict=_verdict(loss_nats, floor_nats, bits_worse, classes),
        top_classes=top_classes,
        guess=guess,
        guess_text=_guess_text(top_classes, guess, rank, names),
        rank_true=rank,
    )


def _largest(values: Row) -> tuple[int, ...]:
    return tuple(int(index) for index in (values == values.max()).nonzero()[0])


def _judge(top_classes: tuple[int, ...], target: Target) -> Guess:
    if not top_classes:
        return "unknown"
    if len(top_classes) > 1:
        return "tie"
    return "right" if top_classes[0] in _largest(target.p) else "wrong"


def _verdict(loss_nats: float, floor_nats: float, bits_worse: float, classes: int) -> str:
    uniform = f"guessing uniformly (log {classes})"
    if math.isnan(loss_nats):
        return "Not a number: it compares with nothing."
    if math.isinf(loss_nats):
        return f"Infinitely worse than {uniform}."
    if loss_nats == 0.0:
        return "Perfect: the truth got all of the probability."
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
    text = f"Top guess: class {names[top_classes[0]]} ({guess})."
    if guess == "wrong" and rank is not None and len(names) > 2:
        text += f" The true class ranks {rank} of {len(names)}."
    return text
