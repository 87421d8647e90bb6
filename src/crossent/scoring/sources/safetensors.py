"""Safetensors: its tensors as columns; a JSON header, then the values in C order and little-endian.

The format is read here and not by the package of its name: NumPy has no bfloat16, in which that package fails, and the
header is all there is to it (github.com/huggingface/safetensors, README, "Format").
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from crossent.errors import SourceError
from crossent.scoring.arrow import pa
from crossent.scoring.sources.array_columns import WIDEST, Columns, Header, ends_early, no_column, read_rows
from crossent.scoring.sources.source import Piece, row_ranges
from crossent.scoring.wording import one_line

_DTYPES = {
    "BOOL": "|b1",
    "U8": "|u1",
    "I8": "|i1",
    "U16": "<u2",
    "I16": "<i2",
    "U32": "<u4",
    "I32": "<i4",
    "U64": "<u8",
    "I64": "<i8",
    "F16": "<f2",
    "BF16": "<u2",
    "F32": "<f4",
    "F64": "<f8",
}

_LENGTH_BYTES = 8
_LONGEST_HEADER_BYTES = 100_000_000  # the format's own limit


@dataclass(frozen=True)
class SafetensorsSource:
    """Tensors of shape (rows,) and (rows, classes) are columns; any other is skipped, with the reason."""

    path: Path
    schema: Any
    rows: int
    skipped: Mapping[str, str]
    headers: Mapping[str, Header]
    offsets_bytes: Mapping[str, int]
    format: str = "safetensors"
    notes: Sequence[str] = field(default=())

    @classmethod
    def open(cls, path: Path) -> "SafetensorsSource":
        described, start_bytes = _described(path)
        size_bytes = path.stat().st_size
        columns = Columns(path)
        offsets_bytes: dict[str, int] = {}
        for name, tensor in described.items():
            where = f"'{name}' in '{path}'"
            dtype, header, first, last = _tensor(path, name, tensor)
            if start_bytes + last > size_bytes:
                raise ends_early(path, start_bytes + last - size_bytes)
            if header is None:
                reason: str | None = (
                    f"`source` must hold numbers, {where} has dtype {dtype}; save it with a dtype such as I64 or F32"
                )
            else:
                reason = no_column(header, where, "safetensors")
            columns.add(name, header, reason)
            offsets_bytes[name] = start_bytes + first
        return cls(path, *columns.finished(), columns.headers, offsets_bytes)

    def pieces(self, columns: Sequence[str], piece_rows: int) -> list[Piece]:
        return row_ranges(self.rows, piece_rows)

    def batches(
        self, columns: Sequence[str], batch_rows: int, types: Mapping[str, Any], piece: Piece | None = None
    ) -> Iterator[Any]:
        first = 0 if piece is None else piece.first_row
        rows = self.rows if piece is None or piece.rows is None else piece.rows
        with ExitStack() as opened:
            streams = []
            for name in columns:
                header = self.headers[name]
                stream = opened.enter_context(self.path.open("rb"))
                stream.seek(self.offsets_bytes[name] + first * header.row_bytes)
                streams.append(read_rows(stream, self.path, header, rows, batch_rows))
            for arrays in zip(*streams, strict=True):
                yield pa.record_batch(list(arrays), names=list(columns))


def _described(path: Path) -> tuple[dict[str, Any], int]:
    """Return what the header says of each tensor, and where the values begin."""
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(_LENGTH_BYTES), "little")
        if length > min(_LONGEST_HEADER_BYTES, path.stat().st_size - _LENGTH_BYTES):
            raise _no_header(path, f"its header would be {length} bytes long")
        raw = stream.read(length)
    try:
        described = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise _no_header(path, one_line(error)) from error
    if not isinstance(described, dict):
        raise _no_header(path, f"its header is {type(described).__name__}")
    described.pop("__metadata__", None)
    return described, _LENGTH_BYTES + length


def _tensor(path: Path, name: str, tensor: Any) -> tuple[str, Header | None, int, int]:
    """Return dtype, header and the first and last byte of a tensor; no header for a dtype that is no number here."""
    try:
        dtype, shape, (first, last) = tensor["dtype"], tuple(tensor["shape"]), tensor["data_offsets"]
        is_sane = isinstance(dtype, str) and first <= last
        is_sane &= all(type(each) is int and each >= 0 for each in (*shape, first, last))
    except (KeyError, TypeError, ValueError):
        is_sane = False
    if not is_sane:
        raise _no_header(path, f"its header does not say where '{name}' is")
    if dtype not in _DTYPES:
        return dtype, None, first, last
    header = Header(shape, False, np.dtype(_DTYPES[dtype]), is_bfloat16=dtype == "BF16")
    if math.prod(shape) * header.dtype.itemsize != last - first or max(shape[1:], default=0) >= WIDEST:
        raise _no_header(path, f"'{name}' has {last - first} bytes, which do not fit {dtype} of shape {shape}")
    return dtype, header, first, last


def _no_header(path: Path, reason: str) -> SourceError:
    return SourceError(f"`source` must be readable, '{path}' is not: {reason}")
