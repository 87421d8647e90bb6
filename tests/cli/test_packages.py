"""``crossent packages``: the table, JSON, its choices, and one line for every mistake."""

import json
import os
import subprocess
import sys

import pytest

import crossent
from crossent.cli.app import run
from crossent.peers.cases import CASES

Capture = pytest.CaptureFixture[str]


def printed(capsys: Capture, *arguments: str) -> str:
    assert run(["packages", *arguments]) == 0
    return capsys.readouterr().out


def test_the_recorded_table_and_what_to_try_next(capsys: Capture) -> None:
    text = printed(capsys, "--recorded")
    assert text.startswith(crossent.packages(case="zero", measure=False).render())
    following = " ".join(text.rpartition("Next: ")[2].split())
    assert following == f"--case all, or one of {', '.join(case.name for case in CASES)}; --recorded, --json"


def test_a_case_and_names(capsys: Capture) -> None:
    text = printed(capsys, "torch", "scipy", "--case", "label-high", "--recorded")
    assert "label-high: label 3 of 3 classes\n" in text
    assert "raises" in text


def test_names_separated_by_commas(capsys: Capture) -> None:
    assert printed(capsys, "torch,scipy", "--recorded") == printed(capsys, "torch", "scipy", "--recorded")


def test_every_case(capsys: Capture) -> None:
    text = printed(capsys, "--case", "all", "--recorded")
    assert [case.name for case in CASES if f"{case.name}: {case.title}"[:60] not in text] == []


def test_measured_now(capsys: Capture) -> None:
    assert run(["packages", "scipy", "dit", "--installed", "--json"]) == 0
    captured = capsys.readouterr()
    answers = json.loads(captured.out)["answers"]
    assert {(told["package"], told["how"]) for told in answers} == {("scipy", "measured")}
    # not a terminal: a line per package, beside the answers and not among them
    assert captured.err == "measured scipy (1 of 1)\n"


def test_json_is_the_table(capsys: Capture) -> None:
    text = printed(capsys, "--json", "--recorded", "--case", "all")
    assert json.loads(text) == crossent.packages(measure=False).to_dict()


def test_nothing_to_show_is_said(capsys: Capture) -> None:
    assert printed(capsys, "dit", "--case", "plus-inf", "--recorded").startswith(
        "No such answer: none of these packages"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--case", "one"), "crossent: `case` must be one of zero, soft-zero, "),
        (("sklearn",), "crossent: `names` must be of crossent, numpy by hand, torch, "),
        (("torhc",), "crossent: `names` must be of crossent, numpy by hand, torch, "),
        (("scipy", "--seconds", "0"), "crossent: `timeout_s` must be above 0, got 0.0."),
        (("--sceonds", "1"), "crossent: No such option: --sceonds"),
    ],
)
def test_a_mistake_is_one_line(capsys: Capture, arguments: tuple[str, ...], said: str) -> None:
    assert run(["packages", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(said)
    assert captured.err.count("\n") == 1


def test_the_command_line_starts_without_the_packages() -> None:
    program = "import sys, crossent.cli.app; print([name for name in sys.modules if name.startswith('crossent.peers')])"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stdout == "[]\n"


def test_a_pipe_gets_no_colour() -> None:
    command = [sys.executable, "-m", "crossent", "packages", "scipy", "--recorded"]
    environment = {**os.environ, "TERM": "xterm"}
    finished = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert "\033[" not in finished.stdout
    assert finished.stderr == ""
