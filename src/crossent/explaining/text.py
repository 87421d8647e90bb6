"""An Explanation on a terminal: no number is computed here, and the standard library is enough."""

import math

from crossent.explaining.blocks import as_logits, baselines, checks, decomposition, steps, unseen
from crossent.explaining.digits import amount, chances, compact
from crossent.explaining.explanation import Explanation
from crossent.explaining.paper import Paper, paper
from crossent.explaining.table import table

RIGHT_PART = 42  # the column where the headline's second half starts
UNITS = {"e": "nats", "2": "bits", "10": "hartleys"}
LOGARITHMS = {"e": "natural log", "2": "log base 2", "10": "log base 10"}
READ_AS = {"probs": "", "logits": " from logits", "log_probs": " from log-probabilities"}


def render(
    explanation: Explanation, *, width: int | None = None, color: bool | None = None, unicode: bool | None = None
) -> str:
    """Return the explanation as text, blocks separated by blank lines; None asks the terminal."""
    sheet = paper(width, color, unicode)
    blocks = [
        [*_title(explanation, sheet), *_headline(explanation, sheet)],
        _findings(explanation, sheet),
        _table(explanation, sheet),
        steps(explanation, sheet),
        baselines(explanation, sheet),
        decomposition(explanation, sheet),
        unseen(explanation, sheet),
        as_logits(explanation, sheet),
        checks(explanation, sheet),
    ]
    if explanation.target_kind == "soft":
        # with a soft target the floor and the excess are what there is to see: right below the table
        blocks.insert(3, blocks.pop(5))
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _title(explanation: Explanation, sheet: Paper) -> list[str]:
    classes = len(explanation.terms)
    left = "Cross-entropy of one prediction"
    right = f"{classes} {'class' if classes == 1 else 'classes'}{READ_AS[explanation.kind]}"
    right += f", {LOGARITHMS[explanation.base]}"
    gap = sheet.width - len(left) - len(right)
    title = [left, right] if gap < 2 else [left + " " * gap + right]
    return [*title, sheet.write("─") * sheet.width]


def _headline(explanation: Explanation, sheet: Paper) -> list[str]:
    # the base's own unit first, then the two everybody knows
    parts = {UNITS[explanation.base]: explanation.loss, "nats": explanation.loss_nats, "bits": explanation.loss_bits}
    text = " = ".join(f"{amount(value)} {unit}" for unit, value in parts.items())
    plain = explanation.loss == 0.0 or not math.isfinite(explanation.loss)
    left = sheet.write(f" loss  {amount(explanation.loss) if plain else text}")
    right = sheet.write(_chance(explanation))
    start = max(len(left) + 2, RIGHT_PART)
    if start + len(right) > sheet.width:
        return [sheet.bold(left), " " + right]
    return [sheet.bold(left.ljust(start)) + right]


def _chance(explanation: Explanation) -> str:
    if math.isnan(explanation.loss):
        return "not a number: see the finding"
    if explanation.one_in is None:
        if math.isinf(explanation.loss):
            return "a class of the target got no chance"
        return f"perplexity {chances(explanation.perplexity)}"
    if math.isinf(explanation.loss):
        return "the true class got no chance at all"
    if math.isinf(explanation.one_in):
        return f"the true class got 1 chance in e^{compact(explanation.loss_nats)}"
    return f"the true class got 1 chance in {chances(explanation.one_in)}"


def _findings(explanation: Explanation, sheet: Paper) -> list[str]:
    lines = []
    for finding in explanation.findings:
        first, *more = sheet.wrap(f"FINDING  {finding.code}  {finding.message}", indent=" ", hanging="   ")
        lines += [sheet.bold(first), *more, *sheet.wrap(finding.advice)]
    return lines


def _table(explanation: Explanation, sheet: Paper) -> list[str]:
    lines = table(explanation, sheet)
    note = "raise, lower: where a training step moves that class's logit"
    if sheet.write("∂L/∂q") in lines[0]:  # a narrow table goes without
        note += "; ∂L/∂q = −p/q"
    if explanation.base != "e":
        note += "; gradients are of the loss in nats"
    return lines + sheet.wrap(note)
