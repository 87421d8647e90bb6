"""What a reviewer found on the saved page: another loss than the explanation's, and words that Python does not use."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.explaining.page.waiting import until

import crossent
from crossent.errors import CrossentError
from crossent.explaining.page.api import answer
from crossent.explaining.page.first import first_of, why_not
from crossent.explaining.page.saved import page_of

ALARM = "document.querySelector('[role=alert]').textContent"


@pytest.fixture
def file(browser: Any, tmp_path: Path) -> Iterator[Any]:
    """A function that opens the saved page of an explanation."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    errors: list[str] = []

    def open_saved(explanation: Any, fragment: str = "") -> Any:
        path = tmp_path / "saved.html"
        path.write_text(page_of(explanation), encoding="utf-8")
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(path.as_uri() + fragment)
        page.wait_for_selector("[data-answers]")
        return page

    yield open_saved
    context.close()
    assert errors == []


def test_200_unnormalised_log_probabilities_keep_their_loss_or_are_refused() -> None:
    random = np.random.default_rng(200)
    held = 0
    for number in range(200):
        classes = int(random.integers(1, 9))
        # sums from far below 1 to just above it, and some that underflow as probabilities
        logs = random.uniform(-6.0, -0.01, classes) - (800.0 if number % 20 == 0 else 0.0)
        if number % 3 == 0 and number % 20:
            logs -= np.log(np.exp(logs).sum()) + random.choice([0.0, 1e-15, 1e-9, 1e-7])
            logs = np.minimum(logs, 0.0)
        target = int(random.integers(classes)) if number % 2 else random.dirichlet(np.ones(classes))
        explanation = crossent.explain(target, logs, kind="log_probs")
        if why_not(explanation) is not None:
            assert logs.min() < -700.0 or explanation.loss < 1e-3  # too small for digits to be left
            continue
        held += 1
        shown = answer("explain", first_of(explanation))
        assert shown["loss"][0] == pytest.approx(explanation.loss, rel=1e-12), (target, logs.tolist())
        assert shown["sum_q"][0] == pytest.approx(math.fsum(np.exp(logs)), rel=1e-9)
    assert held > 150


def test_log_probabilities_that_do_not_sum_to_one_are_free_probabilities() -> None:
    first = first_of(crossent.explain(0, np.log([0.2, 0.2]), kind="log_probs"))
    assert (first["kind"], first["locked"]) == ("probs", False)
    # single precision leaves a sum that is off by 1e-8; the small loss of a sure prediction is kept to seven digits
    single = np.log(np.array([1.0 - 2e-6, 1e-6, 1e-6])).astype(np.float32)
    sure = crossent.explain(0, single, kind="log_probs")
    assert answer("explain", first_of(sure))["loss"][0] == pytest.approx(sure.loss, rel=1e-7)
    lost = crossent.explain(0, [-800.0, -801.0], kind="log_probs")
    assert why_not(lost) == "the page knows no log-probabilities, and as probabilities these would lose digits"
    assert "<script" not in page_of(lost)


def test_the_chance_has_the_same_words_in_python_and_in_the_file(file: Any) -> None:
    page = file(crossent.explain([1, 0], [0.25, 0.75]))
    exponents = [*range(20), 45, 100, 200, *range(300, 324)]
    for q in (0.0, 5e-324, 1.5e-323, *(float(f"1e-{power}") for power in exponents), 0.1234, 0.0101, 2e-6):
        page.evaluate("(hash) => { location.hash = hash; }", f"#explain?p=1,0&q={q!r},{1.0 - q!r}&free=0")
        said = answer("explain", {"target": [1, 0], "prediction": [q, 1.0 - q]})["chance"]
        until(page, f"document.querySelector('.chance').textContent === {said!r}")


def test_reset_says_to_what(file: Any) -> None:
    page = file(crossent.explain([1, 0], [0.25, 0.75]))
    assert page.locator("text=Reset to the founding example").count() == 0
    page.locator(".classes input[type=range]").first.press("End")
    until(page, "document.querySelector('[data-name=loss]').textContent === '0'")
    page.click("text=Reset to the case this opened with")
    until(page, "document.querySelector('[data-name=loss]').textContent === '1.386'")


@pytest.mark.parametrize(
    ("target", "prediction"),
    [
        ("1 0", "0.5 0.5 ; 0.1 0.9"),
        ("0", "0,5 0,5"),
        ("0", "0.1 x 0.9"),
        ("0", "0.001 " * 1001),
        ("0", "0.5 0.5\n0.1 0.9"),
    ],
)
def test_a_text_is_refused_with_the_sentence_of_python(file: Any, target: str, prediction: str) -> None:
    page = file(crossent.explain([1, 0], [0.25, 0.75]))
    with pytest.raises(CrossentError) as caught:
        answer("explain", {"target": target, "prediction": prediction})
    page.click("text=Your own numbers")
    page.get_by_label("Target: a class id").fill(target)
    page.get_by_label("Prediction: one number").evaluate(
        "(box, text) => { box.type = 'hidden'; box.value = text; }", prediction
    )
    page.click("text=Explain these")
    until(page, f"{ALARM} === {json.dumps(str(caught.value))}")
    assert page.inner_text("[data-name=loss]") == "1.386"


def test_a_target_may_be_a_name_in_the_file_too(file: Any) -> None:
    page = file(crossent.explain([1, 0], [0.25, 0.75]))
    page.click("text=Your own numbers")
    for target, loss in (("dog", "0.223"), ("cat", "1.609"), ("1", "0.223")):
        page.get_by_label("Target: a class id").fill(target)
        page.get_by_label("Prediction: one number").fill("0.2 0.8")
        page.get_by_label("Names, separated").fill("cat,dog")
        page.click("text=Explain these")
        until(page, f"document.querySelector('[data-name=loss]').textContent === '{loss}'")


def test_a_sum_that_is_not_one_is_free_in_the_file_too(file: Any) -> None:
    page = file(crossent.explain([1, 0], [0.25, 0.75]), "#explain?p=1,0&q=0.5,0.7")
    assert page.is_checked("input[value=free]")


def test_a_name_of_400_letters_is_cut_and_stays_on_the_page(file: Any) -> None:
    explanation = crossent.explain([1, 0], [0.25, 0.75], class_names=["W" * 400, "cat"])
    assert first_of(explanation)["names"] == ["W" * 80, "cat"]
    page = file(explanation)
    for width in (320, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        page.wait_for_timeout(100)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_several_labels_are_refused_before_the_page_shows_another_loss() -> None:
    with pytest.raises(CrossentError) as caught:
        answer("explain", {"target": "1 1 0", "prediction": "0.5 0.5 0.2"})
    wanted = (
        "`target` must be one class or a distribution on this page; it has several 1s: "
        "crossent.explain() takes several labels."
    )
    assert str(caught.value) == wanted
