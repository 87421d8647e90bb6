"""Divergences as written: against mpmath, scipy, finite differences, zeros."""

import numpy as np
import pytest
from scipy import special
from scipy.spatial import distance

from crossent.definitions.divergence import (
    js_divergence,
    js_divergence_gradient,
    kl_divergence,
    kl_divergence_gradient,
)
from crossent.errors import RangeError
from tests.oracle.load import load, ulp_error

INF = np.inf


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_agrees_with_mpmath(dtype: str) -> None:
    for row in load(f"divergence_{dtype}"):
        kl = ulp_error(kl_divergence(row.p, row.q), row.kl_hi, row.kl_lo, np.float64, row.kl_scale)
        js = ulp_error(js_divergence(row.p, row.q), row.js_hi, row.js_lo, np.float64, row.js_scale)
        assert kl <= row.allowed_ulp, f"{row}: KL {kl} ulp"
        assert js <= row.allowed_ulp, f"{row}: JS {js} ulp"


def test_agrees_with_scipy() -> None:
    rng = np.random.default_rng(8)
    p, q = rng.dirichlet(np.ones(6), 50), rng.dirichlet(np.ones(6), 50)
    # the terms' magnitudes sum to less than 50 nats: 50 * a few 2^-53
    np.testing.assert_allclose(kl_divergence(p, q), special.rel_entr(p, q).sum(axis=-1), rtol=1e-13, atol=3e-14)
    np.testing.assert_allclose(js_divergence(p, q), distance.jensenshannon(p, q, axis=-1) ** 2, rtol=1e-13, atol=1e-14)


def test_gradients_are_the_slopes() -> None:
    rng = np.random.default_rng(9)
    p, q, step = rng.dirichlet(np.ones(4), 6), rng.uniform(0.2, 0.8, (6, 4)), 1e-6
    for place in range(4):
        shift = step * np.eye(4)[place]
        for value, gradient in ((kl_divergence, kl_divergence_gradient), (js_divergence, js_divergence_gradient)):
            slope = (value(p, q + shift) - value(p, q - shift)) / (2 * step)
            # rounding 4 * 2^-52 / 1e-6 < 1e-9; truncation step^2 * 2 p / (6 q^3) < 5e-11
            np.testing.assert_allclose(gradient(p, q)[:, place], slope, atol=2e-9)


@pytest.mark.parametrize(
    ("p", "q", "kl", "js"),
    [
        ([0.5, 0.5], [0.5, 0.5], 0.0, 0.0),
        ([1.0, 0.0], [0.0, 1.0], INF, np.log(2.0)),
        ([1.0, 0.0], [1.0, 0.0], 0.0, 0.0),
        ([0.0, 1.0], [np.nan, 1.0], np.nan, np.nan),
        ([5e-324, 1.0], [0.0, 1.0], INF, 0.0),
    ],
)
def test_zeros(p: list, q: list, kl: float, js: float) -> None:
    np.testing.assert_array_equal(kl_divergence(p, q), kl)
    np.testing.assert_array_equal(js_divergence(p, q), js)


def test_gradient_zeros() -> None:
    p, q = [0.5, 0.5, 0.0], [0.5, 0.0, 0.0]
    np.testing.assert_array_equal(kl_divergence_gradient(p, q), [-1.0, -INF, 0.0])
    np.testing.assert_array_equal(js_divergence_gradient(p, q), [0.0, -INF, 0.0])


@pytest.mark.parametrize("function", [kl_divergence, js_divergence])
def test_outside_the_domain(function: object) -> None:
    with pytest.raises(RangeError) as caught:
        function([0.5, 0.5], [-0.5, 0.5])
    assert str(caught.value) == "`q` must lie in [0, 1]; got -0.5 at [0]."
