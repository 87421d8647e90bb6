"""Which pictures a score has, each with its title and the sentence that says what to see."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crossent.scoring.calibration import Calibration, Reliability
from crossent.scoring.parts import GroupScore, name_of
from crossent.scoring.report import pictures
from crossent.scoring.report.tables import Part, costliest, left_out
from crossent.scoring.report.words import counted, number, percent, short

if TYPE_CHECKING:
    from crossent.scoring.result import Score

_MOST_BARS = 20
_MOST_PANELS = 12
# 1 / T is looked for between 1/64 and 64.
_FAR_TEMPERATURE = 60.0


@dataclass(frozen=True)
class Panel:
    """One of several small pictures."""

    title: str
    picture: str


@dataclass(frozen=True)
class Exhibit:
    """A picture, or several small ones, with what is to be said; `legend` are pairs (style class, text)."""

    title: str
    caption: str
    picture: str = ""
    panels: tuple[Panel, ...] = ()
    legend: tuple[tuple[str, str], ...] = ()


def where_the_cost_lies(score: "Score") -> list[Exhibit]:
    """Return the pictures of losses, classes and groups."""
    return [*_losses(score), *_classes(score), *_groups(score)]


def what_the_probabilities_are_worth(score: "Score") -> list[Exhibit]:
    """Return the pictures of calibration, its parts, and the temperature."""
    return [*_top_label(score), *_decomposition(score), *_temperature(score), *_class_panels(score)]


def _losses(score: "Score") -> Iterator[Exhibit]:
    losses = score.losses
    if not math.fsum(losses.histogram_weight) + losses.infinite_weight > 0.0:
        return
    said = []
    if math.isfinite(losses.worst_percent_share):
        said.append(
            f"In the 1 % of the {_weight_word(score)} that cost most lies {percent(losses.worst_percent_share)} of the cost."
        )
    median = dict(losses.quantiles)[0.5]
    if math.isfinite(median):
        said.append(f"Half of the {_weight_word(score)} cost at most {number(median, 3)} nats.")
    if losses.infinite_weight:
        said.append(f"At the right, {counted(score.impossible, 'row')} of infinite cost.")
    title = "How the losses are spread"
    if not math.fsum(losses.histogram_weight) > 0.0:
        yield Exhibit(title, "The loss of every row is infinite.")
        return
    yield Exhibit(title, " ".join(said), pictures.loss_picture(losses, score.finite_cost, "losses", title))


def _classes(score: "Score") -> Iterator[Exhibit]:
    shown = costliest(score.classes, _MOST_BARS)
    if shown:
        title = "Cost of each class"
        picture = _bars(score, shown, "classes", title)
        yield Exhibit(title, _said_of_bars(score.classes, shown, "class", "classes"), picture)


def _groups(score: "Score") -> Iterator[Exhibit]:
    shown = costliest(score.groups, _MOST_BARS)
    if shown:
        title = f"Cost of each group by '{short(score.reading.group_column)}'"
        picture = _bars(score, shown, "groups", title)
        said = _said_of_bars(score.groups, shown, "group", "groups")
        said += f" Lines are {100.0 * score.options.level:.6g} % intervals, taking the rows as independent."
        yield Exhibit(title, said, picture)


def _top_label(score: "Score") -> Iterator[Exhibit]:
    calibration = score.calibration
    if calibration is None or not calibration.top_label.weight:
        return
    title = "When it is confident, is it right?"
    curve = calibration.top_label
    picture = pictures.reliability_picture(curve, calibration.bins, "top", title)
    said = _said_of_curve(curve, "the highest prediction is", "it is right")
    said += f" The calibration error over {calibration.bins} bins is {number(curve.expected_calibration_error, 3)}."
    if calibration.is_binned:
        said += f" The curve is {calibration.note.split(';')[0]}."
    legend = (
        ("line first", "isotonic regression"),
        ("dot second", f"{calibration.bins} bins of equal width"),
        ("dash muted", "as predicted"),
        ("box muted", f"{_weight_word(score)} in each bin"),
    )
    yield Exhibit(title, said, picture, legend=legend)


def _decomposition(score: "Score") -> Iterator[Exhibit]:
    calibration = score.calibration
    if calibration is None or not calibration.top_label.weight:
        return
    # Of two classes, one against the other is the whole problem, and its cost that of the rows.
    is_binary = len(calibration.classes) == 2
    problem = calibration.classes[1] if is_binary else calibration.top_label
    parts = problem.decomposition
    if not parts.cost and not parts.uncertainty:
        return  # all parts are 0
    title = "What the cost is made of"
    asked = f"whether the truth is '{short(problem.name)}'" if is_binary else "whether the highest prediction is right"
    if not math.isfinite(parts.cost):
        caption = (
            f"The log score of {asked} is infinite, and so is its miscalibration: a prediction of 0 or 1 was wrong. "
            f"Its uncertainty is {number(parts.uncertainty)} nats, its discrimination {number(parts.discrimination)}."
        )
        yield Exhibit(title, caption)
        return
    caption = (
        f"The log score of {asked}: the frequency alone would cost {number(parts.uncertainty, 3)} nats (uncertainty), "
        f"what the predictions tell apart takes off {number(parts.discrimination, 3)} (discrimination), "
        f"and confidence that is not met adds {number(parts.miscalibration, 3)} (miscalibration)."
    )
    if not is_binary:
        caption += (
            f" It sees only right or wrong, so this is not the cost of the whole prediction, {number(score.cost)}."
        )
    yield Exhibit(title, caption, pictures.decomposition_picture(parts, "parts", title))


def _temperature(score: "Score") -> Iterator[Exhibit]:
    temperature = score.temperature
    if temperature is None or not temperature.curve or not math.isfinite(temperature.cost_nats):
        return
    title = "Would a temperature help?"
    costs = [cost for _, cost in temperature.curve]
    if max(costs) == min(costs):
        yield Exhibit(title, "The cost is the same at every temperature.")
        return
    t = temperature.temperature
    said = f"With every logit divided by T = {number(t, 3)}, the cost would be {number(temperature.gain_nats, 3)} nats lower: "
    said += f"on the whole, the predictions are {'too confident' if t > 1.0 else 'not confident enough'}."
    if not temperature.gain_nats > 0.0:
        said = "No temperature for all rows lowers the cost."
    if not 1.0 / _FAR_TEMPERATURE < t < _FAR_TEMPERATURE:
        said += " This is the end of what was tried."
    if not temperature.is_exact:
        said += " The curve follows from sums over all rows, taken at a few temperatures"
        said += "." if temperature.is_close else ", all of them far from the optimum, which is a rough one."
    if score.impossible:
        said += " Impossible rows are left out."
    yield Exhibit(title, said, pictures.temperature_picture(temperature, "temperature", title))


def _class_panels(score: "Score") -> Iterator[Exhibit]:
    calibration = score.calibration
    if calibration is None:
        return
    shown, said = _worst_calibrated(calibration)
    panels = []
    for place, curve in enumerate(shown):
        title = f"{short(curve.name, 22)}, error {number(curve.expected_calibration_error, 2)}"
        key = f"class{place}"
        picture = pictures.reliability_picture(curve, calibration.bins, key, f"Reliability of {title}", is_small=True)
        panels.append(Panel(title, picture))
    if panels:
        yield Exhibit("Each class against the rest", said, panels=tuple(panels))


def _worst_calibrated(calibration: Calibration) -> tuple[Sequence[Reliability], str]:
    curves = [curve for curve in calibration.classes if curve.weight]
    if len(curves) == 2:
        said = f"Of two classes one says it all: the curve of '{short(curves[0].name)}' is this one turned around."
        return curves[1:], said
    above = "Above the diagonal the class is more frequent than predicted, below it less."
    if len(curves) <= _MOST_PANELS:
        return curves, above
    worst = sorted(curves, key=lambda curve: curve.expected_calibration_error, reverse=True)[:_MOST_PANELS]
    return worst, f"The {_MOST_PANELS} classes with the highest calibration error, of {len(curves):,}. {above}"


def _said_of_curve(curve: Reliability, subject: str, outcome: str) -> str:
    """Return the sentence about the bin that adds most to the calibration error."""
    bins = zip(curve.mean_prediction, curve.observed, curve.weight, strict=True)
    predicted, observed, _ = max(bins, key=lambda each: each[2] * abs(each[0] - each[1]))
    if predicted == observed:
        return f"Where {subject} {number(predicted, 3)}, {outcome} just as often."
    state = "too confident" if observed < predicted else "not confident enough"
    return (
        f"The largest part of the error lies where {subject} {number(predicted, 3)} on average: there {outcome} "
        f"in {percent(observed)} of the rows, so that it is {state}."
    )


def _bars(score: "Score", shown: Sequence[Part], key: str, title: str) -> str:
    """Return the picture of classes or groups, none where no cost is finite."""
    if not any(math.isfinite(each.finite_cost) for each in shown):
        return ""
    bars = []
    for each in shown:
        ends = (each.interval.low, each.interval.high) if isinstance(each, GroupScore) else (math.nan, math.nan)
        bars.append(pictures.Bar(name_of(each), each.cost, each.finite_cost, each.weight / score.weight, *ends))
    is_groups = key == "groups"
    return pictures.bars_picture(bars, score.finite_cost, _weight_word(score), key, title, has_intervals=is_groups)


def _said_of_bars(every: Sequence[Part], shown: Sequence[Part], one: str, many: str) -> str:
    first = shown[0]
    cost = "infinitely much" if math.isinf(first.cost) else f"{number(first.cost, 3)} nats"
    said = [f"{one.capitalize()} '{short(name_of(first))}' costs most: {cost} in {counted(first.rows, 'row')}."]
    if math.isnan(first.cost):
        said = [f"The cost of {one} '{short(name_of(first))}' is not defined."]
    said.append(left_out(every, shown, one, many))
    if any(math.isfinite(each.finite_cost) and (each.impossible or each.undefined) for each in shown):
        said.append("Where a cost is ∞ or NaN, the cost of the other rows is drawn, and written in brackets.")
    return " ".join(each for each in said if each)


def _weight_word(score: "Score") -> str:
    return "rows" if score.reading.weight_column is None else "weight"
