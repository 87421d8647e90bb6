"""Ray: the same bits from real worker processes, also after one was killed; and nothing of the cluster is left."""

import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

ray = pytest.importorskip("ray")

from crossent.errors import LabelError, OptionError, SourceError
from crossent.scoring.engines.ray import map_tasks
from crossent.scoring.score import score
from crossent.scoring.tasks import Job, Task
from tests.scoring.engines.conftest import GROUP_ROWS, bad_label, merged
from tests.scoring.engines.deadly import Broken, KilledAt

Work = tuple[Job, list[Task]]


@pytest.fixture(scope="module", autouse=True)
def _shut_down() -> Iterator[None]:
    yield
    ray.shutdown()


@pytest.fixture
def cluster() -> None:
    """Make sure that there is a cluster of two processes; the tests share it."""
    if not ray.is_initialized():
        ray.init(
            num_cpus=2,
            include_dashboard=False,
            object_store_memory=200_000_000,
            log_to_driver=False,
            logging_level=logging.CRITICAL,
        )


def test_a_cluster_of_its_own_gives_the_same_bits_and_ends(folder: Path, expected: bytes) -> None:
    ray.shutdown()
    assert score(folder, batch_rows=GROUP_ROWS, engine="ray", workers=2).to_bytes() == expected
    assert not ray.is_initialized()


def test_an_address_where_nobody_is_is_refused(folder: Path) -> None:
    ray.shutdown()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(OptionError) as caught:
        score(folder, batch_rows=GROUP_ROWS, engine="ray", address=address)
    assert str(caught.value) == (
        f"`address` must be that of a running Ray cluster, '{address}' is not: [Errno 111] Connection refused"
    )
    assert not ray.is_initialized()


def test_the_cluster_of_the_caller_is_used_and_stays(cluster: None, folder: Path, expected: bytes) -> None:
    assert score(folder, batch_rows=GROUP_ROWS, engine="ray").to_bytes() == expected
    assert ray.is_initialized()


def test_an_address_beside_a_cluster_is_refused(cluster: None, folder: Path) -> None:
    with pytest.raises(OptionError) as caught:
        score(folder, batch_rows=GROUP_ROWS, engine="ray", address="127.0.0.1:6379")
    assert str(caught.value) == (
        "`address` goes with a program that is not connected to Ray yet, got '127.0.0.1:6379'; leave it out"
    )


def test_a_killed_worker_changes_no_bit(cluster: None, work: Work, tmp_path: Path) -> None:
    job, tasks = work
    state = merged(map_tasks, KilledAt(job, tasks[9].key, tmp_path, 1), tasks)
    assert len(list(tmp_path.iterdir())) == 1
    assert state == merged(map_tasks, KilledAt(job, "none", tmp_path, 0), tasks)


def test_a_task_that_kills_every_worker_is_one_sentence(cluster: None, work: Work, tmp_path: Path) -> None:
    job, tasks = work
    with pytest.raises(SourceError) as caught:
        merged(map_tasks, KilledAt(job, tasks[9].key, tmp_path, 100), tasks)
    message = str(caught.value)
    assert message.startswith(
        f"`source` must leave its workers alive, '{tasks[9].path}' has ended every Ray worker that tried it ("
    )
    assert message.endswith("): give them more memory, or a smaller `batch_rows`")
    assert "\n" not in message
    assert len(list(tmp_path.iterdir())) == 4


def test_a_bug_is_raised_as_it_is(cluster: None, work: Work) -> None:
    job, tasks = work
    with pytest.raises(ZeroDivisionError, match=r"^a bug at row \d+$"):
        merged(map_tasks, Broken(job), tasks)


def test_bad_data_is_the_same_error(cluster: None, bad_folder: Path) -> None:
    with pytest.raises(LabelError) as caught:
        score(bad_folder, batch_rows=GROUP_ROWS, engine="ray")
    assert str(caught.value) == bad_label(bad_folder)
