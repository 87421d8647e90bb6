"""A Diagnosis on a terminal: no number is computed here, and the standard library is enough."""

import math

from crossent.explaining.diagnosing.diagnosis import Diagnosis
from crossent.explaining.digits import amount
from crossent.explaining.finding import Finding
from crossent.explaining.paper import Paper, paper

LABEL = 10  # columns of the words evidence, rivals, decide, fix
FRAMEWORKS = {"torch": "torch", "keras": "Keras", "jax": "JAX", "sklearn": "sklearn"}


def render(
    diagnosis: Diagnosis, *, width: int | None = None, color: bool | None = None, unicode: bool | None = None
) -> str:
    """Return the diagnosis as text, one block per finding; None asks the terminal."""
    sheet = paper(width, color, unicode)
    blocks = [[*_title(diagnosis, sheet), *_headline(diagnosis, sheet)]]
    if not diagnosis.findings:
        blocks.append(sheet.wrap("No finding: nothing here looks like a known mistake.", indent=" "))
    blocks += [_finding(place, finding, diagnosis, sheet) for place, finding in enumerate(diagnosis.findings, 1)]
    return "\n\n".join("\n".join(block) for block in blocks)


def _title(diagnosis: Diagnosis, sheet: Paper) -> list[str]:
    count = len(diagnosis.findings)
    left = f"Diagnosis: {count or 'no'} {'finding' if count == 1 else 'findings'}"
    if count > 1:
        left += ", the likeliest first"
    right = "" if diagnosis.classes is None else f"{diagnosis.classes} classes, natural log"
    gap = sheet.width - len(left) - len(right)
    title = [left, right] if gap < 2 else [left + " " * gap * bool(right) + right]
    return [*title, sheet.write("─") * sheet.width]


def _headline(diagnosis: Diagnosis, sheet: Paper) -> list[str]:
    lines = []
    if diagnosis.loss_nats is not None:
        unit = " nats" if math.isfinite(diagnosis.loss_nats) else ""
        lines.append(sheet.bold(sheet.write(f" loss  {amount(diagnosis.loss_nats)}{unit}")))
    seen = []
    if diagnosis.function is not None:
        seen.append(diagnosis.function)
    if diagnosis.rows is not None:
        seen.append(f"{diagnosis.rows} rows")
    if diagnosis.steps is not None:
        left_out = f" ({diagnosis.steps_left_out} rows without a loss left out)" * bool(diagnosis.steps_left_out)
        seen.append(f"a history of {diagnosis.steps} steps{left_out}")
    if seen:
        lines += sheet.wrap("looked at " + ", ".join(seen), indent=" ", hanging="   ")
    if diagnosis.references:
        known = ", ".join(f"{line.name} {amount(line.loss_nats)}" for line in diagnosis.references)
        lines += sheet.wrap("compare   " + known, indent=" ", hanging=" " * (LABEL + 1))
    return lines


def _finding(place: int, finding: Finding, diagnosis: Diagnosis, sheet: Paper) -> list[str]:
    first, *more = sheet.wrap(f"{place}  {finding.code}  {finding.message}", indent=" ", hanging="    ")
    lines = [sheet.bold(first), *(sheet.bold(line) for line in more)]
    lines += sheet.wrap(finding.advice, indent="    ")
    lines += _part("evidence", "; ".join(finding.evidence), sheet)
    lines += _part("rivals", "; ".join(finding.rivals), sheet)
    lines += _part("decide by", finding.decide, sheet)
    chosen = [diagnosis.framework] if diagnosis.framework in finding.fix else list(finding.fix)
    for framework in chosen:
        name = FRAMEWORKS.get(str(framework), str(framework))
        for line, code in enumerate(finding.fix[str(framework)].splitlines()):
            # code is never wrapped: it is there to be copied
            lines.append(sheet.write(f"    {name if line == 0 else '':<{LABEL}} {code}"))
    return lines


def _part(label: str, text: str, sheet: Paper) -> list[str]:
    if not text:
        return []
    return sheet.wrap(f"{label:<{LABEL}} {text}", indent="    ", hanging=" " * (LABEL + 5))
