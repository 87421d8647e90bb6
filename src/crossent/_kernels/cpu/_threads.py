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
WORTH_SPREADING_BYTES = 256 * 1024
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


def _wait_for_all(helpers: "list[Future[None]]") -> None:
    """Wait for every helper, also through Ctrl-C: they write to arrays that the caller is about to let go."""
    interrupt: KeyboardInterrupt | None = None
    while True:
        try:
            wait(helpers)
            break
        except KeyboardInterrupt as caught:
            interrupt = caught
    if interrupt is not None:
        raise interrupt


def spread(task: Callable[[int, int], None], rows: int, traffic_bytes: int, step: int = 1) -> None:
    """Call task(first, last) for ranges that cover `rows`, each a multiple of `step` long, on every thread."""
    # the number of threads costs a system call, 2 us: a small task does not ask
    threads = min(num_threads(), -(-rows // step)) if traffic_bytes >= WORTH_SPREADING_BYTES else 1
    if threads <= 1:
        if rows:
            task(0, rows)
        return
    length = -(-rows // (threads * _RANGES_PER_THREAD * step)) * step
    starts = range(0, rows, length)
    turn = itertools.count()
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set() and (i := next(turn)) < len(starts):
            task(starts[i], min(starts[i] + length, rows))

    helpers: list[Future[None]] = []
    try:
        try:
            pool = _current_pool(max(num_threads() - 1, 1))  # another thread may have set it to 1 by now
            for _ in range(threads - 1):
                helpers.append(pool.submit(work))  # not a comprehension: those before a failure have to be waited for
        except RuntimeError:
            pass  # the pool is closing or no thread can be started: this thread does the work
        work()
    except BaseException:
        stop.set()
        raise
    finally:
        _wait_for_all(helpers)
    for helper in helpers:
        helper.result()
