"""Processes of this machine: one that dies takes only its own task with it, and the task is done again.

No ProcessPoolExecutor: it breaks as a whole when one process dies, and cannot say which task that one was at.
"""

import os
import pickle
import signal
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any

from crossent._kernels.cpu import _threads
from crossent.errors import OptionError
from crossent.scoring.engines.failures import died
from crossent.scoring.tasks import Task

_MOST_DEATHS = 3
# To a process that was told to end: it needs milliseconds, one that is stopped or swapped out may never answer.
_SECONDS_TO_END = 5.0

# fork would copy the locks that other threads of this process hold at that moment, and nobody would release them.
_CONTEXT = get_context("spawn")

_Function = Callable[[Task], bytes]


def map_tasks(
    function: _Function, tasks: Sequence[Task], *, workers: int | None, address: str | None
) -> Iterator[tuple[str, bytes]]:
    """Yield the key and the result of every task; each process holds one task, and waits until its result is taken."""
    if address is not None:
        message = f"`address` goes with the engines 'dask', 'ray' and 'spark', got {address!r} with engine='processes'"
        raise OptionError(message)
    waiting = deque(tasks)
    deaths: Counter[Task | None] = Counter()
    crew: dict[Any, _Worker] = {}

    def hire() -> None:
        worker = _Worker(function)
        crew[worker.connection] = worker

    try:
        for _ in range(min(workers or _threads.available_threads(), len(tasks))):
            hire()
        while crew:
            for connection in wait(list(crew)):
                worker = crew[connection]
                task = worker.task
                try:
                    answer = worker.answer()
                except (EOFError, OSError):
                    del crew[connection]
                    worker.end()
                    deaths[task] += 1
                    if deaths[task] >= _MOST_DEATHS:
                        raise _too_many(task, worker) from None
                    if task is not None:
                        waiting.appendleft(task)
                    if waiting:
                        hire()
                    continue
                # The next task goes out before the result is merged, so that nobody waits for the merging.
                if waiting:
                    worker.give(waiting.popleft())
                else:
                    del crew[connection]
                    worker.end()
                if isinstance(answer, Exception):
                    raise answer
                if task is not None:
                    yield task.key, answer
    finally:
        for worker in crew.values():
            worker.process.terminate()
        for worker in crew.values():
            worker.end()


class _Worker:
    """A process, the task it is at, and the pipe to it, which breaks when the process ends."""

    def __init__(self, function: _Function) -> None:
        self.connection, theirs = _CONTEXT.Pipe()
        self.task: Task | None = None
        self.process = _CONTEXT.Process(target=_work, args=(theirs, function), daemon=True)
        self.process.start()
        theirs.close()

    def give(self, task: Task) -> None:
        self.task = task
        with suppress(OSError):  # it is dead, as the next answer will say
            self.connection.send(task)

    def answer(self) -> bytes | Exception:
        """Return the result or what the function raised; empty bytes come from a process that has just started."""
        answer: bytes | Exception = self.connection.recv()
        return answer

    def end(self) -> None:
        self.connection.close()
        self.process.terminate()
        self.process.join(_SECONDS_TO_END)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def _work(connection: Connection, function: _Function) -> None:
    """Do tasks until the other end of the pipe is gone, as it is too when the parent was killed."""
    # Ctrl-C reaches every process of the terminal; the parent sees to its own.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # An end in order: what was written for the work, such as the labels to join with, is removed.
    signal.signal(signal.SIGTERM, _leave)
    try:
        connection.send(b"")
        while True:
            connection.send(_done(function, connection.recv()))
    except (EOFError, OSError):
        return
    finally:
        # It ends by itself now; interrupted in that, it would say so on the terminal.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _leave(*_: object) -> None:
    """End in order, and in silence: the parent has said what there is to say."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123  # for what is left of this process
    sys.exit()


def _done(function: _Function, task: Task) -> bytes | Exception:
    try:
        return function(task)
    except Exception as error:  # noqa: BLE001  # the parent raises it
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # noqa: BLE001  # an exception's own code runs here
            return RuntimeError(f"{type(error).__name__}: {error}")
        return error


def _too_many(task: Task | None, worker: _Worker) -> Exception:
    reason = f"exit code {worker.process.exitcode}"
    if task is None:
        return OptionError(
            f"engine='processes' must be able to start processes, they end before their first task ({reason}): "
            f"in a script, call `score` under `if __name__ == '__main__':`"
        )
    return died(task.path, "process", reason)
