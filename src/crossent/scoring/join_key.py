"""The column that labels are joined on: which it is, and as what its values are compared."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from crossent.errors import SourceError
from crossent.scoring.arrow import pa
from crossent.scoring.column_types import is_text
from crossent.scoring.names import is_key
from crossent.scoring.sources.opening import read_batches
from crossent.scoring.sources.source import Piece, Source
from crossent.scoring.wording import listed, one_line

_BATCH_ROWS = 2**16

# What all numbers of 64 bits, with and without a sign, fit into.
_ANY_INTEGER = pa.decimal128(20)

_UNITS = ("s", "ms", "us", "ns")


@dataclass(frozen=True)
class Key:
    """The column's name, the same in every file, and the Arrow type that its values are compared as."""

    name: str
    type: Any

    def types(self, source: Source) -> dict[str, Any]:
        """Return the type to ask of a source whose text has no types of its own."""
        own = source.schema.field(self.name).type
        # CSV reads times with a zone only as what it took them for itself.
        is_open = pa.types.is_null(own) or (source.format == "CSV" and not pa.types.is_timestamp(own))
        return {self.name: self.type if is_open or is_text(self.type) else own}

    def cast(self, values: Any, source: Source) -> Any:
        """Return the values of the column in a batch of the source as the key's type."""
        if pa.types.is_dictionary(values.type):
            values = values.dictionary_decode()
        try:
            return values.cast(self.type)
        except pa.ArrowInvalid as error:
            message = (
                f"`on` must hold keys that fit every file, '{self.name}' of '{source.path}' has others: "
                f"{one_line(error)}"
            )
            raise SourceError(message) from error

    def read(self, source: Source, piece: Piece | None = None) -> Iterator[Any]:
        """Yield the keys of a source in row order, as Arrow arrays."""
        for batch in read_batches(source, [self.name], _BATCH_ROWS, self.types(source), piece):
            yield self.cast(batch.column(0), source)

    def spelled(self, text: str) -> str:
        """Return a key, given as DuckDB writes it, as it stands in a message."""
        return f"'{text}'" if is_text(self.type) else text


def key_name(labels: Source, sources: Sequence[Source], on: str | None) -> str:
    """Return the key column: the one that was named, else the only one that every file has, or the only one of these that is named as a key."""
    if on is not None:
        for source in (labels, *sources):
            if on not in source.schema.names:
                message = f"`on` must be a column of both files, '{source.path}' has no '{on}' among {_names(source)}"
                raise SourceError(message)
        return on
    shared = [name for name in labels.schema.names if all(name in source.schema.names for source in sources)]
    if len(shared) == 1:
        return str(shared[0])
    # Kaggle's one-hot solutions share the classes with the submissions, too.
    keys = [name for name in shared if is_key(name)]
    if len(keys) == 1:
        return str(keys[0])
    if not shared:
        message = (
            f"`on` must be a column of both files, '{labels.path}' has {_names(labels)} and '{sources[0].path}' has "
            f"{_names(sources[0])}; give the rows of both a column with the same name and keys"
        )
        raise SourceError(message)
    names = listed(f"'{name}'" for name in shared)
    message = f"`on` must say which column is the key, '{labels.path}' and '{sources[0].path}' share {names}"
    raise SourceError(message)


def key_of(name: str, sources: Sequence[Source]) -> Key:
    """Return the key with the type for all files: integers, dates, times, or text where one file has text."""
    kinds = {str(source.path): (_kind(source, name), source.format == "CSV") for source in sources}
    known = {kind for kind, _ in kinds.values()} - {"nothing"}
    if "text" in known:
        known = {"text" if is_csv else kind for kind, is_csv in kinds.values()} - {"nothing"}
        # A whole number and a date have one usual way to be written, a time has several.
        known -= {"whole numbers", "dates"}
    if len(known) > 1:
        first, second = (next((p, k) for p, (k, _) in kinds.items() if k == kind) for kind in sorted(known)[:2])
        message = (
            f"`on` must hold the same kind of key in both files, '{name}' holds {first[1]} in '{first[0]}' and "
            f"{second[1]} in '{second[0]}'; write the keys alike"
        )
        raise SourceError(message)
    types = [_value_type(source, name) for source in sources]
    return Key(name, _common(known.pop() if known else "text", types))


def as_text(key: Key) -> Key:
    """Return the key compared as text: "012" and "12" differ then."""
    return Key(key.name, pa.string())


def _common(kind: str, types: Sequence[Any]) -> Any:
    if kind == "whole numbers":
        integers = [each for each in types if pa.types.is_integer(each)]
        if pa.uint64() not in integers:
            return pa.int64()
        return pa.uint64() if all(map(pa.types.is_unsigned_integer, integers)) else _ANY_INTEGER
    if kind == "dates":
        return pa.date32()
    if kind.startswith("times"):
        # With a zone Arrow counts from the epoch in UTC, so that the times are compared and not how they are written.
        return pa.timestamp(max((each.unit for each in types if pa.types.is_timestamp(each)), key=_UNITS.index))
    return pa.string()


def _kind(source: Source, name: str) -> str:
    own = _value_type(source, name)
    if pa.types.is_integer(own):
        return "whole numbers"
    if is_text(own):
        return "text"
    if pa.types.is_date(own):
        return "dates"
    if pa.types.is_timestamp(own):
        return "times" if own.tz is None else "times with a zone"
    if pa.types.is_null(own):
        return "nothing"
    if source.format == "CSV" and not pa.types.is_floating(own):
        return "text"
    message = (
        f"`on` must hold whole numbers, text or dates, '{name}' of '{source.path}' holds {own}; "
        f"write the keys as whole numbers or as text"
    )
    raise SourceError(message)


def _value_type(source: Source, name: str) -> Any:
    own = source.schema.field(name).type
    return own.value_type if pa.types.is_dictionary(own) else own


def _names(source: Source) -> str:
    return listed(f"'{name}'" for name in source.schema.names)
