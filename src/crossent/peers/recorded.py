"""The recorded runs: what dev/record_packages.py wrote into recorded.json, with version, date and command."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from crossent.peers.answer import Derivative, How, PackageAnswer, from_json
from crossent.peers.rules import RULES

FILE = Path(__file__).with_name("recorded.json")


@dataclass(frozen=True)
class Function:
    """A function of a package, how it is asked, and what it answered: case -> value, gradient, note."""

    package: str
    version: str
    name: str
    reads: str
    target: str
    dtype: str
    rule: str
    how: How
    date: str | None
    command: str | None
    answers: dict[str, tuple[float | None, float | None, str]]

    @property
    def by(self) -> Derivative:
        """What the derivative is taken by; a metric has none."""
        if self.rule.startswith("metric") or (self.answers and all(told[1] is None for told in self.answers.values())):
            return "none"
        return {"probs": "q", "log_probs": "log q", "logits": "z"}[self.reads]  # type: ignore[return-value]

    def answer(self, case: str) -> PackageAnswer | None:
        """Return what it answered in a case, None where it was not asked."""
        if case not in self.answers:
            return None
        return self.told(case, *self.answers[case])

    def told(
        self, case: str, value: float | None, gradient: float | None, note: str, how: How | None = None
    ) -> PackageAnswer:
        """Return an answer in the words of this function."""
        return PackageAnswer(
            package=self.package,
            function=self.name,
            dtype=self.dtype,
            version=self.version,
            case=case,
            value=value,
            gradient=gradient,
            by="none" if gradient is None and value is not None else self.by,
            how=how or self.how,
            date=self.date,
            command=self.command,
            rule=RULES[self.rule].text,
            note=note,
        )


def functions_of(entry: dict[str, Any], how: How) -> tuple[Function, ...]:
    """Return the functions of one package as recorded.json has it."""
    return tuple(
        Function(
            package=entry["package"],
            version=entry["version"],
            name=told["name"],
            reads=told["reads"],
            target=told["target"],
            dtype=told["dtype"],
            rule=told["rule"],
            how=how,
            date=entry["date"],
            command=entry["command"],
            answers={case: (from_json(a[0]), from_json(a[1]), a[2]) for case, a in told["answers"].items()},
        )
        for told in entry["functions"]
    )


@cache
def recorded() -> dict[str, tuple[Function, ...]]:
    """Return every recorded package and its functions."""
    entries = json.loads(FILE.read_text(encoding="utf-8"))["packages"]
    return {entry["package"]: functions_of(entry, "recorded") for entry in entries}
