"""CSV and TSV, plain or compressed, converted a block at a time."""

import csv as standard_csv
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crossent.errors import SourceError
from crossent.scoring.arrow import csv, pa
from crossent.scoring.sources.csv_cells import explained, where_no_value
from crossent.scoring.sources.encodings import not_utf8, refuse_wide_text
from crossent.scoring.sources.lines import blocks
from crossent.scoring.sources.source import AroundPredictions, Piece, Source, sliced

_SEPARATORS = ",;\t"
# Not told apart from text by looking at the header alone, so they are only used, or named in an error, if nothing else
# splits it.
_RARE_SEPARATOR = "|"
_WRONG_SEPARATORS = {":": "colons", " ": "spaces", "^": "^", "~": "~", "\x01": "\\x01"}

# A header longer than that is no header.
_LONGEST_HEADER_BYTES = 2**24


@dataclass(frozen=True)
class CsvSource:
    """The separator is the one that splits the first line into most columns."""

    path: Path
    schema: Any
    separator: str
    compression: str | None = None
    rows: int | None = None
    format: str = "CSV"
    skipped: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()

    @classmethod
    def open(cls, path: Path, compression: str | None = None) -> "CsvSource":
        with pa.input_stream(str(path), compression=compression) as stream:
            lines = io.BufferedReader(stream)
            head = lines.readline(_LONGEST_HEADER_BYTES)
            refuse_wide_text(path, head)
            while head and not head.strip():  # pyarrow skips blank lines
                head = lines.readline(_LONGEST_HEADER_BYTES)
            second = lines.readline(_LONGEST_HEADER_BYTES)
        if not head.endswith(b"\n") and not second:
            if b"\r" in head.strip():
                message = (
                    f"`source` must end its lines with LF, '{path}' ends them with CR alone, as the first Macs did; "
                    f"convert it, for example with `tr '\\r' '\\n'`"
                )
                raise SourceError(message)
            message = f"`source` must have rows, '{path}' has none"
            raise SourceError(message)
        try:
            header = head.decode()
        except UnicodeDecodeError as error:
            raise not_utf8(path, blocks(path, compression)) from error
        separator = _separator(path, header, second.decode(errors="replace"))
        with _open(path, compression, separator, {}, None) as reader:
            schema = reader.schema
        if any(pa.types.is_binary(kind) for kind in schema.types):  # what pyarrow makes of bytes that are no UTF-8
            raise not_utf8(path, blocks(path, compression))
        return cls(path, schema, separator, compression)

    def pieces(self, columns: Sequence[str], piece_rows: int) -> list[Piece]:
        return [Piece(0, None)]

    def batches(
        self, columns: Sequence[str], batch_rows: int, types: Mapping[str, Any], piece: Piece | None = None
    ) -> Iterator[Any]:
        try:
            with _open(self.path, self.compression, self.separator, types, list(columns)) as reader:
                yield from sliced(reader, batch_rows)
        except pa.ArrowInvalid as error:
            raise explained(error, self.path, self.compression, self.schema.names) from error

    def where_no_number(self, column: str) -> str | None:
        """Say where the first cell of a column is that is no number, None where each of the first block is one."""
        try:
            with _open(self.path, self.compression, self.separator, {column: pa.float64()}, [column]):
                return None
        except pa.ArrowInvalid as error:
            return where_no_value(error, self.path, self.compression)


def where_no_number(source: Source, column: str) -> str | None:
    """Say where in a CSV file, or in one with labels beside it, a column has a cell that is no number; else None."""
    while isinstance(source, AroundPredictions):
        source = source.predictions
    if not isinstance(source, CsvSource) or column not in source.schema.names:
        return None
    return source.where_no_number(column)


@contextmanager
def _open(
    path: Path, compression: str | None, separator: str, types: Mapping[str, Any], columns: list[str] | None
) -> Iterator[Any]:
    with (
        pa.input_stream(str(path), compression=compression) as stream,
        csv.open_csv(
            stream,
            # With threads, pyarrow does not say which line is ragged.
            read_options=csv.ReadOptions(use_threads=False),
            parse_options=csv.ParseOptions(delimiter=separator),
            # Only an empty cell is a missing one: "NA" may be a class, and "nan" is a number that must be reported.
            convert_options=csv.ConvertOptions(
                column_types=dict(types), include_columns=columns or [], null_values=[""], strings_can_be_null=True
            ),
        ) as reader,
    ):
        yield reader


def _separator(path: Path, head: str, second: str) -> str:
    counts = {mark: _columns(head, mark) for mark in _SEPARATORS}
    best = max(counts, key=lambda mark: counts[mark])
    if counts[best] > 1:
        return best
    if _columns(head, _RARE_SEPARATOR) > 1:
        return _RARE_SEPARATOR
    for mark, name in _WRONG_SEPARATORS.items():
        # Numbers on both sides of it: a column called "true label" that holds "polar bear" is one column of text.
        cells = second.split(mark)
        if 1 < len(head.split(mark)) == len(cells) and any(map(_is_number, cells)):
            message = (
                f"`source` must separate its columns by commas, semicolons, tabs or |, '{path}' seems to use {name}; "
                f"write it with commas"
            )
            raise SourceError(message)
    return best


def _columns(line: str, mark: str) -> int:
    # The line as a list of one: a quoted cell that breaks the line is cut, which changes no count before it.
    return len(next(standard_csv.reader([line], delimiter=mark), []))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
