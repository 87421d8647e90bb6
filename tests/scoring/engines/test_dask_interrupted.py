"""Ctrl-C while Dask works: the caller hears of it, the terminal hears nothing of Dask's, and no process is left."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("distributed")

from tests.scoring.engines.conftest import ROOT
from tests.scoring.engines.test_processes import assert_ended, processes_of

UNTIL_KILLED = """
import sys
from pathlib import Path
from crossent.scoring.engines.dask import map_tasks
from crossent.scoring.sources.source import Piece
from crossent.scoring.tasks import Task
from tests.scoring.engines.deadly import Sleeper

if __name__ == "__main__":
    tasks = [Task(str(i), "nowhere", Piece(i, 1)) for i in range(1000)]
    try:
        for _ in map_tasks(Sleeper(Path(sys.argv[1]), 0.2), tasks, workers=2, address=None):
            pass
    except KeyboardInterrupt:
        print("heard", file=sys.stderr)
"""


pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals to groups of processes are POSIX's")


@pytest.fixture
def parent(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Start a run of two workers that say in the folder `seen` who they are."""
    script = tmp_path / "script.py"
    script.write_text(UNTIL_KILLED)
    (tmp_path / "seen").mkdir()
    command = [sys.executable, script, tmp_path / "seen"]
    with subprocess.Popen(command, cwd=ROOT, start_new_session=True, stderr=subprocess.PIPE, text=True) as parent:
        yield parent
        parent.kill()


@pytest.mark.parametrize("kill", [os.killpg, os.kill], ids=["Ctrl-C", "SIGINT to the parent"])
def test_ctrl_c_is_heard_once_and_nothing_else(
    parent: "subprocess.Popen[str]", kill: Callable[[int, int], None], tmp_path: Path
) -> None:
    workers = processes_of(tmp_path / "seen", 2)
    kill(parent.pid, signal.SIGINT)
    assert parent.communicate(timeout=60)[1] == "heard\n"
    assert_ended(workers)


def test_the_successor_of_a_dead_worker_does_not_hear_it_either(
    parent: "subprocess.Popen[str]", tmp_path: Path
) -> None:
    os.kill(processes_of(tmp_path / "seen", 2)[0], signal.SIGKILL)
    workers = processes_of(tmp_path / "seen", 3)
    os.killpg(parent.pid, signal.SIGINT)
    assert parent.communicate(timeout=60)[1] == "heard\n"
    assert_ended(workers)
