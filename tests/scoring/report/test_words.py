"""Numbers and names as text, against texts written by hand and Python's own formatting."""

import math

import pytest

from crossent.scoring.report.words import NAME_LENGTH, amount, clean, counted, number, percent, short, width_of


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.10432, "0.1043"),
        (2.0, "2.000"),
        (9.99996, "10.00"),
        (0.000123456, "0.0001235"),
        (1234567.0, "1,234,567"),
        (-0.5, "−0.5000"),
        (5e-20, "5.000 × 10⁻²⁰"),
        (1e300, "1.000 × 10³⁰⁰"),
        (-3e12, "−3.000 × 10¹²"),
        (0.0, "0"),
        (-0.0, "0"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
        (math.nan, "not defined"),
    ],
)
def test_number(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize("value", [1.0, 3.14159, 99.94, 99.96, 0.099996, 123.456, 54321.0, 2.5e-4])
def test_number_is_the_value_rounded_to_its_digits(value: float) -> None:
    assert float(number(value).replace(",", "")) == float(f"{value:.4g}") or value >= 1e4


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.387, "38.7 %"),
        (0.0, "0.0 %"),
        (1.0, "100.0 %"),
        (0.0001, "less than 0.1 %"),
        (0.99999, "more than 99.9 %"),
        (-0.807, "−80.7 %"),
        (math.nan, "not defined"),
        (-math.inf, "−∞"),
    ],
)
def test_percent(share: float, text: str) -> None:
    assert percent(share) == text


def test_counts_and_weights() -> None:
    assert counted(1, "row") == "1 row"
    assert counted(1797, "row") == "1,797 rows"
    assert counted(2, "class", "classes") == "2 classes"
    assert amount(1797.0) == "1,797"
    assert amount(3.25) == "3.2500"


def test_names_are_one_visible_line() -> None:
    assert clean("a\nb\tc\u2028d") == "a b c d"
    assert clean("\x00\x1b") == "␀␛"
    assert clean("\u202eabc\u202c\ud800\x85") == "�abc���"
    assert clean("👩\u200d👧") == "👩\u200d👧", "joiners are part of emoji"


def test_long_names_keep_both_ends() -> None:
    name = "a" * 100 + "z" * 400
    assert short(name).startswith("aaa")
    assert short(name).endswith("zzz")
    assert "…" in short(name)
    assert width_of(short(name)) <= NAME_LENGTH
    assert short("short") == "short"
    assert short("日本語" * 40, 20).count("…") == 1
    assert width_of(short("日本語" * 40, 20)) <= 20.0
    assert len(short("x" * 10_000_000 + "end")) <= NAME_LENGTH
    assert short("x" * 10_000_000 + "end").endswith("end")
    assert short("") == short("  ") == "(empty)"


def test_names_in_hebrew_and_arabic_are_isolated_from_what_stands_beside_them() -> None:
    assert short("שלום") == "\u2068שלום\u2069"
    assert short("plain") == "plain"
