"""NumPy's .npy: one array, a column named as the file; read a batch of rows at a time, from any row."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from crossent.scoring.arrow import pa
from crossent.scoring.sources.array_columns import (
    Columns,
    Header,
    ends_early,
    no_column,
    read_header,
    read_rows,
    to_arrow,
)
from crossent.scoring.sources.source import Piece, row_ranges

MAGIC = b"\x93NUMPY"


@dataclass(frozen=True)
class NpySource:
    """Shape (rows,) is a column of labels or numbers, (rows, classes) one of lists."""

    path: Path
    schema: Any
    rows: int
    skipped: Mapping[str, str]
    header: Header
    offset_bytes: int
    format: str = "npy"
    notes: Sequence[str] = field(default=())

    @classmethod
    def open(cls, path: Path) -> "NpySource":
        with path.open("rb") as stream:
            header = read_header(stream)
            offset_bytes = stream.tell()
        columns = Columns(path)
        columns.add(path.stem, header, no_column(header, f"'{path}'", "np.save"))
        schema, rows, skipped = columns.finished()
        header = columns.headers[path.stem]
        missing_bytes = offset_bytes + rows * header.row_bytes - path.stat().st_size
        if missing_bytes > 0:
            raise ends_early(path, missing_bytes)
        return cls(path, schema, rows, skipped, header, offset_bytes)

    def pieces(self, columns: Sequence[str], piece_rows: int) -> list[Piece]:
        return row_ranges(self.rows, piece_rows)

    def batches(
        self, columns: Sequence[str], batch_rows: int, types: Mapping[str, Any], piece: Piece | None = None
    ) -> Iterator[Any]:
        first = 0 if piece is None else piece.first_row
        rows = self.rows if piece is None or piece.rows is None else piece.rows
        arrays = self._mapped(first, rows, batch_rows) if self._is_by_columns else self._read(first, rows, batch_rows)
        for array in arrays:
            yield pa.record_batch([array] * len(columns), names=list(columns))

    @property
    def _is_by_columns(self) -> bool:
        return self.header.is_fortran and len(self.header.shape) == 2

    def _read(self, first: int, rows: int, batch_rows: int) -> Iterator[Any]:
        # Read, not mapped: a file that is cut while it is mapped ends the process, and mapped pages count as ours.
        with self.path.open("rb") as stream:
            stream.seek(self.offset_bytes + first * self.header.row_bytes)
            yield from read_rows(stream, self.path, self.header, rows, batch_rows)

    def _mapped(self, first: int, rows: int, batch_rows: int) -> Iterator[Any]:
        if rows == 0:
            return
        whole = np.memmap(self.path, self.header.dtype, "r", self.offset_bytes, self.header.shape, "F")
        for start in range(first, first + rows, batch_rows):
            stop = min(start + batch_rows, first + rows)
            yield to_arrow(np.ascontiguousarray(whole[start:stop]), self.header)
