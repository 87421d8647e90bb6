"""The score of a file: what was counted and summed, and what follows from it."""

import json
import math
from dataclasses import asdict, dataclass
from typing import Any

from crossent.scoring.accumulator import Accumulator
from crossent.scoring.reading import Reading
from crossent.units import nats_to_bits, perplexity_of_nats

# Raised when a name of the dictionary changes its meaning or goes; a new name does not raise it.
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class ClassScore:
    """The rows whose truth is one class; losses in nats.

    `impossible` rows have prediction 0 for the truth, `undefined` ones a prediction that is NaN or missing.
    """

    name: str
    rows: int
    correct: int
    impossible: int
    undefined: int
    finite_cost: float

    @property
    def cost(self) -> float:
        """Mean loss in nats: NaN with an undefined row, else inf with an impossible one, else that of all rows."""
        return _with_the_others(self.finite_cost, self.impossible, self.undefined)


@dataclass(frozen=True)
class Score:
    """The cross-entropy of a file of predictions, in nats unless the name says otherwise.

    Attributes
    ----------
    rows, missing_labels, ignored_labels : int
        Rows with a label, which are the ones scored; rows whose label is missing; rows whose label is -100.
    impossible, undefined : int
        Rows whose prediction is 0 where the truth is, which make the cost inf; rows whose prediction is NaN or missing,
        which make it NaN.
    finite_cost, finite_total : float
        Mean and sum of the losses over all rows but those; each is the exact value rounded once.
    prior_cost : float
        Cost of predicting the label frequencies of this file for every row: their entropy.
    correct, tied : int
        Rows whose truth has the highest prediction alone; rows where it shares it, which do not count as correct.
    unnormalised, largest_deviation : int, float
        Rows whose probabilities miss a sum of 1 by more than 0.0003, and the most by which any row misses it. They are
        scored as they are.
    classes : tuple of ClassScore
    reading : Reading
        What was read and how it was understood.
    """

    rows: int
    missing_labels: int
    ignored_labels: int
    impossible: int
    undefined: int
    finite_cost: float
    finite_total: float
    prior_cost: float
    correct: int
    tied: int
    unnormalised: int
    largest_deviation: float
    classes: tuple[ClassScore, ...]
    reading: Reading

    @property
    def cost(self) -> float:
        """Mean loss in nats: NaN with an undefined row, else inf with an impossible one, else that of all rows."""
        return _with_the_others(self.finite_cost, self.impossible, self.undefined)

    @property
    def total(self) -> float:
        """Sum of the losses in nats, with the same rule as `cost`."""
        return _with_the_others(self.finite_total, self.impossible, self.undefined)

    @property
    def bits_per_row(self) -> float:
        return nats_to_bits(self.cost)

    @property
    def perplexity(self) -> float:
        """e**cost: the number of equally likely classes that would be as surprising."""
        return perplexity_of_nats(self.cost)

    @property
    def accuracy(self) -> float:
        return self.correct / self.rows

    @property
    def improvement(self) -> float:
        """1 - cost / prior_cost: 1 is perfect, 0 no better than the label frequencies; NaN if only one class occurs."""
        return 1.0 - self.cost / self.prior_cost if self.prior_cost else math.nan

    def to_dict(self) -> dict[str, Any]:
        """Return every number and every decision; numbers that JSON lacks are the strings "inf", "-inf" and "nan"."""
        derived = ("cost", "total", "bits_per_row", "perplexity", "accuracy", "improvement")
        content: dict[str, Any] = {"schema_version": SCHEMA_VERSION}
        content |= {name: getattr(self, name) for name in derived}
        content |= asdict(self)
        content["classes"] = [{**asdict(each), "cost": each.cost} for each in self.classes]
        plain: dict[str, Any] = _plain(content)
        return plain

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2, allow_nan=False, ensure_ascii=False)


def score_of(state: Accumulator, reading: Reading) -> Score:
    """Return what the accumulated rows amount to."""
    total = state.total()
    finite = state.rows - state.impossible - state.undefined
    finite_rows = int(finite.sum())
    classes = tuple(
        ClassScore(
            name=mapping.name,
            rows=int(state.rows[index]),
            correct=int(state.correct[index]),
            impossible=int(state.impossible[index]),
            undefined=int(state.undefined[index]),
            finite_cost=state.finite_losses[index].divided_by(int(finite[index])) if finite[index] else math.nan,
        )
        for index, mapping in enumerate(reading.classes)
    )
    return Score(
        rows=int(state.rows.sum()),
        missing_labels=state.missing_labels,
        ignored_labels=state.ignored_labels,
        impossible=int(state.impossible.sum()),
        undefined=int(state.undefined.sum()),
        finite_cost=total.divided_by(finite_rows) if finite_rows else math.nan,
        finite_total=total.value(),
        prior_cost=_prior_cost(state.rows.tolist()),
        correct=int(state.correct.sum()),
        tied=state.tied,
        unnormalised=state.unnormalised,
        largest_deviation=state.largest_deviation,
        classes=classes,
        reading=reading,
    )


def _with_the_others(finite: float, impossible: int, undefined: int) -> float:
    if undefined:
        return math.nan
    return math.inf if impossible else finite


def _prior_cost(counts: list[int]) -> float:
    rows = sum(counts)
    return math.fsum(count / rows * math.log(rows / count) for count in counts if count)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
