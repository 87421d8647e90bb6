"""Predictions that have the columns of a file of labels too, joined on a key piece by piece, in bounded memory."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crossent.errors import SourceError
from crossent.scoring.arrow import pa
from crossent.scoring.duck import connection
from crossent.scoring.label_file import LabelFile
from crossent.scoring.label_table import LabelTable, label_table
from crossent.scoring.marks import PUBLIC
from crossent.scoring.sources.source import AroundPredictions, Piece
from crossent.scoring.wording import one_line

# Keys of predictions that are joined at a time: DuckDB keeps the smaller side of a join in memory and passes the other
# by it, so that neither a large file of labels nor a large one of predictions has to fit, and the sort of the result
# has this many rows at most.
_MOST_ROWS = 2**20
_FEWEST_ROWS = 2**14
_BYTES = 2**24

# A reader that only looks at the first rows does not wait for a million.
_FIRST_ROWS = 2**12

_MATCHED = "SELECT labels.* EXCLUDE (key) FROM keys LEFT JOIN labels USING (key) ORDER BY keys.row"

# Formats whose text has no types of its own.
_UNTYPED = ("CSV", "JSON lines")


@dataclass(frozen=True)
class JoinedSource(AroundPredictions):
    """Predictions with the columns of a file of labels added; a row without a label has missing values there."""

    labels: LabelFile

    @property
    def skipped(self) -> Mapping[str, str]:
        return {**self.predictions.skipped, **self.labels.skipped}

    @property
    def schema(self) -> Any:
        own, added = self.predictions.schema, self.labels.schema
        if self.predictions.format in _UNTYPED:
            place = own.get_field_index(self.labels.key.name)
            own = own.set(place, pa.field(self.labels.key.name, self._key_types()[self.labels.key.name]))
        return pa.schema([*own, *added], metadata={**(own.metadata or {}), **(added.metadata or {})} or None)

    def pieces(self, columns: Sequence[str], piece_rows: int) -> list[Piece]:
        return self.predictions.pieces(self._own(columns) or [self.labels.key.name], piece_rows)

    def batches(
        self, columns: Sequence[str], batch_rows: int, types: Mapping[str, Any], piece: Piece | None = None
    ) -> Iterator[Any]:
        own = self._own(columns)
        added = [name for name in columns if name not in own]
        # Unless asked otherwise, keys are read as they are compared: a later block of CSV may hold text.
        own_types = self._key_types() | {name: kind for name, kind in types.items() if name in own}
        if not added:
            yield from self.predictions.batches(own, batch_rows, own_types, piece)
            return
        # A column to count the rows by, should none of the predictions' be asked for.
        read = own or [self.labels.key.name]
        labels = self._added(added, batch_rows, types, piece)
        rest: Any = None
        for batch in self.predictions.batches(read, batch_rows, own_types, piece):
            found, rest = self._taken(labels, rest, batch.num_rows)
            yield pa.RecordBatch.from_arrays(
                [batch.column(name) if name in own else found.column(name) for name in columns], list(columns)
            )

    def _key_types(self) -> dict[str, Any]:
        return self.labels.key.types(self.predictions)

    def _own(self, columns: Sequence[str]) -> list[str]:
        added = self.labels.schema.names
        return [name for name in columns if name not in added]

    def _taken(self, labels: Iterator[Any], rest: Any, rows: int) -> tuple[Any, Any]:
        """Return the next rows of the labels in one batch, and what is left of the batch they end in."""
        parts = [] if rest is None else [rest]
        count = sum(part.num_rows for part in parts)
        while count < rows or not parts:
            part = next(labels, None)
            if part is None:
                message = f"`source` must stay as it is while it is read, '{self.path}' has more rows than before"
                raise SourceError(message)
            parts.append(part)
            count += part.num_rows
        whole = pa.concat_batches(parts)
        return whole.slice(0, rows), whole.slice(rows)

    def _added(
        self, columns: Sequence[str], batch_rows: int, types: Mapping[str, Any], piece: Piece | None
    ) -> Iterator[Any]:
        """Yield the added columns in the order of the predictions' rows."""
        table = label_table(self.labels, columns)
        most = max(_FEWEST_ROWS, min(_MOST_ROWS, _BYTES // table.row_bytes))
        wanted = min(_FIRST_ROWS, most)
        kept: list[Any] = []
        rows = 0
        with connection(table.folder) as database:
            database.read_parquet(str(table.path)).create_view("labels")
            for keys in self.labels.key.read(self.predictions, piece):
                kept.append(keys)
                rows += len(keys)
                if rows >= wanted:
                    yield from self._matched(database, kept, table, columns, types, batch_rows)
                    kept, rows, wanted = [], 0, most
            if kept:
                yield from self._matched(database, kept, table, columns, types, batch_rows)

    def _matched(
        self,
        database: Any,
        keys: Sequence[Any],
        table: LabelTable,
        columns: Sequence[str],
        types: Mapping[str, Any],
        batch_rows: int,
    ) -> Iterator[Any]:
        values = pa.chunked_array(keys)
        database.register("arrived", pa.table({"key": values, "row": np.arange(len(values))}))
        # Of a table DuckDB knows the number of rows, of Arrow data it does not: it decides which side to keep by it.
        database.execute("CREATE OR REPLACE TEMP TABLE keys AS SELECT * FROM arrived")
        database.unregister("arrived")
        for batch in database.sql(_MATCHED).to_arrow_reader(batch_rows):
            arrays = [
                self._cast(batch.column(f"c{table.columns.index(name)}"), name, types.get(name)) for name in columns
            ]
            yield pa.RecordBatch.from_arrays(arrays, list(columns))

    def _cast(self, values: Any, name: str, asked: Any) -> Any:
        has_types = self.labels.source.format not in _UNTYPED
        kind = self.labels.schema.field(name).type
        if name == self.labels.mark:
            # A prediction without a label is one that lacks it, and not one that is marked to be left out.
            values = values.fill_null(PUBLIC)
        try:
            return values.cast(kind if has_types or asked is None or pa.types.is_list(kind) else asked)
        except pa.ArrowInvalid as error:
            message = f"`labels` must be readable, '{name}' of '{self.labels.source.path}' is not: {one_line(error)}"
            raise SourceError(message) from error
