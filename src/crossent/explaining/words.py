"""The words above the table, the same on a terminal, in a notebook and in Markdown."""

import math

from crossent.explaining.digits import amount, chances, compact
from crossent.explaining.explanation import Explanation

UNITS = {"e": "nats", "2": "bits", "10": "hartleys"}
LOGARITHMS = {"e": "natural log", "2": "log base 2", "10": "log base 10"}
READ_AS = {"probs": "", "logits": " from logits", "log_probs": " from log-probabilities"}


def headings(explanation: Explanation) -> tuple[str, str]:
    """Return what is explained, and how it was read."""
    name = "Binary cross-entropy" if explanation.loss_kind == "binary" else "Cross-entropy"
    rows = None if explanation.batch is None else explanation.batch.rows
    over = "one prediction" if rows is None else "1 row" if rows == 1 else f"{rows} rows"
    total = "" if explanation.reduction == "mean" else ", their sum" if rows is not None else ", not divided"
    right = f"{explanation.classes} {'class' if explanation.classes == 1 else 'classes'}{READ_AS[explanation.kind]}"
    if explanation.label_smoothing:
        right += f", smoothing {compact(explanation.label_smoothing)}"
    return f"{name} of {over}{total}", f"{right}, {LOGARITHMS[explanation.base]}"


def amounts(explanation: Explanation) -> str:
    """Return the loss in the base's own unit, then in the two that everybody knows."""
    parts = {UNITS[explanation.base]: explanation.loss, "nats": explanation.loss_nats, "bits": explanation.loss_bits}
    if explanation.loss == 0.0 or not math.isfinite(explanation.loss):
        return amount(explanation.loss)
    return " = ".join(f"{amount(value)} {unit}" for unit, value in parts.items())


def chance(explanation: Explanation) -> str:
    """Return the loss as a chance or a number of choices, in words."""
    if math.isnan(explanation.loss):
        return "not a number: see the finding"
    if explanation.one_in is None:
        if math.isinf(explanation.loss):
            return _no_chance(explanation)
        return f"perplexity {chances(explanation.perplexity)}"
    assert explanation.true_class is not None  # it got one chance in so many
    surprisal = explanation.terms[explanation.true_class].surprisal
    if math.isinf(surprisal):
        return "the true class got no chance at all"
    if math.isinf(explanation.one_in):
        return f"the true class got 1 chance in {explanation.base}^{compact(surprisal)}"
    # label smoothing makes the others part of the target
    others = ", another class of the target none" if math.isinf(explanation.loss) else ""
    return f"the true class got 1 chance in {chances(explanation.one_in)}{others}"


def _no_chance(explanation: Explanation) -> str:
    if explanation.batch is None:
        return "a class of the target got no chance"
    certain = explanation.target_kind in ("index", "onehot") and not explanation.label_smoothing
    return "some row got no chance" if certain else "in some row a class of the target got no chance"
