"""What tasks are made to do in the workers of the tests; workers import it, so it is no test file."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from crossent.scoring.tasks import Job, Task, run_task


@dataclass(frozen=True)
class KilledAt:
    """Scores, but the worker is killed at one task: the first `times` times that it is tried, in the middle of the run."""

    job: Job
    key: str
    folder: Path
    times: int

    def __call__(self, task: Task) -> bytes:
        if task.key == self.key:
            for attempt in range(self.times):
                try:
                    (self.folder / f"killed-{attempt}").touch(exist_ok=False)
                except FileExistsError:
                    continue
                os.kill(os.getpid(), signal.SIGKILL)
        return run_task(task, self.job)


@dataclass(frozen=True)
class Broken:
    """Fails as a bug would."""

    job: Job

    def __call__(self, task: Task) -> bytes:
        message = f"a bug at row {task.piece.first_row}"
        raise ZeroDivisionError(message)


@dataclass(frozen=True)
class Sleeper:
    """Says which process it runs in, and takes its time."""

    folder: Path
    seconds: float

    def __call__(self, task: Task) -> bytes:
        (self.folder / f"process-{os.getpid()}").touch()
        time.sleep(self.seconds)
        return b""
