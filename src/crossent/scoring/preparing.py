"""Files made ready to be scored: opened, joined with their labels, understood, and cut into tasks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from crossent.errors import OptionError
from crossent.scoring.arrow import pa
from crossent.scoring.columns import Asked, labels_by_name
from crossent.scoring.kinds import WORDS
from crossent.scoring.options import Options
from crossent.scoring.reading import Reading, look, text_types
from crossent.scoring.result import Score
from crossent.scoring.row_labels import FORMAT, RowLabels, row_labels
from crossent.scoring.sources.opening import first_rows, open_source
from crossent.scoring.sources.parquet import ParquetSource
from crossent.scoring.sources.source import Source
from crossent.scoring.tasks import Job, job_for, joined
from crossent.scoring.unused import refuse_unused, refuse_unused_labels

# Rows that say near which temperature the sums should be taken.
_PILOT_ROWS = 4096


@dataclass(frozen=True)
class Prepared:
    """Open files and what is to be done with them."""

    sources: tuple[Source, ...]
    job: Job

    @property
    def rows(self) -> int | None:
        """Rows in all; None where a file does not say."""
        counts = [source.rows for source in self.sources]
        return None if None in counts else sum(count or 0 for count in counts)


def prepare(
    paths: Sequence[Path],
    asked: Asked,
    options: Options,
    *,
    batch_rows: int | None = None,
    labels: Any = None,
    on: str | None = None,
    anchors: tuple[float, ...] | None = None,
) -> Prepared:
    """Return the files as they are to be read; `anchors` are those of an old score that goes on."""
    sources = [open_source(path) for path in paths]
    predictions = sources[0]
    label_file: Any = None
    notes: tuple[str, ...] = ()
    if labels is not None:
        label_file, notes = _labels(labels, sources, on)
        sources = [joined(source, label_file) for source in sources]
    own = _label_of(label_file) if label_file is not None and asked.target is None else None
    reading, seen = look(sources[0], asked if own is None else replace(asked, target=own))
    reading = with_rules(reading, options)
    refuse_unused(reading, asked, options)
    reading = reading.with_notes(*notes)
    if label_file is not None:
        refuse_unused_labels(reading, labels, {*sources[0].schema.names} - {*predictions.schema.names})
        if reading.label_form != "none":
            reason = "the labels" if own is not None else reading.label_reason
            reading = replace(reading, label_reason=f"{reason} of {label_file.source.path}")
    if anchors is None:
        anchors = anchors_of(sources[0], seen, reading, options, rows=sources[0].rows)
    job = job_for(reading, replace(options, anchors=anchors), batch_rows, label_file)
    job = replace(job, has_several=len(sources) > 1)
    pa.default_memory_pool().release_unused()  # what the first look took, on a thread that reads no more: 6 MB of 390
    return Prepared(tuple(sources), job)


def _labels(labels: Any, sources: Sequence[Source], on: str | None) -> tuple[Any, tuple[str, ...]]:
    """Return what the predictions are joined with, and what there is to say of it."""
    if on is None and str(labels).lower().endswith(f".{FORMAT}"):
        return row_labels(open_source(labels), sources), ("The labels are taken in the order of their rows.",)
    from crossent.scoring.join import check_join

    report = check_join(sources, labels, on)
    return report.label_file, report.notes


def _label_of(label_file: Any) -> str | None:
    """Return the column of labels in their own file: a column of the predictions must not be taken for the truth."""
    if isinstance(label_file, RowLabels):
        return None  # RowJoinedSource names it
    names: list[str] = label_file.label_names
    by_name = labels_by_name(names, None, set())
    return names[0] if len(names) == 1 else by_name[0][0] if by_name[0] else None


def with_rules(reading: Reading, options: Options) -> Reading:
    """Return the reading with the sentence about rules that change predictions before they are scored."""
    if options.rules is None:
        return reading
    if reading.kind != "probs":
        message = f"`rules` are of probabilities, these are {WORDS[reading.kind]}; write probabilities to the file"
        raise OptionError(message)
    return reading.with_notes(
        "By Kaggle's rules every row is rescaled to sum 1 and clipped to [1e-15, 1 - 1e-15] before it is scored."
    )


def anchors_of(first: Source, seen: Any, reading: Reading, options: Options, *, rows: int | None) -> tuple[float, ...]:
    """Return where to take sums for the temperature: at 1, and near the optimum of the first rows of the first file.

    `seen` are the rows that the reading was told from, `rows` how many there are, None where nobody knows.
    """
    wanted = min(_PILOT_ROWS, job_for(reading, options).batch_rows)
    if not reading.classes or (rows is not None and rows <= wanted):
        return (1.0,)
    is_enough = seen is not None and seen.num_rows >= wanted and set(reading.columns) <= set(seen.schema.names)
    if isinstance(first, ParquetSource) and is_enough:
        # Every column's first page is decoded for a look: 15 ms of 100 columns.
        batch = seen
    else:
        # Text is read again, with the types that the reading asks for.
        batch = first_rows(first, reading.columns, wanted + 1, text_types(reading, first.schema))
        if batch is None or (rows is None and batch.num_rows <= wanted):
            return (1.0,)
    pilot = Score(reading, replace(options, bad_labels="count", zero="inf", eps=None, bootstrap=0))
    pilot.update(batch.slice(0, wanted))
    return tuple(sorted({1.0, pilot.anchor()}))
