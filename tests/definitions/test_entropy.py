"""Entropy as written: against mpmath, scipy, the founding text's bits, finite differences."""

import numpy as np
import pytest
from scipy import stats

from crossent.definitions.entropy import entropy, entropy_gradient, entropy_of_counts, entropy_of_samples
from crossent.errors import EmptyError, RangeError
from crossent.units import nats_to_bits
from tests.oracle.load import load, ulp_error


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_agrees_with_mpmath(dtype: str) -> None:
    for row in load(f"divergence_{dtype}"):
        error = ulp_error(entropy(row.p), row.entropy_hi, row.entropy_lo, np.float64)
        assert error <= row.allowed_ulp, f"{row}: {error} ulp"


def test_agrees_with_scipy() -> None:
    p = np.random.default_rng(6).dirichlet(np.ones(9), 50)
    np.testing.assert_allclose(entropy(p), stats.entropy(p, axis=-1), rtol=1e-14)  # scipy divides by the sum first


@pytest.mark.parametrize(("text", "bits"), [("aaaaaaaa", 0.0), ("jteikfqa", 3.0), ("ab", 1.0)])
def test_texts(text: str, bits: float) -> None:
    assert nats_to_bits(float(entropy_of_samples(text))) == bits


@pytest.mark.parametrize(("classes", "bits"), [(8, 3.0), (1024, 10.0)])
def test_equally_likely(classes: int, bits: float) -> None:
    # all terms are equal: a pairwise sum rounds at most log2(classes) times, each by half an ulp
    assert nats_to_bits(float(entropy(np.full(classes, 1 / classes)))) == pytest.approx(bits, rel=1e-15)


def test_gradient_is_the_slope() -> None:
    p, step = np.random.default_rng(7).uniform(0.1, 0.9, (6, 4)), 1e-6
    for place in range(4):
        shift = step * np.eye(4)[place]
        slope = (entropy(p + shift) - entropy(p - shift)) / (2 * step)
        # rounding 2 * 2^-52 / 1e-6 < 5e-10; truncation step^2 / (6 p^2) < 2e-11
        np.testing.assert_allclose(entropy_gradient(p)[:, place], slope, atol=1e-9)


def test_zeros_and_nan() -> None:
    np.testing.assert_array_equal(entropy([[1.0, 0.0], [0.5, np.nan], [0.0, 0.0]]), [0.0, np.nan, 0.0])
    assert not np.signbit(entropy([1.0, 0.0]))


def test_errors() -> None:
    with pytest.raises(EmptyError) as caught:
        entropy_of_samples("")
    assert str(caught.value) == "`counts` must hold at least one count above 0 in each row; got a row of zeros."
    with pytest.raises(RangeError) as raised:
        entropy([0.5, 1.5])
    assert str(raised.value) == "`p` must lie in [0, 1]; got 1.5 at [1]."
    with pytest.raises(RangeError) as refused:
        entropy_of_counts([3, -1])
    assert str(refused.value) == "`counts` must lie in [0, inf); got -1.0 at [1]."
