"""A folder of predictions in many small tasks, with every kind of row that a score tells apart."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from crossent.scoring import tasks as planning
from crossent.scoring.columns import Asked
from crossent.scoring.options import Options
from crossent.scoring.reading import understand
from crossent.scoring.result import Score
from crossent.scoring.score import score
from crossent.scoring.sources.opening import open_source
from crossent.scoring.tasks import Job, Task, job_for, plan, read_result

ROOT = Path(__file__).resolve().parents[3]
ROWS, GROUP_ROWS = 2000, 250


def table(seed: int) -> pa.Table:
    """Return predictions among which rows are impossible, undefined, tied, without a label, and without a sum of 1."""
    rng = np.random.default_rng(seed)
    predictions = rng.dirichlet([0.3, 1.0, 2.0], size=ROWS)
    predictions[::97] = (0.0, 1.0, 0.0)
    predictions[50::401, 2] = np.nan
    predictions[70::211] = (0.4, 0.4, 0.2)
    predictions[90::307] *= 0.5
    labels = rng.integers(0, 3, ROWS)
    missing = np.arange(ROWS) % 149 == 3
    columns = {f"prob_{i}": predictions[:, i] for i in range(3)}
    return pa.table({"id": np.arange(ROWS) + seed * ROWS, "target": pa.array(labels, mask=missing), **columns})


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of three Parquet files of eight row groups each."""
    folder = tmp_path_factory.mktemp("predictions")
    for seed in range(3):
        parquet.write_table(table(seed), folder / f"part-{seed}.parquet", row_group_size=GROUP_ROWS)
    return folder


@pytest.fixture(autouse=True)
def _many_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every row group a task, and let workers import `deadly`."""
    monkeypatch.setattr(planning, "_MOST_TASK_ROWS", GROUP_ROWS)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))))


@pytest.fixture(scope="session")
def expected(folder: Path) -> bytes:
    """Return the state of the one worker that everybody else must agree with."""
    return score(folder, workers=1).to_bytes()


@pytest.fixture
def work(folder: Path) -> tuple[Job, list[Task]]:
    """Return what an engine is given for the folder."""
    opened = [open_source(path) for path in sorted(folder.iterdir())]
    job = job_for(understand(opened[0], Asked()), Options(), GROUP_ROWS)
    tasks = plan(opened, job)
    assert len(tasks) == 24
    return job, tasks


@pytest.fixture
def bad_folder(tmp_path: Path) -> Path:
    """Return a folder whose second file has a label that is no class."""
    folder = tmp_path / "bad"
    folder.mkdir()
    parquet.write_table(table(0), folder / "a.parquet", row_group_size=GROUP_ROWS)
    labels = pa.array([3 if row == 1234 else 0 for row in range(ROWS)])
    bad = table(1).set_column(1, "target", labels)
    parquet.write_table(bad, folder / "b.parquet", row_group_size=GROUP_ROWS)
    return folder


def bad_label(folder: Path) -> str:
    """Return what is said of the bad folder."""
    said = "`target` must hold one of the classes 0, 1, 2; row 1234 has 3: are the labels 1-based?"
    return f"{said} (in '{folder / 'b.parquet'}')"


def merged(map_tasks: Callable[..., Any], function: Any, tasks: Sequence[Task], address: str | None = None) -> bytes:
    """Return the state that an engine makes of the tasks, each of which it must hand in once."""
    result, keys = Score(), []
    for key, answer in map_tasks(function, tasks, workers=2, address=address):
        keys.append(key)
        result.merge(read_result(answer))
    assert sorted(keys) == sorted(task.key for task in tasks)
    return result.to_bytes()
