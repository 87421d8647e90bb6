"""Parquet: row groups are decoded a batch at a time; runs of them are the pieces."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crossent.scoring.arrow import parquet
from crossent.scoring.sources.source import Piece, runs, valid


@dataclass(frozen=True)
class ParquetSource:
    """Columns and rows are known from the metadata at the end of the file."""

    path: Path
    schema: Any
    rows: int | None
    group_rows: tuple[int, ...]
    format: str = "Parquet"
    skipped: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()

    @classmethod
    def open(cls, path: Path) -> "ParquetSource":
        with parquet.ParquetFile(path) as file:
            metadata = file.metadata
            counts = tuple(metadata.row_group(group).num_rows for group in range(metadata.num_row_groups))
            return cls(path, file.schema_arrow, metadata.num_rows, counts)

    def pieces(self, columns: Sequence[str], piece_rows: int) -> list[Piece]:
        return runs(self.group_rows, piece_rows)

    def batches(
        self, columns: Sequence[str], batch_rows: int, types: Mapping[str, Any], piece: Piece | None = None
    ) -> Iterator[Any]:
        groups = None if piece is None else list(piece.groups)
        # pre_buffer=True, pyarrow's default, keeps what it has read: apache/arrow#39808, seen with pyarrow 26.0.1.
        # Threads are the engine's: with several pieces at work, pyarrow's own would only get in their way.
        with parquet.ParquetFile(self.path, pre_buffer=False, buffer_size=2**16) as file:
            batches = file.iter_batches(
                batch_size=batch_rows, row_groups=groups, columns=list(columns), use_threads=False
            )
            yield from valid(batches, batch_rows)
