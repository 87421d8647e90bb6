"""The command ``crossent`` itself: help, version, and how it ends."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import crossent
from crossent.cli import app
from crossent.errors import SourceError

ROOT = Path(__file__).resolve().parents[2]
Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_without_arguments_it_prints_help(capsys: Capture, arguments: list[str]) -> None:
    assert app.run(arguments) == 0
    text = capsys.readouterr().out
    assert text.startswith("Usage: crossent [OPTIONS] COMMAND [ARGS]...")
    assert "  score " in text
    assert "  explain " in text


def test_version(capsys: Capture) -> None:
    assert app.run(["--version"]) == 0
    assert capsys.readouterr().out == f"crossent {crossent.__version__}\n"


def test_an_unknown_command_is_one_line(capsys: Capture) -> None:
    assert app.run(["nonsense"]) == 2
    assert capsys.readouterr().err == "crossent: No such command 'nonsense'. See `crossent --help`.\n"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (SourceError("two\nlines"), "crossent: two lines\n"),
        (FileNotFoundError(2, "No such file or directory", "a.csv"), "crossent: No such file or directory: a.csv\n"),
        (OSError("disk on fire"), "crossent: disk on fire\n"),
        (KeyboardInterrupt(), "crossent: interrupted.\n"),
    ],
)
def test_how_a_command_fails(capsys: Capture, monkeypatch: pytest.MonkeyPatch, error: BaseException, line: str) -> None:
    def explain_nothing(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("crossent.cli.explain.explain_prediction", explain_nothing)
    assert app.run(["explain", "0", "1"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == line


def test_a_bug_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def explain_badly(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("crossent.cli.explain.explain_prediction", explain_badly)
    with pytest.raises(ZeroDivisionError):
        app.run(["explain", "0", "1"])


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "crossent", *arguments],
        capture_output=True,
        env={**os.environ, "COLUMNS": "78", **environment},
        check=False,
    )


def test_as_a_module_in_utf8_and_without_it() -> None:
    good = command("explain", "0", "0.5 0.5", PYTHONIOENCODING="utf-8")
    plain = command("explain", "0", "0.5 0.5", PYTHONIOENCODING="ascii")
    assert (good.returncode, good.stderr) == (plain.returncode, plain.stderr) == (0, b"")
    assert "★" in good.stdout.decode("utf-8")
    assert "-log q" in plain.stdout.decode("ascii")


def test_the_exit_code_of_a_mistake_reaches_the_shell() -> None:
    ran = command("explain", "7", "0.5 0.5", PYTHONIOENCODING="utf-8")
    assert ran.returncode == 2
    assert ran.stdout == b""
    assert ran.stderr == b"crossent: `target` must be a class id in [0, 2); got 7.\n"


def test_a_reader_that_leaves_early_hears_no_complaint() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ran = subprocess.run(
            [sys.executable, "-m", "crossent", "explain", "0", "0.5 0.5"],
            stdout=writing,
            stderr=subprocess.PIPE,
            check=False,
        )
    finally:
        os.close(writing)
    assert ran.stderr == b""


WITHOUT = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == sys.argv[1]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hidden())
from crossent.cli.app import run
raise SystemExit(run(sys.argv[2:]))
"""


@pytest.mark.parametrize("package", ["rich", "numba", "llvmlite"])
def test_an_installation_that_lacks_a_package_says_which(package: str) -> None:
    score = [sys.executable, "-c", WITHOUT, package, "score", "examples/digits_probs.parquet"]
    ended = subprocess.run(score, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)
    assert ended.stderr == f"crossent: this installation is incomplete, it lacks {package}: pip install crossent\n"
    assert (ended.returncode, ended.stdout) == (2, "")


def test_another_module_that_is_missing_is_a_bug_of_ours() -> None:
    score = [sys.executable, "-c", WITHOUT, "json", "score", "examples/digits_probs.parquet"]
    ended = subprocess.run(score, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)
    assert ended.stderr.endswith("ModuleNotFoundError: No module named 'json'\n")
    assert ended.returncode == 1
