"""Each rule says what its function really answers: the recorded runs of every package, and random rows asked here."""

import importlib
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from crossent.peers import cases
from crossent.peers.by_rule import by_rule
from crossent.peers.cases import Case
from crossent.peers.probes.function import Function as Asked
from crossent.peers.recorded import Function, recorded
from crossent.peers.rules import RULES, evaluate
from tests.peers.closeness import same

ORDINARY = ("zero", "soft-zero", "zero-zero", "perfect", "ordinary", "soft", "unnormalized")
EVERY = [*(cases.BY_NAME[name] for name in ORDINARY), *map(cases.step, cases.LADDER)]
# the packages that this process can ask itself: those of the test extra, and jax and optax where they are installed
HERE = ("numpy", "crossent", "torch", "sklearn", "scipy", "jax", "optax")


def compared(function: Function) -> Iterator[tuple[Case, float, float | None, float | None, float | None]]:
    for case in EVERY:
        answer, given = function.answer(case.name), cases.row(case)
        if answer is None or given is None:
            continue
        ruled = by_rule(function, *given, case.watched, case.name)
        if ruled is not None:
            assert answer.value is not None, f"{case.name}: {answer.note}"
            yield case, answer.value, ruled.value, answer.gradient, ruled.gradient


@pytest.mark.parametrize("package", recorded())
def test_a_rule_is_what_was_recorded(package: str) -> None:
    wrong, right = [], 0
    for function in recorded()[package]:
        for case, value, ruled, gradient, ruled_gradient in compared(function):
            agrees = same(value, ruled, function.dtype) and same(gradient, ruled_gradient, function.dtype)
            right += agrees
            if not agrees:
                wrong.append((function.name, function.rule, case.name, (value, gradient), (ruled, ruled_gradient)))
    assert wrong == []
    # the ordinary row, zero and the slider at the least
    assert right >= 3


def test_the_comparison_can_fail() -> None:
    function = next(one for one in recorded()["scikit-learn"] if one.dtype == "float64")
    wrong = Function(**{**vars(function), "rule": "metric, clip 1e-15"})
    told = {case.name: same(value, ruled, "float64") for case, value, ruled, _, _ in compared(wrong)}
    assert told["ordinary"]
    assert not told["zero"]


def test_every_rule_is_used_and_says_something() -> None:
    from crossent.peers.by_source import BY_SOURCE

    used = {function.rule for package in recorded().values() for function in package}
    assert used | {function.rule for function in BY_SOURCE} == set(RULES)
    assert all(rule.text for rule in RULES.values())


def random_rows(count: int) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """Truths and predictions of two to six classes, some of them 0, down to 1e-30."""
    random = np.random.default_rng(5)
    for number in range(count):
        classes = int(random.integers(2, 7))
        q = random.dirichlet(np.full(classes, 0.3)) ** random.uniform(1.0, 3.0)
        if number % 4 == 0:
            q[random.integers(classes)] = 0.0
        if q.sum() == 0.0:
            continue
        q = q / q.sum()
        if number % 2:
            p = np.eye(classes)[random.integers(classes)]
        else:
            p = random.dirichlet(np.ones(classes))
            p[random.integers(classes)] = 0.0
            p = p / p.sum()
        yield p, q, int(p.argmax())


def asked(function: Asked, p: np.ndarray, q: np.ndarray, watched: int) -> tuple[float, float | None] | None:
    """Ask the package itself about one row; None where this function cannot be asked it."""
    label = watched if float(p.max()) == 1.0 else None
    case = Case("random", "", label, tuple(p), tuple(q), None, watched)
    given = cases.arguments(case, function)
    if given is None:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value, slope = function.call(*given)
    gradient = None
    if slope is not None:
        gradient = float(np.asarray(slope).reshape(-1)[0 if given[0].ndim == 1 else watched])
    return float(np.asarray(value).reshape(())), gradient


@pytest.mark.parametrize("probe", HERE)
def test_a_rule_is_what_the_package_answers_on_random_rows(probe: str) -> None:
    needs = {"crossent": (), "optax": ("jax", "optax")}.get(probe, (probe,))
    for package in needs:
        pytest.importorskip(package)
    functions: Any = importlib.import_module(f"crossent.peers.probes.{probe}").FUNCTIONS
    wrong, right = [], 0
    for function in functions:
        for p, q, watched in random_rows(60):
            real = asked(function, p, q, watched)
            if real is None:
                continue
            value, slope = evaluate(RULES[function.rule], p, q, watched, function.dtype, reads=function.reads)
            if real[1] is None:
                slope = None
            if same(real[0], value, function.dtype) and same(real[1], slope, function.dtype):
                right += 1
            else:
                wrong.append((function.name, function.dtype, p, q, real, (value, slope)))
    assert wrong == []
    assert right >= 20 * len(functions)
