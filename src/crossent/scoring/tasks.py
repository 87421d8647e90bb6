"""A score cut into tasks: each reads one piece of one file, depends on nothing else, and can be done again."""

import json
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossent import errors
from crossent.errors import CrossentError, LabelError, RangeError, SourceError
from crossent.scoring.losses import quiet
from crossent.scoring.options import Options
from crossent.scoring.reading import Reading, text_types
from crossent.scoring.result import Score
from crossent.scoring.row_labels import RowJoinedSource, RowLabels
from crossent.scoring.sources.opening import open_source, read_batches
from crossent.scoring.sources.source import Piece, Source
from crossent.scoring.wording import listed

# 8 MiB of float32 predictions at a time, past the cost of a call: 1e8 of them take 0.52 s in batches of 2**20, 0.48 of 2**21,
# 0.47 of 2**22.
BATCH_VALUES = 2**21
_BATCH_ROWS = 2**16
# Predictions of a task: a second or less of work, so that a lost worker costs little and the last task is not waited for.
_TASK_VALUES = 2**23
_MOST_TASK_ROWS = 2**22

_STATE, _ERROR = b"S", b"E"


@dataclass(frozen=True)
class Job:
    """What every task needs beside its piece: how the files are understood and what is asked of them."""

    reading: Reading
    options: Options
    batch_rows: int
    labels: Any = None  # a LabelFile or RowLabels, to join with
    has_several: bool = False  # files, so that what is wrong in one names it


@dataclass(frozen=True)
class Task:
    """A piece of a file. The key names the bytes it was planned for, so that a changed file is not taken for the old one."""

    key: str
    path: str
    piece: Piece


def job_for(reading: Reading, options: Options, batch_rows: int | None = None, labels: Any = None) -> Job:
    """Return the job; unless given, batches hold 2**21 predictions."""
    rows = batch_rows or max(1, min(_BATCH_ROWS, BATCH_VALUES // max(1, len(reading.classes))))
    return Job(reading, options, rows, labels)


def plan(sources: Sequence[Source], job: Job) -> list[Task]:
    """Return the tasks of files that were opened."""
    rows = max(job.batch_rows, min(_MOST_TASK_ROWS, _TASK_VALUES // max(1, len(job.reading.classes))))
    tasks = []
    for source in sources:
        status = Path(source.path).stat()
        for piece in source.pieces(job.reading.columns, rows):
            key = f"{Path(source.path).resolve()}#{piece.first_row}+{piece.rows}@{status.st_size}.{status.st_mtime_ns}"
            tasks.append(Task(key, str(source.path), piece))
    return tasks


def score_task(
    task: Task, job: Job, on_rows: Callable[[int], None] | None = None, *, reads_ahead: bool = True
) -> Score:
    """Return the score of one piece; tasks beside each other need not read ahead, as they fill the cores anyway."""
    return score_source(joined(open_source(task.path), job.labels), job, task.piece, on_rows, reads_ahead=reads_ahead)


def score_tasks(
    tasks: Iterable[Task],
    job: Job,
    sources: Mapping[str, Source],
    on_rows: Callable[[int], None] | None = None,
    *,
    reads_ahead: bool = True,
) -> Score:
    """Return one score of several pieces of open sources, which are named by their paths.

    A score for each piece would be filled with zeros, and merged, each time.
    """
    score = Score(job.reading, job.options)
    for task in tasks:
        take_source(score, sources[task.path], job, task.piece, on_rows, reads_ahead=reads_ahead)
    return score


def run_task(task: Task, job: Job) -> bytes:
    """Do a task where only bytes come back."""
    return sent(lambda: score_task(task, job))


def sent(work: Callable[[], Score]) -> bytes:
    """Return a score as bytes; what is wrong with the data comes back too, instead of being tried again."""
    try:
        with quiet():
            return _STATE + work().to_bytes()
    except CrossentError as error:
        return _ERROR + json.dumps([type(error).__name__, str(error)]).encode()


def read_result(result: bytes) -> Score:
    """Return the score that `run_task` sent, or raise what it raised."""
    if result[:1] == _ERROR:
        name, message = json.loads(result[1:])
        raise getattr(errors, name)(message)
    return Score.from_bytes(result[1:])


def joined(source: Source, labels: Any) -> Source:
    """Return the reader of a file, joined with a LabelFile or with RowLabels where there is one."""
    if labels is None:
        return source
    if isinstance(labels, RowLabels):
        return RowJoinedSource(source, labels.source)
    from crossent.scoring.joined_source import JoinedSource

    return JoinedSource(source, labels)


def score_source(
    source: Source,
    job: Job,
    piece: Piece | None = None,
    on_rows: Callable[[int], None] | None = None,
    *,
    reads_ahead: bool = True,
) -> Score:
    """Return the score of a piece, or of all, of an open source."""
    score = Score(job.reading, job.options)
    take_source(score, source, job, piece, on_rows, reads_ahead=reads_ahead)
    return score


def take_source(
    score: Score,
    source: Source,
    job: Job,
    piece: Piece | None = None,
    on_rows: Callable[[int], None] | None = None,
    *,
    reads_ahead: bool = True,
) -> None:
    """Add a piece, or all, of an open source to a score; an error leaves it with some of the rows."""
    reading = job.reading
    there = set(source.schema.names)
    absent = [name for name in reading.columns if name not in there]
    if absent:
        message = f"`source` must have the columns of '{reading.source}' in every file, '{source.path}' has no {listed(absent)}"
        raise SourceError(message)
    name = str(source.path)
    taker = score.taker(name)
    start = first = piece.first_row if piece is not None else 0
    batches = read_batches(source, reading.columns, job.batch_rows, text_types(reading, source.schema), piece)
    for batch in ahead(batches) if reads_ahead else batches:
        try:
            taker.take(batch, start)
        except (RangeError, LabelError, SourceError) as error:
            if not job.has_several:
                raise
            message = f"{error} (in '{name}')"
            raise type(error)(message) from error
        start += batch.num_rows
        if on_rows is not None:
            on_rows(batch.num_rows)
        del batch  # not held while the next is read
    score.sources[name] = score.sources.get(name, 0) + start - first


def ahead(items: Iterable[Any]) -> Iterator[Any]:
    """Yield the items while a thread fetches the next one: reading and the kernels wait for different things."""
    ready: queue.Queue[tuple[bool, Any]] = queue.Queue(maxsize=1)
    stopped = threading.Event()

    def put(item: tuple[bool, Any]) -> bool:
        while not stopped.is_set():
            try:
                ready.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def fetch() -> None:
        try:
            for item in items:
                if not put((True, item)):
                    return
            put((False, None))
        except BaseException as error:  # noqa: BLE001, RUF100  # raised again where the items are wanted
            put((False, error))

    reader = threading.Thread(target=fetch, name="crossent-reader", daemon=True)
    reader.start()
    try:
        while True:
            is_item, item = ready.get()
            if is_item:
                yield item
            elif item is None:
                return
            else:
                raise item
    finally:
        stopped.set()
        reader.join()
