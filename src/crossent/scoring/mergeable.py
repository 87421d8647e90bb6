"""The state behind a score: rows taken in, states merged, bytes and back."""

import json
from dataclasses import asdict, replace
from functools import cached_property
from typing import Any, Self, TypeVar

from crossent.errors import OptionError, SourceError
from crossent.scoring import reading_bytes
from crossent.scoring.accumulator import Accumulator, Shape
from crossent.scoring.kinds import SCALARS
from crossent.scoring.losses import quiet
from crossent.scoring.options import Options
from crossent.scoring.reading import Reading
from crossent.scoring.sources.stream import open_stream
from crossent.scoring.state.encoding import decode, encode
from crossent.scoring.taking import Taker

_BATCH_ROWS = 2**16

RecordingState = TypeVar("RecordingState", bound=Accumulator)


class Mergeable:
    """What Score is made of; see there."""

    def __init__(self, reading: Reading | None = None, options: Options | None = None) -> None:
        self._reading = reading
        self.options = options or Options()
        self.sources: dict[str, int] = {}
        self._state = None if reading is None else Accumulator(_shape(reading, self.options))

    def update(self, batch: Any, *, source: str = "<batch>", first_row: int | None = None) -> Self:
        """Take in a record batch or a table as rows of `source`, by default the next ones, and return self.

        A batch that is refused leaves the score as it was.
        """
        start = self.sources.get(source, 0) if first_row is None else first_row
        opened = open_stream(batch)
        if opened is None:
            message = f"`batch` must be a record batch or a table, got {type(batch).__name__}"
            raise OptionError(message)
        part = type(self)(self.reading, self.options)
        taker, rows = part.taker(source), 0
        with quiet():
            for each in opened.batches(opened.schema.names, _BATCH_ROWS, {}):
                taker.take(each, start + rows)
                rows += each.num_rows
        part.sources[source] = rows
        return self.merge(part)

    def taker(self, source: str) -> Taker:
        """Return what takes the batches of one source into this score."""
        self._forget()
        if self._reading is None or self._state is None:
            message = "`Score` must have a reading before rows: score a file first, or merge a score that has one"
            raise OptionError(message)
        return Taker(self._state, self._reading, self.options, source)

    def recording(self, kind: type[RecordingState]) -> RecordingState:
        """Have a state that also sees each batch, for a score that has no rows yet or has one of this kind."""
        if not isinstance(self._state, kind):
            self._state = kind(_shape(self.reading, self.options))
        return self._state

    def merge(self, other: "Mergeable") -> Self:
        """Add the rows of another score, which stays as it is, and return self."""
        if not isinstance(other, Mergeable):
            message = f"`other` must be a Score, got {type(other).__name__}"
            raise OptionError(message)
        if other._state is None or other._reading is None:
            return self
        self._forget()
        if self._state is None or self._reading is None:
            self._reading, self.options = other._reading, other.options
            self._state = Accumulator(_shape(other._reading, other.options))
        else:
            self._refuse_others(other._reading, other.options)
        self._state.merge(other._state)
        first = min(self._reading, other._reading, key=lambda reading: (reading.source, reading.format, repr(reading)))
        self._reading = replace(first, notes=tuple(sorted({*self._reading.notes, *other._reading.notes})))
        self.options = replace(self.options, anchors=tuple(sorted(self._state.totals.tempered)) or (1.0,))
        for source, rows in other.sources.items():
            self.sources[source] = self.sources.get(source, 0) + rows
        return self

    def to_bytes(self) -> bytes:
        """Return the state: Arrow IPC with a version; scores of the same rows give the same bytes."""
        if self._state is None or self._reading is None:
            return encode({})
        header = {
            "reading": reading_bytes.to_plain(replace(self._reading, notes=tuple(sorted(self._reading.notes)))),
            "options": asdict(self.options),
            "sources": dict(sorted(self.sources.items())),
        }
        text = json.dumps(header, sort_keys=True, ensure_ascii=False).encode()
        return encode(self._state.fields() | {"header": text})

    @classmethod
    def from_bytes(cls, state: bytes, /) -> Self:
        """Return the score whose `to_bytes` gave `state`."""
        fields = decode(state)
        if not fields:
            return cls()
        try:
            header = json.loads(fields.pop("header"))  # type: ignore[arg-type]
            options = Options(**{**header["options"], "anchors": tuple(header["options"]["anchors"])})
            score = cls(reading_bytes.from_plain(header["reading"]), options)
            assert score._state is not None
            score._state.load(fields)
            score.sources = dict(header["sources"])
        except (KeyError, TypeError, ValueError, IndexError) as error:
            message = f"`state` must be whole, it lacks or garbles {error}"
            raise SourceError(message) from error
        return score

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mergeable):
            return NotImplemented
        return self.to_bytes() == other.to_bytes()

    __hash__ = None  # type: ignore[assignment]  # it changes

    @property
    def reading(self) -> Reading:
        if self._reading is None:
            message = "`Score` is empty: nothing was read"
            raise OptionError(message)
        return self._reading

    def note(self, *notes: str) -> Self:
        """Add what should be said about how the files were read, and return self."""
        self._reading = self.reading.with_notes(*notes)
        return self

    @property
    def _full(self) -> Accumulator:
        if self._state is None:
            message = "`Score` is empty: nothing was read"
            raise OptionError(message)
        return self._state

    def _refuse_others(self, reading: Reading, options: Options) -> None:
        own = {"classes": [each.name for each in self.reading.classes], **_merged_by(self.reading)}
        theirs = {"classes": [each.name for each in reading.classes], **_merged_by(reading)}
        own |= asdict(replace(self.options, anchors=(1.0,)))
        theirs |= asdict(replace(options, anchors=(1.0,)))
        differing = [name for name, value in own.items() if theirs[name] != value]
        if differing:
            name = differing[0]
            message = f"`other` must be a score of the same kind, its {name} is {theirs[name]!r} and not {own[name]!r}"
            raise OptionError(message)

    def _forget(self) -> None:
        """Drop what was derived: the state is about to change."""
        for name, value in vars(type(self)).items():
            if isinstance(value, cached_property):
                self.__dict__.pop(name, None)


def _merged_by(reading: Reading) -> dict[str, Any]:
    """Return what two readings must share for their states to be of one kind."""
    return {
        "predictions": "losses" if reading.kind in SCALARS else reading.kind,
        "labels": "soft" if reading.label_form == "soft" else "hard",
        "weight": reading.weight_column,
        "by": reading.group_column,
        "cluster": reading.cluster_column,
    }


def _shape(reading: Reading, options: Options) -> Shape:
    return Shape(
        classes=len(reading.classes),
        is_logarithm=reading.kind in ("logits", "log_probs"),
        is_weighted=reading.weight_column is not None,
        is_soft=reading.label_form == "soft",
        worst=options.worst,
        replicates=options.bootstrap,
        anchors=options.anchors,
        has_groups=reading.group_column is not None,
        has_clusters=reading.cluster_column is not None,
    )
