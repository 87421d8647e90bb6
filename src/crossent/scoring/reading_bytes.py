"""A reading as plain data, for the header of a state."""

from dataclasses import asdict
from typing import Any

from crossent.scoring.classes import ClassMapping
from crossent.scoring.reading import Reading

_TUPLES = ("prediction_columns", "notes", "target_columns")


def to_plain(reading: Reading) -> dict[str, Any]:
    """Return what `from_plain` takes."""
    return asdict(reading)


def from_plain(plain: dict[str, Any]) -> Reading:
    """Return the reading; raise TypeError or KeyError where it is none."""
    content: dict[str, Any] = {name: tuple(value) if name in _TUPLES else value for name, value in plain.items()}
    content["classes"] = tuple(ClassMapping(**each) for each in plain["classes"])
    return Reading(**content)
