"""Threads of this process: readers and kernels hold no lock of Python's, and no state has to travel."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from crossent.scoring.tasks import Task

Result = TypeVar("Result")


def map_tasks(function: Callable[[Task], Result], tasks: Sequence[Task], workers: int) -> Iterator[tuple[str, Result]]:
    """Yield the key and the result of every task, as they are done; few are under way, since each holds a state."""
    waiting = iter(tasks)
    stopped = threading.Event()

    def run(task: Task) -> tuple[str, Result]:
        if stopped.is_set():
            raise InterruptedError
        return task.key, function(task)

    with ThreadPoolExecutor(workers, thread_name_prefix="crossent-task") as pool:
        pending: set[Future[tuple[str, Result]]] = set()
        try:
            while True:
                while len(pending) <= workers and (task := next(waiting, None)) is not None:
                    pending.add(pool.submit(run, task))
                if not pending:
                    return
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        finally:
            stopped.set()
            for future in pending:
                future.cancel()
