"""Whole rows, as long as they are few: exact calibration and temperature, where bins would only come close."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from crossent.scoring.state.columns import Columns, logarithms
from crossent.scoring.state.encoding import Field, Fields
from crossent.scoring.state.scored_rows import Keys, ScoredRows, measured

# 100 000 rows: beyond, bins are as good as the rows are few. And 16 MiB of predictions.
MOST_ROWS = 100_000
MOST_VALUES = 2**21


def fits(rows: int, classes: int) -> bool:
    """Say whether so many rows are kept."""
    return rows <= MOST_ROWS and rows * classes <= MOST_VALUES


@dataclass(frozen=True)
class Kept:
    """Some rows: predictions as stored (of logits, their log-probabilities), labels, and what else tells them apart."""

    sources: list[str]  # different ones, sorted
    source_of: NDArray[np.int64]  # (rows,)
    numbers: NDArray[np.int64]  # (rows,)
    predictions: NDArray[np.float64]  # (rows, classes)
    labels: NDArray[np.int64]
    weights: NDArray[np.float64] | None
    targets: NDArray[np.float64] | None


class KeptRows:
    """Rows that have a loss, from any number of batches; as they came, since most are binned before long."""

    def __init__(self, classes: int, *, is_logarithm: bool) -> None:
        self.classes, self.is_logarithm = classes, is_logarithm
        self.parts: list[ScoredRows] = []
        # Of a state that came as bytes: its rows are of many sources.
        self.loaded: list[Kept] = []

    def __len__(self) -> int:
        return sum(map(len, self.parts)) + sum(len(part.labels) for part in self.loaded)

    def update(self, rows: ScoredRows) -> None:
        if len(rows):
            self.parts.append(rows)

    def merge(self, other: Self) -> None:
        self.parts.extend(other.parts)
        self.loaded.extend(other.loaded)

    def every_part(self) -> Iterator[ScoredRows]:
        """Yield all rows, measured, in any order."""
        yield from self.parts
        yield from (self._measured(part) for part in self.loaded)

    def joined(self) -> Kept:
        """Return every row, in the order of the keys."""
        parts = [*self.loaded, *map(_kept, self.parts)]
        if not parts:
            none = np.zeros(0, np.int64)
            return Kept([], none, none, np.zeros((0, self.classes)), none, None, None)
        sources = sorted({source for part in parts for source in part.sources})
        place = {source: i for i, source in enumerate(sources)}
        source_of = np.concatenate(
            [np.array([place[source] for source in part.sources], np.int64)[part.source_of] for part in parts]
        )
        numbers = np.concatenate([part.numbers for part in parts])
        weights, targets = (
            None if getattr(parts[0], name) is None else np.concatenate([getattr(part, name) for part in parts])
            for name in ("weights", "targets")
        )
        predictions = np.concatenate([part.predictions for part in parts])
        labels = np.concatenate([part.labels for part in parts])
        order = np.lexsort((numbers, source_of))
        keys = np.stack((source_of[order], numbers[order]))
        if (keys[:, 1:] == keys[:, :-1]).all(axis=0).any():
            # Two days may have rows of one name: what they hold decides, so that no order of merging does.
            more = [*predictions.T, *([] if targets is None else targets.T), *([] if weights is None else [weights])]
            order = np.lexsort((*more, labels, numbers, source_of))
        return Kept(
            *(sources, source_of[order], numbers[order], predictions[order], labels[order]),
            None if weights is None else weights[order],
            None if targets is None else targets[order],
        )

    def scored(self) -> ScoredRows:
        """Return every row, measured anew, in the order of the keys."""
        return self._measured(self.joined())

    def _measured(self, kept: Kept) -> ScoredRows:
        columns = Columns(np.ascontiguousarray(kept.predictions.T), np.zeros(len(kept.labels)), self.is_logarithm)
        losses = None if kept.targets is None else _soft_losses(columns, kept.targets)
        keys = Keys("", kept.numbers)
        return measured(keys, kept.labels, columns, weights=kept.weights, targets=kept.targets, losses=losses)

    def fields(self) -> Fields:
        kept = self.joined()
        fields: Fields = {
            "kept.sources": kept.sources,
            "kept.source_of": kept.source_of,
            "kept.numbers": kept.numbers,
            "kept.predictions": kept.predictions.reshape(-1),
            "kept.labels": kept.labels,
        }
        if kept.weights is not None:
            fields["kept.weights"] = kept.weights
        if kept.targets is not None:
            fields["kept.targets"] = kept.targets.reshape(-1)
        return fields

    def load(self, fields: dict[str, Field]) -> None:
        source_of, numbers, labels = (
            np.asarray(fields[f"kept.{name}"], np.int64) for name in ("source_of", "numbers", "labels")
        )
        predictions = np.asarray(fields["kept.predictions"], np.float64).reshape(len(labels), self.classes)
        weights, targets = fields.get("kept.weights"), fields.get("kept.targets")
        part = Kept(
            [str(source) for source in fields["kept.sources"]],
            *(source_of, numbers, predictions, labels),
            None if weights is None else np.asarray(weights, np.float64),
            None if targets is None else np.asarray(targets, np.float64).reshape(predictions.shape),
        )
        self.loaded = [part] if len(labels) else []


def _soft_losses(columns: Columns, targets: NDArray[np.float64]) -> NDArray[np.float64]:
    losses = np.zeros(len(columns))
    for c, stored in enumerate(columns.matrix()):
        share = targets[:, c]
        with np.errstate(invalid="ignore"):
            losses -= np.where(share > 0.0, share * (stored if columns.is_logarithm else logarithms(stored)), 0.0)
    return losses


def _kept(rows: ScoredRows) -> Kept:
    assert rows.columns is not None
    stored = rows.columns.matrix()
    if rows.columns.is_logarithm:
        stored = stored - rows.columns.shifts
    same = np.zeros(len(rows), np.int64)
    predictions = np.ascontiguousarray(stored.T)
    return Kept([rows.keys.source], same, rows.keys.rows, predictions, rows.labels, rows.weights, rows.targets)
