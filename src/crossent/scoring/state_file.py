"""A file that keeps a score and the tasks in it, always both or neither: a run that ends early goes on from it."""

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from os import PathLike
from pathlib import Path
from typing import Any

from crossent.errors import OptionError, SourceError
from crossent.scoring.reading_bytes import to_plain
from crossent.scoring.result import Score
from crossent.scoring.state.encoding import decode, encode
from crossent.scoring.tasks import Job, Task
from crossent.scoring.whole_file import check_writable, write_whole
from crossent.scoring.wording import one_line

# What a kill may cost in work done twice, and how often the disk is written to.
_SECONDS_BETWEEN_SAVES = 2.0


class StateFile:
    """The score so far, and the keys of its tasks."""

    def __init__(self, path: str | PathLike[str], inputs: Iterable[str | PathLike[str]] = ()) -> None:
        self.path = Path(path)
        self.keys: set[str] = set()
        self.score: Score | None = None
        self.question: dict[str, Any] = {}
        self._saved = time.monotonic()
        # Known now, not after hours of work.
        check_writable(self.path, "state", inputs)
        if self.path.exists():
            self._load()

    def resume(self, tasks: Sequence[Task], job: Job) -> tuple[Score, list[Task]]:
        """Return the score so far and the tasks that are left.

        Raise SourceError where a file has changed, and OptionError where the old score answers another question.
        """
        question = question_of(job)
        if self.score is not None:
            for name, value in question.items():
                if self.question.get(name) != value:
                    message = (
                        f"`state` must be of the same question, '{self.path}' has {name} {self.question.get(name)!r} "
                        f"and not {value!r}; keep another state for another question"
                    )
                    raise OptionError(message)
        self.question = question
        planned = {_piece_of(task.key): task.key for task in tasks}
        paths = {_path_of(task.key): task.path for task in tasks}
        for key in sorted(self.keys):
            piece, path = _piece_of(key), _path_of(key)
            if planned.get(piece, key) != key or (piece not in planned and path in paths):
                message = (
                    f"`state` must be of the same files, '{paths[path]}' has changed since '{self.path}' was written; "
                    f"delete the state to score everything anew"
                )
                raise SourceError(message)
        return self.score or Score(), [task for task in tasks if task.key not in self.keys]

    def done(self, key: str, score: Score) -> None:
        """Say that a task is in the score; it is written now and then."""
        self.keys.add(key)
        if time.monotonic() - self._saved >= _SECONDS_BETWEEN_SAVES:
            self.save(score)

    def save(self, score: Score) -> None:
        """Write the score and its tasks, whole or not at all."""
        question = json.dumps(self.question).encode()
        write_whole(self.path, encode({"score": score.to_bytes(), "tasks": sorted(self.keys), "question": question}))
        self._saved = time.monotonic()

    def _load(self) -> None:
        try:
            fields = decode(self.path.read_bytes())
        except (OSError, SourceError) as error:
            message = f"`state` must be a file that a score was kept in, '{self.path}' is not: {one_line(error)}"
            raise SourceError(message) from error
        if "score" in fields:
            content = fields["score"]
            assert isinstance(content, bytes)
            self.score = Score.from_bytes(content)
            self.keys = {str(key) for key in fields["tasks"]}
            self.question = json.loads(bytes(fields["question"]))  # type: ignore[arg-type]  # as it was saved


def _piece_of(key: str) -> str:
    return key.rpartition("@")[0]


def _path_of(key: str) -> str:
    return key.rpartition("#")[0]


def question_of(job: Job) -> dict[str, Any]:
    """Return what decides the numbers, as JSON has it: the columns, the options, the file of labels as it is now."""
    reading = to_plain(job.reading)
    said = ("source", "format", "notes", "label_reason", "kind_reason", "classes_reason")
    question = {name.removesuffix("_column"): value for name, value in reading.items() if name not in said}
    question |= {name: value for name, value in asdict(job.options).items() if name != "anchors"}
    if job.labels is not None:
        path = Path(job.labels.source.path)
        status = path.stat()
        key = getattr(job.labels, "key", None)  # RowLabels have none
        question["labels"] = [str(path.resolve()), status.st_size, status.st_mtime_ns, key and key.name]
    else:
        question["labels"] = None
    plain: dict[str, Any] = json.loads(json.dumps(question))
    return plain
