"""The door for datasets: ``score("predictions/*.parquet")``."""

import functools
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from os import PathLike
from typing import Any

from crossent._kernels.cpu._threads import available_threads
from crossent.errors import OptionError, SourceError
from crossent.scoring.columns import Asked
from crossent.scoring.engines import local
from crossent.scoring.engines.live import open_live, score_live
from crossent.scoring.losses import quiet
from crossent.scoring.memory_pool import lean_pool
from crossent.scoring.names import DOUBTFUL_LABELS
from crossent.scoring.options import Options
from crossent.scoring.parts import ClassScore
from crossent.scoring.preparing import Prepared, anchors_of, prepare, with_rules
from crossent.scoring.reading import look
from crossent.scoring.remote import map_remote
from crossent.scoring.result import Score
from crossent.scoring.sources.opening import open_source
from crossent.scoring.sources.paths import expand
from crossent.scoring.state_file import StateFile
from crossent.scoring.tasks import Job, Task, job_for, plan, score_source, score_task, score_tasks
from crossent.scoring.unused import refuse_unused

__all__ = ["ClassScore", "Score", "score"]

# A column called `label` that agrees with the prediction this often is more likely the prediction itself; in a small
# file, perfect predictions are no surprise.
_SUSPICIOUS_ACCURACY = 0.999
_SUSPICIOUS_ROWS = 100

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
    refuse_odd_columns(
        *(("target", target), ("probs", probs), ("logits", logits), ("log_probs", log_probs)),
        *(("losses", losses), ("truth_log_probs", truth_log_probs), ("weight", weight), ("by", by)),
        *(("cluster", cluster), ("tokens", tokens), ("bytes", bytes), ("words", words), ("on", on)),
    )
    if on is not None and labels is None:
        message = "`on` goes with `labels`, a file to join with; there is none"
        raise OptionError(message)
    options = Options(worst, bootstrap, level, zero, eps, bad_labels, rules)
    if cluster is not None and bootstrap:
        message = "`cluster` and `bootstrap` cannot both be given; the bootstrap draws single rows"
        raise OptionError(message)
    advance = _Advance(progress)
    if not are_files(source):
        for name, given in (("state", state), ("labels", labels)):
            if given is not None:
                message = f"`{name}` goes with files, which can be read again; write the table to one"
                raise OptionError(message)
        result = _of_table(source, asked, options, batch_rows, engine, workers, address, advance)
    else:
        paths = expand(source)
        kept = None if state is None else StateFile(state, [*paths, *([] if labels is None else [labels])])
        anchors = None if kept is None or kept.score is None else kept.score.options.anchors
        with quiet(), lean_pool():
            prepared = prepare(*(paths, asked, options), batch_rows=batch_rows, labels=labels, on=on, anchors=anchors)
            result = _of_files(prepared, kept, engine, workers, address, advance)
    if not result.rows:
        refuse_empty(result)
    doubt = _doubt(result)
    if doubt is not None:
        warnings.warn(doubt, UserWarning, stacklevel=2)
        result.note(doubt)
    return result


class _Advance:
    """Tells the caller how far the work has come; workers call it from their threads."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress, self._done, self._lock = progress, 0, threading.Lock()
        self.rows: int | None = None

    def __call__(self, rows: int) -> None:
        with self._lock:
            self._done += rows
            if self._progress is not None:
                self._progress(self._done, self.rows)


def _of_files(
    prepared: Prepared, kept: StateFile | None, engine: str, workers: int | None, address: str | None, advance: _Advance
) -> Score:
    """Return the score of files, task by task."""
    tasks = plan(prepared.sources, prepared.job)
    advance.rows = prepared.rows
    result = Score()
    if kept is not None:
        result, tasks = kept.resume(tasks, prepared.job)
        advance(sum(result.sources.values()))
    if kept is None and engine == "local":
        threads = _threads(tasks, workers, address)
        by_path = {str(source.path): source for source in prepared.sources}
        share = functools.partial(
            score_tasks, job=prepared.job, sources=by_path, on_rows=advance, reads_ahead=threads == 1
        )
        for part in local.share_tasks(share, tasks, threads):
            result.merge(part)
        return result
    try:
        for key, part in _parts(tasks, prepared.job, engine, workers, address, advance):
            result.merge(part)
            if kept is not None:
                kept.done(key, result)
    finally:
        # What was done before an error or Ctrl-C counts.
        if kept is not None and kept.keys:
            kept.save(result)
    return result


def _parts(
    tasks: Sequence[Task], job: Job, engine: str, workers: int | None, address: str | None, advance: _Advance
) -> Iterator[tuple[str, Score]]:
    if engine != "local":
        return map_remote(engine, tasks, job, workers, address, lambda part: advance(sum(part.sources.values())))
    threads = _threads(tasks, workers, address)
    function = functools.partial(score_task, job=job, on_rows=advance, reads_ahead=threads == 1)
    return local.map_tasks(function, tasks, threads)


def _threads(tasks: Sequence[Task], workers: int | None, address: str | None) -> int:
    if address is not None:
        message = "`address` goes with the engines 'dask', 'ray' and 'spark'; the engine 'local' has none"
        raise OptionError(message)
    return min(workers or available_threads(), max(len(tasks), 1))


def _of_table(
    source: Any,
    asked: Asked,
    options: Options,
    batch_rows: int | None,
    engine: str,
    workers: int | None,
    address: str | None,
    advance: _Advance,
) -> Score:
    """Return the score of a table of an engine, or of Arrow data in memory or on its way."""
    live = open_live(source, engine)
    opened = open_source(source) if live is None else live.head
    if live is None and (engine != "local" or address is not None):
        message = f"`engine` goes with files and with tables of its own, got {engine!r} for <{type(source).__name__}>"
        raise OptionError(message)
    reading, seen = look(opened, asked)
    reading = with_rules(reading, options)
    refuse_unused(reading, asked, options)
    with quiet():
        anchors = anchors_of(opened, seen, reading, options, rows=opened.rows if live is None else None)
        job = job_for(reading, replace(options, anchors=anchors), batch_rows)
        if live is None:
            advance.rows = opened.rows
            return score_source(opened, job, on_rows=advance)
        result = Score()
        for part in score_live(live, job, workers, address):
            advance(sum(part.sources.values()))
            result.merge(part)
        return result


def refuse_odd_columns(*given: tuple[str, Any]) -> None:
    """Raise OptionError for what cannot name a column."""
    for name, value in given:
        several = isinstance(value, list | tuple) and name in ("target", "probs", "logits", "log_probs")
        for each in value if several else [value]:
            if each is not None and not (isinstance(each, str) and each):
                message = (
                    f"`{name}` must be the name of a column, got {type(each).__name__ if each != '' else 'no text'}"
                )
                raise OptionError(message)


def are_files(source: Any) -> bool:
    """Say whether a source is a path or several."""
    if isinstance(source, str | PathLike):
        return True
    return (
        isinstance(source, list | tuple) and bool(source) and all(isinstance(each, str | PathLike) for each in source)
    )


def refuse_empty(result: Score) -> None:
    """Raise SourceError for a score of no rows."""
    reading = result.reading
    column = reading.label_column or reading.prediction_columns[0]
    counted = ((result.bad_labels, "no class"), (result.weightless, "of weight 0"))
    others = "".join(f", {count} {why}" for count, why in counted if count)
    what = "labels" if reading.label_column else "numbers"
    message = (
        f"`{column}` must hold {what}, '{reading.source}' has none: "
        f"{result.missing_labels} missing, {result.ignored_labels} ignored{others}"
    )
    raise SourceError(message)


def _doubt(result: Score) -> str | None:
    reading = result.reading
    is_guess = reading.label_column.lower() in DOUBTFUL_LABELS and reading.label_reason.startswith("by its name")
    if not is_guess or result.rows < _SUSPICIOUS_ROWS or not result.accuracy > _SUSPICIOUS_ACCURACY:
        return None
    return (
        f"The column '{reading.label_column}' agrees with the predictions in {result.accuracy:.2%} of the rows: "
        f"if it is the prediction and not the truth, name the true labels with `target`."
    )
