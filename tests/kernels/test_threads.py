"""Threads: each row once, errors reach the caller, callers from many threads, and a forked child starts afresh."""

import math
import multiprocessing
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import crossent
from crossent._kernels.cpu import _threads
from crossent.errors import OptionError

ENOUGH_BYTES = 2**30  # far beyond what makes spreading worth it
_no_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="2026-11-22: this system has no fork")
# JAX, where another test has imported it, warns of every fork from a hook that cannot raise: jax 0.10, drop when it stops
_jax_warns = pytest.mark.filterwarnings("ignore:Exception ignored in. <function _at_fork")


def forks(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a test that forks."""
    return _no_fork(_jax_warns(test))  # type: ignore[no-any-return]


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """Give back the number of threads that a test has set."""
    before = crossent.get_num_threads()
    yield
    crossent.set_num_threads(before)


def case(rows: int = 2000, classes: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """2.4 MB: well beyond what is spread over threads."""
    rng = np.random.default_rng(rows)
    return rng.standard_normal((rows, classes)).astype(np.float32), rng.integers(classes, size=rows)


def answer(logits: np.ndarray, targets: np.ndarray) -> bytes:
    """The bits of losses and gradients."""
    result = crossent.cross_entropy_and_grad(logits, targets, reduction="none")
    return result.value.tobytes() + result.grad.tobytes()


@pytest.mark.parametrize("count", [1, 2, 5, 64])
@pytest.mark.parametrize("rows", [0, 1, 2, 31, 32, 33, 999, 1000])
@pytest.mark.parametrize("step", [1, 32])
def test_spread_takes_each_row_once(count: int, rows: int, step: int) -> None:
    crossent.set_num_threads(count)
    seen = np.zeros(rows, np.int64)
    ranges: list[tuple[int, int]] = []

    def task(first: int, last: int) -> None:
        ranges.append((first, last))
        seen[first:last] += 1

    _threads.spread(task, rows, ENOUGH_BYTES, step)
    assert (seen == 1).all()
    assert all(first < last for first, last in ranges)
    assert all(first % step == 0 for first, _ in ranges)
    assert (len(ranges) > 1) == (min(count, -(-rows // step)) > 1)


def test_spread_uses_the_threads_that_were_asked_for() -> None:
    """Three ranges at once meet at a barrier, which fewer threads would never open."""
    crossent.set_num_threads(3)
    barrier = threading.Barrier(3, timeout=20)
    names: set[int] = set()

    def task(first: int, last: int) -> None:
        if len(names) < 3:
            names.add(threading.get_ident())
            barrier.wait()

    _threads.spread(task, 3, ENOUGH_BYTES)
    assert len(names) == 3


def test_little_work_stays_on_the_callers_thread() -> None:
    crossent.set_num_threads(4)
    callers = []
    _threads.spread(lambda first, last: callers.append((threading.get_ident(), first, last)), 10, 1000)
    assert callers == [(threading.get_ident(), 0, 10)]


@pytest.mark.parametrize("bad_row", [0, 50, 99])
def test_an_exception_in_any_range_reaches_the_caller(bad_row: int) -> None:
    crossent.set_num_threads(4)

    def task(first: int, last: int) -> None:
        if first <= bad_row < last:
            raise ZeroDivisionError(bad_row)

    with pytest.raises(ZeroDivisionError, match=str(bad_row)):
        _threads.spread(task, 100, ENOUGH_BYTES)
    seen = np.zeros(100, np.int64)  # and the pool still works

    def count(first: int, last: int) -> None:
        seen[first:last] += 1

    _threads.spread(count, 100, ENOUGH_BYTES)
    assert (seen == 1).all()


def test_spread_without_any_helper_does_all_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(workers: int) -> Any:
        raise RuntimeError("cannot schedule new futures after interpreter shutdown")  # noqa: EM101  # Python's own words

    monkeypatch.setattr(_threads, "_current_pool", refuse)
    crossent.set_num_threads(4)
    seen = np.zeros(100, np.int64)

    def count(first: int, last: int) -> None:
        seen[first:last] += 1

    _threads.spread(count, 100, ENOUGH_BYTES)
    assert (seen == 1).all()


class RefusesTheSecond:
    """A pool that another thread closes between two submissions."""

    def __init__(self) -> None:
        self.pool, self.submitted = ThreadPoolExecutor(1), 0

    def submit(self, work: Any) -> Any:
        self.submitted += 1
        if self.submitted == 2:
            raise RuntimeError("cannot schedule new futures after shutdown")  # noqa: EM101  # Python's own words
        return self.pool.submit(work)


@pytest.mark.parametrize("failing", [None, "caller", "helper"])
def test_nothing_runs_on_when_spread_has_returned(monkeypatch: pytest.MonkeyPatch, failing: str | None) -> None:
    """Whatever went wrong: a helper that is left behind would write to arrays that are gone."""
    pool = RefusesTheSecond() if failing is None else ThreadPoolExecutor(3)
    monkeypatch.setattr(_threads, "_current_pool", lambda workers: pool)
    crossent.set_num_threads(4)
    caller, running, most = threading.get_ident(), set(), []
    failed = threading.Event()

    def task(first: int, last: int) -> None:
        me = threading.get_ident()
        if failing is not None and (me == caller) == (failing == "caller") and not failed.is_set():
            failed.set()
            raise ZeroDivisionError
        running.add(me)
        threading.Event().wait(0.02 if me == caller else 0.4)  # helpers are the ones that could be left behind
        most.append(len(running))
        running.discard(me)

    if failing is None:
        _threads.spread(task, 16, ENOUGH_BYTES)
    else:
        with pytest.raises(ZeroDivisionError):
            _threads.spread(task, 16, ENOUGH_BYTES)
    assert not running
    assert max(most) > 1


def test_set_to_one_thread_from_elsewhere_in_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    crossent.set_num_threads(4)
    answers = iter([4])
    monkeypatch.setattr(_threads, "num_threads", lambda: next(answers, 1))
    seen = np.zeros(100, np.int64)

    def count(first: int, last: int) -> None:
        seen[first:last] += 1

    _threads.spread(count, 100, ENOUGH_BYTES)
    assert (seen == 1).all()


@pytest.mark.parametrize("count", [0, -1, 1.0, 2.5, "2", None, True, np.float64(2)])
def test_a_number_of_threads_must_be_a_whole_number_of_at_least_1(count: Any) -> None:
    before = crossent.get_num_threads()
    with pytest.raises(OptionError) as caught:
        crossent.set_num_threads(count)
    assert str(caught.value) == f"`count` must be an integer of at least 1; got {count!r}."
    assert isinstance(caught.value, ValueError)
    assert crossent.get_num_threads() == before


def test_the_number_of_threads_is_what_was_set() -> None:
    for count in (1, 7, np.int32(3)):
        crossent.set_num_threads(count)
        assert crossent.get_num_threads() == count
        assert crossent.show_config()["num_threads"] == count


def test_many_python_threads_at_once() -> None:
    """Eight callers, each with rows of its own, while the number of threads changes under them."""
    crossent.set_num_threads(1)
    cases = [case(rows) for rows in range(900, 908)]
    expected = [answer(*one) for one in cases]
    together = threading.Barrier(len(cases), timeout=60)

    def caller(number: int) -> list[bytes]:
        together.wait()
        found = []
        for turn in range(3):
            crossent.set_num_threads(1 + (number + turn) % 4)
            found.append(answer(*cases[number]))
        return found

    with ThreadPoolExecutor(len(cases)) as pool:
        for number, found in enumerate(pool.map(caller, range(len(cases)))):
            assert found == [expected[number]] * 3


def child_of_fork(expected: bytes, count: int) -> int:
    """What a child does; 0 is success."""
    crossent.set_num_threads(count)
    return 0 if answer(*case()) == expected else 1


@forks
@pytest.mark.parametrize("count", [None, 1, 2, 5])
def test_os_fork_after_use(count: int | None) -> None:
    """None: with the pool as the parent had it, whose threads do not exist in the child."""
    crossent.set_num_threads(3)
    expected = answer(*case())
    assert _threads._pool is not None
    with warnings.catch_warnings():
        # Python 3.12+: "This process is multi-threaded, use of fork() may lead to deadlocks in the child"
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        code = 2
        try:
            code = child_of_fork(expected, count) if count is not None else int(answer(*case()) != expected)
        finally:
            os._exit(code)
    assert exit_code_of(child) == 0
    assert answer(*case()) == expected  # the parent's pool is as it was


def exit_code_of(child: int, timeout_s: float = 60.0) -> int:
    """Wait for a child, but not for ever: a deadlock is what these tests look for."""
    waiting = threading.Event()
    for _ in range(int(timeout_s / 0.02)):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        waiting.wait(0.02)
    os.kill(child, 9)
    os.waitpid(child, 0)
    pytest.fail("the forked child hangs")


@forks
def test_fork_while_another_thread_computes() -> None:
    """The child inherits whatever locks the others held; it must still answer."""
    crossent.set_num_threads(2)
    expected = answer(*case())
    stop = threading.Event()

    def keep_busy() -> None:
        while not stop.is_set():
            crossent.set_num_threads(2)
            answer(*case(400))

    busy = threading.Thread(target=keep_busy)
    busy.start()
    try:
        for _ in range(5):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # as above
                child = os.fork()
            if child == 0:
                code = 2
                try:
                    code = int(answer(*case()) != expected)
                finally:
                    os._exit(code)
            assert exit_code_of(child) == 0
    finally:
        stop.set()
        busy.join()


@forks
def test_multiprocessing_with_fork() -> None:
    crossent.set_num_threads(2)
    expected = answer(*case())
    context = multiprocessing.get_context("fork")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # as above
        with context.Pool(2) as pool:
            found = pool.starmap_async(child_of_fork, [(expected, count) for count in (1, 2, 3, 2)]).get(timeout=60)
            pool.close()
            pool.join()
    assert found == [0, 0, 0, 0]


def test_many_rows_are_added_up_by_the_threads_that_computed_them() -> None:
    """A range of 2**19 rows had its losses added up by more threads, from inside of one: each waited for itself."""
    program = """
import numpy as np
import crossent
crossent.set_num_threads(2)
rows = 2**19 * 8 + 5
print(crossent.cross_entropy(np.zeros((rows, 2), np.float32), np.zeros(rows, np.int64), reduction="sum") / rows)
"""
    command = [sys.executable, "-c", program]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert abs(float(finished.stdout) - math.log(2)) < 1e-7
