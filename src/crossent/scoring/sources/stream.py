"""Predictions that are in memory or arrive: a table, a stream of Arrow data, an iterable of record batches."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crossent.errors import SourceError
from crossent.scoring.arrow import pa
from crossent.scoring.sources.source import Piece, sliced

# Enough for a look at the first 4096 rows, and to know whether there are more.
_PEEKED_ROWS = 4097


@dataclass
class StreamSource:
    """What was pulled to look at the first rows is kept and given again, so that one reading misses nothing.

    A table can be read as often as one likes, anything else once: a second reading would silently find no rows.
    """

    path: Path  # the name of the type in angle brackets, for errors and reports
    schema: Any
    rows: int | None
    format: str = "Arrow data"
    skipped: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    table: Any = None
    coming: Iterator[Any] = field(default_factory=lambda: iter(()))
    peeked: list[Any] = field(default_factory=list)
    is_read: bool = False

    def pieces(self, columns: Sequence[str], piece_rows: int) -> list[Piece]:
        return [Piece(0, self.rows)]

    def batches(
        self, columns: Sequence[str], batch_rows: int, types: Mapping[str, Any], piece: Piece | None = None
    ) -> Iterator[Any]:
        wanted = list(columns)
        if self.table is not None:
            yield from sliced((batch.select(wanted) for batch in self.table.to_batches()), batch_rows)
            return
        if self.is_read:
            message = f"`source` must be read once, '{self.path}' was read before; give a table or a new stream"
            raise SourceError(message)
        for batch in list(self.peeked):
            yield from sliced((batch.select(wanted),), batch_rows)
        self.is_read = True
        self.peeked.clear()
        yield from sliced((batch.select(wanted) for batch in self.coming), batch_rows)

    def kept(self, columns: Sequence[str]) -> list[Any] | None:
        """Return the batches with rows that were pulled to be looked at; None of a table, which can be read again."""
        if self.table is not None:
            return None
        return [batch.select(list(columns)) for batch in self.peeked if batch.num_rows]


def open_stream(source: Any) -> StreamSource | None:
    """Return the reader for Arrow data in memory; None for an object that holds none."""
    name = Path(f"<{type(source).__name__}>")
    if isinstance(source, pa.RecordBatch):
        source = pa.Table.from_batches([source])
    if isinstance(source, pa.Table):
        return StreamSource(name, source.schema, source.num_rows, table=source)
    if hasattr(source, "__arrow_c_stream__"):
        reader = pa.RecordBatchReader.from_stream(source)
        return _peeked(name, reader.schema, iter(reader))
    if hasattr(source, "__arrow_c_array__"):
        table = pa.Table.from_batches([pa.record_batch(source)])
        return StreamSource(name, table.schema, table.num_rows, table=table)
    if isinstance(source, Iterable) and not isinstance(source, str | bytes | Mapping):
        batches = _batches(name, source)
        first = next(batches, None)
        if first is None:
            message = f"`source` must have rows, '{name}' yields nothing"
            raise SourceError(message)
        return _peeked(name, first.schema, batches, [first])
    return None


def _peeked(name: Path, schema: Any, coming: Iterator[Any], peeked: Sequence[Any] = ()) -> StreamSource:
    """Return the source with its first rows pulled, however short its batches are."""
    kept = list(peeked)
    while sum(batch.num_rows for batch in kept) < _PEEKED_ROWS and (batch := next(coming, None)) is not None:
        kept.append(batch)
    return StreamSource(name, schema, None, coming=coming, peeked=kept)


def _batches(name: Path, source: Iterable[Any]) -> Iterator[Any]:
    schema = None
    for position, item in enumerate(source):
        if isinstance(item, pa.RecordBatch):
            batch = item
        elif hasattr(item, "__arrow_c_array__"):
            batch = pa.record_batch(item)
        else:
            message = (
                f"`source` must be a path or yield record batches, item {position} of '{name}' is "
                f"{type(item).__name__}; give paths as text, or a table"
            )
            raise SourceError(message)
        schema = batch.schema if schema is None else schema
        if not batch.schema.equals(schema):
            message = (
                f"`source` must yield record batches of one schema, item {position} of '{name}' differs from the "
                f"first; cast them to one schema"
            )
            raise SourceError(message)
        yield batch
