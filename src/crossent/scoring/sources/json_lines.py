"""JSON lines: an object per line, whose keys are the columns; parsed a block of lines at a time."""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crossent.errors import SourceError
from crossent.scoring.arrow import json, pa
from crossent.scoring.sources.encodings import not_utf8
from crossent.scoring.sources.lines import block_objects, blocks, no_object
from crossent.scoring.sources.source import Piece
from crossent.scoring.wording import one_line

_INT64_END = 2**63

_ROW = re.compile(r"\.?( in row \d+)?$")


@dataclass(frozen=True)
class JsonLinesSource:
    """Columns and types are those of the first block of lines; a key that is absent in a line is a missing value."""

    path: Path
    schema: Any
    skipped: Mapping[str, str]
    compression: str | None = None
    rows: int | None = None
    format: str = "JSON lines"
    notes: Sequence[str] = field(default=())

    @classmethod
    def open(cls, path: Path, compression: str | None = None) -> "JsonLinesSource":
        first, block = next(blocks(path, compression), (1, b""))
        types: dict[str, Any] = {}
        for _, found in block_objects(path, first, block, object_pairs_hook=_once(path)):
            for name, value in found.items():
                types[name] = _wider(types.get(name, pa.null()), _type(value))
        skipped = {
            name: f"`{name}` must hold numbers, text or lists of numbers, in '{path}' it holds objects, lists within "
            f"lists, or values of several kinds; write it as one of them"
            for name, kind in types.items()
            if kind is None
        }
        schema = pa.schema([(name, kind) for name, kind in types.items() if kind is not None])
        return cls(path, schema, skipped, compression)

    def pieces(self, columns: Sequence[str], piece_rows: int) -> list[Piece]:
        return [Piece(0, None)]

    def batches(
        self, columns: Sequence[str], batch_rows: int, types: Mapping[str, Any], piece: Piece | None = None
    ) -> Iterator[Any]:
        wanted = pa.schema([self.schema.field(name) for name in columns])
        asked = pa.schema([(each.name, _asked(each.type, types.get(each.name))) for each in wanted])
        # A number that is asked for as text is parsed as a number first: pyarrow does not turn one into the other.
        parsed = pa.schema(
            [(old.name, old.type if pa.types.is_string(new.type) and not pa.types.is_null(old.type) else new.type)
             for old, new in zip(wanted, asked, strict=True)]
        )  # fmt: skip
        for first, block in blocks(self.path, self.compression):
            yield from self._parsed(first, block, parsed).cast(asked).to_batches(max_chunksize=batch_rows)

    def _parsed(self, first: int, block: bytes, schema: Any) -> Any:
        try:
            block.decode()  # pyarrow lets bytes that are no UTF-8 pass
        except UnicodeDecodeError as error:
            raise not_utf8(self.path, [(first, block)]) from error
        try:
            return _parse(block, schema)
        except pa.ArrowException as error:
            lines = [line + b"\n" for line in block.split(b"\n")]
            reason: Exception = error
        good, bad = 0, len(lines)  # the first `good` lines can be parsed, the first `bad` cannot
        while bad - good > 1:
            middle = (good + bad) // 2
            try:
                _parse(b"".join(lines[good:middle]), schema)
                good = middle
            except pa.ArrowException as error:
                reason, bad = error, middle
        # pyarrow counts the rows of what it was given, which here is a part of the file.
        raise no_object(self.path, first + good, _ROW.sub("", one_line(reason))) from reason


def _parse(block: bytes, schema: Any) -> Any:
    if not block.strip():
        return schema.empty_table()
    return json.read_json(
        io.BytesIO(block),
        read_options=json.ReadOptions(use_threads=False, block_size=len(block) + 1),
        parse_options=json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"),
    )


def _once(path: Path) -> Any:
    def checked(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            message = f"`source` must name each column once, '{path}' has several called {twice}; rename them"
            raise SourceError(message)
        return found

    return checked


def _type(value: Any) -> Any:
    """Return the type of a column that holds such values, None where it cannot be one."""
    if value is None:
        return pa.null()
    if isinstance(value, bool):
        return pa.bool_()
    if isinstance(value, int):
        return pa.int64() if -_INT64_END <= value < _INT64_END else pa.float64()
    if isinstance(value, float):
        return pa.float64()
    if isinstance(value, str):
        return pa.string()
    if isinstance(value, list) and all(each is None or type(each) in (int, float) for each in value):
        return pa.list_(pa.float64())
    return None


def _wider(one: Any, other: Any) -> Any:
    if one is None or other is None:
        return None
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    return pa.float64() if {one, other} == {pa.int64(), pa.float64()} else None


def _asked(own: Any, asked: Any) -> Any:
    # A list is asked for by the type of its numbers; it is read as float64 anyway.
    return own if asked is None or pa.types.is_list(own) else asked
