"""Which reader reads what, and what goes wrong in a file's bytes as one sentence that names the file."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from crossent.errors import SourceError
from crossent.scoring.arrow import pa
from crossent.scoring.sources import ipc, npy
from crossent.scoring.sources.csv import CsvSource
from crossent.scoring.sources.ipc import IpcSource
from crossent.scoring.sources.json_lines import JsonLinesSource
from crossent.scoring.sources.language_models import open_log
from crossent.scoring.sources.npy import NpySource
from crossent.scoring.sources.npz import NpzSource
from crossent.scoring.sources.parquet import ParquetSource
from crossent.scoring.sources.paths import local
from crossent.scoring.sources.safetensors import SafetensorsSource
from crossent.scoring.sources.source import Piece, Source, readable
from crossent.scoring.sources.stream import StreamSource, open_stream
from crossent.scoring.wording import listed


def _open_json(path: Path, compression: str | None = None) -> Source:
    return open_log(path, compression) or JsonLinesSource.open(path, compression)


_BINARY: dict[str, Callable[[Path], Source]] = {
    ".parquet": ParquetSource.open,
    ".pq": ParquetSource.open,
    ".arrow": IpcSource.open,
    ".arrows": IpcSource.open,
    ".ipc": IpcSource.open,
    ".feather": IpcSource.open,
    ".npy": NpySource.open,
    ".npz": NpzSource.open,
    ".safetensors": SafetensorsSource.open,
}
_TEXT: dict[str, Callable[[Path, str | None], Source]] = {
    ".csv": CsvSource.open,
    ".tsv": CsvSource.open,
    ".jsonl": _open_json,
    ".ndjson": _open_json,
    ".json": _open_json,
}
_COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
_PICKLES = (".pkl", ".pickle", ".pt", ".pth", ".bin", ".joblib")

# Formats that say who they are in their first bytes, whatever the file is called.
_MAGIC: dict[bytes, Callable[[Path], Source]] = {
    b"PAR1": ParquetSource.open,
    ipc.FILE_MAGIC: IpcSource.open,
    npy.MAGIC: NpySource.open,
}


def open_source(source: Any) -> Source:
    """Return the reader for a file or for Arrow data; raise SourceError if there is no such file or reader."""
    if isinstance(source, str | PathLike):
        path = local(source)
        opener = _opener(path)
        with readable(path):
            opened: Source = opener()
            names = opened.schema.names
    else:
        with readable(Path(f"<{type(source).__name__}>")):
            stream = open_stream(source)
        if stream is None:
            message = (
                f"`source` must be the path of a file, or Arrow data, got {type(source).__name__}; "
                f"write it to a file first, or give a table"
            )
            raise SourceError(message)
        opened, names = stream, stream.schema.names
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        message = (
            f"`source` must name each column once, '{opened.path}' has several called {listed(twice)}; rename them"
        )
        raise SourceError(message)
    return opened


def read_batches(
    source: Source, columns: Sequence[str], batch_rows: int, types: Mapping[str, Any], piece: Piece | None = None
) -> Iterator[Any]:
    """Yield the record batches of `columns` that have rows; raise SourceError where the file breaks off."""
    batches = source.batches(columns, batch_rows, types, piece)
    while True:
        with readable(source.path):
            batch = next(batches, None)
        if batch is None:
            return
        if batch.num_rows:
            yield batch
        del batch  # not held while the next is read


def first_rows(source: Source, columns: Sequence[str], rows: int, types: Mapping[str, Any]) -> Any:
    """Return the first rows as one batch, None where there are none; of a stream no more than it has kept.

    However they are cut: readers cut dictionaries where row groups end, writers may cut a table after every row.
    """
    found = []
    missing = rows
    kept = source.kept(columns) if isinstance(source, StreamSource) else None
    for batch in read_batches(source, columns, rows, types) if kept is None else kept:
        found.append(batch.slice(0, missing))
        missing -= found[-1].num_rows
        if missing <= 0:
            break
    if len(found) < 2:
        return found[0] if found else None
    return pa.Table.from_batches(found).combine_chunks().to_batches()[0]


def _opener(path: Path) -> Callable[[], Source]:
    if path.is_dir():
        message = f"`source` must be a file, got the folder '{path}'; give one of the files in it"
        raise SourceError(message)
    if not path.exists():
        message = f"`source` must be a file, there is no '{path}'"
        raise SourceError(message)
    name = path.name.lower()
    if name.endswith(_PICKLES):
        message = (
            f"`source` must not be a pickle, got '{path.name}': loading one runs the code that is in it; "
            f"write the arrays with np.savez, or the table as Parquet"
        )
        raise SourceError(message)
    with readable(path), path.open("rb") as file:
        head = file.read(max(map(len, _MAGIC)))
    if not head:
        message = f"`source` must have rows, '{path}' is an empty file"
        raise SourceError(message)
    binary = next(
        (opener for magic, opener in _MAGIC.items() if head.startswith(magic)), _BINARY.get(path.suffix.lower())
    )
    if binary is not None:
        return lambda: binary(path)
    compression = _COMPRESSIONS.get(path.suffix.lower())
    ending = Path(name.removesuffix(path.suffix.lower())).suffix if compression else path.suffix.lower()
    text = _TEXT.get(ending)
    if text is None:
        endings = ", ".join((*_BINARY, *_TEXT))
        message = (
            f"`source` must end with one of {endings}, text also with {' or '.join(_COMPRESSIONS)} after it, "
            f"got '{path.name}'; convert it to one of them"
        )
        raise SourceError(message)
    return lambda: text(path, compression)
