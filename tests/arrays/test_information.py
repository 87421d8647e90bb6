"""Entropy, divergence and perplexity: the oracle's tables, SciPy, and published numbers."""

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

import crossent
from crossent.errors import DtypeError, EmptyError, NormalizationWarning, OptionError, RangeError, ShapeError
from tests.arrays.numbers import DTYPES, INF, NAN, assert_within_ulp, distributions
from tests.oracle import oracle
from tests.oracle.load import load, ulp_error

TABLES = ["divergence_float32", "divergence_float64"]


@pytest.mark.filterwarnings("ignore::crossent.errors.NormalizationWarning")
@pytest.mark.parametrize("name", TABLES)
def test_every_row_of_the_tables(name: str) -> None:
    for row in load(name):
        p, q = row.p.astype(np.float64), row.q.astype(np.float64)
        got = {"entropy": crossent.entropy(p), "kl": crossent.kl_divergence(p, q), "js": crossent.js_divergence(p, q)}
        for what, value in got.items():
            scale = None if what == "entropy" else row.columns[f"{what}_scale"]
            error = ulp_error(value, row.columns[f"{what}_hi"], row.columns[f"{what}_lo"], np.float64, scale)
            assert error <= (2 if what == "entropy" else row.allowed_ulp), f"{what} of {row}: {error} ulp"


def test_published_entropies() -> None:
    assert crossent.entropy_of("aaaaaaaa", base=2) == 0.0
    assert not np.signbit(crossent.entropy_of("aaaaaaaa"))
    assert crossent.entropy_of("jteikfqa", base=2) == 3.0
    fruits = ["apple", "pear", "plum", "fig", "kiwi", "lime", "date", "nut"]
    assert crossent.entropy_of(fruits, base=2) == 3.0
    assert crossent.entropy([1 / 8] * 8, base=2) == 3.0
    assert crossent.entropy([1 / 1024] * 1024, base=2) == 10.0
    assert crossent.entropy_of(range(1024), base=2) == 10.0


@pytest.mark.parametrize("samples", ["abracadabra", b"abracadabra", list("abracadabra"), np.array(list("abracadabra"))])
def test_entropy_of_counts_samples_of_any_kind(samples: Any) -> None:
    counts = list(Counter("abracadabra").values())
    # counts / n is rounded once: half an ulp of each p moves its term by at most as much, beside the 2 ulp of the sum
    assert_within_ulp(crossent.entropy_of(samples), stats.entropy(counts), 8)
    assert_within_ulp(crossent.entropy_of(samples, base=10), stats.entropy(counts, base=10), 8)
    assert crossent.entropy_of(iter(samples)) == crossent.entropy_of(samples)


def test_against_scipy_along_any_axis() -> None:
    p, q = distributions((3, 4, 5)), distributions((3, 4, 5), seed=8)
    for axis in (0, 1, 2, -1):
        first, second = np.moveaxis(p, -1, axis), np.moveaxis(q, -1, axis)
        close = {"rtol": 1e-13, "atol": 1e-15}  # SciPy rescales and sums plainly: its own rounding, 5 terms of 1 nat
        np.testing.assert_allclose(crossent.entropy(first, axis=axis), stats.entropy(first, axis=axis), **close)
        kl = crossent.kl_divergence(first, second, axis=axis, base=2)
        np.testing.assert_allclose(kl, stats.entropy(first, second, axis=axis, base=2), **close)
        js = crossent.js_divergence(first, second, axis=axis)
        np.testing.assert_allclose(js, jensenshannon(first, second, axis=axis) ** 2, **close)
    whole = crossent.kl_divergence(p, q[0, 0])
    assert whole.shape == (3, 4)
    np.testing.assert_array_equal(whole, crossent.kl_divergence(p, np.broadcast_to(q[0, 0], p.shape)))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_dtypes_and_shapes_of_results(dtype: np.dtype) -> None:
    p = distributions((2, 3, 4), dtype)
    wanted = np.float64 if dtype == np.float64 else np.float32
    for got in (crossent.entropy(p), crossent.kl_divergence(p, p), crossent.js_divergence(p, p)):
        assert (got.dtype, got.shape) == (wanted, (2, 3))
    assert crossent.kl_divergence(p, distributions((2, 3, 4))).dtype == np.float64
    exact = [float(oracle.entropy([float(x) for x in row])) for row in p.reshape(-1, 4)]
    assert_within_ulp(crossent.entropy(p).reshape(-1), exact, 2)
    assert type(crossent.entropy(p[0, 0])) is float
    assert crossent.entropy(np.zeros((0, 3))).shape == (0,)


def test_zeros_infinities_and_nan() -> None:
    assert crossent.entropy([0, 1]) == 0.0  # a certain outcome, in integers
    assert not np.signbit(crossent.entropy([0.0, 1.0]))
    assert crossent.kl_divergence([1.0, 0.0], [0.0, 1.0]) == INF
    assert crossent.kl_divergence([1.0, 0.0], [1.0, 0.0]) == 0.0
    assert crossent.kl_divergence([1.0, 0.0], [0.5, 0.5], base=2) == 1.0
    assert crossent.js_divergence([1.0, 0.0], [0.0, 1.0], base=2) == 1.0
    got = crossent.entropy([[NAN, 1.0], [0.5, 0.5]], base=2)
    np.testing.assert_array_equal(got, [NAN, 1.0])


def test_perplexity() -> None:
    assert crossent.perplexity(3.0, base=2) == 8.0
    assert crossent.perplexity(0) == 1.0
    assert crossent.perplexity(INF) == INF
    assert crossent.perplexity(1e4) == INF
    assert math.isnan(crossent.perplexity(NAN))
    got = crossent.perplexity([0.5, 1.0, 20.0])
    assert_within_ulp(got, [float(oracle.exact.exp(x)) for x in (0.5, 1.0, 20.0)], 1)
    assert crossent.perplexity(np.float32(1.0)) == crossent.perplexity(1.0)


def test_rows_that_do_not_sum_to_one_are_said_once() -> None:
    for call in (
        lambda: crossent.entropy([[0.5, 0.25], [0.5, 0.5]]),
        lambda: crossent.kl_divergence([[0.5, 0.25]], [[0.5, 0.5]]),
    ):
        with pytest.warns(
            NormalizationWarning, match=r"1 of . rows of `p` do not sum to 1; the first, row 0, sums to 0.75."
        ) as w:
            call()
        assert len(w) == 1
        assert w[0].filename == __file__


ERRORS = [
    (lambda: crossent.entropy([0.5, -0.5, 1.0]), RangeError, "`p` must lie in [0, 1]; class 1 has -0.5."),
    (lambda: crossent.entropy([[1.0, 0.0], [0.0, 1.5]]), RangeError, "`p` must lie in [0, 1]; row 1, class 1 has 1.5."),
    (
        lambda: crossent.entropy("aaaa"),
        DtypeError,
        "`p` must be probabilities; got str: entropy_of counts the letters of a text.",
    ),
    (
        lambda: crossent.kl_divergence([0.5, 0.5], b"aa"),
        DtypeError,
        "`q` must be probabilities; got bytes: entropy_of counts the letters of a text.",
    ),
    (
        lambda: crossent.kl_divergence([0.5, 0.5], [0.5, 0.25, 0.25]),
        ShapeError,
        "`p` and `q` must have the same classes and matching shapes; got (2,) and (3,).",
    ),
    (
        lambda: crossent.js_divergence([[0.5, 0.5]] * 2, [[0.5, 0.5]] * 3),
        ShapeError,
        "`p` and `q` must have the same classes and matching shapes; got (2, 2) and (3, 2).",
    ),
    (lambda: crossent.entropy(0.5), ShapeError, "`p` must have a class axis; got a single number."),
    (
        lambda: crossent.entropy([1.0], base=1),
        OptionError,
        "`base` must be a finite number above 1, or None for nats; got 1.",
    ),
    (lambda: crossent.entropy_of(""), EmptyError, "`samples` must hold at least one symbol; got none."),
    (lambda: crossent.entropy_of([[1], [2]]), DtypeError, None),
    (lambda: crossent.entropy_of(7), DtypeError, "`samples` must be a text, an array or an iterable; got int."),
    (lambda: crossent.perplexity("high"), OptionError, "`loss` must be a number or an array of numbers; got 'high'."),
    (
        lambda: crossent.perplexity(np.array(["high"])),
        DtypeError,
        "`loss` must be a number or an array of numbers; got str128.",
    ),
]


@pytest.mark.parametrize(("call", "error", "text"), ERRORS)
def test_errors(call: Any, error: type, text: str | None) -> None:
    with pytest.raises(error) as caught:
        call()
    if text is None:  # the reason is Python's own: "unhashable type: 'list'", in words that differ by version
        assert str(caught.value).startswith("`samples` must hold symbols that can be counted: ")
        assert "'list'" in str(caught.value)
    else:
        assert str(caught.value) == text
    assert isinstance(caught.value, TypeError if error is DtypeError else ValueError)
