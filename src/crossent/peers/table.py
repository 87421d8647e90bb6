"""The door: ``crossent.packages()``, what every package answers at zero and at the other edge cases."""

import difflib
import importlib.util
import json
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

from crossent.errors import OptionError, RangeError
from crossent.peers import measuring
from crossent.peers.answer import PackageAnswer
from crossent.peers.by_rule import answers_at, answers_for, by_rule
from crossent.peers.by_source import BY_SOURCE
from crossent.peers.cases import BY_NAME, CASES, row
from crossent.peers.entry import entry
from crossent.peers.recorded import Function, functions_of, recorded
from crossent.peers.registry import PROBES, Probe
from crossent.peers.text import render

__all__ = ["PackageAnswer", "PackageTable", "answers_at", "answers_for", "packages"]

SCHEMA = 1
EVERY = "all"  # the case that is all of them, as on the command line
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class PackageTable:
    """The answers, package by package, function by function, case by case; `str()` is a table for the terminal."""

    answers: tuple[PackageAnswer, ...]

    def __iter__(self) -> Iterator[PackageAnswer]:
        """Iterate over the answers."""
        return iter(self.answers)

    def __len__(self) -> int:
        """Return how many answers there are."""
        return len(self.answers)

    def __str__(self) -> str:
        """Return the table for the terminal."""
        return self.render()

    def render(self, *, width: int | None = None, color: bool | None = None) -> str:
        """Return a table per case in ASCII; None asks the terminal for its width and whether it shows colour."""
        return render(self.answers, width=width, color=color)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON; infinities and NaN are strings."""
        cases = {case.name: case.title for case in CASES if any(a.case == case.name for a in self.answers)}
        return {"schema": SCHEMA, "cases": cases, "answers": [answer.to_dict() for answer in self.answers]}

    def to_json(self, *, indent: int | None = None) -> str:
        """Return `to_dict` as JSON."""
        return json.dumps(self.to_dict(), allow_nan=False, indent=indent)


def packages(
    *names: str,
    case: str | None = None,
    measure: bool = True,
    installed: bool = False,
    timeout_s: float = 120.0,
    progress: Progress | None = None,
) -> PackageTable:
    """Return the loss in nats and its derivative that each package answers at zero and at the other edge cases.

    What is installed is measured now: each package in a child process of its own, on the CPU, so that one that
    crashes or hangs is an answer and no failure. What is not installed is recorded: the same program was run, and the
    answers carry its version, date and command. Few that could not be run are told by the rule of their source. `how`
    says which it is.

    Parameters
    ----------
    *names
        Packages, such as "torch" or "keras on jax"; "keras" is all its back ends, "torch,scipy" two packages. All
        packages without.
    case
        One case, such as "zero" or "all-ignored"; all cases without, or with "all".
    measure
        False starts no package and takes what is recorded.
    installed
        True leaves out what is not installed here.
    timeout_s
        How long one package may take in all, in seconds, its import included.
    progress
        Called as packages are done, with how many are, how many there are, and which one it was.

    Returns
    -------
    PackageTable
        The answers: `PackageAnswer(package, function, dtype, version, case, value, gradient, by, how, date, command,
        rule, note)`. `value` is None where the function raised: `note` has the error.

    Raises
    ------
    OptionError
        Where a name or the case is unknown.
    RangeError
        Where `timeout_s` is not above 0.

    Notes
    -----
    The derivative is by what the function reads, `by`: the probability q, its logarithm, or the logit z of the class
    that the case is about. Metrics offer none.

    Examples
    --------
    >>> import crossent
    >>> for answer in crossent.packages("scikit-learn", "scipy", case="zero", measure=False):
    ...     print(answer.package, answer.function, answer.dtype, answer.value)
    scikit-learn log_loss float64 36.04365338911715
    scikit-learn log_loss float32 15.942384719848633
    scikit-learn log_loss float16 6.9296875
    scikit-learn HalfMultinomialLoss float64 inf
    scikit-learn HalfBinomialLoss float64 inf
    scipy stats.entropy(p, q) float64 inf
    scipy special.rel_entr(p, q).sum() float64 inf
    scipy special.kl_div(p, q).sum() float64 inf
    scipy -special.xlogy(p, q).sum() float64 inf
    """
    if case is not None and case != EVERY and case not in BY_NAME:
        message = f"`case` must be one of {', '.join(BY_NAME)}, {EVERY}; got {case!r}."
        raise OptionError(message)
    if not timeout_s > 0.0:
        message = f"`timeout_s` must be above 0, got {timeout_s}."
        raise RangeError(message)
    wanted = _wanted(names)
    cases = list(BY_NAME) if case is None or case == EVERY else [case]
    here = [probe for probe in PROBES if probe.package in wanted and is_installed(probe)]
    measured = _measure_all(here, cases, timeout_s, progress) if measure else {}
    answers: list[PackageAnswer] = []
    for probe in PROBES:
        if probe.package not in wanted or (installed and probe not in here):
            continue
        answers += _answers(probe, measured.get(probe.package), cases)
    if not installed:
        answers += _told_by_source(wanted, cases)
    order = {name: number for number, name in enumerate(BY_NAME)}
    return PackageTable(tuple(sorted(answers, key=lambda answer: order[answer.case])))


def is_installed(probe: Probe) -> bool:
    """Say whether a package and what it runs on can be imported, without importing them."""
    return all(importlib.util.find_spec(name) is not None for name in probe.needs)


def _wanted(names: tuple[str, ...]) -> set[str]:
    every = [probe.package for probe in PROBES] + sorted({function.package for function in BY_SOURCE})
    found = set() if names else set(every)
    for name in (word.strip() for words in names for word in words.split(",")):
        matching = {one for one in every if one.lower() == name.lower() or one.startswith(f"{name.lower()} on ")}
        if not matching:
            message = f"`names` must be of {', '.join(every)}; got {name!r}{_meant(name, every)}."
            raise OptionError(message)
        found |= matching
    return found


def _meant(name: str, every: list[str]) -> str:
    """Return the packages that a person may have meant: sklearn is the import name of scikit-learn."""
    called = {
        imported: probe.package for probe in PROBES for imported in list(probe.needs)[:1] if probe.file != "keras"
    }
    spelled = {**called, **{one.lower(): one for one in every}}
    near = [spelled[word] for word in difflib.get_close_matches(name.lower(), spelled, 2, cutoff=0.7)]
    return f" (did you mean {' or '.join(dict.fromkeys(near))}?)" if near else ""


def _measure_all(
    probes: list[Probe], cases: list[str], timeout_s: float, progress: Progress | None
) -> dict[str, measuring.Measurement]:
    stop, done = threading.Event(), {}
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        running = [
            pool.submit(measuring.measure, probe, timeout_s=timeout_s, cases=cases, stop=stop) for probe in probes
        ]
        try:
            for number, finished in enumerate(as_completed(running), 1):
                measurement = finished.result()
                done[measurement.probe.package] = measurement
                if progress is not None:
                    progress(number, len(probes), measurement.probe.package)
        except BaseException:  # Ctrl-C among them: no child is left behind
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    return done


def _answers(probe: Probe, measurement: measuring.Measurement | None, cases: list[str]) -> list[PackageAnswer]:
    """Return what was measured; what is recorded where it was not."""
    known = _of(recorded().get(probe.package, ()), cases)
    if measurement is None:
        return known
    if not measurement.answers:
        why = f"recorded: the one installed here could not be asked: {measurement.broken}"
        return [_noted(answer, why) for answer in known]
    answers = _of(functions_of(entry(measurement), "measured"), cases)
    if measurement.left:
        asked = {(answer.function, answer.dtype, answer.case) for answer in answers}
        why = f"recorded: the one installed here was not asked this: {measurement.left}"
        answers += [_noted(a, why) for a in known if (a.function, a.dtype, a.case) not in asked]
    return answers


def _noted(answer: PackageAnswer, why: str) -> PackageAnswer:
    return PackageAnswer(**{**vars(answer), "note": f"{answer.note}; {why}" if answer.note else why})


def _of(functions: tuple[Function, ...], cases: list[str]) -> list[PackageAnswer]:
    answers = (function.answer(case) for function in functions for case in cases)
    return [answer for answer in answers if answer is not None]


def _told_by_source(wanted: set[str], cases: list[str]) -> list[PackageAnswer]:
    answers = []
    for function in BY_SOURCE:
        for case in (BY_NAME[name] for name in cases):
            given = row(case)
            if function.package in wanted and given is not None:
                answers.append(by_rule(function, *given, case.watched, case.name))
    return [answer for answer in answers if answer is not None]
