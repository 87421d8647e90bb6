"""What is installed on this machine, asked at zero while the page is looked at: each package in a child process."""

import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from crossent.peers.answer import PackageAnswer
from crossent.peers.cases import LADDER, step
from crossent.peers.entry import entry
from crossent.peers.measuring import Measurement, measure
from crossent.peers.recorded import functions_of
from crossent.peers.registry import PROBES, Probe
from crossent.peers.table import is_installed

# The stops with a button, and the steps of the recorded runs. All 322 stops of the slider would take JAX minutes.
BUTTONS = (1.0, 1e-1, 1e-7, 1e-16, 1e-45, 1e-308, 1e-320, 0.0)
TIMEOUT_S = 90.0  # a package in all; TensorFlow alone takes half a minute to import on a cold disk
_KEY = tuple[str, str, str, str]  # package, function, dtype, case


@dataclass
class Live:
    """Asks the installed packages once, in threads that wait for their children; `stop` ends them all."""

    probes: Sequence[Probe] = PROBES
    timeout_s: float = TIMEOUT_S
    _began: bool = False
    _of: int = 0
    _done: list[str] = field(default_factory=list)
    _asking: list[str] = field(default_factory=list)
    _failed: list[str] = field(default_factory=list)
    _answers: dict[_KEY, PackageAnswer] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stop: threading.Event = field(default_factory=threading.Event)
    _pool: ThreadPoolExecutor | None = None

    def start(self) -> None:
        """Begin to ask, the first time that this is called."""
        with self._lock:
            if self._began or self._stop.is_set():
                return
            self._began = True
            here = [probe for probe in self.probes if is_installed(probe)]
            self._of = len(here)
            # half of the cores: the page is dragged meanwhile
            self._pool = ThreadPoolExecutor(max_workers=max(1, min(4, (os.cpu_count() or 1) // 2)))
            for probe in here:
                self._pool.submit(self._ask, probe)

    def stop(self) -> None:
        """End what is still asked, and return when no child is left."""
        self._stop.set()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def answer(self, told: PackageAnswer) -> PackageAnswer | None:
        """Return what was measured in the place of an answer by rule, None where it was not."""
        with self._lock:
            return self._answers.get((told.package, told.function, told.dtype, told.case))

    def progress(self) -> dict[str, Any]:
        """Return how far it is, for JSON."""
        with self._lock:
            done, of, asking = len(self._done), self._of, ", ".join(self._asking)
            failed = f" Not to be asked: {', '.join(sorted(self._failed))}." if self._failed else ""
        going = done < of and not self._stop.is_set()
        said = f"asking {asking or 'the next'} ... {done} of {of}" if going else f"asked {done} of {of}"
        sentence = (
            f"The packages installed here are measured at the stops with a button: {said}.{failed}"
            if of
            else "No package that is known here is installed: nothing is measured."
        )
        return {"done": done, "of": of, "going": going, "sentence": sentence}

    def _ask(self, probe: Probe) -> None:
        if self._stop.is_set():
            return
        with self._lock:
            self._asking.append(probe.package)
        names = [step(q).name for q in dict.fromkeys((*BUTTONS, *LADDER))]
        try:
            found = measure(probe, timeout_s=self.timeout_s, cases=names, stop=self._stop)
        except (OSError, ValueError) as error:  # no process, no folder: the rules stand
            found = Measurement(probe, broken=str(error))
        answers = [] if not found.answers else _answers_of(found, names)
        with self._lock:
            self._asking.remove(probe.package)
            self._done.append(probe.package)
            if not answers:
                self._failed.append(probe.package)
            for one in answers:
                self._answers[one.package, one.function, one.dtype, one.case] = one


def _answers_of(found: Measurement, names: list[str]) -> list[PackageAnswer]:
    told = (function.answer(name) for function in functions_of(entry(found), "measured") for name in names)
    return [answer for answer in told if answer is not None]
