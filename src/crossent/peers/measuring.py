"""Asking one package in a child process: what crashes or hangs there is an answer too, and the rest is asked again."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crossent.peers.registry import Probe

CHILD = Path(__file__).with_name("child.py")
# A package that dies on more cases than this is left alone.
MOST_DEATHS = 8
_LOOK_UP_SECONDS = 0.1
# One thread and no GPU: the answer of the CPU, which raises where a GPU only spoils its context.
QUIET = {
    "CUDA_VISIBLE_DEVICES": "",
    "JAX_PLATFORMS": "cpu",
    "OMP_NUM_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "0",
}

# (number of the function, case)
Question = tuple[int, str]


@dataclass
class Measurement:
    """What a package answered; `broken` says why it could not be asked at all, `left` why not to the end."""

    probe: Probe
    version: str = ""
    functions: list[dict[str, Any]] = field(default_factory=list)
    # question -> {"value": ..., "gradient": ..., "note": ...}, as JSON has it
    answers: dict[Question, dict[str, Any]] = field(default_factory=dict)
    broken: str = ""
    left: str = ""


def command(probe: Probe) -> str:
    """Return the command that asks this package alone, from the root of the sources."""
    settings = "".join(f"{name}={value} " for name, value in probe.environment.items())
    return f"{settings}python -P src/crossent/peers/child.py {probe.file}"


def measure(
    probe: Probe,
    *,
    python: str = sys.executable,
    timeout_s: float = 120.0,
    cases: Collection[str] | None = None,
    stop: threading.Event | None = None,
) -> Measurement:
    """Ask a package these cases, or all; `timeout_s` is the time it has in all, `stop` ends the child before."""
    measurement = Measurement(probe)
    request: dict[str, Any] = {
        "distributions": list(probe.needs.values()),
        "cases": None if cases is None else list(cases),
    }
    stop = stop or threading.Event()
    end = time.monotonic() + timeout_s
    with tempfile.TemporaryDirectory(prefix="crossent-") as folder:
        for _ in range(MOST_DEATHS):
            request["skip"] = list(measurement.answers)
            died = _run(probe, python, Path(folder), request, end, stop)
            pending = _read(Path(folder) / "answers", measurement)
            if died is None or measurement.broken:
                return measurement
            if pending is None:  # before the first question
                measurement.broken = died
                return measurement
            measurement.answers[pending] = {"value": None, "gradient": None, "note": died}
            if time.monotonic() >= end or stop.is_set():
                measurement.left = died
                return measurement
    measurement.left = f"it died {MOST_DEATHS} times"
    return measurement


def _run(
    probe: Probe, python: str, folder: Path, request: dict[str, Any], end: float, stop: threading.Event
) -> str | None:
    """Run the child; return how it died, None where it did not."""
    answers = folder / "answers"
    answers.unlink(missing_ok=True)
    (folder / "request").write_text(json.dumps({**request, "answers": str(answers)}), encoding="utf-8")
    began = time.monotonic()
    # its own session: a package's own children go with it. Output to a file: they may hold a pipe open for ever.
    with (folder / "said").open("wb") as said:
        child = subprocess.Popen(
            [python, "-P", str(CHILD), probe.file, str(folder / "request")],
            cwd=folder,
            env={**os.environ, **QUIET, "KERAS_HOME": str(folder), **probe.environment},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            while True:
                try:
                    code = child.wait(timeout=_LOOK_UP_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    if time.monotonic() >= end or stop.is_set():
                        return f"no answer within {time.monotonic() - began:.0f} s"
        finally:
            _end(child)
    return None if code == 0 else _death(code)


def _end(child: subprocess.Popen[bytes]) -> None:
    try:
        if hasattr(os, "killpg"):
            os.killpg(child.pid, signal.SIGKILL)
        else:
            child.kill()
    except (ProcessLookupError, PermissionError):  # all gone
        pass
    child.wait()


def _death(code: int) -> str:
    if code < 0:
        return f"the process died of {signal.Signals(-code).name}"
    return f"the process ended with exit code {code}"


def _read(path: Path, measurement: Measurement) -> Question | None:
    """Take the answers up; return the question that was asked and not answered."""
    pending = None
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            said = json.loads(line)
        except json.JSONDecodeError:  # cut off by the death of the writer
            break
        if "broken" in said:
            measurement.broken = said["broken"]
        elif "versions" in said:
            first, *others = said["versions"].items()
            measurement.version = first[1] + "".join(f" on {name} {version}" for name, version in others)
        elif "functions" in said:
            measurement.functions = said["functions"]
        elif "asked" in said:
            pending = (said["asked"][0], said["asked"][1])
        elif pending is not None and (said["function"], said["case"]) == pending:
            measurement.answers[pending] = {name: said[name] for name in ("value", "gradient", "note")}
            pending = None
    return pending
