"""Read a source whole, or piece by piece, and compare: shared by the tests of every format."""

import re
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pytest

from crossent.errors import SourceError
from crossent.scoring.sources.opening import open_source, read_batches


def read(
    path: Any, columns: list[str] | None = None, batch_rows: int = 1000, types: Mapping[str, Any] | None = None
) -> dict[str, list]:
    """Return the columns of a source, of all its batches."""
    source = open_source(path)
    return joined(read_batches(source, columns or source.schema.names, batch_rows, types or {}))


def joined(batches: Any) -> dict[str, list]:
    every = list(batches)
    return pa.Table.from_batches(every).to_pydict() if every else {}


def assert_pieces(path: Any, columns: list[str], piece_rows: int, batch_rows: int) -> int:
    """Check that the pieces, read apart and in any order, are the whole with its row numbers; return their number."""
    source = open_source(path)
    whole = joined(read_batches(source, columns, batch_rows, {}))
    rows = len(whole[columns[0]])
    pieces = source.pieces(columns, piece_rows)
    found: dict[int, dict[str, list]] = {}
    for piece in reversed(pieces):
        batches = list(read_batches(open_source(path), columns, batch_rows, {}, piece))
        assert all(0 < batch.num_rows <= batch_rows for batch in batches)
        found[piece.first_row] = joined(batches)
    start = 0
    for piece in pieces:
        part = found[piece.first_row]
        count = len(part[columns[0]]) if part else 0
        assert piece.first_row == start
        assert piece.rows in (None, count)
        assert not part or part == {name: whole[name][start : start + count] for name in columns}
        start += count
    assert start == rows
    return len(pieces)


def assert_refused(text: str, path: Any, columns: list[str] | None = None) -> None:
    """Check that opening or reading says exactly this."""
    with pytest.raises(SourceError, match=re.escape(text)) as caught:
        read(path, columns)
    assert str(caught.value) == text


def assert_unreadable(path: Any) -> None:
    """Check that opening or reading says in one line that the file cannot be read, or is not all there."""
    with pytest.raises(SourceError) as caught:
        read(path)
    text = str(caught.value)
    assert text.startswith(("`source` must be readable, '", "`source` must be complete, '", "`source` must hold "))
    assert str(path) in text
    assert "\n" not in text
