"""README.md's shell commands: CI reads the first two as they stand, and every command shown exists."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.walls import readme

PARSER = readme.ci_parser()
BLOCKS = PARSER.shell_blocks(readme.text())
COMMANDS = [tuple(shlex.split(part)) for block in BLOCKS for line in block.splitlines() for part in line.split(" && ")]


def test_the_first_two_commands_are_the_ones_that_ci_runs() -> None:
    assert BLOCKS[:2] == [
        "pip install -c constraints.txt -e '.[score]' && crossent score examples/digits_probs.parquet",
        "pip install -c constraints.txt -e '.[dev]' && pytest",
    ]


@pytest.mark.parametrize("number", [1, 2])
def test_ci_reads_the_command_that_the_readme_shows(number: int) -> None:
    command = [sys.executable, str(readme.ROOT / ".ci" / "readme_commands.py"), str(number)]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    assert finished.stdout == BLOCKS[number - 1] + "\n"


def test_ci_runs_both_of_them_through_that_parser() -> None:
    script = (readme.ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert os.access(readme.ROOT / ".ci" / "run", os.X_OK)
    assert "for number in 1 2" in script
    assert 'readme_commands.py "$number"' in script


@pytest.mark.parametrize("number", ["0", "99", "two"])
def test_a_command_that_is_not_there_is_an_error(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert PARSER.main([number]) != 0
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err


def test_the_parser_takes_sh_blocks_only_and_refuses_an_open_one() -> None:
    markdown = "```python\nx = 1\n```\ntext\n```sh\none && two\nthree\n```\n```sh\nfour\n```\n"
    assert PARSER.shell_blocks(markdown) == ["one && two\nthree", "four"]
    with pytest.raises(ValueError, match="never closes"):
        PARSER.shell_blocks("```sh\nfive\n")


SHOWN = re.findall(r"^```sh\n(crossent .*)\n```\n\n```text\n(.*?)^```$", readme.text(), re.MULTILINE | re.DOTALL)


def run_crossent(arguments: Sequence[str]) -> str:
    script = Path(sys.executable).with_name("crossent")
    environment = {**os.environ, "COLUMNS": "80", "PYTHONUTF8": "1"}
    finished = subprocess.run(
        [script, *arguments], cwd=readme.ROOT, env=environment, capture_output=True, encoding="utf-8", check=False
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def test_the_readme_shows_what_a_command_prints() -> None:
    assert len(SHOWN) >= 1


@pytest.mark.parametrize(("command", "output"), SHOWN, ids=[command for command, _ in SHOWN])
def test_what_the_readme_shows_is_what_the_command_prints_first(command: str, output: str) -> None:
    assert run_crossent(shlex.split(command)[1:]).startswith(output)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_of_the_readme_exists(command: tuple[str, ...]) -> None:
    program, *arguments = command
    assert program in {"pip", "pytest", "make", "crossent"}
    if program == "make":
        targets = re.findall(r"^([a-z-]+):", (readme.ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        assert set(arguments) <= set(targets)
    if program == "pip":
        assert (readme.ROOT / arguments[arguments.index("-c") + 1]).is_file()
    if program == "crossent":
        # the commands of the README are short: they are run, not only looked up
        assert run_crossent(arguments).strip()
