"""Numbers as they were written: units in the last place, shortest texts, and how messages show them."""

import numpy as np
import pytest
import torch

from crossent.explaining.diagnosing.precision import between, shown, written


@pytest.mark.parametrize(
    ("value", "number", "unit"),
    [("2.30", 2.3, 0.01), (" −2.5 ", -2.5, 0.1), ("1e-7", 1e-7, 1e-7), (3, 3.0, 1.0), (0.1 + 0.2, 0.1 + 0.2, 1e-17),
     (np.float32(0.1), 0.1, 0.1), ("nan", np.nan, 0.0), (float("-inf"), -np.inf, 0.0), ("1_000", 1000.0, 1.0)],
)  # fmt: skip
def test_a_number_and_its_last_place(value: object, number: float, unit: float) -> None:
    assert str(written(value)) == str((number, unit))


@pytest.mark.parametrize("value", [True, np.True_, [2.3], 1 + 2j, "2,3", None])
def test_what_is_no_number(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        written(value)


@pytest.mark.parametrize("exponent", range(-30, 30, 7))
def test_numpys_shortest_text_of_single_precision(exponent: int) -> None:
    for number in np.random.default_rng(0).uniform(1.0, 10.0, 50):
        single = np.float32(number * 10.0**exponent)
        found = np.float32(written(single)[0])
        assert found == single
        assert len(f"{written(single)[0]!r}") <= len(repr(float(str(single)))) + 1


def test_a_message_has_real_minus_signs_and_no_minus_zero() -> None:
    assert [shown(value) for value in (-0.87, -1e-7, 1e20, -0.0, 2.302585)] == ["−0.87", "−1e−7", "1e20", "0", "2.303"]
    assert [between(1.0, 5.0), between(5.0, 5.0001)] == ["1 to 5", "5"]


def test_half_precision_keeps_few_digits() -> None:
    assert written(torch.tensor(2.3026, dtype=torch.bfloat16)) == (2.3, 0.1)
    assert written(np.float16(2.3026)) == (2.303, 0.001)
    assert written(np.float32(1e-7)) == (1e-7, 1e-7)
