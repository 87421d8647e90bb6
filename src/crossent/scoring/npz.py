"""NumPy's .npz: its members as columns, streamed from the zip a batch of rows at a time, never unpickled."""

import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from crossent.errors import SourceError
from crossent.scoring.arrow import pa
from crossent.scoring.wording import listed, one_line

_HEADERS: dict[tuple[int, int], Any] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


@dataclass(frozen=True)
class NpzSource:
    """Arrays of shape (rows,) and (rows, classes) are columns; a member of any other shape is not one."""

    path: Path
    schema: Any
    rows: int | None
    format: str = "npz"

    @classmethod
    def open(cls, path: Path) -> "NpzSource":
        with _zip(path) as archive:
            shapes: dict[str, int] = {}
            fields = []
            for member in archive.namelist():
                with archive.open(member) as stream:
                    shape, _, dtype = _header(stream, member)
                if len(shape) in (1, 2) and not dtype.hasobject:
                    name = member.removesuffix(".npy")
                    shapes[name] = shape[0]
                    fields.append(pa.field(name, _arrow_type(dtype, shape, member)))
                elif dtype.hasobject:
                    message = (
                        f"`source` must hold plain arrays, '{member}' in '{path}' holds Python objects, which only "
                        f"pickle can read; save it with a dtype such as int64 or <U16"
                    )
                    raise SourceError(message)
        if len(set(shapes.values())) > 1:
            counts = listed(f"{name} {rows}" for name, rows in shapes.items())
            message = f"`source` must hold arrays with the same number of rows, '{path}' has {counts}"
            raise SourceError(message)
        return cls(path, pa.schema(fields), next(iter(shapes.values()), 0))

    def batches(self, columns: Sequence[str], batch_rows: int, types: Mapping[str, Any]) -> Iterator[Any]:
        with ExitStack() as opened:
            archive = opened.enter_context(_zip(self.path))
            streams = [
                _rows(opened.enter_context(archive.open(f"{name}.npy")), f"{name}.npy", batch_rows) for name in columns
            ]
            for arrays in zip(*streams, strict=True):
                yield pa.record_batch([_to_arrow(array) for array in arrays], names=list(columns))


def _zip(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        message = f"`source` must be readable, '{path}' is not: {one_line(error)}"
        raise SourceError(message) from error


def _header(stream: IO[bytes], member: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    try:
        read = _HEADERS[np.lib.format.read_magic(stream)]
        header: tuple[tuple[int, ...], bool, np.dtype[Any]] = read(stream)
    except (KeyError, ValueError) as error:
        message = f"`source` must hold .npy arrays, '{member}' is none that can be read"
        raise SourceError(message) from error
    return header


def _rows(stream: IO[bytes], member: str, batch_rows: int) -> Iterator[np.ndarray[Any, Any]]:
    shape, is_fortran, dtype = _header(stream, member)
    if is_fortran and len(shape) == 2:
        # Stored column by column: the first row is complete only when the last column has been read.
        columns = np.frombuffer(_exactly(stream, member, shape[0] * shape[1] * dtype.itemsize), dtype)
        whole = columns.reshape(shape[::-1]).T
        for start in range(0, shape[0], batch_rows):
            yield np.ascontiguousarray(whole[start : start + batch_rows])
        return
    row_bytes = int(np.prod(shape[1:], dtype=np.int64)) * dtype.itemsize
    for start in range(0, shape[0], batch_rows):
        rows = min(batch_rows, shape[0] - start)
        yield np.frombuffer(_exactly(stream, member, rows * row_bytes), dtype).reshape(rows, *shape[1:])


def _exactly(stream: IO[bytes], member: str, size_bytes: int) -> bytes:
    try:
        data = stream.read(size_bytes)
    except (zipfile.BadZipFile, zlib.error) as error:
        message = f"`source` must be readable, '{member}' is not: {one_line(error)}"
        raise SourceError(message) from error
    if len(data) != size_bytes:
        message = f"`source` must be complete, '{member}' ends {size_bytes - len(data)} bytes too early"
        raise SourceError(message)
    return data


def _arrow_type(dtype: np.dtype[Any], shape: tuple[int, ...], member: str) -> Any:
    if dtype.kind not in "biufUS":
        message = f"`source` must hold numbers and text, '{member}' has dtype {dtype}"
        raise SourceError(message)
    element = pa.string() if dtype.kind in "US" else pa.from_numpy_dtype(dtype.newbyteorder("="))
    return element if len(shape) == 1 else pa.list_(element, shape[1])


def _to_arrow(array: np.ndarray[Any, Any]) -> Any:
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    if native.dtype.kind == "S":
        native = np.char.decode(native, "utf-8")
    if native.ndim == 1:
        return pa.array(native)
    return pa.FixedSizeListArray.from_arrays(pa.array(native.reshape(-1)), native.shape[1])
