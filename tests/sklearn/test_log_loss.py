"""crossent.sklearn.log_loss has scikit-learn's values, and its own digits, order-independence, memory and zeros."""

import doctest
import math
import re
import subprocess
import sys
import tracemalloc
import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss as host

from crossent.errors import ImpossibleEventError, ImpossibleEventWarning, NormalizationWarning, OptionError
from crossent.sklearn import log_loss

PAGE = Path(__file__).resolve().parents[2] / "docs" / "sklearn.md"
NAMES = {
    "integers": [3, 7, 10, -2],
    "consecutive": [0, 1, 2, 3],
    "words": ["spam", "ham", "eggs", "Ham"],
    "booleans": [False, True],
    "floats": [0.0, 2.0, 5.0, -1.0],
}


def quietly(function: Any, *arguments: Any, **options: Any) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(function(*arguments, **options))


@st.composite
def problems(draw: st.DrawFn) -> tuple[Any, np.ndarray, dict[str, Any]]:
    names = NAMES[draw(st.sampled_from(sorted(NAMES)))]
    single = draw(st.booleans())
    classes = 2 if single else draw(st.integers(2, len(names)))
    rows = draw(st.integers(1, 30))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    classes_given = sorted(names[:classes])
    truth = [classes_given[i] for i in random.integers(0, classes, rows)]
    probs = random.dirichlet(np.full(classes, draw(st.sampled_from([0.01, 0.3, 3.0]))), rows)
    if draw(st.booleans()):  # certain rows: exact zeros and ones
        probs = np.eye(classes)[probs.argmax(axis=1)]
    probs = probs.astype(draw(st.sampled_from([np.float64, np.float32, np.float16])))
    if single:
        probs = probs[:, 1] if draw(st.booleans()) else probs[:, 1:]
    options: dict[str, Any] = {"normalize": draw(st.booleans())}
    if draw(st.booleans()):
        weights = random.integers(0, 3, rows) * random.random(rows)
        options["sample_weight"] = weights if weights.any() else weights + 1.0
    if len(set(truth)) < classes or draw(st.booleans()):
        options["labels"] = classes_given
    make = draw(st.sampled_from([list, tuple, np.array, pd.Series]))
    return make(truth), probs, options


@settings(max_examples=400, deadline=None)
@given(problem=problems())
def test_the_value_is_scikit_learns(problem: tuple[Any, np.ndarray, dict[str, Any]]) -> None:
    truth, probs, options = problem
    # the host computes halves in halves: it is given the numbers that it clips to, in the precision that we use
    eps = float(np.finfo(probs.dtype).eps)
    clipped = np.clip(probs.astype(np.float64), eps, 1.0 - eps)
    expected = quietly(host, truth, clipped, **options)
    assert quietly(log_loss, truth, probs, **options) == pytest.approx(expected, rel=1e-12, abs=0.0)
    rough = {8: 1e-12, 4: 1e-5, 2: 1e-2}[probs.itemsize]
    assert quietly(log_loss, truth, probs, **options) == pytest.approx(
        quietly(host, truth, probs, **options), rel=rough, abs=0.0 if probs.itemsize == 8 else rough
    )


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), classes=st.integers(2, 5), rows=st.integers(1, 20), weighted=st.booleans())
def test_a_matrix_of_labels_is_read_as_scikit_learn_reads_it(
    seed: int, classes: int, rows: int, weighted: bool
) -> None:
    random = np.random.default_rng(seed)
    truth, probs = random.integers(0, 2, (rows, classes)), random.dirichlet(np.ones(classes), rows)
    options = {"sample_weight": random.random(rows)} if weighted else {}
    assert log_loss(truth, probs, **options) == pytest.approx(host(truth, probs, **options), rel=1e-12, abs=0.0)
    assert log_loss(truth.astype(float), probs) == pytest.approx(host(truth.astype(float), probs), rel=1e-12, abs=0.0)


def test_the_example_of_scikit_learns_docstring() -> None:
    value = log_loss(["spam", "ham", "ham", "spam"], [[0.1, 0.9], [0.9, 0.1], [0.8, 0.2], [0.35, 0.65]])
    assert value == pytest.approx(0.21616187468057912, rel=1e-15)
    assert type(value) is float


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_the_rows_may_come_in_any_order(dtype: type) -> None:
    random = np.random.default_rng(7)
    truth, probs = random.integers(0, 4, 200_000), random.dirichlet(np.full(4, 0.3), 200_000).astype(dtype)
    weights = random.random(200_000)
    order = random.permutation(200_000)
    for options in ({}, {"sample_weight": weights}):
        moved = {name: value[order] for name, value in options.items()}
        assert quietly(log_loss, truth[order], probs[order], **moved) == quietly(log_loss, truth, probs, **options)
        # by columns in memory, and every other row of a longer array
        assert quietly(log_loss, truth, np.asfortranarray(probs), **options) == quietly(
            log_loss, np.repeat(truth, 2)[::2], np.repeat(probs, 2, axis=0)[::2], **options
        )


def test_the_mean_is_the_exact_mean_rounded_once() -> None:
    probs = np.random.default_rng(1).random(1000)
    ones = np.ones(1000, int)
    each = [log_loss([1], probs[i : i + 1], labels=[0, 1]) for i in range(1000)]
    exact = sum(map(Fraction, each))
    assert log_loss(ones, probs, labels=[0, 1]) == float(exact / 1000)
    assert log_loss(ones, probs, labels=[0, 1], normalize=False) == math.fsum(each)


def test_weights_of_either_sign() -> None:
    weights = [1e16, 3.0, -1e16, 1.0]
    assert log_loss([1, 0, 1, 0], [0.5, 0.5, 0.5, 0.5], sample_weight=weights) == math.log(2.0)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_what_zero_and_one_cost(dtype: type) -> None:
    wrong, right = np.array([1.0, 0.0], dtype), np.array([0.0, 1.0], dtype)
    eps = float(np.finfo(dtype).eps)
    assert log_loss([0, 1], wrong) == pytest.approx(-math.log(eps), rel=1e-15)
    assert log_loss([0, 1], right) == pytest.approx(-math.log1p(-eps), rel=1e-15)
    assert log_loss([0, 1], right, zero="inf") == 0.0
    assert math.copysign(1.0, log_loss([0, 1], right, zero="inf")) == 1.0
    with pytest.warns(ImpossibleEventWarning) as caught:
        assert log_loss([0, 1], wrong, zero="inf") == math.inf
    assert str(caught[0].message) == ("2 of 2 rows have an infinite loss: the prediction is 0 where the truth is not.")
    assert caught[0].filename == __file__
    with pytest.raises(ImpossibleEventError) as raised:
        log_loss([0, 1], [[1.0, 0.0], [1.0, 0.0]], zero="raise")
    assert str(raised.value) == (
        "1 of 2 rows are impossible, with prediction 0 where the truth is not; the first is row 1."
    )


def test_a_small_probability_is_not_clipped_where_zeros_are_infinite() -> None:
    tiny = [[5e-324, 1.0], [0.5, 0.5]]
    assert log_loss([0, 1], tiny, zero="inf") == pytest.approx((-math.log(5e-324) + math.log(2.0)) / 2.0, rel=1e-15)
    assert log_loss([0, 1], np.float32([[1e-9, 1.0], [0.0, 1.0]]), zero="raise", normalize=False) == pytest.approx(
        20.72326583694641, rel=1e-8
    )


def test_a_row_of_weight_0_is_not_impossible() -> None:
    probs = [[1.0, 0.0], [0.5, 0.5], [0.5, 0.5]]
    assert log_loss([1, 0, 1], probs, sample_weight=[0, 1, 1], zero="inf") == math.log(2.0)
    assert log_loss([1, 0, 1], probs, sample_weight=[0, 1, 1], zero="raise") == math.log(2.0)


def test_zero_is_one_of_three_words() -> None:
    with pytest.raises(OptionError) as raised:
        log_loss([0, 1], [0.1, 0.9], zero="sklearn")
    assert str(raised.value) == "`zero` must be one of 'inf', 'clip', 'raise'; got 'sklearn'."


def test_rows_that_do_not_sum_to_1() -> None:
    with pytest.warns(UserWarning, match=r"^The y_prob values do not sum to one\. Make sure") as caught:
        log_loss([0, 1], [[0.1, 0.2], [0.5, 0.5]])
    assert caught[0].category is NormalizationWarning
    assert caught[0].filename == __file__


def test_sums_that_are_off_by_their_own_rounding_alone_are_no_reason_to_warn() -> None:
    # the rows sum to 1 exactly; column by column float16 stops at 1/2, which 2**-12 does not change any more
    probs = np.full((2, 4096), 2.0**-12, np.float16, order="F")
    with pytest.warns(UserWarning, match="do not sum to one"):
        host([0, 1], probs, labels=range(4096))
    assert log_loss([0, 1], probs, labels=range(4096), zero="inf") == math.log(4096)
    with pytest.warns(NormalizationWarning):  # really off, and seen all the same
        log_loss([0, 1], probs * np.float16(0.5), labels=range(4096))


@pytest.mark.parametrize("deviation", [1.2e-8, 2.2e-8, 2.8e-8, -2.2e-8, -2.8e-8])
def test_the_tolerance_of_the_sums_is_the_hosts(deviation: float) -> None:
    # sqrt(eps) = 1.49e-8, and numpy.isclose adds 1e-8
    probs = [[0.5, 0.5 + deviation], [0.5, 0.5]]
    with warnings.catch_warnings(record=True) as ours:
        warnings.simplefilter("always")
        log_loss([0, 1], probs)
    with warnings.catch_warnings(record=True) as theirs:
        warnings.simplefilter("always")
        host([0, 1], probs)
    assert len(ours) == len(theirs) == (abs(deviation) > 2.49e-8)


def test_labels_are_sorted_whatever_their_order() -> None:
    with pytest.warns(UserWarning, match="ordered lexicographically") as caught:
        assert log_loss(["a", "b"], [[0.9, 0.1], [0.2, 0.8]], labels=["b", "a"]) == pytest.approx(
            -math.log(0.9 * 0.8) / 2.0
        )
    assert caught[0].filename == __file__


def test_a_label_that_the_dtype_of_y_true_cannot_hold_is_not_taken_for_another() -> None:
    # the host wraps 300 to 44, finds the label 44 twice, and counts two columns for the row
    truth, probs = np.array([44, 0], np.uint8), np.full((2, 301), 1 / 301)
    assert log_loss(truth, probs, labels=list(range(301))) == pytest.approx(math.log(301))


def test_labels_of_numpys_own_string_dtype() -> None:
    words = np.array(["ham", "spam", "ham"], np.dtypes.StringDType())
    assert log_loss(words, [0.1, 0.9, 0.2]) == log_loss(words.tolist(), [0.1, 0.9, 0.2])


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64, np.uint64, np.float32, object])
@pytest.mark.parametrize("labels", [[0, 1, 2], [5, 7, 9], [100, 101, 102]])
def test_labels_of_any_dtype(dtype: type, labels: list[int]) -> None:
    probs = np.random.default_rng(3).dirichlet([1.0] * 3, 4)
    truth = [labels[i] for i in (0, 2, 1, 2)]
    given = np.array([str(label) for label in truth] if dtype is object else truth, dtype)
    expected = host(truth if dtype is not object else list(given), probs)
    assert log_loss(given, probs) == pytest.approx(expected, rel=1e-12)


def test_the_extremes_of_64_bits() -> None:
    for truth in (np.array([-(2**63), 2**63 - 1, -(2**63)]), np.array([2**64 - 1, 2**64 - 2, 0], np.uint64)):
        probs = np.random.default_rng(3).dirichlet(np.ones(len(set(truth.tolist()))), 3)
        assert log_loss(truth, probs) == pytest.approx(host(truth, probs), rel=1e-12)


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, np.array, np.asfortranarray, list])
def test_frames_and_arrays_of_any_kind(make: Any) -> None:
    rows = [[0.25, 0.75], [0.5, 0.5], [1.0, 0.0]]
    probs = make(np.array(rows)) if make is not list else rows
    assert log_loss([1, 0, 1], probs) == pytest.approx(host([1, 0, 1], rows), rel=1e-12)


def test_nothing_of_the_callers_is_written() -> None:
    truth, probs, weights = np.array([0, 1]), np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([1.0, 2.0])
    for array in (truth, probs, weights):
        array.flags.writeable = False
    assert log_loss(truth, probs, sample_weight=weights, labels=[0, 1]) > 0.0


def peak_bytes(function: Any, truth: np.ndarray, probs: np.ndarray) -> int:
    function(truth[:1000], probs[:1000])  # compile and import first
    tracemalloc.start()
    try:
        function(truth, probs)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_many_rows_cost_a_sixth_of_the_matrix_and_the_host_six_of_it() -> None:
    random = np.random.default_rng(0)
    truth, probs = random.integers(0, 20, 10**6), random.random((10**6, 20), np.float32)
    probs /= probs.sum(axis=1, keepdims=True)
    assert peak_bytes(log_loss, truth, probs) < probs.nbytes / 6
    assert peak_bytes(host, truth, probs) > probs.nbytes * 6


@pytest.mark.parametrize("single", [False, True])
def test_a_single_column_costs_no_more_than_a_block(single: bool) -> None:
    random = np.random.default_rng(0)
    probs = random.random((4 * 10**6, 1))
    truth = random.integers(0, 2, len(probs), dtype=np.int8)
    assert peak_bytes(log_loss, truth, probs[:, 0] if single else probs) < probs.nbytes / 2


def test_neither_scikit_learn_nor_scipy_nor_pandas_is_needed() -> None:
    program = (
        "import sys\n"
        "for name in ('sklearn', 'scipy', 'pandas', 'pyarrow', 'torch'): sys.modules[name] = None\n"
        "from crossent.sklearn import log_loss\n"
        "print(log_loss([0, 1], [[0.25, 0.75], [0.25, 0.75]]))"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert float(finished.stdout) == pytest.approx(-math.log(0.25 * 0.75) / 2.0)


def test_the_examples_of_the_page_run() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        report: list[str] = []
        runner = doctest.DocTestRunner(verbose=False)
        runner.run(doctest.DocTestParser().get_doctest(block, {}, PAGE.name, None, 0), out=report.append)
        assert runner.summarize(verbose=False).failed == 0, "".join(report)
