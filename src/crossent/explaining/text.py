"""An Explanation on a terminal: no number is computed here, and the standard library is enough."""

from crossent.explaining.batch_block import batch
from crossent.explaining.blocks import (
    as_logits,
    baselines,
    checks,
    decomposition,
    other_losses,
    small_steps,
    unseen,
)
from crossent.explaining.code_block import codes
from crossent.explaining.explanation import Explanation
from crossent.explaining.package_block import packages
from crossent.explaining.paper import Paper, paper
from crossent.explaining.steps import steps
from crossent.explaining.table import table
from crossent.explaining.words import amounts, chance, headings

RIGHT_PART = 42  # the column where the headline's second half starts


def render(
    explanation: Explanation,
    *,
    width: int | None = None,
    color: bool | None = None,
    unicode: bool | None = None,
    bits: bool = False,
) -> str:
    """Return the explanation as text, blocks separated by blank lines; None asks the terminal, `bits` adds the codes."""
    sheet = paper(width, color, unicode)
    split = decomposition(explanation, sheet)
    # with a soft target the floor and the excess are what there is to see: right below the table
    soft = explanation.entropy_target > 0.0
    blocks = [
        [*_title(explanation, sheet), *_headline(explanation, sheet)],
        _findings(explanation, sheet),
        packages(explanation, sheet),
        _table(explanation, sheet),
        split if soft else [],
        codes(explanation, sheet) if bits else [],
        batch(explanation, sheet),
        steps(explanation, sheet),
        baselines(explanation, sheet),
        [] if soft else split,
        unseen(explanation, sheet),
        small_steps(explanation, sheet),
        other_losses(explanation, sheet),
        as_logits(explanation, sheet),
        checks(explanation, sheet),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _title(explanation: Explanation, sheet: Paper) -> list[str]:
    left, right = headings(explanation)
    gap = sheet.width - len(left) - len(right)
    title = [left + " " * gap + right] if gap >= 2 else [*sheet.wrap(left, indent=""), *sheet.wrap(right, indent="")]
    return [*title, sheet.write("─") * sheet.width]


def _headline(explanation: Explanation, sheet: Paper) -> list[str]:
    left = sheet.write(f" loss  {amounts(explanation)}")
    right = sheet.write(chance(explanation))
    start = max(len(left) + 2, RIGHT_PART)
    if start + len(right) > sheet.width:
        lines = sheet.wrap(f"loss  {amounts(explanation)}", indent=" ", hanging="   ")
        return [*map(sheet.bold, lines), *sheet.wrap(right, indent=" ")]
    return [sheet.bold(left.ljust(start)) + right]


def _findings(explanation: Explanation, sheet: Paper) -> list[str]:
    lines = []
    for finding in explanation.findings:
        first, *more = sheet.wrap(f"FINDING  {finding.code}  {finding.message}", indent=" ", hanging="   ")
        lines += [sheet.bold(first), *more, *sheet.wrap(finding.advice)]
    return lines


def _table(explanation: Explanation, sheet: Paper) -> list[str]:
    lines = table(explanation, sheet)
    note = "raise, lower: where a training step moves that class's logit"
    if sheet.write("∂L/∂q") in lines[0] and plain_slope(explanation):  # a narrow table goes without
        note += "; ∂L/∂q = −p/q"
    if explanation.base != "e":
        note += "; gradients are of the loss in nats"
    lines += sheet.wrap(note)
    return lines if explanation.kind_reason.endswith("says") else lines + sheet.wrap(explanation.kind_reason)


def plain_slope(explanation: Explanation) -> bool:
    """Return whether dL/dq is -p/q as the books have it."""
    return explanation.loss_kind == "categorical" and not explanation.weighted and explanation.batch is None
