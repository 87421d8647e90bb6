"""The door for datasets: ``score("predictions/*.parquet")``."""

import functools
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from os import PathLike
from typing import Any

from crossent._kernels.cpu import _threads
from crossent.errors import OptionError, SourceError
from crossent.scoring.columns import Asked
from crossent.scoring.engines import local
from crossent.scoring.losses import quiet
from crossent.scoring.names import DOUBTFUL_LABELS
from crossent.scoring.options import Options
from crossent.scoring.parts import ClassScore
from crossent.scoring.reading import Reading, text_types, understand
from crossent.scoring.remote import map_remote
from crossent.scoring.result import Score
from crossent.scoring.sources.opening import open_source, read_batches
from crossent.scoring.sources.paths import expand
from crossent.scoring.sources.source import Source
from crossent.scoring.state_file import StateFile
from crossent.scoring.tasks import Job, Task, job_for, open_joined, plan, score_source, score_task
from crossent.scoring.temperature import anchor_for

__all__ = ["ClassScore", "Score", "score"]

# A column called `label` that agrees with the prediction this often is more likely the prediction itself; in a small
# file, perfect predictions are no surprise.
_SUSPICIOUS_ACCURACY = 0.999
_SUSPICIOUS_ROWS = 100

# Rows that say near which temperature the sums should be taken.
_PILOT_ROWS = 4096

Progress = Callable[[int, int | None], None]


def score(
    source: Any,
    /,
    *,
    target: str | Sequence[str] | None = None,
    probs: str | Sequence[str] | None = None,
    logits: str | Sequence[str] | None = None,
    log_probs: str | Sequence[str] | None = None,
    losses: str | None = None,
    truth_log_probs: str | None = None,
    labels: str | PathLike[str] | None = None,
    on: str | None = None,
    weight: str | None = None,
    classes: Sequence[str] | None = None,
    by: str | None = None,
    cluster: str | None = None,
    tokens: str | None = None,
    bytes: str | None = None,
    words: str | None = None,
    zero: str = "inf",
    eps: float | None = None,
    rules: str | None = None,
    bad_labels: str = "raise",
    worst: int = 20,
    level: float = 0.95,
    bootstrap: int = 0,
    engine: str = "local",
    workers: int | None = None,
    address: str | None = None,
    state: str | PathLike[str] | None = None,
    batch_rows: int | None = None,
    progress: Progress | None = None,
) -> Score:
    """Return the cross-entropy of predictions in files, in nats, from one pass in bounded memory.

    For N rows with label t, prediction q and weight w (1 unless given)::

        cost = sum_rows w (-log q[t]) / sum_rows w

    Parameters
    ----------
    source : path, pattern, sequence of them, or Arrow data
        Files of predictions: Parquet, Arrow IPC, CSV, TSV, JSON lines, npy, npz, safetensors, told apart by the ending;
        a folder or a pattern (``"predictions/*.parquet"``) stands for the files in it. Or anything with
        ``__arrow_c_stream__``, an iterable of record batches, or a Dask, Ray or Spark table.
    target : str or sequence of str
        Column of the labels: ids, or names of classes; or one column per class, one-hot or soft. Unless given, the column
        called target, y_true, truth, ..., label. A missing label and the id -100 are counted and not scored.
    probs, logits, log_probs : str or sequence of str
        The predictions, and of which kind they are: a column of lists, the prefix of one column per class ("prob_"), or
        the names of those columns. Unless given, columns and kind are told by their names, else by the first rows.
    losses, truth_log_probs : str
        A column that says what the truth was given: its loss in nats, or its log-probability.
    labels, on : path, str
        A file with the labels, and the column that both files have to join them on.
    weight : str
        Column of weights, at least 0. A row of weight 0 takes no part.
    classes : sequence of str
        Names of the classes, in the order of the list or of the ids; needed where the file does not say which name
        belongs to which prediction.
    by, cluster : str
        Column whose values are scored apart; column whose values mark rows that depend on each other.
    tokens, bytes, words : str
        Columns that count what a row stands for, for perplexities and bits per byte.
    zero, eps : "inf", "clip" or "raise", float
        What an impossible row costs: inf, -log eps, or an error.
    rules : "kaggle"
        Rows are rescaled to sum 1 and clipped to [1e-15, 1 - 1e-15] before anything else.
    bad_labels : "raise" or "count"
        Whether a label that is no class ends the run, or is counted and not scored.
    worst : int
        How many of the rows with the highest losses are listed.
    level, bootstrap : float, int
        Of the confidence interval; replicates of the Poisson bootstrap, 0 for the normal interval.
    engine, workers, address : str, int, str
        Who does the work: "local" (threads), "processes", "dask", "ray" or "spark"; how many of them; where the cluster is.
    state : path
        A file that keeps what was done: an interrupted run goes on, and new files are added to an old score.
    batch_rows : int
        Rows in memory at a time.
    progress : callable
        Called with the rows read and the rows in all, None where the files do not say.

    Returns
    -------
    Score
        `cost`, `total`, `interval`, the baseline, classes, worst rows, calibration, temperature, and how the files were
        understood.

    Raises
    ------
    SourceError
        If a file is missing, unreadable, empty, or can be understood in several ways; also a ValueError.
    LabelError
        If a label is no class; also an IndexError.
    RangeError
        If a probability lies outside [0, 1], a log-probability above 0, a weight below 0; also a ValueError.
    OptionError
        If an option has a value that it cannot have; also a ValueError.
    MissingExtraError
        If a package is needed that is not installed; also an ImportError.

    Notes
    -----
    Zeros: a prediction of 0 for the truth costs inf. Such rows are counted, and `finite_cost` is the mean of the others;
    nothing is clipped unless asked for. A row with NaN makes the cost NaN and is counted likewise.
    Accuracy: losses are float64 whatever the file holds, and sums are exact and rounded once, so neither the order of
    the rows, the size of the batches nor the engine changes a bit.

    Examples
    --------
    >>> score("examples/digits_probs.parquet").rows
    1797
    """
    for name, number in (("batch_rows", batch_rows), ("workers", workers)):
        if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < 1):
            message = f"`{name}` must be at least 1, got {number!r}"
            raise OptionError(message)
    asked = Asked(
        *(target, probs, logits, log_probs, classes, losses, truth_log_probs),
        *(weight, by, cluster, tokens, bytes, words),
    )
    options = Options(worst, bootstrap, level, zero, eps, bad_labels, rules)
    run = _Run(asked, options, batch_rows, None if labels is None else str(labels), on, progress)
    is_files = isinstance(source, str | PathLike) or _are_paths(source)
    if state is not None and not is_files:
        message = "`state` goes with files, which can be told apart when the run goes on; write the table to one"
        raise OptionError(message)
    with quiet():
        result = run.files(expand(source), engine, workers, address, state) if is_files else run.table(source)
    if not result.rows:
        _refuse_empty(result)
    doubt = _doubt(result)
    if doubt is not None:
        warnings.warn(doubt, UserWarning, stacklevel=2)
        result.note(doubt)
    return result


class _Run:
    """One call of `score`: what is the same for every way of doing the work."""

    def __init__(
        self,
        asked: Asked,
        options: Options,
        batch_rows: int | None,
        labels: str | None,
        on: str | None,
        progress: Progress | None,
    ) -> None:
        self.asked, self.options, self.batch_rows = asked, options, batch_rows
        self.labels, self.on, self.progress = labels, on, progress
        self.done = 0

    def files(self, paths: Sequence[Any], engine: str, workers: int | None, address: str | None, state: Any) -> Score:
        """Return the score of files, task by task."""
        opened = [open_source(path) for path in paths]
        notes: tuple[str, ...] = ()
        if self.labels is not None:
            from crossent.scoring.join import check_join

            report = check_join(opened, self.labels, self.on)
            self.on, notes = report.on, report.notes
            opened = [open_joined(str(path), self.labels, self.on) for path in paths]
        first = opened[0]
        reading = understand(first, self.asked).with_notes(*notes)
        kept = StateFile(state) if state is not None else None
        options = self.options
        if kept is not None and kept.score is not None:
            options = replace(options, anchors=kept.score.options.anchors)
        else:
            options = replace(options, anchors=self._anchors(first, reading))
        job = job_for(reading, options, self.batch_rows, self.labels, self.on)
        tasks = plan(opened, job)
        total = None if any(source.rows is None for source in opened) else sum(source.rows or 0 for source in opened)
        result = Score()
        if kept is not None:
            result, tasks = kept.resume(tasks)
            self._advance(sum(result.sources.values()), total)
        for key, part in self._map(tasks, job, engine, workers, address, total):
            result.merge(part)
            if kept is not None:
                kept.done(key, result)
        if kept is not None:
            kept.save(result)
        return result

    def table(self, source: Any) -> Score:
        """Return the score of Arrow data in memory or on its way."""
        opened = open_source(source)
        reading = understand(opened, self.asked)
        job = job_for(reading, self.options, self.batch_rows)
        return score_source(opened, job, on_rows=lambda rows: self._advance(rows, opened.rows))

    def _map(
        self, tasks: Sequence[Task], job: Job, engine: str, workers: int | None, address: str | None, total: int | None
    ) -> Any:
        if engine == "local":
            on_rows = lambda rows: self._advance(rows, total)  # one use
            function = functools.partial(score_task, job=job, on_rows=on_rows)
            return local.map_tasks(function, tasks, min(workers or _threads.available_threads(), max(len(tasks), 1)))
        on_part = lambda part: self._advance(sum(part.sources.values()), total)
        return map_remote(engine, tasks, job, workers, address, on_part)

    def _advance(self, rows: int, total: int | None) -> None:
        self.done += rows
        if self.progress is not None:
            self.progress(self.done, total)

    def _anchors(self, first: Source, reading: Reading) -> tuple[float, ...]:
        """Return where to take sums for the temperature: at 1, and near the optimum of the first rows of the first file."""
        if not reading.classes or first.rows is None or first.rows <= _PILOT_ROWS:
            return (1.0,)
        rows = min(_PILOT_ROWS, job_for(reading, self.options).batch_rows)
        pilot = Score(reading, replace(self.options, bad_labels="count", bootstrap=0))
        batches = read_batches(first, reading.columns, rows, text_types(reading, first.schema))
        pilot.update(next(batches))
        return tuple(sorted({1.0, anchor_for(pilot.temperature)}))


def _are_paths(source: Any) -> bool:
    return (
        isinstance(source, list | tuple) and bool(source) and all(isinstance(each, str | PathLike) for each in source)
    )


def _refuse_empty(result: Score) -> None:
    reading = result.reading
    column = reading.label_column or reading.prediction_columns[0]
    what = "labels" if reading.label_column else "numbers"
    message = (
        f"`{column}` must hold {what}, '{reading.source}' has none: "
        f"{result.missing_labels} missing, {result.ignored_labels} ignored"
    )
    raise SourceError(message)


def _doubt(result: Score) -> str | None:
    reading = result.reading
    is_guess = reading.label_column.lower() in DOUBTFUL_LABELS and reading.label_reason.startswith("by its name")
    if not is_guess or result.rows < _SUSPICIOUS_ROWS or result.accuracy <= _SUSPICIOUS_ACCURACY:
        return None
    return (
        f"The column '{reading.label_column}' agrees with the predictions in {result.accuracy:.2%} of the rows: "
        f"if it is the prediction and not the truth, name the true labels with `target`."
    )
