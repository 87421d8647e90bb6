"""What a score says of a class, a group, a row, a language model: data only."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from crossent.scoring.uncertainty import Interval
from crossent.units import nats_to_bits, perplexity_of_nats

_MISSING = "(missing)"


@dataclass(frozen=True)
class ClassScore:
    """The rows whose truth is one class; losses in nats.

    `impossible` rows have prediction 0 for the truth, `undefined` ones a prediction that is NaN or missing. With soft
    labels the rows are those with a share of the class, and `weight` is the sum of the shares.
    """

    name: str
    rows: int
    weight: float
    correct: int
    impossible: int
    undefined: int
    finite_cost: float

    @property
    def cost(self) -> float:
        """Mean loss in nats: NaN with an undefined row, else inf with an impossible one, else that of all rows."""
        return with_the_others(self.finite_cost, self.impossible, self.undefined)


@dataclass(frozen=True)
class GroupScore:
    """The rows with one value of the column `by`, None where it is missing; losses in nats."""

    name: str | None
    rows: int
    weight: float
    correct: int
    impossible: int
    undefined: int
    finite_cost: float
    interval: Interval

    @property
    def cost(self) -> float:
        """Mean loss in nats, with the rule of ClassScore."""
        return with_the_others(self.finite_cost, self.impossible, self.undefined)


def name_of(part: ClassScore | GroupScore) -> str:
    """Return what a class or a group is called in tables and pictures; no other group is called as the missing one."""
    if part.name is None:
        return _MISSING
    is_taken = isinstance(part, GroupScore) and part.name.strip("'") == _MISSING
    return f"'{part.name}'" if is_taken else part.name


@dataclass(frozen=True)
class WorstRow:
    """One of the rows with the highest losses: where it is, what was true, and what was predicted instead."""

    loss_nats: float
    source: str
    row: int
    id: str | None
    truth: str
    truth_prediction: float
    top: str
    top_prediction: float


@dataclass(frozen=True)
class LanguageModel:
    """The cost per token, byte and word. Unless counted by a column, a row is a token.

    `bounded` rows have a loss that is at least what was counted: the server did not say more. `unsized` rows do not say
    their bytes; with any of them the cost per byte is None, as it would count nats without their bytes.
    """

    tokens: int
    bytes: int | None
    words: int | None
    token_perplexity: float
    bits_per_byte: float | None
    byte_perplexity: float | None
    word_perplexity: float | None
    bounded: int
    unsized: int


def language_model(total_nats: float, rows: int, counts: Mapping[str, int]) -> LanguageModel:
    """Return the numbers from the sum of the losses and the counts of a state."""
    tokens, sizes, words = counts["tokens"], counts["bytes"], counts["words"]
    per_byte = total_nats / sizes if sizes and not counts["unsized"] else None
    return LanguageModel(
        tokens or rows,
        sizes or None,
        words or None,
        perplexity_of_nats(total_nats / (tokens or rows)) if tokens or rows else math.nan,
        None if per_byte is None else nats_to_bits(per_byte),
        None if per_byte is None else perplexity_of_nats(per_byte),
        perplexity_of_nats(total_nats / words) if words else None,
        counts["bounded"],
        counts["unsized"],
    )


def with_the_others(finite: float, impossible: int, undefined: int) -> float:
    """Return the mean or sum of all rows from that of the finite ones."""
    if undefined:
        return math.nan
    return math.inf if impossible else finite
