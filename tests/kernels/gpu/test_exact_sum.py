"""The sum on the device is math.fsum's, in any order."""

import math

import numpy as np
import pytest
import torch

from crossent._kernels.gpu import exact_sum

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
NUMBERS = np.random.default_rng(7)
CASES = {
    "none": np.zeros(0),
    "one": np.array([0.1]),
    "zeros": np.array([0.0, -0.0, 0.0]),
    "cancelling": np.array([1e16, 1.0, -1e16]),
    "negative": np.array([-0.1] * 10),
    "losses": NUMBERS.exponential(2.0, 3000),
    "signs": NUMBERS.normal(size=3000),
    "wide": NUMBERS.normal(size=200) * 10.0 ** NUMBERS.integers(-300, 300, 200),
    "subnormal": np.array([5e-324, 5e-324, -1.5e-323, 2e-308, -1e-310]),
    "tie to even": np.array([1.0, 2.0**-53]),
    "above a tie": np.array([1.0, 2.0**-53, 5e-324]),
    "below a tie": np.array([1.0, 2.0**-53, -5e-324]),
    "odd tie": np.array([1.0 + 2.0**-52, 2.0**-53]),
    "limbs apart": np.array([2.0**64, 2.0**-10, -(2.0**32)]),
}


def total(values: np.ndarray) -> float:
    return exact_sum.total(torch.from_numpy(values).to(DEVICE)).item()


@pytest.mark.parametrize("name", CASES)
def test_it_is_the_correctly_rounded_sum_in_any_order(name: str) -> None:
    values = CASES[name]
    expected = math.fsum(values)
    assert total(values) == expected
    assert total(values[::-1].copy()) == expected
    assert total(NUMBERS.permutation(values)) == expected


def test_every_length_of_the_highest_digit_rounds_as_the_whole() -> None:
    for power in range(-40, 40):
        values = np.array([2.0**power, 2.0 ** (power - 53), 2.0 ** (power - 100), 1.0, -1.0])
        assert total(values) == math.fsum(values)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.7e308, 1.7e308, -1.7e308], 1.7e308),
        ([1.0, math.inf], math.inf),
        ([-math.inf, 2.0], -math.inf),
        ([math.inf, -math.inf], math.nan),
        ([math.nan, math.inf], math.nan),
        ([1.7e308, 1.7e308], math.inf),
        ([-1.7e308, -1.7e308], -math.inf),
    ],
)
def test_infinities_nan_and_sums_that_overflow_half_way(values: list[float], expected: float) -> None:
    assert total(np.array(values)) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(
    "denominator", [7.0, torch.tensor(7.0, dtype=torch.float64, device=DEVICE)], ids=["host", "device"]
)
def test_a_mean_is_divided_and_rounded_once(denominator: float | torch.Tensor, dtype: torch.dtype) -> None:
    values = NUMBERS.exponential(2.0, 50)
    found = exact_sum.total(torch.from_numpy(values).to(DEVICE), denominator, dtype)
    exact = math.fsum(values) / 7.0
    near = torch.tensor(exact, dtype=torch.float64).to(dtype)
    assert found.dtype == dtype
    assert found.shape == ()
    assert abs(found.double().item() - exact) <= abs(near.double().item() - exact)


def test_nothing_over_nothing_is_no_number() -> None:
    assert math.isnan(exact_sum.total(torch.zeros(0, dtype=torch.float64, device=DEVICE), 0.0).item())
