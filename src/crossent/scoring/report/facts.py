"""Facts in two columns: the numbers beside the verdict, and how the files were understood."""

import math
from dataclasses import asdict
from typing import TYPE_CHECKING

from crossent.scoring.kinds import WORDS
from crossent.scoring.report.words import amount, counted, number, percent, short

if TYPE_CHECKING:
    from crossent.scoring.result import Score

_MOST_COLUMNS = 6
_BESIDE = (
    ("weights", "weight_column"),
    ("ids", "id_column"),
    ("groups", "group_column"),
    ("clusters", "cluster_column"),
    ("tokens", "token_column"),
    ("bytes", "byte_column"),
    ("words", "word_column"),
    ("bounds", "bound_column"),
)


def numbers(score: "Score") -> list[tuple[str, str, str]]:
    """Return the numbers of the headline: name, value, and what it means."""
    scored = "that were scored" if score.reading.label_form == "none" else "with a label, which are the ones scored"
    found = [
        ("Rows", f"{score.rows:,}", scored),
        ("Bits per row", number(score.bits_per_row), "the cost over log 2"),
        ("Perplexity", number(score.perplexity), "as unsure as among so many equal classes"),
    ]
    if score.reading.weight_column is not None:
        found.append(("Weight", amount(score.weight), "the sum over all rows"))
    if not math.isnan(score.prior_cost):
        value = percent(score.improvement) if math.isfinite(score.improvement) else "–"
        found.append(("Against the frequencies", value, "D²: 1 − cost / cost of the label frequencies"))
    if not math.isnan(score.accuracy):
        found.append(("Accuracy", percent(score.accuracy), "rows whose highest prediction is the truth"))
    if not math.isnan(score.brier):
        found.append(("Brier score", number(score.brier), "squared distance, 0 is perfect, 2 the worst"))
    if not math.isnan(score.prediction_entropy):
        found.append(
            ("Expected by the model", number(score.prediction_entropy), "mean entropy of its predictions, nats")
        )
    language = score.language
    if language is not None:
        found += [
            (name, number(value), meaning)
            for name, value, meaning in (
                ("Bits per byte", language.bits_per_byte, f"over {_of(language.bytes, 'byte')}"),
                ("Perplexity of a token", language.token_perplexity, f"over {_of(language.tokens, 'token')}"),
                ("Perplexity of a word", language.word_perplexity, f"over {_of(language.words, 'word')}"),
            )
            if value is not None and value != score.perplexity
        ]
        if language.bounded:
            found.append(("Lower bounds", f"{language.bounded:,}", "rows that cost at least what is counted"))
    return found


def understood(score: "Score") -> list[tuple[str, str]]:
    """Return each decision about the files with its reason."""
    reading = score.reading
    facts = [("Format", short(reading.format))]
    label = f"'{short(reading.label_column, 160)}', {short(reading.label_reason, 160)}"
    facts.append(("Labels", label if reading.label_column else short(reading.label_reason, 160)))
    if reading.label_form != "none":
        forms = {
            "ids": "numbers of classes",
            "names": "names of classes",
            "one-hot": "one-hot",
            "soft": "shares of classes",
        }
        facts.append(("Form of the labels", forms[reading.label_form]))
    columns = [short(name) for name in reading.prediction_columns]
    some = ", ".join(columns[:_MOST_COLUMNS])
    left = len(columns) - _MOST_COLUMNS
    facts.append(("Predictions", some + (f" and {left:,} more" if left > 0 else "")))
    facts.append(("Read as", f"{WORDS[reading.kind]}, {short(reading.kind_reason, 160)}"))
    classes = f"{counted(len(reading.classes), 'class', 'classes')}, " if reading.classes else ""
    facts.append(("Classes", classes + short(reading.classes_reason, 160)))
    for name, field in _BESIDE:
        column = getattr(reading, field)
        if column is not None:
            facts.append((name.capitalize(), f"column '{short(column, 160)}'"))
    facts.append(("Options", ", ".join(f"{name} = {_option(value)}" for name, value in _options(score).items())))
    return facts


def notes(score: "Score") -> list[str]:
    """Return what else is to be said about how the files were read."""
    every = score.reading.notes
    shown = [short(note, 400) for note in every[:30]]
    return [*shown, f"… and {len(every) - 30:,} more."] if len(every) > 30 else shown


def _options(score: "Score") -> dict[str, object]:
    return {name: value for name, value in asdict(score.options).items() if value is not None and name != "anchors"}


def _option(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _of(count: int | None, what: str) -> str:
    return counted(count, what) if count is not None else ""
