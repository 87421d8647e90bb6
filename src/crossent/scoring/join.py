"""Whether labels and predictions fit together, found out before anything is scored: keys twice, or without partner."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from crossent.errors import SourceError
from crossent.scoring.arrow import pa
from crossent.scoring.column_types import is_text
from crossent.scoring.duck import connection
from crossent.scoring.join_key import Key, as_text
from crossent.scoring.joined_source import JoinedSource
from crossent.scoring.label_file import LabelFile, open_labels
from crossent.scoring.label_table import write_parquet
from crossent.scoring.sources.source import Source
from crossent.scoring.sources.stream import StreamSource
from crossent.scoring.wording import listed

__all__ = ["JoinReport", "JoinedSource", "check_join"]

# How many keys without partner are named.
_EXAMPLES = 3

_REPEATED = """
SELECT count(*), CAST(min(key) AS VARCHAR) FROM (
    SELECT key FROM {table} WHERE key IS NOT NULL GROUP BY key HAVING count(*) > 1
)"""
_PLACES = """
SELECT file, row FROM {table} WHERE key = (
    SELECT min(key) FROM (SELECT key FROM {table} WHERE key IS NOT NULL GROUP BY key HAVING count(*) > 1)
) ORDER BY file, row LIMIT 2"""
_KEYS = "SELECT count(*), count(key), CAST(min(key) AS VARCHAR), count(*) FILTER (is_public) FROM {table}"
_ALONE = """
SELECT count(*), CAST(min(key, {examples}) AS VARCHAR[]) FROM {table} ANTI JOIN {other} USING (key)
WHERE key IS NOT NULL"""
_EXCLUDED = "SELECT count(*) FROM predictions JOIN labels USING (key) WHERE NOT labels.is_public"


@dataclass(frozen=True)
class JoinReport:
    """How labels and predictions fit together; `label_file` is what a JoinedSource needs."""

    label_file: LabelFile
    labels: int  # rows of the file
    predictions: int  # rows of all files
    labels_without_key: int
    predictions_without_key: int
    labels_without_prediction: int
    predictions_without_label: int
    excluded: int  # predictions whose label is marked other than Public
    public: int  # labels that count
    notes: tuple[str, ...]

    @property
    def on(self) -> str:
        return self.label_file.key.name


def check_join(sources: Sequence[Source], labels: str | PathLike[str], on: str | None = None) -> JoinReport:
    """Return how the labels fit the predictions of all sources together; raise SourceError where they do not."""
    for source in sources:
        if isinstance(source, StreamSource) and source.table is None:
            message = (
                f"`source` must be read twice to join labels, '{source.path}' can be read once; "
                f"give a table or write it to a file"
            )
            raise SourceError(message)
    label_file = open_labels(labels, sources, on)
    with TemporaryDirectory(prefix="crossent-join-") as name:
        folder = Path(name)
        try:
            _write_keys(folder, label_file, sources)
        except SourceError:
            # The first block of CSV showed whole numbers or dates, a later one may hold other keys.
            has_csv = any(source.format == "CSV" for source in (label_file.source, *sources))
            if is_text(label_file.key.type) or not has_csv:
                raise
            label_file = replace(label_file, key=as_text(label_file.key))
            _write_keys(folder, label_file, sources)
        with connection(folder) as database:
            for table in ("labels", "predictions"):
                database.read_parquet(str(folder / f"{table}.parquet")).create_view(table)
            return _report(database, label_file, sources)


def _write_keys(folder: Path, label_file: LabelFile, sources: Sequence[Source]) -> None:
    one_hot = label_file.schema.names if label_file.one_hot else []  # read to see that they are
    batches = (batch.select(["key", "row", "is_public"]) for batch in label_file.batches(one_hot))
    write_parquet(folder / "labels.parquet", (_with_file(batch, 0) for batch in batches))
    write_parquet(folder / "predictions.parquet", _prediction_keys(label_file.key, sources))


def _prediction_keys(key: Key, sources: Sequence[Source]) -> Iterator[Any]:
    for file, source in enumerate(sources):
        start = 0
        for keys in key.read(source):
            rows = np.arange(start, start + len(keys))
            start += len(keys)
            public = pa.array(np.ones(len(keys), bool))
            yield _with_file(
                pa.RecordBatch.from_arrays([keys, pa.array(rows), public], ["key", "row", "is_public"]), file
            )
        if not start:
            message = f"`source` must have rows, '{source.path}' has none"
            raise SourceError(message)


def _with_file(batch: Any, file: int) -> Any:
    return batch.append_column("file", pa.array(np.full(batch.num_rows, file, np.int32)))


def _report(database: Any, label_file: LabelFile, sources: Sequence[Source]) -> JoinReport:
    key, path = label_file.key, label_file.source.path

    def one(query: str, **names: object) -> Any:
        return database.execute(query.format(**names)).fetchone()

    labels, labels_keyed, label_key, public = one(_KEYS, table="labels")
    predictions, predictions_keyed, prediction_key, _ = one(_KEYS, table="predictions")
    for rows, keyed, where in (
        (labels, labels_keyed, f"'{path}'"),
        (predictions, predictions_keyed, listed(f"'{source.path}'" for source in sources)),
    ):
        if not keyed:
            message = (
                f"`on` must be a column with keys, '{key.name}' is missing in every one of the {rows} rows of {where}"
            )
            raise SourceError(message)
    _refuse_repeated(database, key, "labels", [path])
    _refuse_repeated(database, key, "predictions", [source.path for source in sources])
    label_alone, label_examples = one(_ALONE, table="labels", other="predictions", examples=_EXAMPLES)
    prediction_alone, prediction_examples = one(_ALONE, table="predictions", other="labels", examples=_EXAMPLES)
    if prediction_alone == predictions_keyed:
        message = (
            f"`on` must have keys in common in both files, '{key.name}' has none: the first is {key.spelled(label_key)} "
            f"in '{path}' and {key.spelled(prediction_key)} in '{sources[0].path}'"
        )
        raise SourceError(message)
    if not public:
        message = (
            f"`labels` must mark rows Public in '{label_file.mark}', '{path}' marks none of its {labels}; "
            f"drop that column to score every row"
        )
        raise SourceError(message)
    excluded = one(_EXCLUDED)[0] if public < labels else 0
    notes = (
        _alone(label_alone, "label", f"in {path}", "prediction", label_examples, key),
        _alone(prediction_alone, "prediction", "", f"label in {path}", prediction_examples, key),
        _keyless(labels - labels_keyed, "label", f"in {path}", key),
        _keyless(predictions - predictions_keyed, "prediction", "", key),
        f"{path} marks {public} of {labels} rows Public in {label_file.mark}." if public < labels else "",
    )
    has_mark = any(label_file.mark in source.schema.names for source in sources)
    return JoinReport(
        label_file=label_file.with_mark() if public < labels and not has_mark else label_file,
        labels=labels,
        predictions=predictions,
        labels_without_key=labels - labels_keyed,
        predictions_without_key=predictions - predictions_keyed,
        labels_without_prediction=label_alone,
        predictions_without_label=prediction_alone,
        excluded=excluded,
        public=public,
        notes=tuple(note for note in notes if note),
    )


def _refuse_repeated(database: Any, key: Key, table: str, paths: Sequence[Path]) -> None:
    count, first = database.execute(_REPEATED.format(table=table)).fetchone()
    if not count:
        return
    places = database.execute(_PLACES.format(table=table)).fetchall()
    rows = " and ".join(f"row {row} of '{paths[file]}'" for file, row in places)
    argument = "labels" if table == "labels" else "source"
    message = (
        f"`{argument}` must have each key of '{key.name}' once, {count} of them "
        f"{'stands' if count == 1 else 'stand'} in several rows, the first, {key.spelled(first)}, in {rows}; "
        f"drop the rows that do not count"
    )
    raise SourceError(message)


def _alone(count: int, what: str, where: str, partner: str, examples: Sequence[str] | None, key: Key) -> str:
    if not count or not examples:
        return ""
    names = [key.spelled(each) for each in examples]
    shown = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    subject = " ".join(filter(None, (f"{count} {what}{'' if count == 1 else 's'}", where)))
    lead = "" if count <= _EXAMPLES else "the first are "
    return f"{subject} {'has' if count == 1 else 'have'} no {partner}: {lead}{shown}."


def _keyless(count: int, what: str, where: str, key: Key) -> str:
    if not count:
        return ""
    subject = " ".join(filter(None, (f"{count} {what}{'' if count == 1 else 's'}", where)))
    return f"{subject} {'has' if count == 1 else 'have'} no {key.name}, and a missing key matches nothing."
