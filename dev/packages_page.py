"""Write the tables of docs/packages.md from the recorded runs: ``python dev/packages_page.py``."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from crossent.peers.answer import PackageAnswer
from crossent.peers.cases import BY_NAME
from crossent.peers.table import packages
from crossent.peers.text import loss, number

PAGE = ROOT / "docs" / "packages.md"
MARKED = re.compile(r"(<!-- table: ([a-z]+) -->\n).*?(<!-- end -->)", re.DOTALL)
GROUPS = {
    "targets": ("soft-zero", "zero-zero", "perfect", "ordinary", "soft", "soft-sum", "negative-target", "smoothing"),
    "predictions": ("unnormalized", "above-one", "negative", "all-zero", "nan"),
    "logits": ("plus-inf", "plus-inf-elsewhere", "large-logits", "shifted", "small-loss"),
    "labels": ("label-high", "label-minus-one", "label-minus-100", "all-ignored", "zero-weights", "empty"),
}

Function = tuple[str, str, str]


def zero() -> str:
    """Every function at zero, with the rule it follows."""
    rows = []
    for answer in packages(case="zero", measure=False):
        slope = "" if answer.gradient is None else f"{number(answer.gradient)} by {answer.by}"
        cells = [answer.package, _function(answer), f"**{_cell(answer)}**", slope, answer.rule, _known(answer)]
        rows.append(cells)
    return _table(["package", "function", "loss", "derivative", "rule", "known"], rows)


def group(names: Sequence[str]) -> str:
    """A function per row, a case per column: loss, and derivative after a semicolon."""
    told: dict[Function, dict[str, str]] = {}
    for answer in packages(measure=False):
        if answer.case in names:
            slope = "" if answer.gradient is None else f"; {number(answer.gradient)}"
            told.setdefault((answer.package, answer.function, answer.dtype), {})[answer.case] = _cell(answer) + slope
    order = [(answer.package, answer.function, answer.dtype) for answer in packages(measure=False)]
    rows = [
        [package, f"`{function}`, {dtype}", *(told[package, function, dtype].get(name, "") for name in names)]
        for package, function, dtype in dict.fromkeys(order)
        if (package, function, dtype) in told
    ]
    legend = "".join(f"- **{name}**: {BY_NAME[name].title}\n" for name in names)
    return f"{legend}\n{_table(['package', 'function', *names], rows)}"


def sources() -> str:
    """Package, version, date and the command that asks it again."""
    known = {(a.package, a.version, a.date or "", a.command or "") for a in packages(measure=False)}
    order = {answer.package: None for answer in packages(measure=False)}
    rows = [
        [package, version, date or "not run: read in its source", f"`{command}`" if command else ""]
        for name in order
        for package, version, date, command in sorted(known)
        if package == name
    ]
    return _table(["package", "version", "recorded on", "command"], rows)


def filled(markdown: str) -> str:
    """Return the page with its tables made anew."""

    def made(match: re.Match[str]) -> str:
        name = match[2]
        text = zero() if name == "zero" else sources() if name == "sources" else group(GROUPS[name])
        return f"{match[1]}{text}{match[3]}"

    return MARKED.sub(made, markdown)


def _function(answer: PackageAnswer) -> str:
    return f"`{answer.function}`, {answer.dtype}"


def _known(answer: PackageAnswer) -> str:
    return answer.version if answer.how == "recorded" else f"{answer.version}, by its source"


def _cell(answer: PackageAnswer) -> str:
    word = loss(answer)
    return answer.note.partition(":")[0] if word == "raises" else word


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def main() -> None:
    """Write the page."""
    before = PAGE.read_text(encoding="utf-8")
    after = filled(before)
    PAGE.write_text(after, encoding="utf-8")
    sys.stdout.write(f"docs/packages.md: {'tables written' if after != before else 'its tables were current'}\n")


if __name__ == "__main__":
    main()
