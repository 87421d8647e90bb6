"""What a diagnosis found: data only, and the forms in which it is shown."""

import dataclasses
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from crossent.explaining.finding import Finding

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Reference:
    """A line to see a loss against, in nats: ln K, the label entropy, the floors."""

    name: str
    loss_nats: float


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """Findings, the likeliest first; false if there are none, and one line when printed."""

    loss_nats: float | None
    classes: int | None
    function: str | None
    framework: str | None  # whose fix the text shows; None shows all
    rows: int | None
    steps: int | None  # of the history
    references: tuple[Reference, ...]
    findings: tuple[Finding, ...]
    steps_left_out: int = 0  # rows of the history whose loss was empty, as where only something else was measured

    def render(self, *, width: int | None = None, color: bool | None = None, unicode: bool | None = None) -> str:
        """Return all findings as text; None asks the terminal (and the variable NO_COLOR)."""
        from crossent.explaining.diagnosing.text import render

        return render(self, width=width, color=color, unicode=unicode)

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, numbers and texts for JSON; "inf", "-inf" and "nan" are texts, as JSON has none."""
        return {"schema": "crossent.diagnosis", "schema_version": SCHEMA_VERSION, **_plain(dataclasses.asdict(self))}

    def to_json(self, *, indent: int | None = None) -> str:
        """Return `to_dict` as strict JSON, in ASCII: it passes through any terminal."""
        return json.dumps(self.to_dict(), allow_nan=False, indent=indent)

    def _repr_html_(self) -> str:
        from crossent.explaining.diagnosing.html import html_of

        return html_of(self)

    def __bool__(self) -> bool:
        return bool(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __str__(self) -> str:
        if not self.findings:
            return "crossent: no finding"
        first, more = self.findings[0], len(self.findings) - 1
        others = f" (+{more} more: {', '.join(finding.code for finding in self.findings[1:])})" if more else ""
        return f"crossent: {first.code} {first.message} {first.advice}{others}"

    def __repr__(self) -> str:
        return f"<Diagnosis: {str(self).removeprefix('crossent: ')}; print(diagnosis.render()) shows all>"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float):
        # + 0.0: JSON would keep the sign of -0.0
        return value + 0.0 if math.isfinite(value) else str(value)
    return value
