"""Dask: the same bits from real worker processes, also after one was killed; and nothing of the cluster is left."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

distributed = pytest.importorskip("distributed")

from crossent.errors import LabelError, OptionError, SourceError
from crossent.scoring.engines.dask import map_tasks
from crossent.scoring.score import score
from crossent.scoring.tasks import Job, Task
from tests.scoring.engines.conftest import GROUP_ROWS, bad_label, merged
from tests.scoring.engines.deadly import Broken, KilledAt

Work = tuple[Job, list[Task]]


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """Return the address of a cluster of two processes."""
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(**options, silence_logs="CRITICAL") as cluster:
        yield cluster.scheduler_address


def test_a_cluster_of_its_own_gives_the_same_bits(folder: Path, expected: bytes) -> None:
    assert score(folder, batch_rows=GROUP_ROWS, engine="dask", workers=2).to_bytes() == expected
    with pytest.raises(ValueError, match="No clients found"):
        distributed.default_client()


def test_a_cluster_at_an_address_gives_the_same_bits(cluster: str, folder: Path, expected: bytes) -> None:
    assert score(folder, batch_rows=GROUP_ROWS, engine="dask", address=cluster).to_bytes() == expected


def test_the_client_of_the_caller_is_used_and_stays(cluster: str, folder: Path, expected: bytes) -> None:
    with distributed.Client(cluster) as client:
        before = client.run_on_scheduler(_tasks_seen)
        assert score(folder, batch_rows=GROUP_ROWS, engine="dask").to_bytes() == expected
        assert client.run_on_scheduler(_tasks_seen) >= before + 24
        assert client.status == "running"


def test_a_killed_worker_changes_no_bit(cluster: str, work: Work, expected: bytes, tmp_path: Path) -> None:
    job, tasks = work
    state = merged(map_tasks, KilledAt(job, tasks[9].key, tmp_path, 1), tasks, cluster)
    assert len(list(tmp_path.iterdir())) == 1
    assert state == merged(map_tasks, KilledAt(job, "none", tmp_path, 0), tasks, cluster)


def test_a_task_that_kills_every_worker_is_one_sentence(cluster: str, work: Work, tmp_path: Path) -> None:
    job, tasks = work
    with pytest.raises(SourceError) as caught:
        merged(map_tasks, KilledAt(job, tasks[9].key, tmp_path, 100), tasks, cluster)
    message = str(caught.value)
    assert message.startswith(
        f"`source` must leave its workers alive, '{tasks[9].path}' has ended every Dask worker that tried it (Attempted "
    )
    assert message.endswith("): give them more memory, or a smaller `batch_rows`")
    assert "\n" not in message


def test_a_bug_is_raised_as_it_is(cluster: str, work: Work) -> None:
    job, tasks = work
    with pytest.raises(ZeroDivisionError, match=r"^a bug at row \d+$"):
        merged(map_tasks, Broken(job), tasks, cluster)


def test_bad_data_is_the_same_error(cluster: str, bad_folder: Path) -> None:
    with pytest.raises(LabelError) as caught:
        score(bad_folder, batch_rows=GROUP_ROWS, engine="dask", address=cluster)
    assert str(caught.value) == bad_label(bad_folder)


def test_an_address_where_nobody_is_is_refused_in_seconds(folder: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(OptionError) as caught:
        score(folder, batch_rows=GROUP_ROWS, engine="dask", address=address)
    assert str(caught.value) == (
        f"`address` must be that of a running Dask cluster, '{address}' is not: [Errno 111] Connection refused"
    )


def test_an_address_where_somebody_else_is_is_refused_too(folder: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(OptionError) as caught:
            score(folder, batch_rows=GROUP_ROWS, engine="dask", address=address)
    assert str(caught.value) == (f"`address` must be that of a running Dask cluster, '{address}' is not: timed out")


def _tasks_seen(dask_scheduler: object) -> int:
    return int(dask_scheduler.transition_counter)  # type: ignore[attr-defined]
