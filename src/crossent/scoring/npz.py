"""NumPy's .npz: its members as columns, streamed from the zip a batch of rows at a time, never unpickled."""

import lzma
import struct
import tokenize
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
from crossent.scoring.wording import listed, one_line

_HEADERS: dict[tuple[int, int], Any] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}

_WIDEST = 2**31  # Arrow counts the values of a row in 32 bits

_Header = tuple[tuple[int, ...], bool, np.dtype[Any]]  # shape, whether in Fortran's order, dtype

# What flipped bytes were seen to raise: RuntimeError is an encrypted member, NotImplementedError within it a compression
# or a version that zipfile does not know, the others sizes and offsets that lead nowhere.
_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(RuntimeError, EOFError, OSError, ValueError, KeyError, OverflowError),
)
_NO_HEADER = (KeyError, ValueError, TypeError, IndexError, SyntaxError, tokenize.TokenError, OverflowError)


@dataclass(frozen=True)
class NpzSource:
    """Arrays of shape (rows,) and (rows, classes) are columns; any other member is skipped, with the reason."""

    path: Path
    schema: Any
    rows: int | None
    skipped: Mapping[str, str]  # members that are no columns, and the sentence for whoever chooses one
    format: str = "npz"

    @classmethod
    def open(cls, path: Path) -> "NpzSource":
        shapes: dict[str, int] = {}
        fields = []
        skipped: dict[str, str] = {}
        with _zip(path) as archive:
            for member in archive.namelist():
                name = member.removesuffix(".npy")
                with _intact(member), archive.open(member) as stream:
                    header = _header(stream) if name != member else None
                reason = _no_column(header, f"'{member}' in '{path}'")
                if header is None or reason is not None:
                    skipped[name] = str(reason)
                    continue
                shape, _, dtype = header
                shapes[name] = shape[0]
                fields.append(pa.field(name, _arrow_type(dtype, shape)))
        if skipped and not fields:
            raise SourceError(next(iter(skipped.values())))
        if len(set(shapes.values())) > 1:
            counts = listed(f"{name} {rows}" for name, rows in shapes.items())
            message = f"`source` must hold arrays with the same number of rows, '{path}' has {counts}"
            raise SourceError(message)
        unusable = {name: reason for name, reason in skipped.items() if name not in shapes}
        return cls(path, pa.schema(fields), next(iter(shapes.values()), 0), unusable)

    def batches(self, columns: Sequence[str], batch_rows: int, types: Mapping[str, Any]) -> Iterator[Any]:
        with ExitStack() as opened:
            archive = opened.enter_context(_zip(self.path))
            streams = []
            for name in columns:
                member = f"{name}.npy"
                with _intact(member):
                    stream = opened.enter_context(archive.open(member))
                streams.append(_rows(stream, member, batch_rows))
            for arrays in zip(*streams, strict=True):
                yield pa.record_batch([_to_arrow(array) for array in arrays], names=list(columns))


def _zip(path: Path) -> zipfile.ZipFile:
    with _intact(path):
        return zipfile.ZipFile(path)


@contextmanager
def _intact(what: object) -> Iterator[None]:
    """Turn what zipfile says of damaged, encrypted or strangely compressed bytes into one sentence."""
    try:
        yield
    except _DAMAGE as error:
        message = f"`source` must be readable, '{what}' is not: {one_line(error) or type(error).__name__}"
        raise SourceError(message) from error


def _header(stream: IO[bytes]) -> _Header | None:
    """Return shape, order and dtype; None where there is no header that can be read."""
    try:
        header: _Header = _HEADERS[np.lib.format.read_magic(stream)](stream)
    except _NO_HEADER:
        return None
    shape, _, dtype = header
    is_sane = min(shape, default=0) >= 0 and max(shape[1:], default=0) < _WIDEST
    return header if is_sane and (dtype.itemsize or dtype.hasobject) else None


def _no_column(header: _Header | None, where: str) -> str | None:
    """Return the sentence that says why a member cannot be a column, None where it can."""
    if header is None:
        return f"`source` must hold .npy arrays, {where} is none that can be read; write it with np.savez"
    shape, _, dtype = header
    if dtype.hasobject:
        return (
            f"`source` must hold plain arrays, {where} holds Python objects, which only pickle can read; "
            f"save it with a dtype such as int64 or <U16"
        )
    if dtype.kind not in "biufUS" or (dtype.kind == "f" and dtype.itemsize > np.dtype(np.float64).itemsize):
        return (
            f"`source` must hold numbers and text, {where} has dtype {dtype}; "
            f"save it with a dtype such as int64, float64 or <U16"
        )
    if len(shape) not in (1, 2) or 0 in shape[1:]:
        return (
            f"`source` must hold arrays of shape (rows,) or (rows, classes) with at least one class, {where} "
            f"has shape {shape}; save it in such a shape"
        )
    return None


def _rows(stream: IO[bytes], member: str, batch_rows: int) -> Iterator[np.ndarray[Any, Any]]:
    with _intact(member):
        header = _header(stream)
    if header is None:
        raise SourceError(str(_no_column(None, f"'{member}'")))
    shape, is_fortran, dtype = header
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
    with _intact(member):
        data = stream.read(size_bytes)
    if len(data) != size_bytes:
        message = f"`source` must be complete, '{member}' ends {size_bytes - len(data)} bytes too early"
        raise SourceError(message)
    return data


def _arrow_type(dtype: np.dtype[Any], shape: tuple[int, ...]) -> Any:
    element = pa.string() if dtype.kind in "US" else pa.from_numpy_dtype(dtype.newbyteorder("="))
    return element if len(shape) == 1 else pa.list_(element, shape[1])


def _to_arrow(array: np.ndarray[Any, Any]) -> Any:
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    if native.dtype.kind == "S":
        native = np.char.decode(native, "utf-8")
    if native.ndim == 1:
        return pa.array(native)
    return pa.FixedSizeListArray.from_arrays(pa.array(native.reshape(-1)), native.shape[1])
