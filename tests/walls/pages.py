"""A page of docs/ as the tests read it: one session, whose Python and commands run from top to bottom in one folder."""

import doctest
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What a run of more than five seconds says on stderr of how far it is.
_PROGRESS = re.compile(r"^[\d,]+( of [\d,]+)? rows, [\d,]+ rows/s\n", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """What stands between two fences: its language, its text, and the line of the page that it begins at."""

    language: str
    text: str
    line: int


def blocks(markdown: str) -> list[Block]:
    return [
        Block(found[1], found[2], markdown.count("\n", 0, found.start()) + 2) for found in _FENCE.finditer(markdown)
    ]


def prose(markdown: str) -> str:
    """Return a page without its blocks and comments, and without what links lead to."""
    return re.sub(r"\]\([^)]*\)|<!--.*?-->", "]", _FENCE.sub("", markdown))


def commands(text: str) -> list[tuple[str, str]]:
    """Return the commands of a console block, each with what it is to print."""
    assert text.startswith("$ crossent "), f"a console block begins with `$ crossent`, not with {text[:40]!r}"
    parts = re.split(r"^\$ (.*)\n", text, flags=re.MULTILINE)[1:]
    return list(zip(parts[::2], parts[1::2], strict=True))


def run_command(command: str, folder: Path) -> str:
    """Return what a command prints in a folder; where it fails, what it says on stderr follows."""
    script = Path(sys.executable).with_name("crossent")
    environment = {**os.environ, "COLUMNS": "80", "PYTHONUTF8": "1", "NO_COLOR": "1"}
    finished = subprocess.run(
        # through a shell, as the reader's: it expands patterns and takes quotes away
        f"{script} {command.removeprefix('crossent ')}",
        shell=True,
        cwd=folder,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    said = finished.stdout + (_PROGRESS.sub("", finished.stderr) if finished.returncode else "")
    return re.sub(r" +$", "", said, flags=re.MULTILINE)


def agrees(expected: str, printed: str) -> bool:
    """Say whether both are the same text, where a line of three dots stands for any lines."""
    parts = re.split(r"^\.\.\.\n", expected, flags=re.MULTILINE)
    return re.fullmatch(r"(?:.*\n)*?".join(map(re.escape, parts)), printed) is not None


def failures(markdown: str, name: str, folder: Path) -> list[str]:
    """Run a page in the working directory `folder`, and return what is not as the page says."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    failed = []
    for block in blocks(markdown):
        where = f"{name}, line {block.line}"
        if block.language == "python":
            failed += _run_python(block, where, namespace)
        elif block.language == "console":
            for command, expected in commands(block.text):
                printed = run_command(command, folder)
                if not agrees(expected, printed):
                    failed.append(f"{where}: `{command}` was to print\n{expected}\nand printed\n{printed}")
    return failed


def _run_python(block: Block, where: str, namespace: dict[str, Any]) -> list[str]:
    test = doctest.DocTestParser().get_doctest(block.text, namespace, where, None, 0)
    if not test.examples:
        return [f"{where}: a Python block is an interpreter session, it shows what it answers"]
    report: list[str] = []
    runner = doctest.DocTestRunner(verbose=False)
    runner.run(test, out=report.append, clear_globs=False)
    namespace.update(test.globs)  # the session works on a copy
    return report
