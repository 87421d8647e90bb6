"""The table on a terminal: ASCII, within the width, colour only where it is wanted."""

import math
from dataclasses import replace

import pytest

import crossent
from crossent.peers.answer import PackageAnswer
from crossent.peers.text import loss, number, render


def answer(value: float | None, note: str = "", function: str = "log_loss") -> PackageAnswer:
    return PackageAnswer(
        *(
            "scikit-learn",
            function,
            "float64",
            "1.9.1",
            "zero",
            value,
            None,
            "none",
            "measured",
            "2026-11-24",
            "python",
        ),
        rule="q clipped",
        note=note,
    )


def test_a_number_of_undefined_behaviour_is_said_in_a_word() -> None:
    assert (
        loss(answer(None, "undefined: reads outside of the row (multiclass_metric.hpp); 34.5 this time")) == "undefined"
    )


@pytest.mark.parametrize("width", [50, 64, 80, 100, 200])
def test_every_line_fits_and_is_ascii(width: int) -> None:
    text = crossent.packages(measure=False).render(width=width, color=False)
    assert max(map(len, text.splitlines())) <= width
    assert text.isascii()
    assert text.replace("\n", "").isprintable()


def test_a_width_that_holds_no_table_is_widened() -> None:
    table = crossent.packages("scipy", case="zero", measure=False)
    assert table.render(width=3) == table.render(width=50)


def test_no_two_functions_look_alike_where_it_is_narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    table = crossent.packages("torch", "scipy", case="zero", measure=False)
    text = "".join(table.render(color=False).split())
    for one in table:
        assert "..." not in one.function
    assert "..." not in text
    lines = table.render(width=50, color=False).splitlines()
    place = next(number for number, line in enumerate(lines) if "special.rel_entr" in line)
    assert [line.split() for line in lines[place : place + 3]] == [
        ["special.rel_entr(p", "inf"],
        [",", "q).sum(),"],
        ["float64"],
    ]


def test_a_small_table() -> None:
    other = replace(
        answer(math.inf, function="kl_div"),
        package="scipy",
        version="1.17.1",
        how="recorded",
        gradient=-math.inf,
        by="q",
    )
    assert render([answer(36.0436534), other], width=60, color=False) == (
        "zero: prediction 0 for the true class\n"
        "  function                loss   derivative by\n"
        "scikit-learn 1.9.1, measured now\n"
        "  log_loss, float64    36.0437\n"
        "scipy 1.17.1, recorded 2026-11-24\n"
        "  kl_div, float64          inf         -inf q"
    )


def test_a_wide_table_says_the_rule() -> None:
    table = crossent.packages("torch", case="zero", measure=False).render(width=120, color=False)
    assert any(line.endswith("log q clamped at -100") for line in table.splitlines())


@pytest.mark.parametrize(
    ("value", "note", "said"),
    [
        (16.11809539, "", "16.1181"),
        (float("inf"), "", "inf"),
        (float("nan"), "", "nan"),
        (0.0, "", "0"),
        (None, "ValueError: no", "raises"),
        (None, "Py4JJavaError: no", "raises"),
        (None, "the process died of SIGSEGV", "dies"),
        (None, "the process ended with exit code 3", "dies"),
        (None, "no answer within 120 s", "hangs"),
        (None, "no number: an array of shape (0,)", "no number"),
    ],
)
def test_the_loss_in_a_word(value: float | None, note: str, said: str) -> None:
    assert loss(answer(value, note)) == said


def test_six_digits() -> None:
    assert [number(value) for value in (1.1920929e-07, 1e20, 100.0, -999999995904.0)] == [
        "1.19209e-07",
        "1e+20",
        "100",
        "-1e+12",
    ]


def test_names_of_other_alphabets_are_escaped() -> None:
    assert "\\u03c0" in render([answer(1.0, function="log π")], width=80, color=False)


def test_colour_only_where_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    table = crossent.packages("scipy", case="zero", measure=False)
    assert "\033[1m" in table.render(color=True)
    assert "\033[" not in table.render(color=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\033[1m" in str(table)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\033[" not in str(table)


def test_the_printed_table_is_the_object() -> None:
    table = crossent.packages("scipy", case="zero", measure=False)
    assert str(table) == table.render()
    assert len(list(table)) == len(table) == 4
