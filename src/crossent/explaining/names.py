"""Names of classes, as long as a line has room for."""

from crossent.explaining.paper import cut

WIDEST = 16  # terminal columns: a wide East Asian sign takes two


def shorten(name: str) -> str:
    """Return the name, its end left out where it is long."""
    whole = cut(name, WIDEST)
    return name if whole == name else cut(whole, WIDEST - 1) + "…"
