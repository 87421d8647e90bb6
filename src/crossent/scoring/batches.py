"""Readers: a file of predictions as a schema and a stream of record batches, in bounded memory."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

from crossent.errors import SourceError
from crossent.scoring.arrow import csv, ipc, pa, parquet
from crossent.scoring.npz import NpzSource
from crossent.scoring.wording import listed, one_line

_ARROW_FILE_MAGIC = b"ARROW1"


class Source(Protocol):
    """A file that was opened once to learn its columns, and can be read again from the start."""

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

    def batches(self, columns: Sequence[str], batch_rows: int, types: Mapping[str, Any]) -> Iterator[Any]:
        """Yield record batches of `columns`; `types` are asked of formats whose text has no types of its own."""
        ...


@dataclass(frozen=True)
class ParquetSource:
    """Row groups are decoded a batch at a time."""

    path: Path
    schema: Any
    rows: int | None
    format: str = "Parquet"
    skipped: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path) -> "ParquetSource":
        with parquet.ParquetFile(path) as file:
            return cls(path, file.schema_arrow, file.metadata.num_rows)

    def batches(self, columns: Sequence[str], batch_rows: int, types: Mapping[str, Any]) -> Iterator[Any]:
        # pre_buffer=True, pyarrow's default, keeps what it has read: apache/arrow#39808, seen with pyarrow 26.0.1.
        with parquet.ParquetFile(self.path, pre_buffer=False) as file:
            yield from file.iter_batches(batch_size=batch_rows, columns=list(columns))


@dataclass(frozen=True)
class CsvSource:
    """Text, converted a block at a time; the separator is the one that the first line has most of."""

    path: Path
    schema: Any
    separator: str
    rows: int | None = None
    format: str = "CSV"
    skipped: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path) -> "CsvSource":
        with path.open("rb") as file:
            head = file.readline()
        separator = max(",;\t", key=lambda mark: head.count(mark.encode()))
        with _open_csv(path, separator, {}, None) as reader:
            return cls(path, reader.schema, separator)

    def batches(self, columns: Sequence[str], batch_rows: int, types: Mapping[str, Any]) -> Iterator[Any]:
        with _open_csv(self.path, self.separator, types, list(columns)) as reader:
            yield from _sliced(reader, batch_rows)


def _open_csv(path: Path, separator: str, types: Mapping[str, Any], columns: list[str] | None) -> Any:
    return csv.open_csv(
        path,
        # With threads, pyarrow does not say which line is ragged.
        read_options=csv.ReadOptions(use_threads=False),
        parse_options=csv.ParseOptions(delimiter=separator),
        # Only an empty cell is a missing one: "NA" may be a class, and "nan" is a number that must be reported.
        convert_options=csv.ConvertOptions(
            column_types=dict(types), include_columns=columns or [], null_values=[""], strings_can_be_null=True
        ),
    )


@dataclass(frozen=True)
class IpcSource:
    """Arrow IPC, mapped into memory: pages are read when a batch is, and the system may drop them again."""

    path: Path
    schema: Any
    format: str
    rows: int | None = None
    skipped: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path) -> "IpcSource":
        with path.open("rb") as file:
            is_file = file.read(len(_ARROW_FILE_MAGIC)) == _ARROW_FILE_MAGIC
        with pa.memory_map(str(path)) as mapped, (ipc.open_file if is_file else ipc.open_stream)(mapped) as reader:
            return cls(path, reader.schema, "Arrow file" if is_file else "Arrow stream")

    def batches(self, columns: Sequence[str], batch_rows: int, types: Mapping[str, Any]) -> Iterator[Any]:
        # Columns are selected from the mapped batch: with `included_fields` the file reader copies what it reads, a
        # whole batch at a time, and a batch may be the whole table (seen with pyarrow 26.0.1).
        wanted = list(columns)
        with pa.memory_map(str(self.path)) as mapped:
            if self.format == "Arrow file":
                with ipc.open_file(mapped) as reader:
                    every = (reader.get_batch(index).select(wanted) for index in range(reader.num_record_batches))
                    yield from _sliced(every, batch_rows)
            else:
                with ipc.open_stream(mapped) as reader:
                    yield from _sliced((batch.select(wanted) for batch in reader), batch_rows)


_OPENERS: dict[str, Any] = {
    ".parquet": ParquetSource.open,
    ".pq": ParquetSource.open,
    ".csv": CsvSource.open,
    ".tsv": CsvSource.open,
    ".arrow": IpcSource.open,
    ".arrows": IpcSource.open,
    ".ipc": IpcSource.open,
    ".feather": IpcSource.open,
    ".npz": NpzSource.open,
}


def open_source(source: str | PathLike[str]) -> Source:
    """Return the reader for a file, chosen by its ending; raise SourceError if there is no such file or reader."""
    if not isinstance(source, str | PathLike):
        message = f"`source` must be the path of a file, got {type(source).__name__}; write it to a file first"
        raise SourceError(message)
    path = Path(source)
    if path.is_dir():
        message = f"`source` must be a file, got the folder '{path}'; give one of the files in it"
        raise SourceError(message)
    if not path.exists():
        message = f"`source` must be a file, there is no '{path}'"
        raise SourceError(message)
    opener = _OPENERS.get(path.suffix.lower())
    if opener is None:
        message = f"`source` must end with one of {listed(_OPENERS)}, got '{path.name}'; convert it to one of them"
        raise SourceError(message)
    if path.stat().st_size == 0:
        message = f"`source` must have rows, '{path}' is an empty file"
        raise SourceError(message)
    with _readable(path):
        opened: Source = opener(path)
        names = opened.schema.names
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        message = f"`source` must name each column once, '{path}' has several called {listed(twice)}; rename them"
        raise SourceError(message)
    return opened


def read_batches(source: Source, columns: Sequence[str], batch_rows: int, types: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the record batches of `columns` that have rows; raise SourceError where the file breaks off."""
    batches = source.batches(columns, batch_rows, types)
    while True:
        with _readable(source.path):
            batch = next(batches, None)
        if batch is None:
            return
        if batch.num_rows:
            yield batch


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn what goes wrong in a file's bytes into one sentence that names the file."""
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        message = f"`source` must be readable, '{path}' is not: {one_line(error)}"
        raise SourceError(message) from error


def _sliced(batches: Any, batch_rows: int) -> Iterator[Any]:
    for batch in batches:
        for start in range(0, batch.num_rows, batch_rows):
            yield batch.slice(start, batch_rows)
