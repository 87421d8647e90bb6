"""Spread rows over threads: kernels are single-threaded and hold no GIL, this hands them contiguous ranges.

Numba's own thread layers abort under fork and inside other pools (dev/LOG.md); a standard-library pool does neither. The
calling thread works too, and takes every range itself where no worker can be had (interpreter shutdown).
"""

import itertools
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

# A second thread costs about 30 microseconds to reach; these many bytes take one thread longer than that.
_WORTH_SPREADING_BYTES = 256 * 1024
# Ranges per thread: one late thread then delays the others by a quarter of its share.
_RANGES_PER_THREAD = 4

_lock = threading.Lock()
_pool: ThreadPoolExecutor | None = None
_wanted: int | None = None


def available_threads() -> int:
    """Return the number of cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def num_threads() -> int:
    """Return how many threads kernels use, the caller's among them."""
    return _wanted if _wanted is not None else available_threads()


def use_threads(count: int) -> None:
    """Let kernels use `count` threads from now on."""
    global _wanted, _pool  # one pool per process
    with _lock:
        _wanted = count
        retired, _pool = _pool, None
    if retired is not None:
        retired.shutdown(wait=False)


def _forget_pool() -> None:
    """Start afresh in a forked child: the parent's threads do not exist there."""
    global _pool, _lock  # see above
    _pool, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)


def _current_pool(workers: int) -> ThreadPoolExecutor:
    global _pool  # see above
    with _lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(workers, thread_name_prefix="crossent")
        return _pool


def spread(task: Callable[[int, int], None], rows: int, traffic_bytes: int, step: int = 1) -> None:
    """Call task(first, last) for ranges that cover `rows`, each a multiple of `step` long, on every thread."""
    threads = min(num_threads(), -(-rows // step))
    if threads <= 1 or traffic_bytes < _WORTH_SPREADING_BYTES:
        if rows:
            task(0, rows)
        return
    length = -(-rows // (threads * _RANGES_PER_THREAD * step)) * step
    starts = range(0, rows, length)
    turn = itertools.count()

    def work() -> None:
        while (i := next(turn)) < len(starts):
            task(starts[i], min(starts[i] + length, rows))

    helpers: list[Future[None]] = []
    try:
        pool = _current_pool(max(num_threads() - 1, 1))  # another thread may have set it to 1 by now
        for _ in range(threads - 1):
            helpers.append(pool.submit(work))  # not a comprehension: those before a failure have to be waited for
    except RuntimeError:
        pass  # the pool is closing or no thread can be started: this thread does the work
    try:
        work()
    finally:
        wait(helpers)  # all of them, whatever failed: they write to the caller's arrays
    for helper in helpers:
        helper.result()
