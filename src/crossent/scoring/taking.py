"""Batches of a file taken into a state, as the reading says."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossent.errors import RangeError
from crossent.scoring.accumulator import Accumulator
from crossent.scoring.arrow import pa
from crossent.scoring.arrow_columns import as_numpy
from crossent.scoring.kinds import SCALARS
from crossent.scoring.losses import Stored, deviations, measure, measure_scalars
from crossent.scoring.marks import public_rows, without_labels
from crossent.scoring.options import Options
from crossent.scoring.reading import Reading
from crossent.scoring.rows import (
    BAD,
    IGNORED,
    MISSING,
    Labels,
    Shares,
    labels_there,
    prediction_columns,
    scalar_column,
    texts_of,
    weights_of,
    whole_numbers,
)
from crossent.scoring.state.scored_rows import Keys
from crossent.scoring.top_k import truth_log_probs

# Rows are said to miss a sum of 1 beyond the rounding of float32 probabilities, the usual way to store them.
SUM_TOLERANCE = float(np.sqrt(np.finfo(np.float32).eps))


class Taker:
    """Takes the batches of one source into a state."""

    def __init__(self, state: Accumulator, reading: Reading, options: Options, source: str) -> None:
        self.state, self.reading, self.options, self.source = state, reading, options, source
        self.names = [each.column for each in reading.classes]
        self.labels = Labels(reading.label_column, reading.classes, counts_bad=options.bad_labels == "count")
        self.shares = Shares(reading.target_columns, is_one_hot=reading.label_form == "one-hot")

    def take(self, batch: Any, start: int) -> None:
        """Take in a batch whose first row is row `start` of the source."""
        reading = self.reading
        public = public_rows(batch, reading.mark_column)
        if public is not None:
            truths = reading.target_columns or ((reading.label_column,) if reading.label_form != "none" else ())
            batch = without_labels(batch, truths, ~public)
        ids = None if reading.id_column is None else batch.column(reading.id_column)
        keys = Keys(self.source, np.arange(start, start + batch.num_rows, dtype=np.int64), ids)
        weights = None if reading.weight_column is None else weights_of(batch, reading.weight_column, start)
        names = [
            None if column is None else np.array(texts_of(batch, column), object)
            for column in (reading.group_column, reading.cluster_column)
        ]
        if reading.kind in SCALARS:
            self._take_scalars(batch, start, keys, weights, names, public)
        else:
            self._take_predictions(batch, start, keys, weights, names, public)

    def _take_predictions(
        self,
        batch: Any,
        start: int,
        keys: Keys,
        weights: NDArray[np.float64] | None,
        names: Sequence[Any],
        public: NDArray[np.bool_] | None,
    ) -> None:
        counts, reading = self.state.totals.counts, self.reading
        labels, targets = self._labels(batch, start)
        if public is not None:
            labels[~public] = IGNORED
        counts["missing_labels"] += int(np.count_nonzero(labels == MISSING))
        counts["ignored_labels"] += int(np.count_nonzero(labels == IGNORED))
        bad = labels == BAD
        if bad.any():
            counts["bad_labels"] += int(np.count_nonzero(bad))
            self.state.totals.add_bad_labels(
                [str(text) for text in texts_of(batch.filter(pa.array(bad)), reading.label_column)]
            )
        columns = prediction_columns(
            *(batch, reading.prediction_columns, len(reading.classes), start),
            kind=reading.kind,
            rest_class=reading.rest_class,
        )
        stored = Stored(keys, labels, columns, weights, targets)
        chosen = labels >= 0
        if weights is not None:
            counts["weightless"] += int(np.count_nonzero(chosen & (weights == 0.0)))
            chosen &= weights > 0.0
        self._count_language(batch, start, chosen)
        if not chosen.all():
            stored, names = stored.taken(chosen), [None if each is None else each[chosen] for each in names]
        if not len(stored.labels):
            return
        rows, undefined, clipped = measure(stored, reading.kind, self.options, self.names)
        counts["clipped"] += clipped
        kept_names, lost_names = (
            [None if each is None else each[part].tolist() for each in names] for part in (~undefined, undefined)
        )
        if undefined.any():
            lost = None if stored.weights is None else stored.weights[undefined]
            shares = None if stored.targets is None else stored.targets[undefined]
            groups, clusters = lost_names
            self.state.update_undefined(stored.labels[undefined], lost, groups, clusters, shares)
        if not len(rows):
            return
        self.state.update(rows, *kept_names)
        assert rows.statistics is not None
        missed = deviations(rows.statistics, reading.kind) if rows.missed is None else rows.missed
        counts["unnormalised"] += int(np.count_nonzero(missed > SUM_TOLERANCE))
        self.state.totals.largest_deviation = max(self.state.totals.largest_deviation, float(missed.max(initial=0.0)))

    def _take_scalars(
        self,
        batch: Any,
        start: int,
        keys: Keys,
        weights: NDArray[np.float64] | None,
        names: Sequence[Any],
        public: NDArray[np.bool_] | None,
    ) -> None:
        values, labels, bounds = self._scalars(batch, start)
        if public is not None:
            labels[~public] = IGNORED
        counts = self.state.totals.counts
        counts["missing_labels"] += int(np.count_nonzero(labels == MISSING))
        counts["ignored_labels"] += int(np.count_nonzero(labels == IGNORED))
        chosen = labels >= 0
        if weights is not None:
            counts["weightless"] += int(np.count_nonzero(chosen & (weights == 0.0)))
            chosen &= weights > 0.0
        if bounds is not None:
            counts["bounded"] += int(np.count_nonzero(bounds & chosen))
        self._count_language(batch, start, chosen)
        if not chosen.all():
            keys, values = keys.taken(chosen), values[chosen]
            weights = None if weights is None else weights[chosen]
            names = [None if each is None else each[chosen] for each in names]
        rows, undefined, clipped = measure_scalars(keys, values, weights, self.reading.kind, self.options)
        self.state.totals.counts["clipped"] += clipped
        defined, lost = (
            [None if each is None else each[part].tolist() for each in names] for part in (~undefined, undefined)
        )
        if undefined.any():
            labels = np.full(int(np.count_nonzero(undefined)), -1, np.int64)
            self.state.update_undefined(labels, None if weights is None else weights[undefined], *lost)
        self.state.update(rows, *defined)

    def _labels(self, batch: Any, start: int) -> tuple[NDArray[np.int64], NDArray[np.float64] | None]:
        if not self.reading.target_columns:
            return self.labels.indices(batch, start), None
        shares = self.shares.matrix(batch, len(self.reading.classes), start)
        missing = np.isnan(shares[:, 0])
        labels = np.where(missing, MISSING, np.where(missing[:, np.newaxis], 0.0, shares).argmax(axis=1)).astype(
            np.int64
        )
        return labels, shares if self.reading.label_form == "soft" else None

    def _scalars(
        self, batch: Any, start: int
    ) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.bool_] | None]:
        """Return what each row says of its truth, 0 or the sign of no label, and which values are only bounds."""
        reading = self.reading
        name = reading.prediction_columns[0]
        if reading.listed_column is not None and reading.listed_kind is not None:
            columns = (reading.label_column, reading.listed_column, name)
            values, unlisted = truth_log_probs(batch, *columns, reading.listed_kind, start)
            return values, labels_there(batch, reading.label_column), unlisted
        missing = ~as_numpy(batch.column(name).is_valid())
        is_bound = None if reading.bound_column is None else batch.column(reading.bound_column).fill_null(False)
        bounds = None if is_bound is None else as_numpy(is_bound)
        return scalar_column(batch, name), np.where(missing, MISSING, 0), bounds

    def _count_language(self, batch: Any, start: int, chosen: NDArray[np.bool_]) -> None:
        reading = self.reading
        for name, column in (
            ("tokens", reading.token_column),
            ("bytes", reading.byte_column),
            ("words", reading.word_column),
        ):
            if column is not None:
                numbers = whole_numbers(batch, column, start)
                if name != "bytes" and (lacking := np.isnan(numbers) & chosen).any():
                    row = start + int(np.flatnonzero(lacking)[0])
                    message = f"`{column}` must count the {name} of every row that is scored, row {row} has None"
                    raise RangeError(message)
                numbers = numbers[chosen]
                self.state.totals.counts[name] += int(np.nansum(numbers))
                if name == "bytes":
                    self.state.totals.counts["unsized"] += int(np.count_nonzero(np.isnan(numbers)))
