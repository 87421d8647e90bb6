"""A file that keeps a score and the tasks in it, always both or neither: a run that ends early goes on from it."""

import time
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from crossent.errors import SourceError
from crossent.scoring.result import Score
from crossent.scoring.state.encoding import decode, encode
from crossent.scoring.tasks import Task
from crossent.scoring.whole_file import check_writable, write_whole
from crossent.scoring.wording import one_line

# What a kill may cost in work done twice, and how often the disk is written to.
_SECONDS_BETWEEN_SAVES = 2.0


class StateFile:
    """The score so far, and the keys of its tasks."""

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = Path(path)
        self.keys: set[str] = set()
        self.score: Score | None = None
        self._saved = time.monotonic()
        # Known now, not after hours of work.
        check_writable(self.path, "state")
        if self.path.exists():
            self._load()

    def resume(self, tasks: Sequence[Task]) -> tuple[Score, list[Task]]:
        """Return the score so far and the tasks that are left; raise SourceError where a file has changed."""
        planned = {_piece_of(task.key): task.key for task in tasks}
        for key in sorted(self.keys):
            if planned.get(_piece_of(key), key) != key or (
                _piece_of(key) not in planned and _path_of(key) in _paths(tasks)
            ):
                message = (
                    f"`state` must be of the same files, '{_path_of(key)}' has changed since '{self.path}' was written; "
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
        write_whole(self.path, encode({"score": score.to_bytes(), "tasks": sorted(self.keys)}))
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


def _piece_of(key: str) -> str:
    return key.rpartition("@")[0]


def _path_of(key: str) -> str:
    return key.rpartition("#")[0]


def _paths(tasks: Sequence[Task]) -> set[str]:
    return {task.path for task in tasks}
