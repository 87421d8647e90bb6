"""The printed form of a Score."""

import math

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from crossent.scoring.kinds import WORDS
from crossent.scoring.parts import ClassScore
from crossent.scoring.result import Score
from crossent.units import nats_to_bits

# More classes than this are shown as the costliest ones.
_SHOWN_CLASSES = 20


def print_score(score: Score) -> None:
    """Print headline, baseline, what is wrong with rows, classes, and how the file was understood."""
    console = Console(highlight=False, soft_wrap=True)
    for line in (*_headline(score), "", *_troubles(score)):
        console.print(line)
    console.print(_class_table(score))
    for line in _reading(score):
        console.print(line)


def _headline(score: Score) -> list[str]:
    first = (
        f"[bold]Cost {score.cost:.6g} nats[/bold] = {score.bits_per_row:.6g} bits per row, "
        f"perplexity {score.perplexity:.6g}, accuracy {score.accuracy:.2%}, {_rows(score.rows)}"
    )
    lines = [first]
    if not math.isfinite(score.cost) and math.isfinite(score.finite_cost):
        others = score.rows - score.impossible - score.undefined
        lines.append(
            f"Over the other {_rows(others)}: cost {score.finite_cost:.6g} nats "
            f"= {nats_to_bits(score.finite_cost):.6g} bits"
        )
    lines.append(_baseline(score))
    return lines


def _baseline(score: Score) -> str:
    prior = f"always predicting the label frequencies, which costs {score.prior_cost:.6g} nats"
    if not score.prior_cost:
        return "No baseline: every label is the same class."
    if math.isnan(score.improvement):
        return f"Not comparable with {prior}."
    if score.improvement == 0.0:
        return f"The same as {prior}."
    if score.improvement > 0.0:
        return f"{score.improvement:.2%} less than {prior}."
    if math.isinf(score.improvement):
        return f"[yellow]Infinitely worse than {prior}.[/yellow]"
    return f"[yellow]{-score.improvement:.2%} more than {prior}: worse than knowing nothing of the row.[/yellow]"


def _troubles(score: Score) -> list[str]:
    every = (
        (score.impossible, "impossible: the prediction is 0 where the truth is, so the cost is inf"),
        (score.undefined, "undefined: the prediction is NaN or missing, so the cost is nan"),
        (score.unnormalised, f"with probabilities that do not sum to 1, by up to {score.largest_deviation:.3g}"),
        (score.tied, "tied: the truth shares the highest prediction, which is not counted as correct"),
        (score.missing_labels, "without a label, not scored"),
        (score.ignored_labels, "with label -100, not scored"),
    )
    lines = [f"[yellow]{_rows(count)} {what}.[/yellow]" for count, what in every if count]
    if not score.impossible:
        lines.insert(0, "No impossible row: no prediction is 0 where the truth is.")
    return [*lines, *(f"[yellow]{escape(note)}[/yellow]" for note in score.reading.notes), ""]


def _class_table(score: Score) -> Table:
    shown = score.classes
    title = "Classes"
    if len(shown) > _SHOWN_CLASSES:
        shown = tuple(sorted((each for each in shown if each.rows), key=_cost, reverse=True)[:_SHOWN_CLASSES])
        title = f"The {len(shown)} costliest of {len(score.classes)} classes"
    table = Table(title=title, title_justify="left", title_style="", box=None, pad_edge=False)
    table.add_column("class")
    for heading in ("rows", "cost in nats", "accuracy", "impossible"):
        table.add_column(heading, justify="right")
    for each in shown:
        accuracy = f"{each.correct / each.rows:.2%}" if each.rows else "-"
        cost = _aligned(each.cost) if each.rows else "-"
        table.add_row(escape(each.name), f"{each.rows:,}", cost, accuracy, f"{each.impossible:,}")
    return table


def _cost(each: ClassScore) -> float:
    return math.inf if math.isnan(each.cost) else each.cost


def _aligned(cost_nats: float) -> str:
    # Four decimals stand in line; what they would round away is shown as what it is.
    return f"{cost_nats:.4f}" if cost_nats == 0.0 or not cost_nats < 0.001 else f"{cost_nats:.1e}"


def _reading(score: Score) -> list[str]:
    reading = score.reading
    mapped = [
        f"{each.name if str(each.label) == each.name else f'{each.name} (label {each.label})'} = {each.column}"
        for each in reading.classes
    ]
    if len(mapped) > _SHOWN_CLASSES:
        mapped = [*mapped[:_SHOWN_CLASSES], f"and {len(reading.classes) - _SHOWN_CLASSES} more"]
    lines = (
        f"Read        {reading.source} ({reading.format})",
        f"Labels      column '{reading.label_column}' ({reading.label_reason})",
        f"Predictions {WORDS[reading.kind]} ({reading.kind_reason})",
        f"Classes     {len(reading.classes)}, {reading.classes_reason}: {', '.join(mapped)}",
    )
    return ["", *(f"[dim]{escape(line)}[/dim]" for line in lines)]


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"
