"""Spark: the same bits from real worker processes, also after one was killed; and no session is left. Needs Java 17."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyspark")

from pyspark.sql import SparkSession

from crossent.errors import LabelError, OptionError, SourceError
from crossent.scoring.engines.spark import map_tasks
from crossent.scoring.score import score
from crossent.scoring.tasks import Job, Task
from tests.scoring.engines.conftest import GROUP_ROWS, bad_label, merged
from tests.scoring.engines.deadly import Broken, KilledAt

Work = tuple[Job, list[Task]]


@pytest.fixture(scope="module")
def session() -> Iterator[Any]:
    """Return the caller's session, of two processes."""
    builder = SparkSession.builder.master("local[2,4]").config("spark.ui.enabled", "false")
    session = builder.config("spark.log.level", "OFF").config("spark.driver.host", "127.0.0.1").getOrCreate()
    yield session
    session.stop()


def test_a_session_of_its_own_gives_the_same_bits_and_ends(folder: Path, expected: bytes) -> None:
    assert SparkSession.getActiveSession() is None
    assert score(folder, batch_rows=GROUP_ROWS, engine="spark", workers=2).to_bytes() == expected
    assert SparkSession.getActiveSession() is None


def test_an_address_where_nobody_is_is_refused(folder: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"spark://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(OptionError) as caught:
        score(folder, batch_rows=GROUP_ROWS, engine="spark", address=address)
    assert str(caught.value) == (
        f"`address` must be that of a running Spark cluster, '{address}' is not: [Errno 111] Connection refused"
    )


def test_the_session_of_the_caller_is_used_and_stays(session: Any, folder: Path, expected: bytes) -> None:
    assert score(folder, batch_rows=GROUP_ROWS, engine="spark").to_bytes() == expected
    assert session.range(3).count() == 3


def test_an_address_beside_a_session_is_refused(session: Any, folder: Path) -> None:
    with pytest.raises(OptionError) as caught:
        score(folder, batch_rows=GROUP_ROWS, engine="spark", address="local[3]")
    assert str(caught.value) == (
        "`address` goes with a program that has no Spark session yet, got 'local[3]'; leave it out"
    )


def test_a_killed_worker_changes_no_bit(session: Any, work: Work, tmp_path: Path) -> None:
    job, tasks = work
    state = merged(map_tasks, KilledAt(job, tasks[9].key, tmp_path, 1), tasks)
    assert len(list(tmp_path.iterdir())) == 1
    assert state == merged(map_tasks, KilledAt(job, "none", tmp_path, 0), tasks)


def test_a_task_that_kills_every_worker_is_one_sentence(session: Any, work: Work, tmp_path: Path) -> None:
    job, tasks = work
    with pytest.raises(SourceError) as caught:
        merged(map_tasks, KilledAt(job, tasks[9].key, tmp_path, 100), tasks)
    message = str(caught.value)
    assert message.startswith(
        f"`source` must leave its workers alive, '{tasks[9].path}' has ended every Spark worker that tried it ("
    )
    assert message.endswith("): give them more memory, or a smaller `batch_rows`")
    assert "\n" not in message
    assert len(list(tmp_path.iterdir())) == 4


def test_a_bug_is_raised_with_its_text(session: Any, work: Work) -> None:
    job, tasks = work
    with pytest.raises(Exception, match=r"ZeroDivisionError: a bug at row \d+"):
        merged(map_tasks, Broken(job), tasks)


def test_bad_data_is_the_same_error(session: Any, bad_folder: Path) -> None:
    with pytest.raises(LabelError) as caught:
        score(bad_folder, batch_rows=GROUP_ROWS, engine="spark")
    assert str(caught.value) == bad_label(bad_folder)
