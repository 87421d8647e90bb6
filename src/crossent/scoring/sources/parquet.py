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
        groups = None if piece is None else list(piece.groups)
        # pre_buffer=True, pyarrow's default, keeps what it has read: apache/arrow#39808, seen with pyarrow 26.0.1.
        # Threads are the engine's: with several pieces at work, pyarrow's own would only get in their way.
        # Metadata of 150 groups of 100 columns are 37 MB, so they are read once.
        options = {"metadata": self.metadata, "pre_buffer": False, "buffer_size": 2**16}
        with parquet.ParquetFile(self.path, **options) as file:
            batches = file.iter_batches(
                batch_size=batch_rows, row_groups=groups, columns=list(columns), use_threads=False
            )
            yield from valid(batches, batch_rows)
