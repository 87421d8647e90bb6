"""Parquet: runs of row groups are the pieces; a group is decoded whole where it is small, else a batch at a time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crossent.scoring.arrow import pa, parquet
from crossent.scoring.sources.source import Piece, runs, valid

# A group of 100 000 x 100 float32 decoded whole, four columns after each other: 29 ms and 45 MB. In batches of 10 000 rows
# every column has a page of its own open: 47 ms and 97 MB. All columns at once: 36 ms and 148 MB (pyarrow 26.0.1).
_WHOLE_BYTES = 2**26
_COLUMNS_AT_ONCE = 4
# Of physical types, decoded; a text or list is told by what it takes in the file, and its offsets.
_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "FLOAT": 4, "INT64": 8, "DOUBLE": 8, "INT96": 8}
_OFFSET_BYTES = 8


@dataclass(frozen=True)
class ParquetSource:
    """Columns and rows are known from the metadata at the end of the file."""

    path: Path
    schema: Any
    rows: int | None
    metadata: Any = field(repr=False, compare=False)
    format: str = "Parquet"
    skipped: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()

    @classmethod
    def open(cls, path: Path) -> "ParquetSource":
        with parquet.ParquetFile(path) as file:
            return cls(path, file.schema_arrow, file.metadata.num_rows, file.metadata)

    def pieces(self, columns: Sequence[str], piece_rows: int) -> list[Piece]:
        counts = [self.metadata.row_group(group).num_rows for group in range(self.metadata.num_row_groups)]
        return runs(counts, piece_rows)

    def batches(
        self, columns: Sequence[str], batch_rows: int, types: Mapping[str, Any], piece: Piece | None = None
    ) -> Iterator[Any]:
        # pre_buffer=True, pyarrow's default, keeps what it has read: apache/arrow#39808, seen with pyarrow 26.0.1.
        # Threads are the engine's: with several pieces at work, pyarrow's own would only get in their way.
        # Metadata of 150 groups of 100 columns are 37 MB, so they are read once.
        options = {"metadata": self.metadata, "pre_buffer": False, "buffer_size": 2**16}
        with parquet.ParquetFile(self.path, **options) as file:
            yield from valid(self._decoded(file, list(columns), batch_rows, piece), batch_rows)

    def _decoded(self, file: Any, columns: list[str], batch_rows: int, piece: Piece | None) -> Iterator[Any]:
        if piece is None:  # somebody who may want the first rows only
            yield from file.iter_batches(batch_size=batch_rows, columns=columns, use_threads=False)
            return
        for group in piece.groups:
            if self._decoded_bytes(group, set(columns)) <= _WHOLE_BYTES:
                yield from _whole(file, group, columns).to_batches(max_chunksize=batch_rows)
            else:
                yield from file.iter_batches(batch_rows, row_groups=[group], columns=columns, use_threads=False)

    def _decoded_bytes(self, group: int, columns: set[str]) -> int:
        metadata = self.metadata.row_group(group)
        chunks = [metadata.column(i) for i in range(metadata.num_columns)]
        asked = [each for each in chunks if columns & {each.path_in_schema, each.path_in_schema.partition(".")[0]}]
        return sum(
            each.num_values * _WIDTHS[each.physical_type]
            if each.physical_type in _WIDTHS
            else each.num_values * _OFFSET_BYTES + each.total_uncompressed_size
            for each in asked
        )


def _whole(file: Any, group: int, columns: Sequence[str]) -> Any:
    """Return a row group as a table: at any time, the pages of a few columns are in memory."""
    parts = [
        file.read_row_group(group, columns=columns[first : first + _COLUMNS_AT_ONCE], use_threads=False)
        for first in range(0, len(columns), _COLUMNS_AT_ONCE)
    ]
    names = [name for part in parts for name in part.schema.names]
    return pa.table([column for part in parts for column in part.columns], names=names)
