"""What the reader is told first: the cost in a sentence or two, and what should be known before relying on it."""

import math
from pathlib import PurePath
from typing import TYPE_CHECKING

from crossent.scoring.report.words import counted, number, percent, short
from crossent.scoring.uncertainty import why_undefined

if TYPE_CHECKING:
    from crossent.scoring.result import Score

_MOST_NOTES = 5
_MOST_LABELS = 8
# Shares below are written as 0.0 %.
_NOTHING = 0.0005


def subject(score: "Score") -> str:
    """Return what was scored: a file, or how many."""
    names = sorted(score.sources) or [score.reading.source]
    if len(names) > 1:
        return counted(len(names), "file")
    if score.reading.format == "Arrow data":
        return "a table in memory"
    return short(PurePath(names[0]).name or names[0])


def headline(score: "Score") -> str:
    """Return the cost."""
    cost = score.cost
    return f"{number(cost)} nats per row" if not math.isnan(cost) else "The cost is not defined"


def sentences(score: "Score") -> list[str]:
    """Return the verdict: the cost and how sure it is, and what it is worth against the label frequencies."""
    return [each for each in (_cost(score), _baseline(score), _floor(score)) if each]


def findings(score: "Score") -> list[str]:
    """Return what is wrong with the data, or was done to it, most serious first."""
    found = []
    if score.undefined:
        found.append(
            f"{counted(score.undefined, 'row')} of {score.rows:,} {_have(score.undefined)} a prediction that is NaN or "
            f"missing, which leaves the mean undefined."
        )
    if score.impossible:
        found.append(
            f"{counted(score.impossible, 'row')} of {score.rows:,} {_have(score.impossible)} a prediction of 0 for what "
            f"was true. Each costs infinitely much, and so does the mean; nothing was clipped. They come first among the worst rows."
        )
    if score.clipped:
        one = score.clipped == 1
        found.append(
            f"{counted(score.clipped, 'row')} had {'its' if one else 'their'} loss cut off at what the options allow: "
            f"unclipped, the cost would be higher."
        )
    if score.improvement <= -_NOTHING and math.isfinite(score.cost):
        found.append("The predictions are worse than predicting the label frequencies for every row.")
    if score.unnormalised:
        found.append(
            f"The probabilities of {counted(score.unnormalised, 'row')} miss a sum of 1 by more than 0.0003, by up to "
            f"{number(score.largest_deviation, 2)}. They are scored as they are, not rescaled."
        )
    found += _left_out(score)
    if score.tied:
        found.append(
            f"In {counted(score.tied, 'row')} the truth shares the highest prediction with another class; "
            f"such a row does not count as correct."
        )
    notes = score.reading.notes
    found += [short(note, 400) for note in notes[:_MOST_NOTES]]
    if len(notes) > _MOST_NOTES:
        found.append(f"{len(notes) - _MOST_NOTES:,} more remarks stand under what was read.")
    return found


def _cost(score: "Score") -> str:
    finite = f"{number(score.finite_cost)} nats on average{_interval(score)}"
    if math.isnan(score.finite_cost):
        return "No row has a finite cost."
    rows = counted(score.rows, "row")
    weighted = ", weighted" if score.reading.weight_column is not None else ""
    if not score.impossible and not score.undefined:
        return f"Over {rows}{weighted}, the truth costs {finite}."
    state = "is not defined" if score.undefined else "is infinite"
    causes = []
    if score.undefined:
        causes.append(f"{counted(score.undefined, 'row')} without a prediction")
    if score.impossible:
        causes.append(f"{counted(score.impossible, 'row')} whose truth was given a probability of 0")
    left = score.rows - score.undefined - score.impossible
    return (
        f"Over {rows}{weighted}, the cost {state} because of {' and '.join(causes)}. "
        f"The other {counted(left, 'row costs', 'rows cost')} {finite}."
    )


def _interval(score: "Score") -> str:
    interval = score.interval
    if not math.isfinite(interval.low):
        return f" ({why_undefined(interval)[0].lower()}{why_undefined(interval)[1:-1]})"
    how = {
        "normal": "taking the rows as independent",
        "cluster": f"from {counted(interval.units, 'cluster')} of '{short(score.reading.cluster_column)}'",
        "bootstrap": f"from {counted(interval.units, 'bootstrap replicate')}",
    }[interval.method]
    return f" ({100.0 * interval.level:.6g} % interval {number(interval.low)} to {number(interval.high)}, {how})"


def _baseline(score: "Score") -> str:
    if math.isnan(score.prior_cost):
        return ""
    if score.prior_cost == 0.0:
        return "Only one class occurs, so that predicting the label frequencies would cost nothing."
    prior = f"Predicting the label frequencies for every row would cost {number(score.prior_cost)} nats"
    if not math.isfinite(score.cost):
        return f"{prior}."
    if abs(score.improvement) < _NOTHING:
        return f"{prior}, and the predictions cost as much."
    if score.improvement < 0.0:
        return f"{prior}, which is less: the predictions are worse than knowing the frequencies alone."
    return f"{prior}; the predictions save {percent(score.improvement)} of that."


def _floor(score: "Score") -> str:
    if score.reading.label_form != "soft" or not math.isfinite(score.target_entropy):
        return ""
    floor = f"As the truths are shares, no prediction could cost less than their entropy, {number(score.target_entropy)} nats"
    return f"{floor}; {number(score.divergence)} lie above it." if math.isfinite(score.divergence) else f"{floor}."


def _left_out(score: "Score") -> list[str]:
    found = []
    if score.bad_labels:
        values = list(score.bad_label_values)
        some = ", ".join(short(value, 24) for value in values[:_MOST_LABELS]) + (
            ", …" if len(values) > _MOST_LABELS else ""
        )
        found.append(f"{counted(score.bad_labels, 'row')} left out: the label is no class ({some}).")
    for count, why in (
        (score.missing_labels, "the label is missing"),
        (score.ignored_labels, "the label is −100, which stands for “ignore”"),
        (score.weightless, "the weight is 0"),
    ):
        if count:
            found.append(f"{counted(count, 'row')} left out: {why}.")
    return found


def _have(count: int) -> str:
    return "has" if count == 1 else "have"
