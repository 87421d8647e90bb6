"""What every reader is: a schema, pieces that can be read apart from each other, and record batches in row order."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from crossent.errors import SourceError
from crossent.scoring.arrow import pa
from crossent.scoring.wording import one_line


@dataclass(frozen=True)
class Piece:
    """What one task reads; rows are numbered within the file, whatever the pieces are."""

    first_row: int
    rows: int | None  # None: to the end
    groups: tuple[int, ...] = ()  # row groups of Parquet, record batches of an Arrow file; empty for other formats


class Source(Protocol):
    """Predictions that were opened once to learn their columns; only a few batches are in memory at a time."""

    @property
    def path(self) -> Path: ...
    @property
    def format(self) -> str: ...
    @property
    def schema(self) -> Any: ...
    @property
    def rows(self) -> int | None: ...
    @property
    def skipped(self) -> Mapping[str, str]:
        """What is in the file but cannot be a column, by name, with the sentence that says why."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """What should be said about how the file was read."""
        ...

    def pieces(self, columns: Sequence[str], piece_rows: int) -> list[Piece]:
        """Return the parts that may be read apart, in row order; those of a file that cannot be split are one."""
        ...

    def batches(
        self, columns: Sequence[str], batch_rows: int, types: Mapping[str, Any], piece: Piece | None = None
    ) -> Iterator[Any]:
        """Yield record batches of `columns`; `types` are asked of formats whose text has no types of its own."""
        ...


@dataclass(frozen=True)
class AroundPredictions:
    """Predictions with columns from elsewhere added: what of them stays as it is."""

    predictions: Source

    @property
    def path(self) -> Path:
        return self.predictions.path

    @property
    def format(self) -> str:
        return self.predictions.format

    @property
    def rows(self) -> int | None:
        return self.predictions.rows

    @property
    def notes(self) -> Sequence[str]:
        return self.predictions.notes

    @property
    def skipped(self) -> Mapping[str, str]:
        return self.predictions.skipped


def runs(counts: Iterable[int], piece_rows: int) -> list[Piece]:
    """Return pieces of consecutive groups, each of at least `piece_rows` rows, except the last."""
    pieces: list[Piece] = []
    groups: list[int] = []
    first_row = rows = 0
    for group, count in enumerate(counts):
        groups.append(group)
        rows += count
        if rows >= piece_rows:
            pieces.append(Piece(first_row, rows, tuple(groups)))
            first_row, rows, groups = first_row + rows, 0, []
    if groups or not pieces:
        pieces.append(Piece(first_row, rows, tuple(groups)))
    return pieces


def row_ranges(rows: int, piece_rows: int) -> list[Piece]:
    """Return pieces of `piece_rows` rows, the last with what is left."""
    starts = range(0, rows, piece_rows) or (0,)
    return [Piece(start, min(piece_rows, rows - start)) for start in starts]


def valid(batches: Iterable[Any], batch_rows: int) -> Iterator[Any]:
    """Yield the rows of the batches, at most `batch_rows` at a time, after a look at their offsets, indices and text.

    Readers hand on what the file says: an offset that leads nowhere would end the process, not the reading.
    """
    for batch in sliced(batches, batch_rows):
        batch.validate(full=True)
        yield batch
        del batch  # it may be the last part of something large: the next is read while this waits


def sliced(batches: Iterable[Any], batch_rows: int) -> Iterator[Any]:
    """Yield the rows of the batches, at most `batch_rows` at a time."""
    for batch in batches:
        for start in range(0, batch.num_rows, batch_rows):
            yield batch.slice(start, batch_rows)
        del batch  # as above


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what goes wrong in a file's bytes into one sentence that names the file."""
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeError) as error:
        name = str(path).encode(errors="backslashreplace").decode()  # a name may be no text
        message = f"`source` must be readable, '{name}' is not: {one_line(error)}"
        raise SourceError(message) from error
