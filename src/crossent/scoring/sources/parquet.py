"""Parquet: runs of row groups are the pieces; numbers of small groups are decoded whole, all else a batch at a time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crossent.scoring.arrow import pa, parquet
from crossent.scoring.sources.source import Piece, runs, valid

# 100 000 x 100 float32 decoded whole, four columns after each other: 29 ms and 45 MB. In batches of 10 000 rows every column has
# a page of its own open: 47 ms and 97 MB. All columns at once: 36 ms and 148 MB (pyarrow 26.0.1).
_WHOLE_BYTES = 2**26
_COLUMNS_AT_ONCE = 4
# Of short groups more columns at once: a call costs 0.1 ms, and their pages are small.
_VALUES_AT_ONCE = 2**18


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
        # Text may be short in the file and long in memory, and a column of lists is one: these are decoded by batch.
        kinds = {name: self.schema.field(name).type for name in columns}
        flat = [name for name, kind in kinds.items() if pa.types.is_primitive(kind)]
        row_bytes = sum(kinds[name].bit_width / 8 for name in flat)
        for groups, rows in self._together(piece.groups, batch_rows):
            if not flat or rows * row_bytes > _WHOLE_BYTES:
                yield from file.iter_batches(batch_rows, row_groups=groups, columns=columns, use_threads=False)
            else:
                yield from _beside(file, groups, rows, columns, flat, batch_rows)

    def _together(self, groups: Sequence[int], batch_rows: int) -> Iterator[tuple[list[int], int]]:
        """Yield runs of groups that fill a batch, and their rows: a file may have a group for each row."""
        run: list[int] = []
        rows = 0
        for group in groups:
            run.append(group)
            rows += self.metadata.row_group(group).num_rows
            if rows >= batch_rows:
                yield run, rows
                run, rows = [], 0
        if rows:
            yield run, rows


def _beside(
    file: Any, groups: list[int], rows: int, columns: list[str], flat: list[str], batch_rows: int
) -> Iterator[Any]:
    """Yield batches of flat columns, decoded whole, with the others, decoded by batch, beside them."""
    whole = _whole(file, groups, rows, flat)
    others = [name for name in columns if name not in set(flat)]
    if not others:
        for start in range(0, rows, batch_rows):
            yield whole.slice(start, batch_rows)
        return
    start = 0
    for part in file.iter_batches(batch_rows, row_groups=groups, columns=others, use_threads=False):
        same = whole.slice(start, part.num_rows)
        start += part.num_rows
        arrays = [(part if name in others else same).column(name) for name in columns]
        yield pa.RecordBatch.from_arrays(arrays, columns)


def _whole(file: Any, groups: list[int], rows: int, columns: list[str]) -> Any:
    """Return flat columns of row groups as one batch: at any time, the pages of a few of them are in memory."""
    at_once = max(_COLUMNS_AT_ONCE, _VALUES_AT_ONCE // rows)
    arrays = []
    for first in range(0, len(columns), at_once):
        some = columns[first : first + at_once]
        # a name with a dot may bring others along
        part = file.read_row_groups(groups, columns=some, use_threads=False).select(some).combine_chunks()
        arrays += [column.chunk(0) for column in part.columns]
    return pa.RecordBatch.from_arrays(arrays, columns)
