"""An Explanation as GitHub-flavoured Markdown: a table, the findings, and each block as a list."""

import re

from crossent.explaining.batch_block import batch
from crossent.explaining.blocks import as_logits, baselines, checks, decomposition, other_losses, small_steps, unseen
from crossent.explaining.explanation import Explanation
from crossent.explaining.package_block import packages
from crossent.explaining.paper import Paper
from crossent.explaining.steps import steps
from crossent.explaining.table import cells
from crossent.explaining.words import amounts, chance, headings

WIDE = Paper(width=100_000, color=False, unicode=True)  # no line breaks: whoever shows Markdown wraps by itself
BLOCKS = (baselines, decomposition, batch, unseen, small_steps, other_losses, as_logits, checks)


def to_markdown(explanation: Explanation) -> str:
    """Return the explanation as Markdown, a line break at its end."""
    left, right = headings(explanation)
    lines = [f"### {_text(left)}", "", f"{_text(right)}", ""]
    lines += [f"**loss {_text(amounts(explanation))}**, {_text(chance(explanation))}", ""]
    lines += [
        f"- **{finding.code}** {_text(f'{finding.message} {finding.advice}')}" for finding in explanation.findings
    ]
    lines += [""] if explanation.findings else []
    answers = packages(explanation, WIDE)
    lines += ["```text", *answers, "```", ""] if answers else []
    found = cells(explanation)
    lines += [_row(found.headers), _row(["--:"] * len(found.headers), escaped=False)]
    for index, row in zip(explanation.shown, found.rows, strict=True):
        name, *others = row
        lines.append(_row([f"★ {name}" if index == explanation.true_class else name, *others]))
    if found.rest:
        lines.append(_row([found.rest, *[""] * (len(found.headers) - 1)]))
    lines += [_row(found.sums), "", "```text", *steps(explanation, WIDE), "```", ""]
    for block in BLOCKS:
        body = [line.strip() for line in block(explanation, WIDE)]
        if body:
            lines += [f"**{_text(body[0])}**", "", *(f"- {_text(line)}" for line in body[1:]), ""]
    return "\n".join(lines).rstrip() + "\n"


def _row(cells_of_row: list[str], *, escaped: bool = True) -> str:
    return "| " + " | ".join(_text(cell) if escaped else cell for cell in cells_of_row) + " |"


def _text(text: str) -> str:
    """Return text that Markdown shows as it is: no name turns into a link, a tag or a new cell."""
    text = "".join(sign if sign.isprintable() else "?" for sign in text)
    return re.sub(r"([\\`*_\[\]<>|#~$])", r"\\\1", text)
