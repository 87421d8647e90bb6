"""Cells of CSV that cannot be what their column is: said with the line of the file that they stand in."""

import io
import re
from collections.abc import Sequence
from pathlib import Path

from crossent.errors import SourceError
from crossent.scoring.arrow import pa
from crossent.scoring.sources.encodings import not_utf8
from crossent.scoring.sources.lines import blocks

_NO_VALUE = re.compile(
    r"In CSV column #(\d+): Row #(\d+): CSV conversion error to (.+?): invalid value '(.*)'$", re.DOTALL
)
_NO_TEXT = "invalid UTF8 data"
# What pyarrow writes for bytes that are no text.
_REPLACEMENT = "\ufffd"

_WORDS = {"double": "numbers", "float": "numbers", "int64": "whole numbers", "bool": "true and false"}

# A cell that is longer is cut: it may be a document.
_LONGEST_CELL = 40


def where_no_value(error: Exception, path: Path, compression: str | None) -> str | None:
    """Return "line 4 of 'a.csv' has 'NA'" from the error about a cell, None where it is about something else."""
    found = _NO_VALUE.search(str(error))
    if found is None:
        return None
    value = found[4]
    line = _line_of(path, compression, int(found[2]), value)
    cell = repr(value if len(value) <= _LONGEST_CELL else f"{value[: _LONGEST_CELL - 3]}...")
    return f"line {line} of '{path}' has {cell}" if line is not None else f"'{path}' has {cell}"


def explained(error: Exception, path: Path, compression: str | None, columns: Sequence[str]) -> Exception:
    """Return what went wrong with a cell as one sentence; `columns` are all of the file. Other errors stay what they are."""
    if str(error).endswith(_NO_TEXT) or _REPLACEMENT in str(error):
        return not_utf8(path, blocks(path, compression))
    found, where = _NO_VALUE.search(str(error)), where_no_value(error, path, compression)
    if found is None or where is None:
        return error
    as_before = "" if found[3] in ("double", "float") else " as in the lines before"
    return SourceError(
        f"`{columns[int(found[1])]}` must hold {_WORDS.get(found[3], found[3])}{as_before}, {where}; "
        f"correct the cell, or leave it empty where there is no value"
    )


def _line_of(path: Path, compression: str | None, row: int, value: str) -> int | None:
    """Return the line, from 1, with the cell of a row, which pyarrow counts from the header and without blank lines."""
    rows, is_quoted = 0, False
    with pa.input_stream(str(path), compression=compression) as stream:
        lines = io.TextIOWrapper(io.BufferedReader(stream), encoding="utf-8", errors="replace", newline=None)
        for number, line in enumerate(lines, 1):
            if not is_quoted and line != "\n":
                rows += 1
            # A cell in quotes may run over several lines; its last line has the rest of the row.
            is_quoted ^= line.count('"') % 2 == 1
            if rows == row and value in line:
                return number
            if rows > row:
                break
    return None
