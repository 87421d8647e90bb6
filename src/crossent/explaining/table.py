"""The table of terms: one row per class, as many columns as the paper has room for."""

from dataclasses import dataclass

from crossent.explaining.digits import amount, compact, signed
from crossent.explaining.explanation import Explanation
from crossent.explaining.names import shorten
from crossent.explaining.paper import Paper, columns
from crossent.explaining.parts import Term

BAR_WIDEST = 15
BAR_NARROWEST = 3
LOG = {"e": "log", "2": "log₂", "10": "log₁₀"}
# what goes first when the paper is narrow; the bar shrinks before any of them
DISPENSABLE = ("∂L/∂q", "weight", "logit z", "p·(−log q)", "−log q", "target p")


@dataclass(frozen=True)
class _Column:
    key: str
    header: str
    cells: list[str]  # the shown classes, then the sum
    left: bool = False

    def lines(self, paper: Paper) -> list[str]:
        """Return header and cells, written and filled up to one width."""
        write = paper.name if self.key == "class" else paper.write
        texts = [write(text) for text in (self.header, *self.cells)]
        widest = max(columns(text) for text in texts)
        return [paper.pad(text, widest, right=not self.left) for text in texts]


@dataclass(frozen=True)
class Cells:
    """The whole table as texts, for those who lay it out themselves."""

    keys: list[str]
    headers: list[str]
    rows: list[list[str]]  # one per shown class
    rest: str  # the classes left out, empty if there are none
    sums: list[str]


def cells(explanation: Explanation) -> Cells:
    """Return every column without bars."""
    terms = [explanation.terms[index] for index in explanation.shown]
    found = _columns(explanation, terms, 0)
    *rows, sums = ([cell.strip() for cell in row] for row in zip(*(column.cells for column in found), strict=True))
    return Cells([column.key for column in found], [column.header for column in found], rows, _rest(explanation), sums)


def table(explanation: Explanation, paper: Paper) -> list[str]:
    """Return the lines of the table: header, one per shown class, the classes left out, the sums."""
    terms = [explanation.terms[index] for index in explanation.shown]
    lines = _fit(explanation, terms, paper)
    if lines is None:
        return _stacked(explanation, terms, paper)
    body = [paper.bold(line) if term.index == explanation.true_class else line
            for term, line in zip(terms, lines[1:-1], strict=True)]  # fmt: skip
    if explanation.rest is not None:
        body += paper.wrap(_rest(explanation))
    return [lines[0], *body, lines[-1]]


def _rest(explanation: Explanation) -> str:
    rest = explanation.rest
    if rest is None:
        return ""
    return f"... {rest.count} more, together {compact(rest.q)}" + (
        f" (target {compact(rest.p)})" if rest.p > 0.0 else ""
    )


def _stacked(explanation: Explanation, terms: list[Term], paper: Paper) -> list[str]:
    """Return one block of lines per class, where the paper is too narrow for a table."""
    lines = []
    for term in terms:
        mark = "★" if term.index == explanation.true_class else " "
        first, *more = paper.wrap(f"{mark} {paper.name(term.name)}", indent=" ", hanging="   ")
        lines += [paper.bold(first) if mark == "★" else first, *more]
        word = "raise" if term.grad_logit < 0.0 else "lower" if term.grad_logit > 0.0 else ""
        for text in (
            f"p {compact(term.p)}",
            f"q {compact(term.q)}",
            f"cost {amount(term.contribution)}",
            f"∂L/∂z {signed(term.grad_logit)} {word}",
        ):
            lines += paper.wrap(text)
    if explanation.rest is not None:
        lines += paper.wrap(_rest(explanation))
    return lines


def _fit(explanation: Explanation, terms: list[Term], paper: Paper) -> list[str] | None:
    """Return the rows with the widest bar that fits, and if none fits with fewer columns; None where none do."""
    for dropped in range(len(DISPENSABLE) + 1):
        for bar in (*range(BAR_WIDEST, BAR_NARROWEST - 1, -1), 0):
            found = [column for column in _columns(explanation, terms, bar) if column.key not in DISPENSABLE[:dropped]]
            rows = ["  ".join(cells).rstrip() for cells in zip(*(column.lines(paper) for column in found), strict=True)]
            marks = ["", *("★" if term.index == explanation.true_class else "" for term in terms), ""]
            lines = [f" {paper.pad(mark, 1)} {row}" for mark, row in zip(marks, rows, strict=True)]
            if max(columns(line) for line in lines) <= paper.width:
                return lines
    return None


def _columns(explanation: Explanation, terms: list[Term], bar: int) -> list[_Column]:
    log = LOG[explanation.base]
    mean = "" if explanation.batch is None else "mean "
    found = [
        _Column("class", "class", [*(shorten(term.name) for term in terms), "sum"]),
        _Column(
            "target p", f"{mean or 'target '}p", [*(compact(term.p) for term in terms), _total(explanation.sum_target)]
        ),
        _Column("predicted q", f"{mean or 'predicted '}q", _predictions(explanation, terms, bar), left=True),
        _Column("−log q", f"{mean}−{log} q", [*(amount(term.surprisal) for term in terms), ""]),
        _Column(
            "p·(−log q)",
            cost_header(explanation),
            [*(amount(term.contribution) for term in terms), amount(explanation.loss)],
        ),
        _Column("∂L/∂z", slope_header(explanation), _steps(explanation, terms), left=True),
        _Column("∂L/∂q", "∂L/∂q", [*(signed(term.grad_prob) for term in terms), ""]),
    ]
    if explanation.weighted:
        found.insert(2, _Column("weight", "weight", [*(compact(term.weight) for term in terms), ""]))
    if explanation.kind == "logits":
        found.insert(2, _Column("logit z", f"{mean}logit z", [*(compact(term.given) for term in terms), ""]))
    return found


def cost_header(explanation: Explanation) -> str:
    """Return what a contribution is called: the product it is, or its name where it is no product."""
    if explanation.loss_kind == "binary" or explanation.weighted or explanation.batch is not None:
        return "cost"
    return f"p·(−{LOG[explanation.base]} q)"


def slope_header(explanation: Explanation) -> str:
    """Return what dL/dz is called, with its formula where that is q - p."""
    whole = explanation.loss_kind == "binary" or _total(explanation.sum_target) == "1"
    return "∂L/∂z=q−p" if whole and not explanation.weighted and explanation.batch is None else "∂L/∂z"


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
