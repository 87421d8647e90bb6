"""One answer of one function of one package."""

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

How = Literal["measured", "recorded", "formula"]
Derivative = Literal["q", "log q", "z", "none"]


@dataclass(frozen=True)
class PackageAnswer:
    """What a function answers in a case: loss in nats and derivative, how they are known, and what was said.

    `value` is None where the function raised or answered no number: `note` says what instead. `gradient` is the
    derivative by the class in question, by `by`: its probability, its log-probability or its logit; None from a metric.
    """

    package: str
    function: str
    dtype: str
    version: str
    case: str
    value: float | None
    gradient: float | None
    by: Derivative
    how: How
    date: str | None
    command: str | None
    rule: str
    note: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON; infinities and NaN are strings."""
        plain = asdict(self)
        plain["value"], plain["gradient"] = to_json(self.value), to_json(self.gradient)
        return plain


def to_json(value: float | None) -> float | str | None:
    """Return a number that JSON can hold: "inf", "-inf" and "nan" are strings."""
    return value if value is None or math.isfinite(value) else str(value)


def from_json(value: float | str | None) -> float | None:
    """Return the number that `to_json` was given."""
    return None if value is None else float(value)
