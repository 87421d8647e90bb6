"""Progress: silence for a short run, a line every few seconds in a log, a bar on a terminal."""

import io
import sys

import pytest

from crossent.cli import score_progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the time that is read, to be moved by the test."""
    now = [0.0]
    monkeypatch.setattr(score_progress.time, "monotonic", lambda: now[0])
    return now


def test_a_log_gets_a_line_every_five_seconds(clock, capsys):
    with score_progress.shown_progress() as progress:
        for second in range(1, 13):
            clock[0] = float(second)
            progress(1000 * second, 20_000)
    assert capsys.readouterr().err == "5,000 of 20,000 rows, 1,000 rows/s\n10,000 of 20,000 rows, 1,000 rows/s\n"


def test_a_short_run_says_nothing(clock, capsys):
    with score_progress.shown_progress() as progress:
        progress(1000, None)
    assert capsys.readouterr() == ("", "")


def test_rows_in_all_may_be_unknown(clock, capsys):
    with score_progress.shown_progress() as progress:
        clock[0] = 8.0
        progress(1000, None)
    assert capsys.readouterr().err == "1,000 rows, 125 rows/s\n"


def test_a_terminal_gets_a_bar(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with score_progress.shown_progress() as progress:
        progress(1000, 2000)
    assert "1,000 of 2,000 rows" in terminal.getvalue()
