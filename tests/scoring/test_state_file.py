"""`state=`: an interrupted run goes on, new files are added, no row counts twice; the same bytes as in one go."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from crossent.errors import OptionError, RangeError, SourceError
from crossent.scoring import tasks
from crossent.scoring.score import score
from crossent.scoring.state_file import StateFile

ROWS, CLASSES = 3000, 4


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return five files, each of six tasks."""
    monkeypatch.setattr(tasks, "_TASK_VALUES", 500 * CLASSES)
    monkeypatch.setattr(tasks, "_BATCH_ROWS", 100)
    rng = np.random.default_rng(17)
    paths = []
    for number in range(5):
        predictions = rng.dirichlet(np.ones(CLASSES), ROWS)
        columns = {"target": rng.integers(0, CLASSES, ROWS), **{f"p_{c}": predictions[:, c] for c in range(CLASSES)}}
        paths.append(tmp_path / f"part-{number}.parquet")
        parquet.write_table(pa.table(columns), paths[-1], row_group_size=250)
    return paths


def names(paths: list[Path]) -> list[str]:
    return [str(path) for path in paths]


def test_a_run_that_breaks_off_goes_on(files, tmp_path, monkeypatch):
    whole = score(names(files))
    state, calls = tmp_path / "score.state", []
    real = tasks.score_source

    def breaks_off(*arguments, **options):
        calls.append(1)
        if len(calls) > 12:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    monkeypatch.setattr(tasks, "score_source", breaks_off)
    with pytest.raises(KeyboardInterrupt):
        score(names(files), state=state, workers=1)
    done = len(StateFile(state).keys)
    assert 0 < done < 30
    monkeypatch.setattr(tasks, "score_source", real)
    seen = []
    resumed = score(names(files), state=state, progress=lambda rows, of: seen.append((rows, of)))
    assert resumed.to_bytes() == whole.to_bytes()
    assert seen[0][0] == done * 500
    assert seen[-1] == (5 * ROWS, 5 * ROWS)


def test_new_files_are_added_to_an_old_score(files, tmp_path):
    state = tmp_path / "score.state"
    first = score(names(files[:2]), state=state)
    assert first.rows == 2 * ROWS
    assert score(names(files[:2]), state=state).to_bytes() == first.to_bytes()
    assert score(names(files), state=state).to_bytes() == score(names(files)).to_bytes()
    assert score(names(files[3:]), state=state).rows == 5 * ROWS


def test_a_kill_at_any_moment_loses_no_row_and_counts_none_twice(files, tmp_path):
    state = tmp_path / "score.state"
    program = (
        "import sys, time\n"
        "from crossent.scoring import state_file, tasks\n"
        "from crossent.scoring.score import score\n"
        "tasks._TASK_VALUES = 2000; tasks._BATCH_ROWS = 100; state_file._SECONDS_BETWEEN_SAVES = 0.0\n"
        "real = tasks.score_source\n"
        "def slow(*arguments, **options):\n"
        "    time.sleep(0.05)\n"
        "    return real(*arguments, **options)\n"
        "tasks.score_source = slow\n"
        "score(sys.argv[2:], state=sys.argv[1], workers=1)\n"
    )
    for _ in range(3):
        run = subprocess.Popen([sys.executable, "-c", program, str(state), *names(files)])
        until = time.monotonic() + 60
        seen = len(StateFile(state).keys) if state.exists() else 0
        while time.monotonic() < until and (not state.exists() or len(StateFile(state).keys) < seen + 3):
            time.sleep(0.02)
        os.kill(run.pid, signal.SIGKILL)
        assert run.wait() == -signal.SIGKILL
    assert 3 <= len(StateFile(state).keys) < 30
    assert score(names(files), state=state).to_bytes() == score(names(files)).to_bytes()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".score.state.")] in (
        [],
        [".score.state."],
    )


def test_a_file_that_changed_is_refused(files, tmp_path):
    state = tmp_path / "score.state"
    score(names(files[:2]), state=state)
    os.utime(files[1], ns=(1, 1))
    with pytest.raises(SourceError) as caught:
        score(names(files), state=state)
    assert str(caught.value) == (
        f"`state` must be of the same files, '{files[1]}' has changed since '{state}' was written; "
        f"delete the state to score everything anew"
    )


def test_what_is_no_state_is_refused(files, tmp_path):
    state = tmp_path / "score.state"
    state.write_bytes(b"nothing of the kind")
    with pytest.raises(SourceError) as caught:
        score(names(files), state=state)
    assert str(caught.value) == (
        f"`state` must be a file that a score was kept in, '{state}' is not: "
        f"`state` must be bytes from Score.to_bytes, got 19 bytes of something else"
    )
    assert state.read_bytes() == b"nothing of the kind"


def test_another_question_is_refused(files, tmp_path):
    state = tmp_path / "score.state"
    score(names(files[:1]), state=state)
    with pytest.raises(OptionError, match=r"^`state` must be of the same question, .* has worst 20 and not 5; keep"):
        score(names(files), state=state, worst=5)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("no/score.state", "`state` must be in a folder that exists, there is no '{parent}'; make it first"),
        (".", "`state` must be a file, got the folder '{path}'; add a name"),
    ],
)
def test_a_state_that_cannot_be_written_fails_before_the_work(files, tmp_path, monkeypatch, place, message):
    monkeypatch.setattr(tasks, "score_source", lambda *_, **__: pytest.fail("it began to work"))
    path = tmp_path / place
    with pytest.raises(OptionError) as caught:
        score(names(files), state=path)
    assert str(caught.value) == message.format(path=path, parent=path.parent)


def test_an_error_keeps_what_was_done(files, tmp_path):
    table = parquet.read_table(files[4])
    broken = tmp_path / "part-4.parquet"
    values = table.column("p_0").to_numpy().copy()
    values[-1] = 1.5
    parquet.write_table(table.set_column(1, "p_0", pa.array(values)), broken, row_group_size=250)
    state = tmp_path / "score.state"
    with pytest.raises(RangeError, match=r"^`p_0` must be in \[0, 1\], row 2999 has 1\.5"):
        score(names(files), state=state, workers=1)
    assert len(StateFile(state).keys) == 29
