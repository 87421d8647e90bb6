"""The printed form of a Score: verdict, what is wrong with rows, calibration, tables, how the files were understood."""

import math
from collections.abc import Sequence
from typing import Any

from rich.markup import escape

from crossent.cli.tabular import Tabular, console_for_text, print_table
from crossent.scoring.comparison import Comparison
from crossent.scoring.kinds import WORDS
from crossent.scoring.parts import ClassScore, GroupScore, name_of
from crossent.scoring.result import Score
from crossent.scoring.uncertainty import Interval, why_undefined
from crossent.units import nats_to_bits

# More classes and groups than this are shown as the costliest ones.
_SHOWN = 20
# Of the worst rows, enough to see what they have in common; the rest are in the report and in JSON.
_SHOWN_WORST = 5
# A line of the screen that holds more is cut: names may be texts.
_LONGEST = 2000


def print_score(score: Score) -> None:
    """Print everything a person asks first, and where the rest is."""
    console = console_for_text()
    for line in (*_headline(score), "", *_troubles(score), *_quality(score)):
        console.print(line)
    for table in (_class_table(score), _group_table(score), _worst_table(score)):
        if table is not None:
            print_table(console, table)
            console.print()
    for line in _reading(score):
        console.print(line)


def print_comparison(comparison: Comparison) -> None:
    """Print the paired difference below the first score."""
    console = console_for_text()
    better = "first" if comparison.difference_nats < 0.0 else "second"
    first, second = comparison.first.reading.source, comparison.second.reading.source
    console.print()
    console.print(
        f"[bold]{_shown(first)} costs {comparison.difference_nats:+.6g} nats[/bold] against {_shown(second)} "
        f"({_interval(comparison.interval)}), over {_rows(comparison.rows)} that both score."
    )
    interval = comparison.interval
    if math.isnan(interval.low):
        console.print(why_undefined(interval))
    if interval.low <= 0.0 <= interval.high:
        console.print("The interval holds 0: these rows do not say which is better.")
    elif not math.isnan(interval.low):
        console.print(f"The interval does not hold 0: the {better} is better.")
    console.print(
        f"Row by row: {comparison.better:,} better, {comparison.worse:,} worse, {comparison.equal:,} equal. "
        f"The second alone costs {comparison.second.cost:.6g} nats."
    )
    every = (
        (comparison.impossible_in_first, "impossible in the first only"),
        (comparison.impossible_in_second, "impossible in the second only"),
        (comparison.impossible_in_both, "impossible in both"),
        (comparison.not_shared, "scored by only one of them"),
    )
    for count, what in every:
        if count:
            console.print(f"[yellow]{_rows(count)} {what}, left out of the difference.[/yellow]")


def _headline(score: Score) -> list[str]:
    accuracy = "" if math.isnan(score.accuracy) else f"accuracy {score.accuracy:.2%}, "
    weight = "" if score.reading.weight_column is None else f" of weight {score.weight:.6g}"
    first = (
        f"[bold]Cost {score.cost:.6g} nats[/bold] = {score.bits_per_row:.6g} bits per row, "
        f"perplexity {score.perplexity:.6g}, {accuracy}{_rows(score.rows)}{weight}"
    )
    lines = [first]
    if not math.isfinite(score.cost) and math.isfinite(score.finite_cost):
        others = score.rows - score.impossible - score.undefined
        lines.append(
            f"Over the other {_rows(others)}: cost {score.finite_cost:.6g} nats "
            f"= {nats_to_bits(score.finite_cost):.6g} bits"
        )
    interval = score.interval
    is_defined = not math.isnan(interval.standard_error)
    known = f"Standard error {interval.standard_error:.2g}, {_interval(interval)}"
    lines.append(known if is_defined else why_undefined(interval))
    if score.reading.classes:
        lines.append(_baseline(score))
    return [*lines, *_language(score)]


def _interval(interval: Interval) -> str:
    units = {
        "normal": "",
        "cluster": f" from {interval.units:,} clusters",
        "bootstrap": f" from {interval.units:,} replicates",
    }
    level = f"{100.0 * interval.level:g} % interval"
    return f"{level}{units[interval.method]} {interval.low:.6g} to {interval.high:.6g}"


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


def _language(score: Score) -> list[str]:
    language = score.language
    if language is None:
        return []
    parts = [f"{language.token_perplexity:.6g} per token ({language.tokens:,} tokens)"]
    if language.word_perplexity is not None:
        parts.append(f"{language.word_perplexity:.6g} per word ({language.words:,} words)")
    lines = [f"Perplexity {', '.join(parts)}"]
    if language.bits_per_byte is not None:
        lines.append(f"{language.bits_per_byte:.6g} bits per byte ({language.bytes:,} bytes)")
    if language.unsized:
        lines.append(f"[yellow]{_rows(language.unsized)} without a count of bytes: no bits per byte.[/yellow]")
    if language.bounded:
        lines.append(
            f"[yellow]{_rows(language.bounded)} with a loss that is at least what was counted: "
            f"their log-probability was not given.[/yellow]"
        )
    return lines


def _troubles(score: Score) -> list[str]:
    every = (
        (score.impossible, "impossible: the prediction is 0 where the truth is, so the cost is inf"),
        (score.undefined, "undefined: the prediction is NaN or missing, so the cost is nan"),
        (score.clipped, f"clipped, as {'`rules` ask' if score.options.rules else '`zero` asks'}: they would cost more"),
        (score.unnormalised, f"with probabilities that do not sum to 1, by up to {score.largest_deviation:.3g}"),
        (score.tied, "tied: the truth shares the highest prediction, which is not counted as correct"),
        (score.missing_labels, "without a label, not scored"),
        (score.ignored_labels, f"with label -100{_unmarked(score)}, not scored"),
        (score.bad_labels, f"with a label that is no class, not scored: {_bad_labels(score)}"),
        (score.weightless, "with weight 0, not scored"),
    )
    lines = [f"[yellow]{_rows(count)} {_shown(what)}.[/yellow]" for count, what in every if count]
    if not score.impossible and not score.clipped and score.options.rules is None:
        lines.insert(0, "No impossible row: no prediction is 0 where the truth is.")
    return [*lines, *(f"[yellow]{_shown(note)}[/yellow]" for note in score.reading.notes), ""]


def _unmarked(score: Score) -> str:
    mark = score.reading.mark_column
    return "" if mark is None else f", or not marked Public in '{mark}'"


def _bad_labels(score: Score) -> str:
    shown = [f"{text} ({count:,})" for text, count in score.bad_label_values.items()]
    return ", ".join(shown[:_SHOWN_WORST]) + (", ..." if len(shown) > _SHOWN_WORST else "")


def _quality(score: Score) -> list[str]:
    """Return what calibration and temperature have to say; nothing where only losses are known."""
    lines = []
    if score.calibration is not None:
        top = score.calibration.top_label
        parts = top.decomposition
        how = "binned" if score.calibration.is_binned else "exact"
        if score.clipped:
            how += ", before clipping"
        lines.append(
            f"Calibration of the highest prediction ({how}): cost {parts.cost:.4g} = miscalibration "
            f"{parts.miscalibration:.4g} - discrimination {parts.discrimination:.4g} + uncertainty {parts.uncertainty:.4g}; "
            f"calibration error {top.expected_calibration_error:.4g} in {score.calibration.bins} bins"
        )
    best = score.temperature
    if best is not None:
        about = "" if best.is_exact else " about" if best.is_close else " very roughly"
        lines.append(f"Best temperature{about} {best.temperature:.4g}, which would gain {best.gain_nats:.4g} nats")
    share = score.losses.worst_percent_share
    if not math.isnan(share):
        median = dict(score.losses.quantiles)[0.5]
        lines.append(f"Median loss {median:.4g} nats; the worst 1 % of the rows make {share:.1%} of the cost")
    return [*lines, ""] if lines else []


def _class_table(score: Score) -> Tabular | None:
    if not score.classes:
        return None
    shown: Sequence[ClassScore] = score.classes
    title = "Classes"
    if len(shown) > _SHOWN:
        shown = sorted((each for each in shown if each.rows), key=_cost, reverse=True)[:_SHOWN]
        title = f"The {len(shown)} costliest of {len(score.classes)} classes"
    headings = ("class", "rows", "cost in nats", "accuracy", "impossible")
    return Tabular(title, headings, [_counted(each) for each in shown], frozenset({0}))


def _group_table(score: Score) -> Tabular | None:
    if not score.groups:
        return None
    shown: Sequence[GroupScore] = score.groups
    title = f"By {score.reading.group_column}"
    if len(shown) > _SHOWN:
        shown = sorted(shown, key=_cost, reverse=True)[:_SHOWN]
        title = f"The {len(shown)} costliest of {len(score.groups)} values of {score.reading.group_column}"
    column = _shown(score.reading.group_column or "")
    headings = (column, "rows", "cost in nats", "accuracy", "impossible", "interval")
    rows = [(*_counted(each), _between(each.interval)) for each in shown]
    return Tabular(_shown(title), headings, rows, frozenset({0}))


def _between(interval: Interval) -> str:
    return "-" if math.isnan(interval.low) else f"{interval.low:.4f} to {interval.high:.4f}"


def _worst_table(score: Score) -> Tabular | None:
    shown = [each for each in score.worst[:_SHOWN_WORST] if each.loss_nats > 0.0]
    if not shown:
        return None
    has_ids = any(each.id is not None for each in shown)
    several = len(score.sources) > 1
    headings = [*(["id"] if has_ids else []), *(["file"] if several else []), "row", "loss in nats"]
    headings += ["truth", "its prediction", "highest"] if score.classes else []
    rows = []
    for each in shown:
        cells = [*([each.id or "-"] if has_ids else []), *([each.source] if several else []), f"{each.row:,}"]
        cells.append(_aligned(each.loss_nats))
        if score.classes:
            cells += [each.truth, f"{each.truth_prediction:.3g}", f"{each.top} {each.top_prediction:.3g}"]
        rows.append([_shown(cell) for cell in cells])
    texts = frozenset(place for place, name in enumerate(headings) if name in ("id", "file", "truth", "highest"))
    return Tabular("Worst rows", tuple(headings), rows, texts)


def _counted(each: ClassScore | GroupScore) -> tuple[str, ...]:
    accuracy = f"{each.correct / each.rows:.2%}" if each.rows else "-"
    cost = _aligned(each.cost) if each.rows else "-"
    return _shown(name_of(each)), f"{each.rows:,}", cost, accuracy, f"{each.impossible:,}"


def _cost(each: Any) -> float:
    return math.inf if math.isnan(each.cost) else float(each.cost)


def _aligned(cost_nats: float) -> str:
    # Four decimals stand in line; what they would round away is shown as what it is.
    return f"{cost_nats:.4f}" if cost_nats == 0.0 or not cost_nats < 0.001 else f"{cost_nats:.1e}"


def _reading(score: Score) -> list[str]:
    reading = score.reading
    files = [f"{source} ({rows:,} rows)" for source, rows in score.sources.items()]
    read = (
        f"{reading.source} ({reading.format})"
        if len(files) <= 1
        else f"{len(files)} files ({reading.format}): {_some(files)}"
    )
    mapped = [
        f"{each.name if str(each.label) == each.name else f'{each.name} (label {each.label})'} = {each.column}"
        for each in reading.classes
    ]
    lines = [
        f"Read        {read}",
        f"Labels      column '{reading.label_column}' ({reading.label_reason})"
        if reading.label_column
        else f"Labels      {reading.label_reason}",
        f"Predictions {WORDS[reading.kind]} ({reading.kind_reason})",
        f"Classes     {len(reading.classes)}, {reading.classes_reason}: {_some(mapped)}"
        if mapped
        else f"Classes     {reading.classes_reason}",
    ]
    return [f"[dim]{_shown(line)}[/dim]" for line in lines]


def _some(texts: Sequence[str]) -> str:
    return ", ".join([*texts[:_SHOWN], *([f"and {len(texts) - _SHOWN} more"] if len(texts) > _SHOWN else [])])


def _shown(text: str) -> str:
    """Return text from the data for the terminal: no markup, no control characters, and not without end."""
    plain = "".join(mark if mark.isprintable() else mark.encode("unicode_escape").decode() for mark in text)
    return escape(plain if len(plain) <= _LONGEST else f"{plain[: _LONGEST - 3]}...")


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"
