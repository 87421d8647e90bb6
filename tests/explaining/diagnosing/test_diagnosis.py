"""The result: ranked, true or false, one line, JSON, text of any width, HTML; and a rule book without holes."""

import ast
import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.special
import torch
from sklearn.metrics import log_loss

from crossent.explaining.diagnosing.book import BOOK, suspect
from crossent.explaining.diagnosing.diagnose import diagnose
from crossent.explaining.diagnosing.diagnosis import Diagnosis
from crossent.explaining.diagnosing.fixes import FIXES

TWICE = diagnose(loss=1.4612, classes=10)
SEVERAL = diagnose(loss="nan", classes=10, function="CrossEntropyLoss")


def test_truth_length_and_order() -> None:
    assert TWICE
    assert len(TWICE) == len(list(TWICE)) == 1
    assert not diagnose(loss=0.21, classes=10)
    assert [finding.code for finding in SEVERAL] == ["CE002", "CE107", "CE108"]


def test_printed_it_is_one_line() -> None:
    assert str(TWICE) == (
        "crossent: CE005 consistent with softmax applied twice: 1.4612 is ln(e + 9) − 1, the lowest loss after two "
        "softmaxes. Remove the last softmax: this loss applies its own. Until then no answer is confident enough."
    )
    assert str(SEVERAL).endswith(" (+2 more: CE107, CE108)")
    assert str(diagnose(loss=0.21)) == "crossent: no finding"
    assert repr(diagnose(loss=0.21)) == "<Diagnosis: no finding; print(diagnosis.render()) shows all>"
    for found in (TWICE, SEVERAL):
        assert "\n" not in str(found)


def test_it_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        TWICE.loss_nats = 0.0  # type: ignore[misc]
    assert isinstance(hash(TWICE), int)


def test_json_is_strict_and_complete() -> None:
    def refuse(constant: str) -> float:
        raise AssertionError(constant)

    read = json.loads(SEVERAL.to_json(), parse_constant=refuse)
    assert (read["schema"], read["schema_version"], read["loss_nats"]) == ("crossent.diagnosis", 1, "nan")
    assert set(read["findings"][0]) == {
        "code", "severity", "message", "advice", "evidence", "rivals", "decide", "fix", "see",
    }  # fmt: skip
    assert diagnose(loss="-0.0").to_dict()["loss_nats"] == 0.0
    assert "-0.0" not in diagnose(loss="-0.0", classes=10).to_json().replace("\\u2212", "")[:200]


def test_text_in_full() -> None:
    found = diagnose(loss="1.4612", classes=10, function="CrossEntropyLoss")
    assert found.render(width=78, color=False, unicode=True).splitlines() == [
        "Diagnosis: 1 finding                                   10 classes, natural log",
        "─" * 78,
        " loss  1.461 nats",
        " looked at torch.nn.CrossEntropyLoss",
        " compare   ln 10 2.303, softmax twice at least 1.461, floor smoothed by 0.1",
        "           0.500",
        "",
        " 1  CE005  consistent with softmax applied twice: 1.4612 is ln(e + 9) − 1, the",
        "    lowest loss after two softmaxes.",
        "    Remove the last softmax: this loss applies its own. Until then no answer",
        "    is confident enough.",
        "    evidence   ln(e + 9) − 1, the lowest loss after two softmaxes = 1.46115;",
        "               1.4612 meets it within 0.00341 %",
        "    rivals     an ordinary loss of 1.461, −log 0.232; logits that happen to be",
        "               small and positive",
        "    decide by  a batch of outputs: are they all >= 0 with rows that sum to 1?",
        "    torch      loss = F.cross_entropy(logits, target)  # logits: no softmax before",
    ]


def test_without_a_function_all_four_fixes_are_shown() -> None:
    text = TWICE.render(width=78, color=False, unicode=True)
    for name in ("torch", "Keras", "JAX", "sklearn"):
        assert re.search(rf"^    {name} +\S", text, re.MULTILINE), name


@pytest.mark.parametrize("width", [20, 50, 78, 200])
def test_any_width(width: int) -> None:
    for line in SEVERAL.render(width=width, color=False, unicode=True).splitlines():
        # code is there to be copied: it keeps its line
        assert len(line) <= max(width, 50) or re.match(r"    (torch|Keras|JAX|sklearn|) +\S", line), line


def test_ascii_and_colour() -> None:
    assert SEVERAL.render(width=78, color=False, unicode=False).isascii()
    assert "\033[1m" in TWICE.render(width=78, color=True, unicode=True)
    assert "\033" not in TWICE.render(width=78, color=False, unicode=True)


def test_no_rendering_computes_a_number() -> None:
    other = dataclasses.replace(TWICE, loss_nats=7.25, references=())
    assert " loss  7.250 nats" in other.render(width=78, color=False, unicode=True)
    assert "loss 7.250: 1 finding" in other._repr_html_()


class Tags(HTMLParser):
    """Every opened tag is closed, in order, and no script is among them."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "style")
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("found", [TWICE, SEVERAL, diagnose(loss=0.21)])
def test_html_is_small_and_whole(found: Diagnosis) -> None:
    page = found._repr_html_()
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert len(page.encode()) <= 12 * 1024
    assert "<K>" not in page


def test_each_code_has_a_rule_rivals_a_decider_and_four_fixes() -> None:
    assert set(BOOK) == set(FIXES)
    for code, entry in BOOK.items():
        assert re.fullmatch(r"CE[01]\d\d", code)
        assert entry.rivals or code == "CE100"
        assert entry.decide
        assert "step 0" not in entry.advice + entry.decide
        assert entry.advice.endswith(".")
        assert set(FIXES[code]) == {"torch", "keras", "jax", "sklearn"}


@pytest.mark.parametrize("code", ["CE005", "CE127"])
def test_each_finding_names_its_place_in_the_documentation(code: str) -> None:
    place = suspect(code, 1.0, "").finding.see
    assert place == f"docs/findings.md#{code.lower()}"
    page = Path(__file__).parents[3] / place.partition("#")[0]
    assert f"\n## {code}\n" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("code", FIXES)
def test_each_fix_is_python(code: str) -> None:
    for text in FIXES[code].values():
        ast.parse(text)


def run_fix(code: str, key: str, **names: object) -> dict[str, Any]:
    """Run a fix as a reader would who pastes it; NumPy and SciPy stand for the array functions of Keras and JAX."""
    ops = SimpleNamespace(moveaxis=np.moveaxis, softmax=scipy.special.softmax)
    told = {"np": np, "numpy": np, "jnp": np, "scipy": scipy, "F": torch.nn.functional} | names
    told |= {"keras": SimpleNamespace(ops=ops), "jax": SimpleNamespace(nn=ops)}
    exec(FIXES[code][key], told)  # noqa: S102 - text of this library
    return told


@pytest.mark.parametrize("shape", [(64, 10), (2, 3, 4, 5)])
def test_the_fix_of_a_softmax_over_the_wrong_axis_makes_rows_that_sum_to_1(shape: tuple[int, ...]) -> None:
    logits = np.random.default_rng(0).normal(size=shape)
    assert torch.allclose(
        run_fix("CE115", "torch", logits=torch.tensor(logits))["probs"].sum(dim=1), torch.ones((), dtype=torch.float64)
    )
    for key in ("keras", "jax"):
        last = np.moveaxis(logits, 1, -1)
        assert run_fix("CE115", key, logits=last)["q"].sum(axis=-1) == pytest.approx(1.0)
    assert run_fix("CE115", "sklearn", scores=logits)["proba"].sum(axis=1) == pytest.approx(1.0)


@pytest.mark.parametrize("shape", [(64, 10), (2, 3, 4, 5)])
def test_the_fix_of_a_misplaced_class_axis_moves_it_and_mixes_nothing(shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(0)
    logits = random.normal(size=shape)  # (N, C, ...)
    last = np.moveaxis(logits, 1, -1)
    assert np.array_equal(run_fix("CE116", "torch", logits=torch.tensor(last))["logits"], logits)
    for key in ("keras", "jax"):
        assert np.array_equal(run_fix("CE116", key, logits=logits)["logits"], last)
    proba = scipy.special.softmax(logits, axis=1)
    rows = run_fix("CE116", "sklearn", proba=proba, classes=shape[1])["proba"]
    target = random.integers(0, shape[1], size=last.shape[:-1])
    wanted = torch.nn.functional.cross_entropy(torch.tensor(logits), torch.tensor(target)).item()
    assert log_loss(target.ravel(), rows, labels=range(shape[1])) == pytest.approx(wanted, rel=1e-12)


def test_the_class_weights_of_torch_are_told_for_ids_and_for_distributions() -> None:
    weight = torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64)
    logits, target = torch.eye(3, dtype=torch.float64), torch.tensor([0, 2, 1])
    one_hot = torch.eye(3, dtype=torch.float64)[target]
    total = torch.nn.functional.cross_entropy(logits, target, weight, reduction="sum")
    assert torch.nn.functional.cross_entropy(logits, target, weight).item() == pytest.approx(total.item() / 8.0)
    assert torch.nn.functional.cross_entropy(logits, one_hot, weight).item() == pytest.approx(total.item() / 3.0)
    assert (
        "by the sum of the weights of class ids, and by the rows where targets are distributions"
        in BOOK["CE120"].advice
    )
