"""NumPy's .npz: its members as columns, streamed from the zip a batch of rows at a time, never unpickled."""

import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from crossent.errors import SourceError
from crossent.scoring.arrow import pa
from crossent.scoring.sources.array_columns import Columns, exactly, no_column, read_header, read_rows, to_arrow
from crossent.scoring.sources.source import Piece
from crossent.scoring.wording import one_line

# What flipped bytes were seen to raise: RuntimeError is an encrypted member, NotImplementedError within it a compression
# or a version that zipfile does not know, the others sizes and offsets that lead nowhere.
_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(RuntimeError, EOFError, OSError, ValueError, KeyError, OverflowError),
)


@dataclass(frozen=True)
class NpzSource:
    """Arrays of shape (rows,) and (rows, classes) are columns; any other member is skipped, with the reason."""

    path: Path
    schema: Any
    rows: int | None
    skipped: Mapping[str, str]  # members that are no columns, and the sentence for whoever chooses one
    format: str = "npz"
    notes: Sequence[str] = ()

    @classmethod
    def open(cls, path: Path) -> "NpzSource":
        columns = Columns(path)
        with _zip(path) as archive:
            for member in archive.namelist():
                name = member.removesuffix(".npy")
                with _intact(member), archive.open(member) as stream:
                    header = read_header(stream) if name != member else None
                columns.add(name, header, no_column(header, f"'{member}' in '{path}'", "np.savez"))
        return cls(path, *columns.finished())

    def pieces(self, columns: Sequence[str], piece_rows: int) -> list[Piece]:
        return [Piece(0, self.rows)]

    def batches(
        self, columns: Sequence[str], batch_rows: int, types: Mapping[str, Any], piece: Piece | None = None
    ) -> Iterator[Any]:
        with ExitStack() as opened:
            archive = opened.enter_context(_zip(self.path))
            streams = []
            for name in columns:
                member = f"{name}.npy"
                with _intact(member):
                    stream = opened.enter_context(archive.open(member))
                streams.append(_intact_rows(stream, member, batch_rows))
            for arrays in zip(*streams, strict=True):
                yield pa.record_batch(list(arrays), names=list(columns))


def _zip(path: Path) -> zipfile.ZipFile:
    with _intact(path):
        return zipfile.ZipFile(path)


@contextmanager
def _intact(what: object) -> Iterator[None]:
    """Turn what zipfile says of damaged, encrypted or strangely compressed bytes into one sentence."""
    try:
        yield
    except SourceError:  # also a ValueError
        raise
    except _DAMAGE as error:
        message = f"`source` must be readable, '{what}' is not: {one_line(error) or type(error).__name__}"
        raise SourceError(message) from error


def _intact_rows(stream: IO[bytes], member: str, batch_rows: int) -> Iterator[Any]:
    batches = _rows(stream, member, batch_rows)
    while True:
        with _intact(member):
            batch = next(batches, None)
        if batch is None:
            return
        yield batch


def _rows(stream: IO[bytes], member: str, batch_rows: int) -> Iterator[Any]:
    header = read_header(stream)
    if header is None:
        raise SourceError(str(no_column(None, f"'{member}'", "np.savez")))
    if header.is_fortran and len(header.shape) == 2:
        # Stored column by column: the first row is complete only when the last column has been read.
        rows, width = header.shape
        columns = np.frombuffer(exactly(stream, member, rows * width * header.dtype.itemsize), header.dtype)
        whole = columns.reshape(width, rows).T
        for start in range(0, rows, batch_rows):
            yield to_arrow(np.ascontiguousarray(whole[start : start + batch_rows]), header)
        return
    yield from read_rows(stream, member, header, header.shape[0], batch_rows)
