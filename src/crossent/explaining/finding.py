"""Something a reader should know before trusting a number; `explain()` and `diagnose()` share codes and form."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """One finding: what it is consistent with, what speaks for it, what else it could be, what would decide."""

    code: str  # CE0.. come from `explain()` and `diagnose()`, CE1.. only from `diagnose()`
    severity: Severity
    message: str
    advice: str = ""  # what it means or what to do, in words
    evidence: tuple[str, ...] = ()
    rivals: tuple[str, ...] = ()
    decide: str = ""  # the one further input that would tell the finding from its rivals
    fix: Mapping[str, str] = field(default_factory=dict, hash=False)  # "torch", "keras", "jax", "sklearn" -> code
    see: str = ""  # page and anchor of the documentation
