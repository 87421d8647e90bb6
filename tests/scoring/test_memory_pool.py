"""Scores take Arrow's memory from a lean allocator, and leave the process as they found it."""

import threading

import pyarrow as pa
import pytest

from crossent.errors import SourceError
from crossent.scoring.memory_pool import lean_pool
from crossent.scoring.score import score

FILE = "examples/digits_probs.parquet"


@pytest.fixture(autouse=True)
def _no_pool_asked_for(monkeypatch):
    monkeypatch.delenv("ARROW_DEFAULT_MEMORY_POOL", raising=False)


@pytest.fixture
def usual():
    return pa.default_memory_pool().backend_name


def test_the_pool_is_another_inside_and_the_usual_one_after(usual):
    seen = []
    score(FILE, progress=lambda *_: seen.append(pa.default_memory_pool().backend_name))
    assert set(seen) <= {"jemalloc", "system"} - {usual}
    assert pa.default_memory_pool().backend_name == usual


def test_without_jemalloc_it_is_the_systems(monkeypatch):
    def missing():
        raise NotImplementedError

    monkeypatch.setattr(pa, "jemalloc_memory_pool", missing)
    with lean_pool():
        assert pa.default_memory_pool().backend_name == "system"


def test_after_an_error_too(usual, tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(SourceError):
        score(tmp_path / "a.parquet")
    assert pa.default_memory_pool().backend_name == usual


def test_scores_beside_each_other_end_in_any_order(usual):
    first, second = lean_pool(), lean_pool()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert pa.default_memory_pool().backend_name in ("jemalloc", "system")
    second.__exit__(None, None, None)
    assert pa.default_memory_pool().backend_name == usual


def test_many_threads_leave_the_usual_pool(usual):
    def often():
        for _ in range(200):
            with lean_pool():
                pass

    threads = [threading.Thread(target=often) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pa.default_memory_pool().backend_name == usual


def test_a_pool_that_the_environment_asks_for_stays(usual, monkeypatch):
    monkeypatch.setenv("ARROW_DEFAULT_MEMORY_POOL", usual)
    with lean_pool():
        assert pa.default_memory_pool().backend_name == usual
