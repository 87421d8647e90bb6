"""The table of terms: one row per class, as many columns as the paper has room for."""

from dataclasses import dataclass

from crossent.explaining.digits import amount, compact, signed
from crossent.explaining.explanation import Explanation
from crossent.explaining.paper import Paper, columns
from crossent.explaining.parts import Term

BAR_WIDEST = 15
BAR_NARROWEST = 3
NAME_WIDEST = 16
LOG = {"e": "log", "2": "log₂", "10": "log₁₀"}
# what goes first when the paper is narrow; the bar shrinks before any of them
DISPENSABLE = ("∂L/∂q", "logit z", "p·(−log q)", "−log q", "target p")


@dataclass(frozen=True)
class _Column:
    key: str
    header: str
    cells: list[str]  # the shown classes, then the sum
    left: bool = False

    def lines(self, paper: Paper) -> list[str]:
        """Return header and cells, written and filled up to one width."""
        texts = [paper.write(text) for text in (self.header, *self.cells)]
        widest = max(columns(text) for text in texts)
        return [paper.pad(text, widest, right=not self.left) for text in texts]


def table(explanation: Explanation, paper: Paper) -> list[str]:
    """Return the lines of the table: header, one per shown class, the classes left out, the sums."""
    terms = [explanation.terms[index] for index in explanation.shown]
    lines = _fit(explanation, terms, paper)
    body = [paper.bold(line) if term.index == explanation.true_class else line
            for term, line in zip(terms, lines[1:-1], strict=True)]  # fmt: skip
    if explanation.rest is not None:
        rest = explanation.rest
        text = f"... {rest.count} more, together {compact(rest.q)}"
        body.append(paper.write("   " + text + (f" (target {compact(rest.p)})" if rest.p > 0.0 else "")))
    return [lines[0], *body, lines[-1]]


def _fit(explanation: Explanation, terms: list[Term], paper: Paper) -> list[str]:
    """Return the rows with the widest bar that fits, and if none fits with fewer columns."""
    for dropped in range(len(DISPENSABLE) + 1):
        for bar in (*range(BAR_WIDEST, BAR_NARROWEST - 1, -1), 0):
            found = [column for column in _columns(explanation, terms, bar) if column.key not in DISPENSABLE[:dropped]]
            rows = ["  ".join(cells).rstrip() for cells in zip(*(column.lines(paper) for column in found), strict=True)]
            marks = ["", *("★" if term.index == explanation.true_class else "" for term in terms), ""]
            lines = [f" {paper.pad(mark, 1)} {row}" for mark, row in zip(marks, rows, strict=True)]
            if max(columns(line) for line in lines) <= paper.width:
                return lines
    return lines


def _columns(explanation: Explanation, terms: list[Term], bar: int) -> list[_Column]:
    log = LOG[explanation.base]
    total_p = _total(explanation.sum_target)
    found = [
        _Column("class", "class", [*(_shorten(term.name) for term in terms), "sum"]),
        _Column("target p", "target p", [*(compact(term.p) for term in terms), total_p]),
        _Column("predicted q", "predicted q", _predictions(explanation, terms, bar), left=True),
        _Column("−log q", f"−{log} q", [*(amount(term.surprisal) for term in terms), ""]),
        _Column(
            "p·(−log q)", f"p·(−{log} q)", [*(amount(term.contribution) for term in terms), amount(explanation.loss)]
        ),
        _Column("∂L/∂z", "∂L/∂z=q−p" if total_p == "1" else "∂L/∂z", _steps(explanation, terms), left=True),
        _Column("∂L/∂q", "∂L/∂q", [*(signed(term.grad_prob) for term in terms), ""]),
    ]
    if explanation.kind == "logits":
        found.insert(2, _Column("logit z", "logit z", [*(compact(term.given) for term in terms), ""]))
    return found


def _predictions(explanation: Explanation, terms: list[Term], bar: int) -> list[str]:
    numbers = _right([*(compact(term.q) for term in terms), _total(explanation.sum_prediction)])
    largest = max(term.q for term in terms)
    lengths = [round(bar * term.q / largest) if 0.0 < term.q <= largest else 0 for term in terms]
    return [f"{number}  {'█' * length}" for number, length in zip(numbers, [*lengths, 0], strict=True)]


def _steps(explanation: Explanation, terms: list[Term]) -> list[str]:
    numbers = _right([*(signed(term.grad_logit) for term in terms), _total(explanation.grad_logit_sum, sign=True)])
    words = ["raise" if term.grad_logit < 0.0 else "lower" if term.grad_logit > 0.0 else "" for term in terms]
    return [f"{number} {word}".rstrip() for number, word in zip(numbers, [*words, ""], strict=True)]


def _right(texts: list[str]) -> list[str]:
    widest = max(len(text) for text in texts)
    return [text.rjust(widest) for text in texts]


def _total(value: float, *, sign: bool = False) -> str:
    # six decimals: the rounding of a sum is no news; findings.SUM_TOLERANCE says when a deviation is
    rounded = round(value, 6)
    return signed(rounded) if sign else compact(rounded)


def _shorten(name: str) -> str:
    return name if len(name) <= NAME_WIDEST else name[: NAME_WIDEST - 1] + "…"
