"""Dask: tasks and the partitions of a Dask DataFrame go to the workers of a cluster, made here or somebody else's."""

import logging
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from multiprocessing import resource_tracker
from typing import Any

from crossent._kernels.cpu import _threads
from crossent.errors import OptionError
from crossent.scoring.arrow import pa
from crossent.scoring.engines.failures import ANSWER_SECONDS, died, missing, no_cluster, refuse_silent
from crossent.scoring.tasks import Task

_EXTRA = "dask"

try:
    import dask
    import distributed
except ImportError as error:
    raise missing(_EXTRA, error) from error

# Of exceptions that are not about the data. Tasks of a worker that died are done again by Dask itself, three times.
_RETRIES = 2
# A cluster may grow with its queue: one that has no workers yet still has to see something in it.
_FEWEST_UNDER_WAY = 8


def map_tasks(
    function: Callable[[Task], bytes], tasks: Sequence[Task], *, workers: int | None, address: str | None
) -> Iterator[tuple[str, bytes]]:
    """Yield the key and the result of every task; about two for each worker are under way."""
    waiting = iter(tasks)
    with _client(workers, address) as client:
        threads = workers or sum(client.nthreads().values())
        under_way: dict[Any, Task] = {}
        running = distributed.as_completed((), loop=client.loop, with_results=True, raise_errors=False)

        def submit(count: int) -> None:
            for task in islice(waiting, count):
                # Not pure, so that a result of an earlier score, from before a file was changed, is not taken for this one.
                future = client.submit(function, task, retries=_RETRIES, pure=False)
                under_way[future] = task
                running.add(future)

        try:
            submit(max(2 * threads, _FEWEST_UNDER_WAY))
            for future, result in running:
                task = under_way.pop(future)
                _check(future, result, task.path)
                future.release()
                submit(1)
                yield task.key, result
        finally:
            client.cancel(list(under_way))


def map_table(
    function: Callable[[int, Any], bytes],
    table: Any,
    columns: Sequence[str],
    *,
    workers: int | None,
    address: str | None,
) -> Iterator[bytes]:
    """Yield what the function gives for the index and the record batches of every partition."""
    with _client(workers, address) as client:
        parts = [dask.delayed(_of_frame)(function, i, part) for i, part in enumerate(table[list(columns)].to_delayed())]
        under_way = dict(zip(client.compute(parts, retries=_RETRIES), range(len(parts)), strict=True))
        running = distributed.as_completed(list(under_way), loop=client.loop, with_results=True, raise_errors=False)
        try:
            for future, result in running:
                _check(future, result, f"partition {under_way.pop(future)}")
                future.release()
                yield result
        finally:
            client.cancel(list(under_way))


def first_rows(table: Any, rows: int) -> Any:
    """Return the first rows of the first partition that has any, as an Arrow table."""
    for i in range(table.npartitions):
        # not table.head(rows, npartitions=-1), which computes every partition
        frame = table.partitions[i].head(rows, compute=False).compute()
        if len(frame):
            break
    return pa.Table.from_pandas(frame, preserve_index=False)


def is_table(table: Any) -> bool:
    """Say whether this is a Dask DataFrame, and no array, bag or series."""
    return hasattr(table, "to_delayed") and hasattr(table, "columns")


def _of_frame(function: Callable[[int, Any], bytes], index: int, frame: Any) -> bytes:
    return function(index, pa.Table.from_pandas(frame, preserve_index=False).to_batches())


@contextmanager
def _client(workers: int | None, address: str | None) -> Iterator[Any]:
    """Give the client for the address, or the caller's own, or that of a cluster which ends with it."""
    if address is not None:
        # distributed 2026.8 waits for ever for the first word of whoever has taken the call, whatever its timeout.
        refuse_silent(address, "Dask", speaks_first=address.startswith("tcp://"))
        try:
            client = distributed.Client(address, timeout=ANSWER_SECONDS, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            raise no_cluster(address, "Dask", error) from error
        with client:
            yield client
        return
    try:
        client = distributed.default_client()
    except ValueError:
        count = workers or _threads.available_threads()
        options = {"n_workers": count, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
        # Its logs are of workers that end in the middle of something, as after Ctrl-C; what is wrong with a task is raised.
        with _interrupts_held():
            cluster = distributed.LocalCluster(**options, silence_logs=logging.CRITICAL)
        with cluster, distributed.Client(cluster, set_as_default=False) as client:
            yield client
        return
    yield client


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Keep Ctrl-C until the end; threads and processes that are started meanwhile never see it.

    A terminal sends it to every process, and each of Dask's would print a traceback before it ends. The thread that
    starts workers is started here, so that this holds of those that come later in place of a dead one, too.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # started later, by a thread of Dask's, it would let Ctrl-C through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _check(future: Any, result: Any, what: str) -> None:
    """Raise what became of a task that has no result."""
    if future.status == "error":
        error = result[1]
        raise died(what, "Dask", error) if isinstance(error, distributed.KilledWorker) else error
    if future.status != "finished":
        message = f"`address` must be that of a cluster that lives on, Dask has lost '{what}' ({future.status})"
        raise OptionError(message)
