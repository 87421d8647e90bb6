"""Ray: tasks and the blocks of a Ray Dataset go to the workers of a cluster, made here or somebody else's."""

import hashlib
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any

from crossent._kernels.cpu import _threads
from crossent.errors import OptionError
from crossent.scoring.arrow import ipc, pa
from crossent.scoring.engines.failures import died, missing, no_cluster, refuse_silent
from crossent.scoring.tasks import Task

# Read when Ray starts; what the user has set stays. It reports every cluster to its makers otherwise.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

_EXTRA = "ray"

try:
    import ray
    from ray import exceptions
except ImportError as error:
    raise missing(_EXTRA, error) from error

# Of workers that died. An exception of the function is not tried again: what is about the data is no exception here.
_RETRIES = 3
# Only states of some MB travel; Ray would set aside 30 % of the memory.
_STORE_BYTES = 200_000_000


def map_tasks(
    function: Callable[[Task], bytes], tasks: Sequence[Task], *, workers: int | None, address: str | None
) -> Iterator[tuple[str, bytes]]:
    """Yield the key and the result of every task; about two for each worker are under way."""
    waiting = iter(tasks)
    with _cluster(workers, address):
        remote = ray.remote(num_cpus=1, max_retries=_RETRIES)(_call)
        # Once, not with every task.
        shared = ray.put(function)
        limit = 2 * int(workers or ray.cluster_resources().get("CPU", 1))
        under_way = {remote.remote(shared, task): task for task in islice(waiting, limit)}
        try:
            while under_way:
                done, _ = ray.wait(list(under_way), num_returns=1)
                task = under_way.pop(done[0])
                with _one_sentence(task.path):
                    result = ray.get(done[0])
                under_way |= {remote.remote(shared, following): following for following in islice(waiting, 1)}
                yield task.key, result
        finally:
            with suppress(exceptions.RayError):
                for reference in under_way:
                    ray.cancel(reference, force=True)


def map_table(
    function: Callable[[str, Any], bytes],
    table: Any,
    columns: Sequence[str],
    *,
    workers: int | None,
    address: str | None,
) -> Iterator[bytes]:
    """Yield what the function gives for the name and the record batches of every block."""
    if address is not None:
        message = f"`address` goes with files, got {address!r} with a Ray Dataset, which lives in a cluster already"
        raise OptionError(message)
    states = table.select_columns(list(columns)).map_batches(
        _of_block, fn_args=(function,), batch_format="pyarrow", batch_size=None, concurrency=workers
    )
    with _one_sentence("a block of the dataset"):
        for row in states.iter_rows():
            yield row["state"]


def first_rows(table: Any, rows: int) -> Any:
    """Return some first rows, as an Arrow table."""
    with _one_sentence("a block of the dataset"):
        blocks = table.limit(rows).iter_batches(batch_size=rows, batch_format="pyarrow")
        return next(iter(blocks), pa.table({}))


def is_table(table: Any) -> bool:
    """Say whether this is a Ray Dataset."""
    return isinstance(table, ray.data.Dataset)


def _call(function: Callable[[Task], bytes], task: Task) -> bytes:
    return function(task)


def _of_block(block: Any, function: Callable[[str, Any], bytes]) -> Any:
    state = function(_fingerprint(block), block.to_batches())
    return pa.table({"state": pa.array([state], pa.large_binary())})


def _fingerprint(block: Any) -> str:
    """Return a name made of the block's content: blocks have no numbers, and come in any order, again after a failure."""
    digest = hashlib.blake2b(digest_size=8)

    class Sink:
        closed = False

        def write(self, content: Any) -> int:
            digest.update(content)
            return len(content)

        def flush(self) -> None: ...

        def close(self) -> None: ...

    with ipc.new_stream(pa.PythonFile(Sink(), mode="w"), block.schema) as writer:
        writer.write_table(block)
    return digest.hexdigest()


@contextmanager
def _cluster(workers: int | None, address: str | None) -> Iterator[None]:
    """See to it that there is a cluster: the one at the address, the caller's own, or one that ends with this."""
    if ray.is_initialized():
        if address is not None:
            message = f"`address` goes with a program that is not connected to Ray yet, got {address!r}; leave it out"
            raise OptionError(message)
        yield
        return
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        cores = workers or _threads.available_threads()
        ray.init(num_cpus=cores, include_dashboard=False, object_store_memory=_STORE_BYTES, **quiet)
    else:
        refuse_silent(address, "Ray")
        try:
            ray.init(address=address, **quiet)
        except (OSError, RuntimeError, ValueError) as error:
            raise no_cluster(address, "Ray", error) from error
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _one_sentence(what: str) -> Iterator[None]:
    """Raise what the function raised, and a sentence in place of what became of its workers."""
    try:
        yield
    except exceptions.RayTaskError as error:
        raise getattr(error, "cause", None) or error from None
    except exceptions.RayError as error:
        raise died(what, "Ray", error) from error
