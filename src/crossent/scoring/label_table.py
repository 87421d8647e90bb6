"""The labels that count, written once per process in a form that DuckDB joins without holding them."""

import os
import shutil
import tempfile
import weakref
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from crossent.errors import SourceError
from crossent.scoring.arrow import pa, parquet
from crossent.scoring.arrow_columns import as_numpy
from crossent.scoring.label_file import LabelFile
from crossent.scoring.wording import one_line

# Rows of Parquet that are buffered on their way to the disk.
_GROUP_ROWS = 2**16


@dataclass(frozen=True)
class LabelTable:
    """A Parquet file of the key and the added columns c0, c1, ..., in a folder that goes when the object does."""

    folder: Path
    path: Path
    columns: tuple[str, ...]
    row_bytes: int


# One file of labels at a time, by process: what a fork inherits belongs to its parent.
_tables: dict[tuple[Any, ...], LabelTable] = {}
_lock = Lock()


def label_table(labels: LabelFile, columns: Sequence[str]) -> LabelTable:
    """Return the table with at least these columns, made where this process has none of this state of the file."""
    try:
        status = labels.source.path.stat()
    except OSError as error:
        message = f"`labels` must be readable, '{labels.source.path}' is not: {one_line(error)}"
        raise SourceError(message) from error
    state = (os.getpid(), labels.source.path, status.st_mtime_ns, status.st_size, labels.key, labels.mark)
    with _lock:
        found = _tables.get(state)
        if found is None or not set(columns) <= set(found.columns):
            found = _made(labels, tuple(columns))
            _tables.clear()
            _tables[state] = found
        return found


def write_parquet(path: Path, batches: Iterable[Any]) -> int:
    """Write the batches, of which there must be one, and return the bytes that a row takes in memory."""
    writer = None
    try:
        for batch in batches:
            if writer is None:
                writer = parquet.ParquetWriter(path, batch.schema, compression="lz4")
            if batch.num_rows:
                writer.write_batch(batch, row_group_size=_GROUP_ROWS)
    except OSError as error:
        message = f"`labels` must be joined in the free space of '{path.parent.parent}': {one_line(error)}"
        raise SourceError(message) from error
    finally:
        if writer is not None:
            writer.close()
    metadata = parquet.read_metadata(path)
    size_bytes = sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
    return int(size_bytes // max(1, metadata.num_rows)) + 1


def _made(labels: LabelFile, columns: tuple[str, ...]) -> LabelTable:
    folder = Path(tempfile.mkdtemp(prefix="crossent-labels-"))
    try:
        path = folder / "labels.parquet"
        names = ["key", *(f"c{index}" for index in range(len(columns)))]
        marks = [name for name, column in zip(names[1:], columns, strict=True) if column == labels.mark]
        batches = (_counting(batch, marks).select(names) for batch in labels.batches(columns))
        table = LabelTable(folder, path, columns, write_parquet(path, batches))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    weakref.finalize(table, _remove, folder, os.getpid())
    return table


def _counting(batch: Any, marks: Sequence[str]) -> Any:
    """Return the rows that count; where the marks are wanted, all of them, without the labels of those that do not."""
    public = batch.column("is_public")
    if not marks:
        return batch.filter(public)
    rows = np.arange(batch.num_rows)
    kept = pa.array(rows, mask=~as_numpy(public.fill_null(False)))
    for place, name in enumerate(batch.schema.names):
        if name not in ("key", "row", "is_public", *marks):
            batch = batch.set_column(place, name, batch.column(name).take(kept))
    return batch


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
