"""Names of classes, as long as a line has room for."""

WIDEST = 16


def shorten(name: str) -> str:
    """Return the name, its end left out where it is long."""
    return name if len(name) <= WIDEST else name[: WIDEST - 1] + "…"
