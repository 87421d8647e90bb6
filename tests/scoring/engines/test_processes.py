"""Threads and processes give the same bits; a process that is killed, or kills, costs time or an error, not the answer."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest
from pyarrow import parquet

from crossent.errors import LabelError, OptionError, SourceError
from crossent.scoring.engines.processes import map_tasks
from crossent.scoring.score import score
from crossent.scoring.tasks import Job, Task, run_task
from tests.scoring.engines.conftest import GROUP_ROWS, ROOT, bad_label, merged, table
from tests.scoring.engines.deadly import Broken, KilledAt, Sleeper

Work = tuple[Job, list[Task]]


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("engine", ["local", "processes"])
def test_the_number_of_workers_changes_no_bit(engine: str, workers: int, folder: Path, expected: bytes) -> None:
    assert score(folder, batch_rows=GROUP_ROWS, engine=engine, workers=workers).to_bytes() == expected


@pytest.mark.parametrize("group_rows", [1, 333, 2000])
def test_the_size_of_the_row_groups_changes_no_bit(group_rows: int, tmp_path: Path) -> None:
    path = tmp_path / "predictions.parquet"
    parquet.write_table(table(0), path, row_group_size=250)
    expected = score(path, workers=1).to_bytes()
    parquet.write_table(table(0), path, row_group_size=group_rows)
    assert score(path, engine="processes", workers=2).to_bytes() == expected


@pytest.mark.parametrize("order", [(2, 0, 1), (2, 1, 0)])
def test_the_order_of_the_files_changes_no_bit(order: tuple[int, ...], folder: Path, expected: bytes) -> None:
    paths = [folder / f"part-{number}.parquet" for number in order]
    assert score(paths, batch_rows=GROUP_ROWS, engine="processes", workers=2).to_bytes() == expected


@pytest.mark.parametrize("times", [1, 2])
def test_a_killed_process_changes_no_bit(times: int, work: Work, tmp_path: Path) -> None:
    job, tasks = work
    function = KilledAt(job, tasks[9].key, tmp_path, times)
    assert merged(map_tasks, function, tasks) == merged(map_tasks, partial(run_task, job=job), tasks)
    assert len(list(tmp_path.iterdir())) == times


def test_a_task_that_kills_every_process_is_one_sentence(work: Work, tmp_path: Path) -> None:
    job, tasks = work
    with pytest.raises(SourceError) as caught:
        merged(map_tasks, KilledAt(job, tasks[9].key, tmp_path, 100), tasks)
    assert str(caught.value) == (
        f"`source` must leave its workers alive, '{tasks[9].path}' has ended every process worker that tried it "
        f"(exit code -9): give them more memory, or a smaller `batch_rows`"
    )
    assert len(list(tmp_path.iterdir())) == 3


def test_a_bug_is_raised_as_it_is(work: Work) -> None:
    job, tasks = work
    with pytest.raises(ZeroDivisionError, match=r"^a bug at row \d+$"):
        merged(map_tasks, Broken(job), tasks)


@pytest.mark.parametrize("engine", ["local", "processes"])
def test_bad_data_is_the_same_error(engine: str, bad_folder: Path) -> None:
    with pytest.raises(LabelError) as caught:
        score(bad_folder, batch_rows=GROUP_ROWS, engine=engine, workers=2)
    assert str(caught.value) == bad_label(bad_folder)


def test_an_address_is_refused(folder: Path) -> None:
    with pytest.raises(OptionError) as caught:
        score(folder, batch_rows=GROUP_ROWS, engine="processes", address="tcp://127.0.0.1:8786")
    assert str(caught.value) == (
        "`address` goes with the engines 'dask', 'ray' and 'spark', got 'tcp://127.0.0.1:8786' with engine='processes'"
    )


def test_an_unknown_engine_is_refused(folder: Path) -> None:
    with pytest.raises(OptionError) as caught:
        score(folder, batch_rows=GROUP_ROWS, engine="hadoop")
    assert str(caught.value) == "`engine` must be 'local', 'processes', 'dask', 'ray' or 'spark', got 'hadoop'"


def test_no_tasks_are_no_results() -> None:
    assert list(map_tasks(bytes, [], workers=None, address=None)) == []


def test_a_run_that_is_given_up_leaves_no_process(work: Work, tmp_path: Path) -> None:
    running = map_tasks(Sleeper(tmp_path, 0.01), work[1], workers=2, address=None)
    next(running)
    running.close()
    assert_ended(processes_of(tmp_path, 1))


UNTIL_KILLED = """
import sys
from pathlib import Path
from crossent.scoring.engines.processes import map_tasks
from crossent.scoring.sources.source import Piece
from crossent.scoring.tasks import Task
from tests.scoring.engines.deadly import Sleeper

if __name__ == "__main__":
    tasks = [Task(str(i), "nowhere", Piece(i, 1)) for i in range(1000)]
    for _ in map_tasks(Sleeper(Path(sys.argv[1]), 0.5), tasks, workers=2, address=None):
        pass
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals to groups of processes are POSIX's")
@pytest.mark.parametrize(
    ("kill", "number"),
    [(os.killpg, signal.SIGINT), (os.kill, signal.SIGINT), (os.kill, signal.SIGKILL)],
    ids=["Ctrl-C", "SIGINT to the parent", "SIGKILL of the parent"],
)
def test_a_run_that_is_stopped_leaves_no_process(kill: Callable[[int, int], None], number: int, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(UNTIL_KILLED)
    (tmp_path / "seen").mkdir()
    parent = subprocess.Popen(
        [sys.executable, script, tmp_path / "seen"], cwd=ROOT, start_new_session=True, stderr=subprocess.DEVNULL
    )
    workers = processes_of(tmp_path / "seen", 2)
    kill(parent.pid, number)
    assert parent.wait(20) != 0
    assert_ended(workers)


def test_a_script_without_a_guard_is_told_so(folder: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(f"from crossent import score\nscore({str(folder)!r}, engine='processes', workers=1)\n")
    ended = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert ended.stderr.strip().splitlines()[-1] == (
        "crossent.errors.OptionError: engine='processes' must be able to start processes, they end before their first "
        "task (exit code 1): in a script, call `score` under `if __name__ == '__main__':`"
    )


def processes_of(folder: Path, count: int) -> Sequence[int]:
    """Return the processes that have written their numbers, once there are so many."""
    deadline = time.monotonic() + 30
    while len(found := list(folder.glob("process-*"))) < count:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return [int(path.name.removeprefix("process-")) for path in found]


def assert_ended(processes: Sequence[int]) -> None:
    deadline = time.monotonic() + 20
    for process in processes:
        while _is_running(process):
            assert time.monotonic() < deadline
            time.sleep(0.02)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
