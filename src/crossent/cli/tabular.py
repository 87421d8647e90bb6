"""A table on the terminal; where it is too narrow for the numbers, a line of words for each row."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

# Below, lines are broken between words here and not by the terminal, which breaks numbers.
_NARROW = 60
# A column of texts may be folded to that; a number in two pieces is another number.
_FOLDED = 10
_GAP = 2


@dataclass(frozen=True)
class Tabular:
    """A title, headings, and rows of cells as rich's markup; the columns at the positions `texts` may be folded."""

    title: str
    headings: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    texts: frozenset[int]


def console_for_text() -> Console:
    """Return the console: on a narrow terminal its lines are broken between words, elsewhere not at all."""
    console = Console(highlight=False)
    console.soft_wrap = not console.is_terminal or console.width >= _NARROW
    return console


def print_table(console: Console, tabular: Tabular) -> None:
    """Print the table, or its rows in words where the numbers have no room beside each other."""
    if _needed(tabular) > console.width:
        console.print(tabular.title)
        for row in tabular.rows:
            cells = zip(tabular.headings, row, strict=True)
            console.print(f"- {', '.join(f'{heading} {cell}' for heading, cell in cells)}")
        return
    table = Table(title=tabular.title, title_justify="left", title_style="", box=None, pad_edge=False)
    for position, heading in enumerate(tabular.headings):
        may_fold = position in tabular.texts
        table.add_column(
            heading,
            justify="right" if position else "left",
            no_wrap=not may_fold,
            overflow="fold" if may_fold else "ellipsis",
        )
    for row in tabular.rows:
        table.add_row(*row)
    console.print(table)


def _needed(tabular: Tabular) -> int:
    widths = []
    for position, cells in enumerate(zip(tabular.headings, *tabular.rows, strict=True)):
        width = max(Text.from_markup(cell).cell_len for cell in cells)
        widths.append(min(width, _FOLDED) if position in tabular.texts else width)
    return sum(widths) + _GAP * (len(widths) - 1)
