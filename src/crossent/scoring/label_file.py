"""A file of labels: the columns that it adds to the predictions, and which of its rows count."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from os import PathLike
from typing import Any

import numpy as np

from crossent.errors import SourceError
from crossent.scoring.arrow import compute, pa
from crossent.scoring.arrow_columns import as_numpy
from crossent.scoring.column_types import can_be_label, is_list, is_number, is_text
from crossent.scoring.join_key import Key, key_name, key_of
from crossent.scoring.names import ROW_NUMBERS
from crossent.scoring.sources.opening import open_source, read_batches
from crossent.scoring.sources.source import Source
from crossent.scoring.wording import listed

_BATCH_ROWS = 2**16
_BATCH_VALUES = 2**21

# How Kaggle's solution files say which rows count; the others decide the private ranking, or are there to mislead.
_MARK_COLUMNS = ("usage", "indicator")
_MARKS = {"public", "private", "ignored"}

# The column that one-hot labels become: the name of the column that has the 1.
_ONE_HOT = "target"

_WIDEST_DECIMAL = 38  # of DuckDB


@dataclass(frozen=True)
class LabelFile:
    """What a process needs to read the labels; picklable."""

    source: Source
    key: Key
    schema: Any  # the columns that it adds
    skipped: Mapping[str, str] = field(default_factory=dict)
    mark: str | None = None  # the column that says which rows are Public
    one_hot: tuple[str, ...] = ()  # columns named as those of the predictions, which become one

    def batches(self, columns: Sequence[str]) -> Iterator[Any]:
        """Yield batches of key, row, is_public and the added columns under the names c0, c1, ..."""
        labels = [name for name in columns if name != self.mark]
        wanted = (*(self.one_hot if self.one_hot and labels else labels), *([self.mark] if self.mark else []))
        names = list(dict.fromkeys([self.key.name, *wanted]))
        # Text stays text until it is asked for as something else: a later block of CSV may hold other than the first.
        types = dict.fromkeys(names, pa.string()) if self.source.format == "CSV" else {}
        rows = max(1, min(_BATCH_ROWS, _BATCH_VALUES // len(names)))
        start = 0
        with as_labels():
            for batch in read_batches(self.source, names, rows, types | self.key.types(self.source)):
                public = self._public(batch)
                hot = [self._one_hot(batch, public, start)] if self.one_hot and labels else None
                added = [hot[0] if hot and name != self.mark else _stored(batch.column(name)) for name in columns]
                arrays = [
                    self.key.cast(batch.column(self.key.name), self.source),
                    pa.array(np.arange(start, start + batch.num_rows)),
                    public,
                    *added,
                ]
                start += batch.num_rows
                yield pa.RecordBatch.from_arrays(
                    arrays, ["key", "row", "is_public", *(f"c{index}" for index in range(len(added)))]
                )
        if not start:
            message = f"`labels` must have rows, '{self.source.path}' has none"
            raise SourceError(message)

    def with_mark(self) -> "LabelFile":
        """Return the same file with the column that marks rows among those that it adds."""
        assert self.mark is not None
        return replace(self, schema=self.schema.append(pa.field(self.mark, pa.string())))

    @property
    def label_names(self) -> list[str]:
        """The added columns that can be labels."""
        return [name for name in self.schema.names if name != self.mark]

    def _public(self, batch: Any) -> Any:
        if self.mark is None:
            return pa.array(np.ones(batch.num_rows, bool))
        return compute.equal(compute.utf8_lower(batch.column(self.mark).cast(pa.string())), "public")

    def _one_hot(self, batch: Any, public: Any, start: int) -> Any:
        matrix = np.column_stack([_floats(batch.column(name)) for name in self.one_hot])
        is_single = ((matrix == 1.0).sum(axis=1) == 1) & ((matrix == 0.0).sum(axis=1) == len(self.one_hot) - 1)
        bad = np.flatnonzero(~is_single & as_numpy(public))
        if len(bad):
            message = (
                f"`labels` must have one 1 and otherwise 0 in {listed(self.one_hot)}, which are columns of the "
                f"predictions too, row {start + bad[0]} of '{self.source.path}' has not; rename what is no such label"
            )
            raise SourceError(message)
        return pa.array(np.array(self.one_hot, object)[(matrix == 1.0).argmax(axis=1)], pa.string(), mask=~is_single)


def open_labels(labels: str | PathLike[str], sources: Sequence[Source], on: str | None) -> LabelFile:
    """Return the file of labels for these predictions, its key and columns told apart."""
    if not isinstance(labels, str | PathLike):
        message = f"`labels` must be the path of a file, got {type(labels).__name__}; write it to a file first"
        raise SourceError(message)
    with as_labels():
        source = open_source(labels)
        key = key_of(key_name(source, sources, on), (source, *sources))
        mark = next((name for name in source.schema.names if name != key.name and _is_mark(source, name)), None)
    taken = {name for each in sources for name in each.schema.names}
    names = [
        name
        for name in source.schema.names
        if name not in (key.name, mark) and not (name in taken and name.lower() in ROW_NUMBERS)
    ]
    fields = {name: _declared(source.schema.field(name).type) for name in names}
    skipped = dict(source.skipped) | {
        name: f"`{name}` must hold class ids, names, numbers or lists of numbers, in '{source.path}' it holds "
        f"{source.schema.field(name).type}; write it as one of them"
        for name, kind in fields.items()
        if kind is None
    }
    one_hot = _one_hot_columns(source, sources, fields, taken)
    added = {_ONE_HOT: pa.string()} if one_hot else {name: kind for name, kind in fields.items() if kind is not None}
    if not added:
        message = (
            f"`labels` must have a column beside the key '{key.name}' that can hold labels, '{source.path}' has none"
        )
        raise SourceError(message)
    # Names of classes belong to the labels; what pandas notes is of its own index, which is not added.
    metadata = {name: value for name, value in (source.schema.metadata or {}).items() if name != b"pandas"}
    schema = pa.schema(list(added.items()), metadata=metadata)
    return LabelFile(
        source, key, schema, {name: why for name, why in skipped.items() if name not in taken}, mark, one_hot
    )


@contextmanager
def as_labels() -> Iterator[None]:
    """Let what is said of `source` be said of `labels`."""
    try:
        yield
    except SourceError as error:
        raise SourceError(str(error).replace("`source`", "`labels`", 1)) from error


def _one_hot_columns(
    source: Source, sources: Sequence[Source], fields: Mapping[str, Any], taken: set[str]
) -> tuple[str, ...]:
    """Return the label columns if all are columns of the predictions too and numbers; refuse other names in common."""
    repeated = [name for name in fields if name in taken]
    if not repeated:
        return ()
    are_numbers = all(kind is not None and is_number(kind) for kind in fields.values())
    if len(repeated) == len(fields) > 1 and are_numbers and _ONE_HOT not in taken:
        return tuple(repeated)
    other = next(each.path for each in sources if repeated[0] in each.schema.names)
    message = (
        f"`labels` must not have columns of the predictions beside the key, '{source.path}' and '{other}' both have "
        f"{listed(repeated)}; rename or drop them in one of the files"
    )
    raise SourceError(message)


def _is_mark(source: Source, name: str) -> bool:
    kind = source.schema.field(name).type
    if name.lower() not in _MARK_COLUMNS or not is_text(kind.value_type if pa.types.is_dictionary(kind) else kind):
        return False
    found: set[str] = set()
    for batch in read_batches(source, [name], _BATCH_ROWS, {name: pa.string()}):
        found |= {str(value).lower() for value in batch.column(0).unique().to_pylist()}
        if not found <= _MARKS:
            return False
    return bool(found)


def _declared(kind: Any) -> Any:
    """Return the type that a column has once it is joined, None where it cannot hold labels."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if is_text(kind) or pa.types.is_null(kind):
        return pa.string()
    if pa.types.is_decimal(kind) and kind.precision > _WIDEST_DECIMAL:
        return None
    if can_be_label(kind) or is_number(kind):
        return kind
    if pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind):
        return None  # pyarrow 26.0.1 casts a list view to a list with an offset too few
    return pa.list_(kind.value_type) if is_list(kind) else None


def _stored(values: Any) -> Any:
    """Return a column as DuckDB reads it."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    kind = _declared(values.type)
    if pa.types.is_float16(kind):
        kind = pa.float32()
    elif is_list(kind) and pa.types.is_float16(kind.value_type):
        kind = pa.list_(pa.float32())
    return values.cast(kind)


def _floats(values: Any) -> Any:
    return as_numpy(values.cast(pa.float64()))
