"""NumPy arrays as columns: which of them can be one, and their rows read from a stream of bytes."""

import tokenize
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from crossent.errors import SourceError
from crossent.scoring.arrow import pa
from crossent.scoring.wording import listed

_HEADERS: dict[tuple[int, int], Any] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}

WIDEST = 2**31  # Arrow counts the values of a row in 32 bits

_NO_HEADER = (KeyError, ValueError, TypeError, IndexError, SyntaxError, tokenize.TokenError, OverflowError)


@dataclass(frozen=True)
class Header:
    """What a file says of an array before its values."""

    shape: tuple[int, ...]
    is_fortran: bool
    dtype: np.dtype[Any]
    is_bfloat16: bool = False  # stored as two bytes each, dtype uint16: NumPy has no bfloat16

    @property
    def row_bytes(self) -> int:
        return int(np.prod(self.shape[1:], dtype=np.int64)) * self.dtype.itemsize


def read_header(stream: IO[bytes]) -> Header | None:
    """Return what stands before the values of a .npy file; None where there is no header that can be read."""
    try:
        shape, is_fortran, dtype = _HEADERS[np.lib.format.read_magic(stream)](stream)
    except _NO_HEADER:
        return None
    is_sane = min(shape, default=0) >= 0 and max(shape[1:], default=0) < WIDEST
    return Header(shape, is_fortran, dtype) if is_sane and (dtype.itemsize or dtype.hasobject) else None


def no_column(header: Header | None, where: str, write: str) -> str | None:
    """Return the sentence that says why an array cannot be a column, None where it can."""
    if header is None:
        return f"`source` must hold .npy arrays, {where} is none that can be read; write it with {write}"
    shape, dtype = header.shape, header.dtype
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


@dataclass
class Columns:
    """The arrays of a file that can be columns, gathered one by one, and why the others cannot."""

    path: Path
    headers: dict[str, Header] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, header: Header | None, reason: str | None) -> None:
        if header is None or reason is not None:
            self.skipped[name] = str(reason)
        else:
            self.headers[name] = header

    def finished(self) -> tuple[Any, int, Mapping[str, str]]:
        """Return schema, rows and what was skipped; raise SourceError where the arrays do not make a table."""
        if self.skipped and not self.headers:
            raise SourceError(next(iter(self.skipped.values())))
        counts = {name: header.shape[0] for name, header in self.headers.items()}
        if len(set(counts.values())) > 1:
            each = listed(f"{name} {rows}" for name, rows in counts.items())
            message = f"`source` must hold arrays with the same number of rows, '{self.path}' has {each}"
            raise SourceError(message)
        unusable = {name: reason for name, reason in self.skipped.items() if name not in self.headers}
        schema = pa.schema([(name, _arrow_type(header)) for name, header in self.headers.items()])
        return schema, next(iter(counts.values()), 0), unusable


def read_rows(stream: IO[bytes], what: object, header: Header, rows: int, batch_rows: int) -> Iterator[Any]:
    """Yield Arrow arrays of the next `rows` rows of an array in C order, `batch_rows` at a time."""
    for start in range(0, rows, batch_rows):
        count = min(batch_rows, rows - start)
        values = np.frombuffer(exactly(stream, what, count * header.row_bytes), header.dtype)
        yield to_arrow(values.reshape(count, *header.shape[1:]), header)


def exactly(stream: IO[bytes], what: object, size_bytes: int) -> bytes:
    """Return the next bytes of a stream; raise SourceError where it ends before."""
    data = stream.read(size_bytes)
    if len(data) != size_bytes:
        raise ends_early(what, size_bytes - len(data))
    return data


def ends_early(what: object, missing_bytes: int) -> SourceError:
    """Return the error for an array that is not all there."""
    return SourceError(f"`source` must be complete, '{what}' ends {missing_bytes} bytes too early")


def to_arrow(array: np.ndarray[Any, Any], header: Header) -> Any:
    """Return rows of shape (rows,) or (rows, classes) as an Arrow array."""
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    if header.is_bfloat16:  # the upper half of a float32
        native = (native.astype(np.uint32) << 16).view(np.float32)
    if native.dtype.kind == "S":
        native = np.char.decode(native, "utf-8")
    if native.ndim == 1:
        return pa.array(native)
    return pa.FixedSizeListArray.from_arrays(pa.array(native.reshape(-1)), native.shape[1])


def _arrow_type(header: Header) -> Any:
    if header.dtype.kind in "US":
        element = pa.string()
    elif header.is_bfloat16:
        element = pa.float32()
    else:
        element = pa.from_numpy_dtype(header.dtype.newbyteorder("="))
    return element if len(header.shape) == 1 else pa.list_(element, header.shape[1])
