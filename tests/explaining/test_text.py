"""The terminal's text in full, and its rules: signs or ASCII, width, colour, many classes."""

import io
import os
import re
import sys
import textwrap

import numpy as np
import pytest

from crossent.explaining.explanation import explain
from crossent.explaining.paper import columns

Q = "0.1 0.5 0.1 0.1 0.2"


def block(text: str) -> str:
    return textwrap.dedent(text).strip("\n")


def plain(target: object, prediction: object, *, width: int = 78, unicode: bool = True, **options: object) -> str:
    explanation = explain(target, prediction, **options)  # type: ignore[arg-type]
    return explanation.render(width=width, color=False, unicode=unicode)


FOUNDING = block("""
Cross-entropy of one prediction                         5 classes, natural log
──────────────────────────────────────────────────────────────────────────────
 loss  2.303 nats = 3.322 bits            the true class got 1 chance in 10

   class  target p  predicted q          −log q  p·(−log q)  ∂L/∂z=q−p   ∂L/∂q
 ★     0         1  0.1  ███              2.303       2.303  −0.9 raise    −10
       1         0  0.5  ██████████████   0.693           0  +0.5 lower      0
       2         0  0.1  ███              2.303           0  +0.1 lower      0
       3         0  0.1  ███              2.303           0  +0.1 lower      0
       4         0  0.2  ██████           1.609           0  +0.2 lower      0
     sum         1    1                               2.303     0
   raise, lower: where a training step moves that class's logit; ∂L/∂q = −p/q

 Step by step
   H(p,q) = −Σ pᵢ log qᵢ
          = −(1·log 0.1 + 0·log 0.5 + 0·log 0.1 + 0·log 0.1 + 0·log 0.2)
          = −log 0.1 = 2.302585… nats = 3.321928… bits

 How bad is that?
   perfect 0 ───────────── uniform 1.609 ───── you 2.303 ──────────▶ inf
   1.00 bit worse than guessing uniformly (log 5). Top guess: class 1 (wrong).
   The true class ranks 3 of 5.

 Where it comes from
   H(p,q) = H(p) + KL(p‖q):   2.303 = 0 + 2.303
   H(q) = 1.359 nats = 1.961 bits: how unsure the model itself is
   JS(p,q) = 0.758 bits: 0 if p and q agree, 1 if they share no class

 What this loss does not see
   Any split of the other 0.9 costs 2.303; only the gradient changes:
   q = [0.1 0.225 0.225 0.225 0.225] loss 2.303, |grad| 1.006 (yours: 1.058)

 A small step on class 0
   logit + 0.1: 2.213; q + 0.01: 2.207 (now 2.303)

 The same numbers under other losses
   binary cross-entropy, a sigmoid per class: 0.686 per class, 3.430 in all
   squared error: 0.224 per class, 1.120 in all (Brier); its slope in the true
   logit is −0.0448, here it is −0.9

 If these numbers went into a function that expects logits
   it would report 1.722, never below 0.905, with 8.9× weaker gradients

 Checked
   holds: H(p,q) = H(p) + KL(p‖q);  H(p,q) ≥ H(p);  Σ ∂L/∂z = 0;
          −log q_true = full sum
   ∂L/∂z differs from finite differences of the loss by DIFFERENCE
""")


def founding(text: str) -> str:
    """The text with the rounding of its finite differences masked: another exp may round another way."""
    return re.sub(r"of the loss by \d\.\d\de−1[01]$", "of the loss by DIFFERENCE", text)


def test_the_founding_example() -> None:
    assert founding(plain("1 0 0 0 0", Q)) == FOUNDING


def test_the_founding_example_in_ascii() -> None:
    text = plain("1 0 0 0 0", Q, unicode=False)
    assert text.isascii()
    assert text.splitlines()[:11] == [
        "Cross-entropy of one prediction                         5 classes, natural log",
        "------------------------------------------------------------------------------",
        " loss  2.303 nats = 3.322 bits            the true class got 1 chance in 10",
        "",
        "   class  target p  predicted q          -log q  p*(-log q)  dL/dz=q-p   dL/dq",
        " *     0         1  0.1  ###              2.303       2.303  -0.9 raise    -10",
        "       1         0  0.5  ##############   0.693           0  +0.5 lower      0",
        "       2         0  0.1  ###              2.303           0  +0.1 lower      0",
        "       3         0  0.1  ###              2.303           0  +0.1 lower      0",
        "       4         0  0.2  ######           1.609           0  +0.2 lower      0",
        "     sum         1    1                               2.303     0",
    ]
    assert "   H(p,q) = -sum p_i log q_i\n" in text
    assert "   perfect 0 ------------- uniform 1.609 ----- you 2.303 ----------> inf\n" in text


def test_a_zero_has_its_finding_above_the_table() -> None:
    text = plain("1 0 0 0 0", "0 0.5 0.2 0.1 0.2")
    assert text.split("\n\n")[:2] == [
        block("""
Cross-entropy of one prediction                         5 classes, natural log
──────────────────────────────────────────────────────────────────────────────
 loss  inf                                the true class got no chance at all
"""),
        (
            " FINDING  CE001  target 0 has p = 1 but q = 0: −log 0 is infinite.\n"
            "   Not a bug in the formula: the model called the truth impossible. Packages\n"
            "   disagree on what to print here, because many clip q first. They print −ln\n"
            "   of the clip: 16.118 from a clip at 1e−7, 34.539 from a clip at 1e−15."
        ),
    ]
    assert " ★     0         1    0                     inf         inf    −1 raise   −inf\n" in text
    assert "          = −log 0 = inf\n" in text
    assert "   perfect 0 ────────────────── uniform 1.609 ──────────▶ you inf\n" in text
    assert "   Infinitely worse than guessing uniformly (log 5)." in text


def test_a_soft_target_has_its_split_right_below_the_table() -> None:
    text = plain("0.7 0.3 0 0 0", Q)
    assert " loss  1.820 nats = 2.625 bits            perplexity 6.17\n" in text
    assert "★" not in text
    assert text.split("\n\n")[2:4] == [
        (
            " Where it comes from\n"
            "   H(p,q) = H(p) + KL(p‖q):   1.820 = 0.611 + 1.209\n"
            "   floor  H(p) = 0.611, 34% of the loss: the target's own uncertainty, which\n"
            "   no model beats\n"
            "   excess KL = 1.209: what a better prediction could still save\n"
            "   H(q) = 1.359 nats = 1.961 bits: how unsure the model itself is\n"
            "   JS(p,q) = 0.401 bits: 0 if p and q agree, 1 if they share no class"
        ),
        (
            " Step by step\n"
            "   H(p,q) = −Σ pᵢ log qᵢ\n"
            "          = −(0.7·log 0.1 + 0.3·log 0.5 + 0·log 0.1 + 0·log 0.1 + 0·log 0.2)\n"
            "          = 1.612 + 0.208 = 1.819754… nats = 2.625350… bits"
        ),
    ]


def test_a_perfect_prediction_prints_zero() -> None:
    text = plain("0", "1 0 0")
    assert " loss  0                                  the true class got 1 chance in 1\n" in text
    assert "−0" not in text
    assert "   0·log 0 counts as 0: what cannot happen costs nothing\n" in text
    assert "   it would report 0.551, never below 0.551\n" in text


def test_logits_show_their_logits_and_their_normalizer() -> None:
    text = plain("0", "2 -inf 1 -1", kind="logits")
    assert text.splitlines()[0].endswith("4 classes from logits, natural log")
    assert " ★     0         1        2   0.705" in text
    assert "       1         0     −inf       0" in text
    assert "          = log Σ exp zⱼ − z = 2.349012… − 2 = 0.349012… nats = 0.503518… bits\n" in text
    assert "expects logits" not in text


def test_a_logit_so_low_that_its_probability_is_zero_still_has_its_loss() -> None:
    text = plain("0", "-1000 0", kind="logits")
    assert " loss  1000.000 nats = 1442.695 bits\n the true class got 1 chance in e^1000\n" in text
    assert "          = log Σ exp zⱼ − z = 0 − (−1000) = 1000 nats = 1442.695041… bits\n" in text
    assert "FINDING" not in text


@pytest.mark.parametrize(
    ("base", "headline", "formula"),
    [
        (2, " loss  3.322 bits = 2.303 nats            the true class got 1 chance in 10", "−Σ pᵢ log₂ qᵢ"),
        (10, " loss  1.000 hartleys = 2.303 nats = 3.322 bits\n the true class got 1 chance in 10", "−Σ pᵢ log₁₀ qᵢ"),
    ],
)
def test_the_base_shows_in_units_and_formula(base: int, headline: str, formula: str) -> None:
    text = plain(0, Q, base=base)
    assert headline in text
    assert f"   H(p,q) = {formula}\n" in text
    assert "gradients are of the loss in nats" in " ".join(text.split())


def test_an_identity_that_does_not_hold_is_said_with_both_sides() -> None:
    text = plain(1, "0.2 0.2 0.5")
    assert text.endswith(
        " Checked\n"
        "   holds: H(p,q) = H(p) + KL(p‖q);  H(p,q) ≥ H(p);  −log q_true = full sum\n"
        "   does not hold: Σ ∂L/∂z = 0: −0.1 against 0"
    )


def test_nan_is_printed_without_what_would_be_empty() -> None:
    text = plain(0, "nan 1 0")
    assert " loss  nan                                not a number: see the finding\n" in text
    assert "perfect 0" not in text
    assert "Checked" not in text


def test_more_than_twelve_classes() -> None:
    q = 1.0 / np.arange(1, 1001)
    lines = plain(17, q / q.sum()).splitlines()
    assert lines[5:7] == [
        " ★    17         1  0.00742            4.903       4.903   −0.993 raise   −135",
        "       0         0    0.134  ███████   2.013           0   +0.134 lower      0",
    ]
    assert lines[14:16] == [
        "   ... 991 more, together 0.629",
        "     sum         1        1                        4.903        0",
    ]


def test_twelve_classes_are_all_shown() -> None:
    text = plain(0, [1 / 12] * 12)
    assert "more" not in text
    assert "      11 " in text


@pytest.mark.parametrize("unicode", [True, False])
@pytest.mark.parametrize("width", [50, 60, 70, 78, 100, 200])
@pytest.mark.parametrize("base", ["e", "10"])
@pytest.mark.parametrize("kind", ["probs", "logits"])
def test_no_line_is_longer_than_the_width(width: int, kind: str, base: str, unicode: bool) -> None:
    names = ["cat", "a very long name of a class indeed", "日本"]
    for target, prediction in (("0", "0.001 0.5 0.499"), ("0.2 0.5 0.3", "0.25 0.5 0.25"), ("2", "0 1 0")):
        text = plain(target, prediction, kind=kind, base=base, class_names=names, width=width, unicode=unicode)
        assert max(columns(line) for line in text.splitlines()) <= width


def test_a_narrow_table_drops_columns_and_keeps_loss_and_gradient() -> None:
    lines = plain(0, Q, width=50).splitlines()
    assert "   class  target p  predicted q         ∂L/∂z=q−p" in lines
    assert "∂L/∂q" not in "\n".join(lines)
    assert "   perfect 0, uniform 1.609, you 2.303" in lines


def test_class_names_replace_the_numbers() -> None:
    text = plain(0, "0.2 0.8", class_names=["cat", "dog"])
    assert " ★   cat         1  0.2" in text
    assert "Top guess: class dog (wrong)." in " ".join(text.split())


def test_a_name_cannot_send_control_characters_to_the_terminal() -> None:
    assert "\033" not in plain(0, "0.2 0.8", class_names=["\033[31mred", "b\nb"])


def test_colour_is_only_bold_and_the_words_stay_the_same() -> None:
    colored = explain(0, "0 1").render(width=78, color=True, unicode=True)
    assert colored.count("\033[1m") == colored.count("\033[0m") == 3
    assert colored.replace("\033[1m", "").replace("\033[0m", "") == plain(0, "0 1")


class Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environment", "encoding", "bold", "ascii_only"),
    [
        ({}, "utf-8", True, False),
        ({"NO_COLOR": "1"}, "utf-8", False, False),
        ({"NO_COLOR": ""}, "utf-8", True, False),
        ({"TERM": "dumb"}, "utf-8", False, False),
        ({}, "cp1252", True, True),
    ],
)
def test_the_terminal_is_asked(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], encoding: str, bold: bool, ascii_only: bool
) -> None:
    for name in ("NO_COLOR", "TERM", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "stdout", Terminal(io.BytesIO(), encoding=encoding))
    text = explain(0, Q).render()
    assert ("\033[1m" in text) is bold
    assert text.isascii() is ascii_only
    assert max(columns(line) for line in text.splitlines()) < 100  # no wider than 78 and its colour codes


def test_a_narrow_terminal_gets_short_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "get_terminal_size", lambda *_: os.terminal_size((55, 24)))
    monkeypatch.setenv("COLUMNS", "55")
    assert max(len(line) for line in str(explain(0, Q)).splitlines()) <= 55


def test_str_has_no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Terminal(io.BytesIO(), encoding="utf-8"))
    monkeypatch.setenv("COLUMNS", "78")
    assert founding(str(explain(0, Q))) == FOUNDING
