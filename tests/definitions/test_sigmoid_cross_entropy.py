"""Sigmoid cross-entropy as written: against mpmath, scipy, the two-class softmax, finite differences, the contract."""

import numpy as np
import pytest
from scipy import special

from crossent.definitions.sigmoid_cross_entropy import sigmoid, sigmoid_cross_entropy, sigmoid_cross_entropy_gradient
from crossent.definitions.softmax_cross_entropy import softmax_cross_entropy
from crossent.errors import RangeError
from tests.oracle.load import load, ulp_error

INF = np.inf


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_agrees_with_mpmath(dtype: str) -> None:
    rows = load(f"binary_{dtype}")
    columns = {name: np.array([getattr(row, name) for row in rows]) for name in rows[0].columns}
    loss = sigmoid_cross_entropy(columns["logit"], columns["target"])
    errors = ulp_error(loss, columns["loss_hi"], columns["loss_lo"], np.float64)
    # exp and log1p within 1 ulp each, two sums, two products and 1 - y: terms of one sign
    assert errors.max() <= 4.0, str(rows[int(errors.argmax())])
    gradient = sigmoid_cross_entropy_gradient(columns["logit"], columns["target"])
    errors = ulp_error(gradient, columns["grad_hi"], columns["grad_lo"], np.float64, columns["grad_scale"])
    assert errors.max() <= 4.0, str(rows[int(errors.argmax())])


def test_agrees_with_scipy() -> None:
    x = np.linspace(-700, 700, 1001)
    np.testing.assert_allclose(sigmoid(x), special.expit(x), rtol=1e-15)
    np.testing.assert_allclose(sigmoid_cross_entropy(x, np.ones_like(x)), -special.log_expit(x), rtol=1e-15)


def test_is_the_softmax_of_zero_and_the_logit() -> None:
    x = np.random.default_rng(10).normal(0, 20, 200)
    two = np.stack([np.zeros_like(x), x], axis=-1)
    for label in (0, 1):
        expected = softmax_cross_entropy(two, np.full(x.shape, label))
        np.testing.assert_allclose(sigmoid_cross_entropy(x, np.full(x.shape, float(label))), expected, rtol=1e-15)


def test_gradient_is_the_slope() -> None:
    rng = np.random.default_rng(11)
    x, y, step = rng.normal(0, 3, 50), rng.uniform(0, 1, 50), 1e-5
    slope = (sigmoid_cross_entropy(x + step, y) - sigmoid_cross_entropy(x - step, y)) / (2 * step)
    # rounding 16 * 2^-52 / 1e-5 < 4e-10; truncation step^2 / 6 is less
    np.testing.assert_allclose(sigmoid_cross_entropy_gradient(x, y), slope, atol=1e-9)


@pytest.mark.parametrize(
    ("x", "y", "loss", "gradient"),
    [
        (INF, 1.0, 0.0, 0.0),
        (-INF, 1.0, INF, -1.0),
        (INF, 0.0, INF, 1.0),
        (-INF, 0.0, 0.0, 0.0),
        (INF, 0.5, INF, 0.5),
        (np.nan, 0.0, np.nan, np.nan),
        (0.0, np.nan, np.nan, np.nan),
    ],
)
def test_infinities_and_nan(x: float, y: float, loss: float, gradient: float) -> None:
    np.testing.assert_array_equal(sigmoid_cross_entropy(x, y), loss)
    np.testing.assert_array_equal(sigmoid_cross_entropy_gradient(x, y), gradient)


def test_outside_the_domain() -> None:
    with pytest.raises(RangeError) as caught:
        sigmoid_cross_entropy(0.0, 2.0)
    assert str(caught.value) == "`target` must lie in [0, 1]; got 2.0."
