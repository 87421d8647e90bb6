"""A state as bytes: one Arrow IPC stream with a named array per row, and the version of the names."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossent.errors import SourceError
from crossent.scoring.arrow import ipc, pa
from crossent.scoring.arrow_columns import as_numpy

# Raised when a name changes its meaning or goes: states of another version are refused, never misread.
STATE_VERSION = 1
_VERSION_KEY = b"crossent.state"

Field = NDArray[np.int64] | NDArray[np.float64] | list[str] | bytes
Fields = dict[str, Field]

_SCHEMA = pa.schema(
    [
        pa.field("name", pa.string()),
        pa.field("integers", pa.list_(pa.int64())),
        pa.field("numbers", pa.list_(pa.float64())),
        pa.field("texts", pa.list_(pa.string())),
        pa.field("bytes", pa.binary()),
    ],
    metadata={_VERSION_KEY: str(STATE_VERSION)},
)


def encode(fields: Mapping[str, Field]) -> bytes:
    """Return the fields as bytes, the same for the same fields in any order."""
    names = sorted(fields)
    columns: dict[str, list[Any]] = {name: [] for name in _SCHEMA.names}
    for name in names:
        value = fields[name]
        columns["name"].append(name)
        columns["integers"].append(value if isinstance(value, np.ndarray) and value.dtype.kind == "i" else None)
        columns["numbers"].append(value if isinstance(value, np.ndarray) and value.dtype.kind == "f" else None)
        columns["texts"].append(value if isinstance(value, list) else None)
        columns["bytes"].append(value if isinstance(value, bytes) else None)
    batch = pa.record_batch([pa.array(columns[field.name], field.type) for field in _SCHEMA], schema=_SCHEMA)
    sink = pa.BufferOutputStream()
    with ipc.new_stream(sink, _SCHEMA) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def decode(state: bytes) -> Fields:
    """Return the fields of `encode`; raise SourceError for bytes that are none, or of another version."""
    if not isinstance(state, bytes | bytearray | memoryview):
        message = f"`state` must be bytes from Score.to_bytes, got {type(state).__name__}"
        raise SourceError(message)
    try:
        with ipc.open_stream(pa.py_buffer(state)) as reader:
            version = (reader.schema.metadata or {}).get(_VERSION_KEY)
            batch = reader.read_next_batch() if version is not None else None
    except (pa.ArrowException, OSError, StopIteration):
        version = batch = None
    if batch is None or version is None:
        message = f"`state` must be bytes from Score.to_bytes, got {len(state)} bytes of something else"
        raise SourceError(message)
    if version != str(STATE_VERSION).encode():
        message = (
            f"`state` must be of version {STATE_VERSION}, got version {version.decode(errors='replace')}; "
            f"score the files again with this version of crossent"
        )
        raise SourceError(message)
    fields: Fields = {}
    for i, name in enumerate(batch.column("name").to_pylist()):
        integers, numbers, texts, raw = (
            batch.column(column)[i] for column in ("integers", "numbers", "texts", "bytes")
        )
        if integers.is_valid:
            fields[name] = np.array(as_numpy(integers.values), np.int64)
        if numbers.is_valid:
            fields[name] = np.array(as_numpy(numbers.values), np.float64)
        if texts.is_valid:
            fields[name] = texts.as_py()
        if raw.is_valid:
            fields[name] = raw.as_py()
    return fields


def sparse(name: str, values: NDArray[np.int64]) -> Fields:
    """Return the fields of an array that is mostly zero."""
    flat = values.reshape(-1)
    used = np.flatnonzero(flat)
    return {f"{name}.at": used.astype(np.int64), f"{name}.is": flat[used]}


def dense(name: str, fields: Mapping[str, Field], shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Return the array of `sparse`."""
    values = np.zeros(shape, np.int64)
    values.reshape(-1)[np.asarray(fields[f"{name}.at"], np.int64)] = fields[f"{name}.is"]
    return values
