"""A score as plain data: what JSON holds, with a version."""

import math
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crossent.scoring.result import Score

_NUMBERS = (
    *("rows", "weight", "cost", "total", "finite_cost", "finite_total", "bits_per_row", "perplexity"),
    *("accuracy", "correct", "tied", "brier", "prior_cost", "improvement"),
    *("prediction_entropy", "target_entropy", "divergence"),
    *("impossible", "undefined", "clipped", "missing_labels", "ignored_labels", "bad_labels", "weightless"),
    *("unnormalised", "largest_deviation", "bad_label_values", "sources"),
)
_PARTS = ("interval", "temperature", "losses", "language", "calibration", "reading", "options")


def as_plain(score: "Score", version: int) -> dict[str, Any]:
    """Return every number and every decision; numbers that JSON lacks are the strings "inf", "-inf" and "nan"."""
    content: dict[str, Any] = {"schema_version": version}
    content |= {name: getattr(score, name) for name in _NUMBERS}
    content["sources"] = dict(sorted(score.sources.items()))  # they are read in any order
    for name in _PARTS:
        part = getattr(score, name)
        content[name] = part
    content["worst"] = score.worst
    content["classes"] = [{**_fields(each), "cost": each.cost} for each in score.classes]
    content["groups"] = [{**_fields(each), "cost": each.cost} for each in score.groups]
    plain: dict[str, Any] = plain_value(content)
    return plain


def _fields(part: Any) -> dict[str, Any]:
    # dataclasses.asdict copies every number on its own: 0.1 s for a hundred calibration curves
    return {field.name: getattr(part, field.name) for field in fields(part)}


def plain_value(value: Any) -> Any:
    """Return dataclasses, tuples and numbers as JSON has them."""
    if isinstance(value, float):  # first, as nearly all are
        return value if math.isfinite(value) else str(value)
    if isinstance(value, list | tuple):
        # nearly all of a hundred calibration curves; one at a time they took a third of the whole time
        if all(type(part) is float and math.isfinite(part) for part in value):
            return list(value)
        return [plain_value(part) for part in value]
    if is_dataclass(value):
        value = _fields(value)
    if isinstance(value, dict):
        return {name: plain_value(part) for name, part in value.items()}
    return value
