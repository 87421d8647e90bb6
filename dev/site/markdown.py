"""Markdown that the generated pages share."""

from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: bool = False) -> str:
    """Return a table, of numbers flush right; a pipe inside a cell is escaped."""
    lines = [header, ["---:" if numbers else "---"] * len(header), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def code(text: str) -> str:
    """Return text as inline code, its lines under one another."""
    return "<br>".join(f"`` {line} ``" if "`" in line else f"`{line}`" for line in text.splitlines())
