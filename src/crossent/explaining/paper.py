"""What the text is printed on: its width, its colours, and ASCII signs where there is no UTF-8."""

import os
import shutil
import sys
import textwrap
import unicodedata
from dataclasses import dataclass

WIDEST = 78  # the default width ends here: longer lines read worse
NAME_WIDEST = 17  # 16 signs and the end of a name, "..."
FILLER = "\ufdd0"  # no character, by definition of Unicode
NARROWEST = 20  # below that not even a number and its name fit

ASCII = {
    "−": "-",
    "·": "*",
    "×": "x",
    "★": "*",
    "─": "-",
    "█": "#",
    "▶": ">",
    "…": "...",
    "‖": "||",
    "Σ": "sum",
    "∂": "d",
    "ᵢ": "_i",
    "ⱼ": "_j",
    "₂": "2",
    "₁₀": "10",
    "≥": ">=",
    "≈": "~",
}


@dataclass(frozen=True)
class Paper:
    """Width in columns, whether ANSI colours are wanted, whether UTF-8 can be shown."""

    width: int
    color: bool
    unicode: bool

    def write(self, text: str) -> str:
        """Return the text in signs that this paper can show, control characters replaced."""
        text = "".join(sign if sign.isprintable() else "?" for sign in text)
        if self.unicode:
            return text
        for sign, plain in ASCII.items():
            text = text.replace(sign, plain)
        return text.encode("ascii", "backslashreplace").decode()

    def name(self, text: str) -> str:
        """Return the written name, its end left out where it is long; escapes count as they are shown."""
        written = self.write(text)
        whole = cut(written, NAME_WIDEST)
        return written if whole == written else cut(whole, NAME_WIDEST - 3) + "..."

    def pad(self, text: str, width: int, *, right: bool = False) -> str:
        """Return the written text, filled up to so many columns; `right` puts the text to the right."""
        written = self.write(text)
        room = " " * (width - columns(written))
        return room + written if right else written + room

    def wrap(self, text: str, *, indent: str = "   ", hanging: str | None = None) -> list[str]:
        """Return the written text in lines of at most this width."""
        # textwrap counts signs, not columns: a filler behind each wide one makes it count as two
        filled = "".join(sign + FILLER * (columns(sign) - 1) for sign in self.write(text))
        lines = textwrap.wrap(
            filled,
            self.width - (FILLER in filled),  # a long word may break between a wide sign and its filler
            initial_indent=indent,
            subsequent_indent=indent if hanging is None else hanging,
            break_on_hyphens=False,
        )
        return [line.replace(FILLER, "") for line in lines]

    def bold(self, line: str) -> str:
        """Return the line in bold, where there are colours; the words say the same without."""
        return f"\033[1m{line}\033[0m" if self.color else line


def paper(width: int | None, color: bool | None, unicode: bool | None) -> Paper:
    """Return the paper asked for; None asks the terminal."""
    if width is None:
        width = min(shutil.get_terminal_size().columns, WIDEST)
    if color is None:
        # no-color.org: the variable counts when it is set and not empty
        color = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    if unicode is None:
        unicode = (sys.stdout.encoding or "ascii").lower().replace("-", "").replace("_", "").startswith("utf")
    return Paper(max(width, NARROWEST), color, unicode)


def cut(text: str, width: int) -> str:
    """Return as much of the text as so many columns hold."""
    for place, sign in enumerate(text):
        width -= columns(sign)
        if width < 0:
            return text[:place]
    return text


def columns(text: str) -> int:
    """Return how many terminal columns a text takes: wide East Asian signs take two."""
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)
