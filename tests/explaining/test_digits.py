"""Numbers as texts: short, and never rounded to a 0 or a 1 that they are not."""

import math

import pytest

from crossent.explaining.digits import amount, chances, compact, long_amount, signed


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"),
        (1.0, "1"),
        (0.0, "0"),
        (-0.0, "0"),
        (1e-7, "1e−7"),
        (-1.5, "−1.5"),
        (0.99999, "0.99999"),
        (1.0 - 1e-12, "<1"),
        (1.0 + 1e-12, ">1"),
        (1234.5, "1234"),
        (1.5e12, "1.5e12"),
        (5e-324, "4.94e−324"),
        (math.inf, "inf"),
        (-math.inf, "−inf"),
        (math.nan, "nan"),
    ],
)
def test_compact(value: float, text: str) -> None:
    assert compact(value) == text


@pytest.mark.parametrize(("value", "text"), [(0.5, "+0.5"), (-0.9, "−0.9"), (0.0, "0"), (-0.0, "0")])
def test_signed(value: float, text: str) -> None:
    assert signed(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(2.302585, "2.303"), (0.0, "0"), (-0.0, "0"), (4e-5, "4.00e−5"), (math.inf, "inf"), (2e7, "2.00e7")],
)
def test_amount(value: float, text: str) -> None:
    assert amount(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(math.log(10), "2.302585…"), (0.5, "0.5"), (1000.0, "1000"), (0.0, "0"), (math.inf, "inf"), (1e-9, "1e−9")],
)
def test_long_amount_says_whether_more_digits_follow(value: float, text: str) -> None:
    assert long_amount(value) == text


@pytest.mark.parametrize(("value", "text"), [(10.0, "10"), (1.42, "1.42"), (123456.7, "123,457"), (2.5e6, "2.5e6")])
def test_chances(value: float, text: str) -> None:
    assert chances(value) == text
