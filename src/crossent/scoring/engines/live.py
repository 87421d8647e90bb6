"""Tables that live in a cluster: a Dask DataFrame, a Ray Dataset, a Spark DataFrame; each partition becomes a state."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from crossent.errors import OptionError, SourceError
from crossent.scoring.arrow import pa
from crossent.scoring.result import Score
from crossent.scoring.sources.stream import StreamSource
from crossent.scoring.tasks import Job, read_result, score_source, sent

# The package that a table's type comes from, and the file here that knows it. Nothing is imported to find out.
_PACKAGES = {"dask": ("dask", "Dask DataFrame"), "ray": ("ray", "Ray Dataset"), "pyspark": ("spark", "Spark DataFrame")}

# What a reading looks at, and one more, which says that there are more.
_HEAD_ROWS = 4097


@dataclass(frozen=True)
class LiveTable:
    """A table of an engine, and its first rows, which say how it is to be understood."""

    engine: str
    table: Any
    head: StreamSource


def open_live(source: Any, engine: str = "local") -> LiveTable | None:
    """Return the live table, None for what is none; `engine` may only be its own, or the one that is not chosen."""
    package = type(source).__module__.partition(".")[0]
    if package not in _PACKAGES:
        return None
    own, what = _PACKAGES[package]
    module = import_module(f"crossent.scoring.engines.{own}")
    if not module.is_table(source):
        message = f"`source` must be a path or a table, got {package}'s {type(source).__name__}; make it a {what}"
        raise SourceError(message)
    if engine not in ("local", own):
        message = f"`engine` must be {own!r} for a {what}, got {engine!r}; leave it out"
        raise OptionError(message)
    head = _without_extensions(module.first_rows(source, _HEAD_ROWS))
    return LiveTable(own, source, StreamSource(Path(f"<{own}>"), head.schema, head.num_rows, what, table=head))


def score_live(live: LiveTable, job: Job, workers: int | None, address: str | None) -> Iterator[Score]:
    """Yield the score of every partition, in any order.

    A row is known by its partition, "<dask>[3]", and its number in that; of a Ray Dataset, whose blocks have no numbers,
    by a digest of the block. Where a row lies therefore decides its draws in the bootstrap, and which rows of equal loss
    end the list of the worst. All else is the same bits for every engine and every partitioning.
    """
    module = import_module(f"crossent.scoring.engines.{live.engine}")
    function = partial(_run_partition, job=job, engine=live.engine, schema=live.head.schema)
    for result in module.map_table(function, live.table, job.reading.columns, workers=workers, address=address):
        score = read_result(result)
        # One source, of as many rows as there are: the partitions may be thousands.
        score.sources = {str(live.head.path): sum(score.sources.values())}
        yield score


def _run_partition(index: int | str, batches: Iterable[Any], job: Job, engine: str, schema: Any) -> bytes:
    """Score a partition where it lies."""
    coming = (_as_in(batch, schema) for batch in batches if batch.num_rows)
    source = StreamSource(Path(f"<{engine}>[{index}]"), schema, None, coming=coming)
    return sent(lambda: score_source(source, job, reads_ahead=False))


def _as_in(batch: Any, schema: Any) -> Any:
    """Return the batch without extension types; a column without any value gets the type that it has elsewhere."""
    table = _without_extensions(pa.Table.from_batches([batch]))
    for position, field in enumerate(table.schema):
        if pa.types.is_null(field.type):
            table = table.set_column(position, field.name, table.column(position).cast(schema.field(field.name).type))
    return table.combine_chunks().to_batches()[0]


def _without_extensions(table: Any) -> Any:
    """Return the table with what extension types are made of: Ray keeps arrays in one that is made of lists."""
    for position, field in enumerate(table.schema):
        if isinstance(field.type, pa.BaseExtensionType):
            chunks = [chunk.storage for chunk in table.column(position).chunks]
            table = table.set_column(position, field.name, pa.chunked_array(chunks, field.type.storage_type))
    return table
