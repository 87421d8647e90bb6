"""The record is of real runs: complete, dated, and what the installed packages answer today where versions agree."""

import datetime
import json
from pathlib import Path

import pytest

from crossent.peers import measuring
from crossent.peers.cases import BY_NAME, CASES, LADDER, step
from crossent.peers.entry import entry
from crossent.peers.recorded import FILE, functions_of, recorded
from crossent.peers.registry import PROBES, Probe
from crossent.peers.table import is_installed
from tests.peers.closeness import same

# Spark starts a Java machine for a minute; the others are asked in seconds.
ASKED = [probe for probe in PROBES if is_installed(probe) and probe.package != "spark"]
# what the issue and docs/packages.md promise
PROMISED = {
    *("crossent", "numpy by hand", "torch", "keras on torch", "keras on jax", "keras on numpy", "tensorflow", "optax"),
    *("jax", "scikit-learn", "scipy", "xgboost", "lightgbm", "catboost", "torchmetrics"),
}


def test_every_package_that_is_asked_is_recorded() -> None:
    assert list(recorded()) == [probe.package for probe in PROBES]
    assert set(recorded()) >= PROMISED


def test_every_record_has_its_version_date_and_command() -> None:
    entries = {told["package"]: told for told in json.loads(FILE.read_text(encoding="utf-8"))["packages"]}
    for probe in PROBES:
        told = entries[probe.package]
        assert told["version"][0].isdigit()
        assert datetime.date.fromisoformat(told["date"]) >= datetime.date(2026, 11, 24)
        assert told["command"] == measuring.command(probe)
        assert told["platform"]


def test_every_recorded_case_is_one_that_is_asked_and_zero_is_always_there() -> None:
    known = set(BY_NAME) | {step(q).name for q in LADDER}
    for package in recorded().values():
        for function in package:
            assert set(function.answers) <= known
            assert "zero" in function.answers
    told = {case for package in recorded().values() for function in package for case in function.answers}
    assert {case.name for case in CASES} <= told


def test_zero_is_answered_in_each_of_the_ways_that_are_in_use() -> None:
    """inf, NaN, the clips at eps, 1e-7, 1e-15 and 1e-16, the clamp at -100, 1e20, and the dropped term."""
    values = {f"{function.answers['zero'][0]:.5g}" for package in recorded().values() for function in package}
    assert {"inf", "nan", "36.044", "15.942", "16.118", "34.539", "36.841", "100", "1e+20", "0"} <= values


@pytest.mark.parametrize("probe", ASKED, ids=lambda probe: probe.package)
def test_what_is_installed_answers_as_recorded(probe: Probe) -> None:
    measurement = measuring.measure(probe, timeout_s=400.0)
    assert measurement.answers, measurement.broken
    told = {(one.name, one.dtype): one for one in recorded()[probe.package]}
    differing = [
        f"{function.name}, {function.dtype}, {case}: recorded {told[function.name, function.dtype].answers[case]}, now {now}"
        for function in functions_of(entry(measurement), "measured")
        for case, now in function.answers.items()
        if not agrees(told[function.name, function.dtype].answers[case], now, function.dtype)
    ]
    version = next(iter(told.values())).version
    if measurement.version != version:
        pytest.skip(
            f"{probe.package} {measurement.version} is installed, {version} is recorded; "
            f"{len(differing)} answers differ: {differing}"
        )
    assert differing == []


def agrees(
    then: tuple[float | None, float | None, str], now: tuple[float | None, float | None, str], dtype: str
) -> bool:
    """Values as their dtype rounds; of an error only its type: texts name line numbers and addresses.

    What reads outside of its row may answer anything, and may die.
    """
    if then[2].startswith("undefined: "):
        return True
    notes = then[0] is not None or then[2].partition(":")[0] == now[2].partition(":")[0]
    return same(then[0], now[0], dtype) and same(then[1], now[1], dtype) and notes


def test_the_page_shows_the_recorded_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(__file__).resolve().parents[2]
    monkeypatch.syspath_prepend(str(root))
    from dev import packages_page

    text = packages_page.PAGE.read_text(encoding="utf-8")
    assert len(packages_page.MARKED.findall(text)) == 6
    assert packages_page.filled(text) == text, "run `python dev/packages_page.py`"
    broken = text.replace("16.1181", "16.1182", 1)
    assert packages_page.filled(broken) == text
