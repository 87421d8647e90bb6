"""Threads of this process: readers and kernels hold no lock of Python's, and no state has to travel."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, as_completed, wait
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


def share_tasks(function: Callable[[Iterable[Task]], Result], tasks: Sequence[Task], workers: int) -> Iterator[Result]:
    """Yield what `function` makes of the tasks that a thread takes, one after the other, until none is left."""
    waiting = iter(tasks)
    taking, stopped = threading.Lock(), threading.Event()

    def taken() -> Iterator[Task]:
        while not stopped.is_set():
            with taking:
                task = next(waiting, None)
            if task is None:
                return
            yield task

    with ThreadPoolExecutor(workers, thread_name_prefix="crossent-task") as pool:
        try:
            for done in as_completed([pool.submit(function, taken()) for _ in range(workers)]):
                yield done.result()
        finally:
            stopped.set()
