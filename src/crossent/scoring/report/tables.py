"""The page's tables as text: the worst rows, classes, groups, how classes were mapped, files."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from crossent.scoring.parts import ClassScore, GroupScore, name_of
from crossent.scoring.report.words import amount, counted, number, percent, short

if TYPE_CHECKING:
    from crossent.scoring.result import Score

# So many lines are read; whoever wants more has the JSON.
MOST_ROWS = 30

Part = TypeVar("Part", ClassScore, GroupScore)


@dataclass(frozen=True)
class Table:
    """A table with its heading; `is_number` says which columns are aligned right."""

    title: str
    head: tuple[str, ...]
    is_number: tuple[bool, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def costliest(parts: Sequence[Part], most: int) -> list[Part]:
    """Return the parts that have rows, those that cost most first: infinite before finite, then by what is finite."""

    def rank(part: Part) -> tuple[bool, float]:
        finite = part.finite_cost if math.isfinite(part.finite_cost) else -1.0
        return not math.isfinite(part.cost), finite

    return sorted((part for part in parts if part.rows), key=rank, reverse=True)[:most]


def left_out(every: Sequence[Part], shown: Sequence[Part], one: str, many: str) -> str:
    """Return the sentences about the parts that are not shown, "" where there are none."""
    used = sum(part.rows > 0 for part in every)
    said = [f"Shown are the {len(shown)} that cost most, of {used:,} {many} with rows."] if used > len(shown) else []
    if len(every) > used:
        said.append(f"{counted(len(every) - used, one, many)} {'has' if len(every) - used == 1 else 'have'} no row.")
    return " ".join(said)


def worst_table(score: "Score") -> Table | None:
    """Return the rows that cost most."""
    shown = score.worst[:MOST_ROWS]
    if not shown:
        return None
    has_id = any(each.id is not None for each in shown)
    has_files = len(score.sources) > 1
    columns = [("loss, nats", True, [number(each.loss_nats) for each in shown])]
    if has_files:
        columns.append(("file", False, [short(each.source) for each in shown]))
    columns.append(("row", True, [f"{each.row:,}" for each in shown]))
    if has_id:
        columns.append(("id", False, ["" if each.id is None else short(each.id) for each in shown]))
    if score.reading.classes and score.reading.label_form != "soft":
        columns += [
            ("truth", False, [short(each.truth) for each in shown]),
            ("its prediction", True, [_or_blank(each.truth_prediction) for each in shown]),
        ]
    if score.reading.classes:
        columns += [
            ("highest", False, [short(each.top) for each in shown]),
            ("its prediction", True, [_or_blank(each.top_prediction) for each in shown]),
        ]
    note = "Rows are counted from 0 within their file."
    if len(score.worst) > len(shown):
        note = f"The first {len(shown)} of {len(score.worst):,} that were kept. {note}"
    return _of("The worst rows", columns, note)


def class_table(score: "Score") -> Table | None:
    """Return the classes that cost most, with their calibration where it is known."""
    shown = costliest(score.classes, MOST_ROWS)
    if not shown:
        return None
    columns = [("class", False, [short(each.name) for each in shown]), *_columns(score, shown)]
    calibration = score.calibration
    if calibration is not None and calibration.classes:
        curves = {each.name: each for each in calibration.classes}
        found = [curves[each.name] for each in shown]
        columns += [
            ("miscalibration, nats", True, [number(each.decomposition.miscalibration, 3) for each in found]),
            ("discrimination, nats", True, [number(float(each.decomposition.discrimination), 3) for each in found]),
            ("calibration error", True, [number(each.expected_calibration_error, 3) for each in found]),
        ]
    return _of("Classes", columns, left_out(score.classes, shown, "class", "classes"))


def group_table(score: "Score") -> Table | None:
    """Return the groups that cost most."""
    shown = costliest(score.groups, MOST_ROWS)
    if not shown:
        return None
    columns = [(short(score.reading.group_column), False, [short(name_of(each)) for each in shown])]
    columns += _columns(score, shown)
    intervals = [each.interval for each in shown]
    columns += [
        ("from", True, [_or_blank(each.low) for each in intervals]),
        ("to", True, [_or_blank(each.high) for each in intervals]),
    ]
    return _of("Groups", columns, left_out(score.groups, shown, "group", "groups"))


def mapping_table(score: "Score") -> Table | None:
    """Return which label and which column belong to each class."""
    classes = score.reading.classes
    if not classes:
        return None
    shown = classes[:MOST_ROWS]
    columns = [
        ("class", False, [short(each.name) for each in shown]),
        ("label in the file", False, [short(each.label) for each in shown]),
        ("predictions", False, [short(each.column) for each in shown]),
    ]
    left = len(classes) - len(shown)
    return _of("How labels and predictions were matched", columns, f"… and {left:,} more." if left else "")


def file_table(score: "Score") -> Table | None:
    """Return the files and the rows read of each."""
    shown = sorted(score.sources.items())[:MOST_ROWS]
    if not shown:
        return None
    columns = [
        ("file", False, [short(name, 72) for name, _ in shown]),
        ("rows", True, [f"{rows:,}" for _, rows in shown]),
    ]
    left = len(score.sources) - len(shown)
    return _of("Files", columns, f"… and {counted(left, 'more file')}." if left else "")


def _columns(score: "Score", parts: Sequence[ClassScore] | Sequence[GroupScore]) -> list[tuple[str, bool, list[str]]]:
    columns = [("rows", True, [f"{each.rows:,}" for each in parts])]
    if score.reading.weight_column is not None or score.reading.label_form == "soft":
        columns.append(("weight", True, [amount(each.weight) for each in parts]))
    columns.append(("share", True, [percent(each.weight / score.weight) for each in parts]))
    columns.append(("cost, nats", True, [number(each.cost) for each in parts]))
    if any(each.impossible or each.undefined for each in parts):
        columns += [
            ("finite cost", True, [number(each.finite_cost) for each in parts]),
            ("impossible", True, [f"{each.impossible:,}" for each in parts]),
            ("undefined", True, [f"{each.undefined:,}" for each in parts]),
        ]
    if score.reading.classes:
        columns.append(("correct", True, [f"{each.correct:,}" for each in parts]))
    return columns


def _of(title: str, columns: Sequence[tuple[str, bool, list[str]]], note: str) -> Table:
    heads, numbers, values = zip(*columns, strict=True)
    return Table(title, heads, numbers, tuple(zip(*values, strict=True)), note)


def _or_blank(value: float) -> str:
    return "" if math.isnan(value) else number(value)
