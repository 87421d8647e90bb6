"""Two files of predictions of the same rows: the difference of their losses row by row, and how sure it is."""

import json
import math
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossent.arrays.exact_sum import ExactSum
from crossent.errors import OptionError, SourceError
from crossent.scoring.accumulator import Accumulator
from crossent.scoring.arrow import pa, parquet
from crossent.scoring.arrow_columns import as_numpy
from crossent.scoring.columns import Asked
from crossent.scoring.losses import quiet
from crossent.scoring.memory_pool import lean_pool
from crossent.scoring.options import Options
from crossent.scoring.plain import plain_value
from crossent.scoring.preparing import Prepared, prepare
from crossent.scoring.reading import text_types
from crossent.scoring.result import SCHEMA_VERSION, Score
from crossent.scoring.rows import texts_of
from crossent.scoring.score import Progress, are_files, refuse_empty
from crossent.scoring.sources.opening import open_source, read_batches
from crossent.scoring.sources.paths import expand
from crossent.scoring.sources.source import Source
from crossent.scoring.state.scored_rows import ScoredRows
from crossent.scoring.tasks import joined
from crossent.scoring.uncertainty import Interval, mean_interval

Floats = NDArray[np.float64]

# Names that no file has.
_LOSS, _TRUTH = "crossent loss", "crossent truth"


@dataclass(frozen=True)
class Comparison:
    """Two scores, and the mean over the rows that both score of loss in the first less loss in the second, in nats.

    `difference_nats` and `interval` are over rows where both losses are finite; below 0 the first is better. `better`,
    `worse` and `equal` count these rows from the first's side. `impossible_in_first`, `impossible_in_second` and
    `impossible_in_both` count the others, `not_shared` the rows that only one of them scores.
    """

    first: Score
    second: Score
    rows: int
    difference_nats: float
    interval: Interval
    better: int
    worse: int
    equal: int
    impossible_in_first: int
    impossible_in_second: int
    impossible_in_both: int
    not_shared: int

    def to_dict(self) -> dict[str, Any]:
        """Return both scores and every number of the comparison, as Score.to_dict does."""
        own = {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in ("first", "second")}
        content: dict[str, Any] = plain_value({"schema_version": SCHEMA_VERSION, **own})
        return content | {"first": self.first.to_dict(), "second": self.second.to_dict()}

    def to_json(self) -> str:
        """Return `to_dict` as JSON."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False, ensure_ascii=False)


def compare(
    first: Any, second: Any, /, *, on: str | None = None, progress: Progress | None = None, **asked: Any
) -> Comparison:
    """Return the difference of two files of predictions of the same rows, in nats, from one pass over each.

    For the losses a and b of the same N rows with weight w::

        difference = sum_rows w (a - b) / sum_rows w

    Its interval is that of paired rows, which is far narrower than those of the two costs: hard rows are hard for both.

    Parameters
    ----------
    first, second : path, pattern or sequence of them
        Files of predictions, as for `score`.
    on : str
        The column that names the rows in both. Unless given, the rows of both come in the same order.
    progress : callable
        Called with the rows read and the rows in all, None where the files do not say.
    **asked
        Everything else that `score` takes about columns, labels, zeros and the interval; it goes for both. Weights and
        clusters are those of the first.

    Returns
    -------
    Comparison
        `difference_nats`, `interval`, counts of the rows that got better and worse, and both scores.

    Raises
    ------
    SourceError
        If the files do not have the same rows, or differ in the truth of one; and as for `score`.

    Examples
    --------
    >>> compare("examples/digits_probs.parquet", "examples/digits_probs.parquet").difference_nats
    0.0
    """
    if not are_files(first) or not are_files(second):
        message = "`first` and `second` must be paths of files, since both are read row by row; write tables to files"
        raise OptionError(message)
    labels = asked.pop("labels", None)
    options = Options(
        **{name: asked.pop(name) for name in list(asked) if name in Options.__dataclass_fields__ and name != "anchors"}
    )
    if options.bootstrap:
        message = "`bootstrap` does not go with a comparison, whose interval is that of paired rows or of clusters"
        raise OptionError(message)
    unknown = [name for name in asked if name not in Asked.__dataclass_fields__]
    if unknown:
        message = f"`compare` has no option `{unknown[0]}`; it takes those of `score` about columns, labels and zeros"
        raise OptionError(message)
    # The column that joins labels joins the two as well, unless the rows come in order.
    label_key = on if labels is not None else None
    with quiet(), lean_pool(), tempfile.TemporaryDirectory(prefix="crossent-compare-") as folder:
        sides = [
            prepare(expand(source), Asked(**asked), options, labels=labels, on=label_key) for source in (second, first)
        ]
        done = _Progress(progress, sides)
        kept = Path(folder) / "losses.parquet"
        other = _write_losses(sides[0], on, kept, done)
        own, pairs = _pair(sides[1], on, kept, done)
    for score in (own, other):
        if not score.rows:
            refuse_empty(score)
    return pairs.comparison(own, other, options)


class _Progress:
    def __init__(self, progress: Progress | None, sides: Sequence[Prepared]) -> None:
        self._progress, self._done = progress, 0
        counts = [side.rows for side in sides]
        self._rows = None if None in counts else sum(count or 0 for count in counts)

    def __call__(self, rows: int) -> None:
        self._done += rows
        if self._progress is not None:
            self._progress(self._done, self._rows)


class _Recorder(Accumulator):
    """A state that remembers the losses of the last batch."""

    start = 0
    row_losses: Floats = np.zeros(0)
    row_labels: NDArray[np.int64] = np.zeros(0, np.int64)
    row_weights: Floats = np.zeros(0)

    def begin(self, start: int, rows: int) -> None:
        self.start = start
        self.row_losses, self.row_labels = np.full(rows, np.nan), np.full(rows, -1, np.int64)
        self.row_weights = np.ones(rows)

    def update(self, rows: ScoredRows, groups: Any = None, clusters: Any = None) -> None:
        super().update(rows, groups, clusters)
        places = rows.keys.rows - self.start
        self.row_losses[places], self.row_labels[places] = rows.losses, rows.labels
        if rows.weights is not None:
            self.row_weights[places] = rows.weights


def _recorded(side: Prepared, source: Source, score: Score, extra: Sequence[str]) -> Iterator[tuple[_Recorder, Any]]:
    """Yield the recorder and the batch for each batch of a source, taken into the score."""
    state = score.recording(_Recorder)
    name, job = str(source.path), side.job
    taker = score.taker(name)
    columns = list(dict.fromkeys((*job.reading.columns, *extra)))
    absent = [column for column in columns if column not in source.schema.names]
    if absent:
        message = f"`on` and the columns of '{job.reading.source}' must be in every file, '{name}' has no {absent[0]}"
        raise SourceError(message)
    start = 0
    for batch in read_batches(source, columns, job.batch_rows, text_types(job.reading, source.schema)):
        state.begin(start, batch.num_rows)
        taker.take(batch, start)
        start += batch.num_rows
        yield state, batch
    score.sources[name] = start


def _write_losses(side: Prepared, on: str | None, path: Path, done: _Progress) -> Score:
    """Score one side and keep the loss and the truth of each row in a file, beside its key."""
    score = Score(side.job.reading, side.job.options)
    names = np.array([each.name for each in side.job.reading.classes] + [""], object)
    writer = None
    try:
        for source in side.sources:
            for state, batch in _recorded(side, source, score, [on] if on is not None else []):
                columns = {_LOSS: pa.array(state.row_losses), _TRUTH: pa.array(names[state.row_labels], pa.string())}
                if on is not None:
                    columns[on] = batch.column(on)
                part = pa.table(columns)
                if on is not None:  # rows that it does not score are nobody's partner
                    part = part.filter(pa.array(~np.isnan(state.row_losses)))
                if writer is None:
                    writer = parquet.ParquetWriter(path, part.schema)
                writer.write_table(part)
                done(batch.num_rows)
    finally:
        if writer is not None:
            writer.close()
    return score


def _pair(side: Prepared, on: str | None, path: Path, done: _Progress) -> tuple[Score, "_Pairs"]:
    """Score the other side, and pair its losses with the kept ones."""
    score = Score(side.job.reading, side.job.options)
    names = np.array([each.name for each in side.job.reading.classes] + [""], object)
    pairs = _Pairs(side.job.reading.cluster_column)
    rest: Iterator[Any] = iter(())
    if on is None:
        rest = _rows_of(open_source(path))
    paired = 0
    label_file: Any = None
    if on is not None:
        from crossent.scoring.join import check_join

        report = check_join(side.sources, path, on)
        pairs.not_shared += report.labels_without_prediction
        label_file = report.label_file
    for source in side.sources:
        partner = joined(source, label_file)
        extra = [] if on is None else [_LOSS, _TRUTH]
        for state, batch in _recorded(side, partner, score, extra):
            if on is None:
                losses, truths = _next(rest, batch.num_rows, source, paired)
            else:
                losses, truths = batch.column(_LOSS), batch.column(_TRUTH)
            clusters = None if pairs.cluster is None else texts_of(batch, pairs.cluster)
            pairs.add(state, losses, truths, names, str(source.path), clusters)
            paired += batch.num_rows
            done(batch.num_rows)
    if on is None and next(rest, None) is not None:
        message = f"`second` must have the rows of `first`, it has more than {paired}; name the column that both have with `on`"
        raise SourceError(message)
    return score, pairs


def _rows_of(source: Source) -> Iterator[tuple[float | None, str]]:
    """Yield the kept losses and truths row by row."""
    for batch in read_batches(source, [_LOSS, _TRUTH], 2**16, {}):
        yield from zip(as_numpy(batch.column(0)).tolist(), batch.column(1).to_pylist(), strict=True)


def _next(rest: Iterator[tuple[float | None, str]], rows: int, source: Source, paired: int) -> tuple[Any, Any]:
    taken = [pair for _, pair in zip(range(rows), rest, strict=False)]
    if len(taken) < rows:
        message = (
            f"`second` must have the rows of `first`, it has {paired + len(taken)} and '{source.path}' has more; "
            f"name the column that both have with `on`"
        )
        raise SourceError(message)
    losses, truths = zip(*taken, strict=True)
    return pa.array(losses, pa.float64()), pa.array(truths, pa.string())


class _Pairs:
    """Counts and exact sums of the differences."""

    def __init__(self, cluster: str | None) -> None:
        self.cluster = cluster
        self.rows = self.better = self.worse = self.equal = self.not_shared = 0
        self.first = self.second = self.both = 0
        self.sums = {name: ExactSum() for name in ("weight", "difference", "weight_squared", "cross", "squares")}
        self.clusters: dict[Any, tuple[ExactSum, ExactSum]] = {}

    def add(
        self, state: _Recorder, others: Any, truths: Any, names: NDArray[Any], source: str, clusters: list[Any] | None
    ) -> None:
        theirs = np.asarray(as_numpy(others), np.float64)
        own = state.row_losses
        shared = ~np.isnan(own) & ~np.isnan(theirs)
        self.not_shared += int(np.count_nonzero(np.isnan(own) != np.isnan(theirs)))
        true = as_numpy(truths)
        differs = shared & (names[state.row_labels] != true)
        if differs.any():
            row = int(np.flatnonzero(differs)[0])
            message = (
                f"`first` and `second` must have the same truth in each row, row {state.start + row} of '{source}' is "
                f"{names[state.row_labels[row]]!r} in the first and {true[row]!r} in the second; are the rows the same?"
            )
            raise SourceError(message)
        up, down = np.isposinf(own) & shared, np.isposinf(theirs) & shared
        self.both += int(np.count_nonzero(up & down))
        self.first += int(np.count_nonzero(up & ~down))
        self.second += int(np.count_nonzero(down & ~up))
        finite = shared & ~up & ~down
        difference, weights = own[finite] - theirs[finite], state.row_weights[finite]
        self.rows += len(difference)
        self.better += int(np.count_nonzero(difference < 0.0))
        self.worse += int(np.count_nonzero(difference > 0.0))
        self.equal += int(np.count_nonzero(difference == 0.0))
        weighted = weights * difference
        for name, values in (("weight", (weights, None)), ("difference", (weights, difference))):
            if values[1] is None:
                self.sums[name].add(values[0])
            else:
                self.sums[name].add_products(values[0], values[1])
        self.sums["weight_squared"].add_products(weights, weights)
        self.sums["cross"].add_products(weights, weighted)
        self.sums["squares"].add_products(weighted, weighted)
        if clusters is not None:
            for place, key in zip(range(len(difference)), np.array(clusters, object)[finite], strict=True):
                weight, total = self.clusters.setdefault(key, (ExactSum(), ExactSum()))
                weight.add(weights[place])
                total.add(weighted[place])

    def comparison(self, first: Score, second: Score, options: Options) -> Comparison:
        mean = self.sums["difference"].divided_by(self.sums["weight"]) if self.rows else math.nan
        groups = list(self.clusters.values()) if self.cluster is not None else None
        return Comparison(
            *(first, second, self.rows, mean, mean_interval(self.rows, self.sums, groups, options.level)),
            *(self.better, self.worse, self.equal, self.first, self.second, self.both, self.not_shared),
        )
