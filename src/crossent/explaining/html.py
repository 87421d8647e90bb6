"""An Explanation in a notebook: one plain table with inline styles, no script, at most 12 KB."""

from html import escape

from crossent.explaining.batch_block import batch
from crossent.explaining.blocks import as_logits, baselines, checks, decomposition, other_losses, small_steps, unseen
from crossent.explaining.explanation import Explanation
from crossent.explaining.package_block import packages
from crossent.explaining.paper import Paper
from crossent.explaining.steps import steps
from crossent.explaining.table import cells
from crossent.explaining.words import amounts, chance, headings

WIDE = Paper(width=100_000, color=False, unicode=True)  # no line breaks: a browser wraps by itself
RIGHT = "text-align:right"
BAR = "display:inline-block;height:.7em;background:currentColor;opacity:.4;width:"
BAR_WIDTH = 6.0  # em
BLOCKS = (steps, baselines, decomposition, batch, unseen, small_steps, other_losses, as_logits, checks)


def table_of(explanation: Explanation) -> str:
    """Return the explanation as HTML that needs no style sheet and suits light and dark pages."""
    left, right = headings(explanation)
    caption = f"<b>{_text(left)}</b>, {_text(right)}<br>loss <b>{_text(amounts(explanation))}</b>"
    parts = [
        '<div style="max-width:60em">',
        '<table style="border-collapse:collapse">',
        f'<caption style="text-align:left">{caption}, {_text(chance(explanation))}</caption>',
        *_rows(explanation),
        "</table>",
    ]
    if explanation.findings:
        items = (f"<li><b>{_text(f.code)}</b> {_text(f.message)} {_text(f.advice)}</li>" for f in explanation.findings)
        parts.append(f"<ul>{''.join(items)}</ul>")
    answers = packages(explanation, WIDE)
    if answers:
        parts.append(f"<pre>{_text(chr(10).join(answers))}</pre>")
    for block in BLOCKS:
        lines = [line.strip() for line in block(explanation, WIDE)]
        if lines:
            body = "<br>".join(_text(line) for line in lines[1:])
            parts.append(
                f"<details{' open' if block is steps else ''}><summary>{_text(lines[0])}</summary>{body}</details>"
            )
    return "\n".join([*parts, "</div>"])


def _rows(explanation: Explanation) -> list[str]:
    found = cells(explanation)
    head = "".join(f'<th scope="col" style="{RIGHT}">{_text(name)}</th>' for name in found.headers)
    lines = [f"<thead><tr>{head}</tr></thead><tbody>"]
    terms = [explanation.terms[index] for index in explanation.shown]
    largest = max((term.q for term in terms if term.q < float("inf")), default=0.0)
    for term, row in zip(terms, found.rows, strict=True):
        true = term.index == explanation.true_class
        body = ""
        for place, cell in enumerate(row):
            text = _text(cell)
            if place == 0:
                body += f'<th scope="row" style="{RIGHT}">{"★ " if true else ""}{text}</th>'
                continue
            if found.keys[place] == "predicted q" and 0.0 < term.q <= largest:
                text += f' <div style="{BAR}{BAR_WIDTH * term.q / largest:.2f}em"></div>'
            body += f'<td style="{"text-align:left" if found.keys[place] == "predicted q" else RIGHT}">{text}</td>'
        lines.append(f"<tr>{body}</tr>")
    if found.rest:
        lines.append(f'<tr><td colspan="{len(found.headers)}">{_text(found.rest)}</td></tr>')
    last = "".join(f'<td style="{RIGHT}">{_text(cell)}</td>' for cell in found.sums[1:])
    return [*lines, f'</tbody><tfoot><tr><th scope="row" style="{RIGHT}">{found.sums[0]}</th>{last}</tr></tfoot>']


def _text(text: str) -> str:
    return escape("".join(sign if sign.isprintable() else "?" for sign in text))
