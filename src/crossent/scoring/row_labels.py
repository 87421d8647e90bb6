"""Labels in a file of their own that has no key: one array, whose rows are those of the predictions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crossent.errors import SourceError
from crossent.scoring.arrow import pa
from crossent.scoring.sources.opening import read_batches
from crossent.scoring.sources.source import AroundPredictions, Piece, Source

# An array is all that such a file holds; a table has a column to join on.
FORMAT = "npy"
_BATCH_ROWS = 2**16


@dataclass(frozen=True)
class RowLabels:
    """A file of labels in the order of the predictions; picklable."""

    source: Source


def row_labels(labels: Source, sources: Sequence[Source]) -> RowLabels:
    """Return the labels; raise SourceError where there are more files of predictions, or more rows, than that."""
    if len(sources) > 1:
        message = (
            f"`labels` without a key go with one file of predictions, '{labels.path}' is an array and there are "
            f"{len(sources)} files; write one array, or a table with a key"
        )
        raise SourceError(message)
    if sources[0].rows is not None and sources[0].rows != labels.rows:
        message = (
            f"`labels` must have a row for each prediction, '{labels.path}' has {labels.rows} and "
            f"'{sources[0].path}' has {sources[0].rows}"
        )
        raise SourceError(message)
    return RowLabels(labels)


@dataclass(frozen=True)
class RowJoinedSource(AroundPredictions):
    """Predictions with the column of labels added, row by row."""

    labels: Source

    @property
    def schema(self) -> Any:
        return pa.schema([*self.predictions.schema, self._label])

    @property
    def _label(self) -> Any:
        field = self.labels.schema.field(0)
        # `labels.npy` beside `labels.npy` of predictions is hardly so; `y.npy` beside a column y may be.
        return field if field.name not in self.predictions.schema.names else field.with_name("target")

    def pieces(self, columns: Sequence[str], piece_rows: int) -> list[Piece]:
        return self.predictions.pieces(self._own(columns), piece_rows)

    def batches(
        self, columns: Sequence[str], batch_rows: int, types: Mapping[str, Any], piece: Piece | None = None
    ) -> Iterator[Any]:
        own = self._own(columns)
        coming = self._labels(piece)
        rest = next(coming, None)
        for batch in self.predictions.batches(own, batch_rows, types, piece):
            parts, missing = [], batch.num_rows
            while missing:
                if rest is None:
                    message = f"`labels` must have a row for each prediction, '{self.labels.path}' ends too early"
                    raise SourceError(message)
                part = rest.slice(0, missing)
                parts.append(part)
                missing -= len(part)
                rest = rest.slice(len(part)) if len(part) < len(rest) else next(coming, None)
            if self._label.name in columns:
                batch = batch.append_column(self._label, pa.concat_arrays(parts))
            yield batch.select(list(columns))

    def _own(self, columns: Sequence[str]) -> list[str]:
        # One column at least, to count the rows by.
        return [name for name in columns if name != self._label.name] or list(self.predictions.schema.names[:1])

    def _labels(self, piece: Piece | None) -> Iterator[Any]:
        name = self.labels.schema.names[0]
        part = None if piece is None else Piece(piece.first_row, piece.rows)
        for batch in read_batches(self.labels, [name], _BATCH_ROWS, {}, part):
            yield batch.column(0)
