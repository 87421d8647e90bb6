"""The screen of a score on a terminal of a few columns: the same words and numbers, none of them cut."""

import re
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from crossent.cli.app import run

ROWS = 5
TABLE = {
    "store": ["north", "north", "south", "south", "east"],
    "target": ["cat", "dog", "cat", "dog", "cat"],
    "p_cat": [0.5, 0.123456789, 0.9, 0.0001234, 1e-300],
    "p_dog": [0.5, 0.876543211, 0.1, 0.9998766, 1.0],
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    parquet.write_table(pa.table(TABLE), "a.parquet")
    parquet.write_table(pa.table({**TABLE, "p_cat": [0.5] * ROWS, "p_dog": [0.5] * ROWS}), "b.parquet")
    return tmp_path


def printed(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    columns: int,
    *arguments: str,
    is_terminal: bool,
) -> str:
    monkeypatch.setenv("COLUMNS", str(columns))
    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    if is_terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("TERM", "xterm")
    assert run(["score", *arguments]) == 0
    return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)


def numbers(text: str) -> set[str]:
    """Return the words that have a digit in them, without the marks around them."""
    return {word.strip(",.:;()'") for word in text.split() if any(mark.isdigit() for mark in word)}


@pytest.mark.parametrize("columns", [20, 30, 40, 50, 79])
@pytest.mark.parametrize("arguments", [("a.parquet", "--by", "store"), ("a.parquet", "--against", "b.parquet")])
def test_no_number_is_cut_on_a_narrow_terminal(folder, monkeypatch, capsys, columns, arguments):
    wide = printed(monkeypatch, capsys, 300, *arguments, is_terminal=True)
    narrow = printed(monkeypatch, capsys, columns, *arguments, is_terminal=True)
    assert "\N{HORIZONTAL ELLIPSIS}" not in narrow
    assert numbers(narrow) == numbers(wide)
    if columns < 60:  # from there on the terminal breaks the lines itself
        assert max(map(len, narrow.splitlines())) <= columns


def test_in_a_pipe_a_line_stays_a_line_and_a_table_keeps_its_numbers(folder, monkeypatch, capsys):
    wide = printed(monkeypatch, capsys, 300, "a.parquet", is_terminal=False)
    narrow = printed(monkeypatch, capsys, 30, "a.parquet", is_terminal=False)
    assert numbers(narrow) == numbers(wide)
    assert narrow.splitlines()[0] == wide.splitlines()[0]
    assert "- class cat, rows 3, cost in nats 230.5247, accuracy 33.33%, impossible 0" in narrow.splitlines()


def test_names_are_folded_before_numbers_lose_their_place(folder, monkeypatch, capsys):
    long = "a-very-long-name-of-a-store-" * 4
    parquet.write_table(pa.table({**TABLE, "store": [long] * ROWS}), "a.parquet")
    shown = printed(monkeypatch, capsys, 100, "a.parquet", "--by", "store", is_terminal=True)
    first = next(line for line in shown.splitlines() if line.startswith("a-very-long"))
    assert first.split()[1:4] == ["5", "138.3412", "60.00%"]
    assert "\N{HORIZONTAL ELLIPSIS}" not in shown
