"""How lists and numbers are written into one-sentence errors and notes."""

from collections.abc import Iterable

# A wide table has thousands of columns; an error is one line of a terminal.
_SHOWN = 12


def listed(names: Iterable[object]) -> str:
    """Return "a, b, c", cut after a dozen with the number of those left out."""
    every = [str(name) for name in names]
    if len(every) <= _SHOWN:
        return ", ".join(every)
    return f"{', '.join(every[:_SHOWN])} and {len(every) - _SHOWN} more"


def one_line(text: object) -> str:
    """Return the text of somebody else's error without its line breaks."""
    return " ".join(str(text).split())
