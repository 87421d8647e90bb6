"""What a probe says about one function of its package: what it reads, the rule it follows, and how to call it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Reads = Literal["probs", "log_probs", "logits"]
Target = Literal["id", "distribution", "binary"]
# (predictions, targets) -> (loss, derivative by the predictions, or None from a metric)
Call = Callable[[Any, Any], tuple[Any, Any]]


@dataclass(frozen=True)
class Function:
    """One function of a package; `binary` takes the probability of one class and whether it is the true one."""

    name: str
    reads: Reads
    target: Target
    dtype: str
    rule: str | None
    call: Call
    # cases that need another argument: name of the case -> how to call for it
    variants: Mapping[str, Call] = field(default_factory=dict)
    # cases where it reads memory outside of the row, by its source: the number is nobody's -> where that stands
    undefined: Mapping[str, str] = field(default_factory=dict)
