"""A package that crashes, hangs, prints, or cannot be imported is an answer; nothing of it reaches this process."""

import os
import shutil
import sys
import threading
import time
from pathlib import Path

import pytest

from crossent.peers import measuring
from crossent.peers.registry import Probe

PACKAGE = Path(measuring.__file__).parents[1]
# the functions of a probe: one is sound, the others as the test wants
SOUND = """
import os, signal, subprocess, sys, time, warnings
import numpy as np
from crossent.peers.probes.function import Function

def sound(q, p):
    return -np.log(q[:, 0]), -1.0 / q

def function(name, call):
    return Function(name, "probs", "distribution", "float64", "probs", call)
"""


@pytest.fixture
def probes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of probes of a copy of the package: the child takes the crossent around its own file."""
    package = tmp_path / "src" / "crossent"
    shutil.copytree(PACKAGE / "peers", package / "peers", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PACKAGE / "__init__.py", package)
    monkeypatch.setattr(measuring, "CHILD", package / "peers" / "child.py")
    return package / "peers" / "probes"


def ask(folder: Path, text: str, timeout_s: float = 60.0, **options: object) -> measuring.Measurement:
    (folder / "made.py").write_text(SOUND + text, encoding="utf-8")
    probe = Probe("made", "made", {"numpy": "numpy"})
    return measuring.measure(probe, timeout_s=timeout_s, cases=("zero", "ordinary", "soft"), **options)  # type: ignore[arg-type]


def notes(measurement: measuring.Measurement) -> dict[tuple[int, str], str]:
    return {question: answer["note"] for question, answer in measurement.answers.items()}


def test_answers_and_version(probes: Path) -> None:
    import numpy as np

    measured = ask(probes, 'FUNCTIONS = (function("sound", sound),)')
    assert measured.broken == ""
    assert measured.version == np.__version__
    assert measured.answers[0, "ordinary"] == {"value": -np.log(0.2), "gradient": -5.0, "note": ""}
    zero = measured.answers[0, "zero"]
    assert (zero["value"], zero["gradient"]) == ("inf", "-inf")
    assert zero["note"].startswith("RuntimeWarning: divide by zero")
    assert list(measured.answers) == [(0, "zero"), (0, "ordinary"), (0, "soft")]


def test_a_number_read_outside_of_the_row_is_a_note_and_not_an_answer(probes: Path) -> None:
    measured = ask(
        probes,
        """
from dataclasses import replace
FUNCTIONS = (replace(function("reads on", sound), undefined={"ordinary": "here.c"}),)
""",
    )
    assert measured.answers[0, "ordinary"] == {
        "value": None,
        "gradient": None,
        "note": "undefined: reads outside of the row (here.c); 1.6094379124341003 this time",
    }
    assert measured.answers[0, "zero"]["value"] == "inf"


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_crash_is_an_answer_and_the_rest_is_asked(probes: Path) -> None:
    measured = ask(
        probes,
        """
def crash(q, p):
    if q[0, 0] == 0.0:
        os.kill(os.getpid(), signal.SIGSEGV)
    return sound(q, p)

FUNCTIONS = (function("crashes", crash), function("sound", sound))
""",
    )
    assert measured.broken == ""
    assert measured.answers[0, "zero"] == {
        "value": None,
        "gradient": None,
        "note": "the process died of SIGSEGV",
    }
    assert measured.answers[0, "ordinary"]["gradient"] == -5.0
    assert measured.answers[1, "zero"]["value"] == "inf"
    assert len(measured.answers) == 6


def test_leaving_is_an_answer(probes: Path) -> None:
    measured = ask(probes, 'FUNCTIONS = (function("leaves", lambda q, p: os._exit(3)), function("sound", sound))')
    assert notes(measured)[0, "soft"] == "the process ended with exit code 3"
    assert measured.answers[1, "ordinary"]["gradient"] == -5.0


def test_a_hang_is_an_answer_and_ends_in_time(probes: Path) -> None:
    began = time.monotonic()
    measured = ask(probes, 'FUNCTIONS = (function("hangs", lambda q, p: time.sleep(600)),)', timeout_s=4.0)
    assert time.monotonic() - began < 60.0
    assert list(measured.answers) == [(0, "zero")]
    assert notes(measured)[0, "zero"] == "no answer within 4 s"
    assert measured.left == "no answer within 4 s"


@pytest.mark.skipif(os.name != "posix", reason="process groups of POSIX")
def test_what_a_package_started_ends_with_it(probes: Path, tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    ask(
        probes,
        f"""
def start(q, p):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    open({str(mark)!r}, "w").write(str(child.pid))
    return sound(q, p)

FUNCTIONS = (function("starts", start),)
""",
    )
    process = Path("/proc") / mark.read_text()
    end = time.monotonic() + 20.0
    # a zombie has no command line; nobody may wait for it in a container
    while process.exists() and (process / "cmdline").read_bytes() and time.monotonic() < end:
        time.sleep(0.05)
    assert not process.exists() or not (process / "cmdline").read_bytes()


def test_an_event_stops_it(probes: Path) -> None:
    stop = threading.Event()
    threading.Timer(1.0, stop.set).start()
    began = time.monotonic()
    ask(probes, 'FUNCTIONS = (function("hangs", lambda q, p: time.sleep(600)),)', timeout_s=300.0, stop=stop)
    assert time.monotonic() - began < 60.0


@pytest.mark.parametrize(
    ("call", "value", "note"),
    [
        ("lambda q, p: 1 / 0", None, "ZeroDivisionError: division by zero"),
        ("lambda q, p: (np.zeros(0), None)", None, "no number: an array of shape (0,)"),
        ("lambda q, p: (np.zeros(3), None)", None, "no number: an array of shape (3,)"),
        ("lambda q, p: (np.nan, None)", "nan", ""),
        ("lambda q, p: (-0.0, None)", 0.0, ""),
        ("lambda q, p: (warnings.warn('two\\nlines'), (1.0, None))[1]", 1.0, "UserWarning: two lines"),
        ("lambda q, p: (warnings.warn('old', DeprecationWarning), (1.0, None))[1]", 1.0, ""),
        ("lambda q, p: (print('noise'), (2.0, None))[1]", 2.0, ""),
        ("lambda q, p: (None, None)", None, "no number: None"),
    ],
)
def test_whatever_a_call_does_is_told(probes: Path, call: str, value: object, note: str) -> None:
    measured = ask(probes, f'FUNCTIONS = (function("one", {call}),)')
    assert measured.broken == ""
    assert measured.answers[0, "zero"]["value"] == value
    assert str(measured.answers[0, "zero"]["value"]) != "-0.0"
    assert measured.answers[0, "zero"]["note"] == note


def test_a_long_error_is_cut(probes: Path) -> None:
    measured = ask(probes, 'def long(q, p):\n    raise ValueError("x" * 1000)\n\nFUNCTIONS = (function("one", long),)')
    assert measured.answers[0, "zero"]["note"] == "ValueError: " + "x" * 145 + "..."


def test_not_implemented_is_no_answer(probes: Path) -> None:
    measured = ask(probes, 'FUNCTIONS = (function("no", lambda q, p: NotImplemented), function("sound", sound))')
    assert {number for number, _ in measured.answers} == {1}


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("import package_that_is_not_there", "ModuleNotFoundError: No module named 'package_that_is_not_there'"),
        ("raise RuntimeError('no GPU')", "RuntimeError: no GPU"),
        ("os._exit(7)", "the process ended with exit code 7"),
    ],
)
def test_a_package_that_cannot_be_imported_is_broken(probes: Path, text: str, broken: str) -> None:
    measured = ask(probes, text)
    assert measured.broken == broken
    assert measured.answers == {}


def test_a_package_that_always_dies_is_left_alone(probes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "MOST_DEATHS", 2)
    measured = ask(probes, 'FUNCTIONS = (function("dies", lambda q, p: os._exit(1)),)')
    assert set(notes(measured).values()) == {"the process ended with exit code 1"}
    assert len(measured.answers) == 2
    assert measured.left == "it died 2 times"


def test_nothing_of_a_package_is_loaded_here() -> None:
    before = set(sys.modules)
    measured = measuring.measure(Probe("scipy", "scipy", {"scipy": "scipy"}), timeout_s=200.0, cases=("zero",))
    assert measured.answers
    assert not {name for name in set(sys.modules) - before if name.startswith(("scipy", "crossent.peers.probes.s"))}
