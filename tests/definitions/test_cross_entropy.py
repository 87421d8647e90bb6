"""Cross-entropy of probabilities as written: against mpmath, scipy, published numbers, the founding example."""

import math

import numpy as np
import pytest
from scipy import special

from crossent.definitions.cross_entropy import cross_entropy, cross_entropy_gradient
from crossent.errors import RangeError
from tests.oracle.load import batches, load, ulp_error

INF = np.inf


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_agrees_with_mpmath(kind: str, dtype: str) -> None:
    for batch in batches(load(f"probs_{kind}_{dtype}")):
        q = batch.inputs.astype(np.float64)
        p = batch.target.astype(np.float64) if kind == "soft" else np.eye(batch.classes)[batch.target]
        errors = ulp_error(cross_entropy(p, q), batch.loss_hi, batch.loss_lo, np.float64)
        # log within 1 ulp, the product and a pairwise sum of up to 64 terms of one sign: 1 + 0.5 + 6 / 2
        assert errors.max() <= 4.5, str(batch.rows[errors.argmax()])
        got = cross_entropy_gradient(p, q)[batch.grad_row, batch.grad_index]
        assert ulp_error(got, batch.grad_hi, batch.grad_lo, np.float64).max() <= 0.5 + 1e-9  # one division


def test_founding_example() -> None:
    assert float(cross_entropy([1, 0, 0, 0, 0], [0.1, 0.5, 0.1, 0.1, 0.2])) == pytest.approx(math.log(10), rel=4e-16)


def test_published_scikit_learn_example() -> None:
    # the docstring of sklearn.metrics.log_loss: spam, ham, ham, spam; columns ham, spam
    p, q = np.eye(2)[[1, 0, 0, 1]], np.array([[0.1, 0.9], [0.9, 0.1], [0.8, 0.2], [0.35, 0.65]])
    assert float(np.mean(cross_entropy(p, q))) == pytest.approx(0.21616, abs=5e-6)  # five printed digits


@pytest.mark.parametrize(("classes", "published"), [(9, 2.197225), (99, 4.595120)])
def test_published_uniform_baselines(classes: int, published: float) -> None:
    got = float(cross_entropy(np.eye(classes)[0], np.full(classes, 1 / classes)))
    assert got == pytest.approx(published, abs=5e-7)  # six printed digits


def test_agrees_with_scipy() -> None:
    rng = np.random.default_rng(3)
    p, q = rng.dirichlet(np.ones(6), 50), rng.dirichlet(np.ones(6), 50)
    expected = np.sum(special.entr(p) + special.rel_entr(p, q), axis=-1)  # H(p) + KL(p, q), which has mixed signs
    np.testing.assert_allclose(cross_entropy(p, q), expected, rtol=1e-14)


def test_least_where_the_prediction_is_the_truth() -> None:
    p = np.array([0.7, 0.2, 0.1])
    q = np.random.default_rng(4).dirichlet(np.ones(3), 1000)
    assert np.all(cross_entropy(p, q) > cross_entropy(p, p))


def test_gradient_is_the_slope() -> None:
    rng = np.random.default_rng(5)
    p, q, step = rng.dirichlet(np.ones(4), 6), rng.uniform(0.2, 0.8, (6, 4)), 1e-6
    gradient = cross_entropy_gradient(p, q)
    for place in range(4):
        shift = step * np.eye(4)[place]
        slope = (cross_entropy(p, q + shift) - cross_entropy(p, q - shift)) / (2 * step)
        # rounding 2 * 2^-52 / 1e-6 < 5e-10; truncation step^2 * 2 p / (6 q^3) < 5e-11
        np.testing.assert_allclose(gradient[:, place], slope, atol=1e-9)


@pytest.mark.parametrize(
    ("p", "q", "value", "gradient"),
    [
        ([1.0, 0.0], [1.0, 0.0], 0.0, [-1.0, 0.0]),
        ([1.0, 0.0], [0.0, 1.0], INF, [-INF, 0.0]),
        ([0.0, 0.0], [0.0, 1.0], 0.0, [0.0, 0.0]),
        ([1.0, 0.0], [np.nan, 1.0], np.nan, [np.nan, 0.0]),
        ([1.0], [1.0], 0.0, [-1.0]),
    ],
)
def test_zeros(p: list, q: list, value: float, gradient: list) -> None:
    np.testing.assert_array_equal(cross_entropy(p, q), value)
    assert not np.signbit(cross_entropy(p, q)) or np.isnan(value)
    np.testing.assert_array_equal(cross_entropy_gradient(p, q), gradient)


def test_outside_the_domain() -> None:
    with pytest.raises(RangeError) as caught:
        cross_entropy([[1.0, 0.0]], [[1.5, 0.0]])
    assert str(caught.value) == "`q` must lie in [0, 1]; got 1.5 at [0, 0]."
    with pytest.raises(RangeError) as caught:
        cross_entropy([1.0, -0.25], [0.5, 0.5])
    assert str(caught.value) == "`p` must lie in [0, inf); got -0.25 at [1]."
