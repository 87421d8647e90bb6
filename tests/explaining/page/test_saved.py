"""An explanation as one file: complete, quiet, and alive without Python."""

import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.explaining.page.waiting import until

import crossent
from crossent.errors import OptionError
from crossent.explaining.page.first import address_of, first_of
from crossent.explaining.page.saved import page_of

NAMES = ("a<b", "</script><script>alert(1)</script>", "it's", 'say "no"', "e,f")


def saved(**options: Any) -> str:
    return page_of(crossent.explain([1, 0, 0, 0, 0], [0.1, 0.5, 0.1, 0.1, 0.2], **options))


def test_it_is_whole_small_and_the_same_each_time() -> None:
    text = saved()
    assert text == saved()
    assert len(text.encode()) < 100_000
    assert not re.search(r"""(?:src|href|url\()\s*=?\s*["']?(?:https?:|//|/)""", text)


def line_ends_in_texts(module: str) -> int:
    """Return how many line ends lie in the text of a template, outside of its ${}."""
    found, place, within = 0, 0, [""]
    module = re.sub(r"(?m)^ *//.*", "", module)
    while place < len(module):
        letter = module[place]
        if within[-1] == "`":
            found += letter == "\n"
            if module.startswith("${", place):
                within.append("{")
            place += letter in "\\$"  # an escaped letter, or the brace
            if letter == "`":
                within.pop()
        elif letter in "`{":
            within.append(letter)
        elif letter == "}":
            within.pop()
        place += 1
    assert within == [""]
    return found


def test_no_text_goes_over_a_lines_end_as_the_start_of_each_line_is_left_out() -> None:
    assert line_ends_in_texts("const one = `two\n  three`;") == 1
    for file in sorted((files("crossent.explaining.page") / "module").iterdir(), key=str):
        assert line_ends_in_texts(file.read_text("utf-8")) == 0, file.name


def test_no_name_leaves_its_place() -> None:
    text = saved(class_names=NAMES)
    assert text.count("<script") == text.count("</script>") == 2
    given = re.search(r'id="given">(.*?)</script>', text, re.DOTALL)
    assert given is not None
    assert json.loads(given[1])["first"]["names"] == list(NAMES)


def test_untouched_it_shows_pythons_numbers_and_then_follows_the_hand(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "saved.html"
    path.write_text(saved(class_names=NAMES), encoding="utf-8")
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.on("request", lambda request: said.append(request.url))
    page.goto(path.as_uri())
    page.wait_for_selector("[data-answers='1']")
    explanation = crossent.explain([1, 0, 0, 0, 0], [0.1, 0.5, 0.1, 0.1, 0.2])
    assert float(page.locator("[data-name=loss]").get_attribute("data-value")) == explanation.loss
    slide = page.locator(".classes input[type=range]").first
    slide.focus()
    slide.press("End")
    until(page, "document.querySelector('[data-name=loss]').textContent === '0'")
    slide.press("Home")
    until(page, "document.querySelector('[data-name=loss]').textContent === 'inf'")
    assert "CE001" in page.inner_text(".findings")
    page.click("text=Bits & codes")
    page.click("text=jteikfqa")
    until(page, "document.querySelector('[data-name=bits_all]').textContent === '24.000'")
    page.click("text=1024 fruits")
    until(page, "document.querySelector('[data-name=bits_each]').textContent === '10.000'")
    page.close()
    assert said == [path.as_uri()]


@pytest.mark.parametrize("change", ["free", "logits", "base", "soft", "many"])
def test_the_twins_view_has_the_shape_and_the_texts_of_pythons(browser: Any, tmp_path: Path, change: str) -> None:
    """The same page once with Python's first view and once recomputed by the twin: nothing on it may change."""
    options: dict[str, Any] = {
        "class_names": ("a<b", "it's", 'a "b"', "e,f", "é")
    }  # longer ones are shortened in Python
    target, prediction = [0.6, 0.4, 0, 0, 0], [0.12, 0.5, 0.1, 0.1, 0.18]
    if change == "free":
        prediction = [0.1, 0.2, 0.1, 0.1, 0.2]
    elif change == "logits":
        prediction, options["kind"] = [1.0, -2.0, 0.25, 1e4, 0.0], "logits"
    elif change == "base":
        options["base"] = 2
    elif change == "many":
        random = np.random.default_rng(0)
        target, prediction = [1.0, *[0.0] * 39], random.dirichlet(np.ones(40)).tolist()
        options = {}
    path = tmp_path / "saved.html"
    path.write_text(page_of(crossent.explain(target, prediction, **options)), encoding="utf-8")
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(path.as_uri())
    page.wait_for_selector("[data-answers='1']")
    before = page.inner_text("section.screen >> nth=0")
    # a class that is looked at changes the slice only, and asks the twin
    page.locator(".classes input[type=range]").first.focus()
    page.wait_for_selector("[data-answers='2']")
    after = page.inner_text("section.screen >> nth=0")
    page.close()
    drop = r"(?s)CE\d.*?(?=What each class costs)|Some packages rescale.*?(?=\n\n)|\d+\.\d+ nats: .*|import crossent.*"
    assert re.sub(drop, "", after) == re.sub(drop, "", before)


def test_what_cannot_be_dragged_is_shown_as_it_is() -> None:
    batch = crossent.explain([0, 1], [[0.5, 0.5], [0.25, 0.75]])
    text = page_of(batch)
    assert "<script" not in text
    assert batch._repr_html_() in text
    with pytest.raises(OptionError) as caught:
        first_of(batch)
    wanted = "`explanation` cannot be dragged: a batch has no single prediction to drag; `to_html()` shows it as it is."
    assert str(caught.value) == wanted


def test_log_probabilities_open_as_the_logits_that_they_are() -> None:
    first = first_of(crossent.explain(0, np.log([0.25, 0.75]), kind="log_probs"))
    assert (first["kind"], first["locked"]) == ("logits", True)


def test_an_explanation_has_an_address(browser: Any, address: str) -> None:
    explanation = crossent.explain([0.5, 0.5, 0, 0, 0], [0.3, 0.1, 0.2, 0.3, 0.2], class_names=NAMES, base=2)
    page = browser.new_page()
    page.goto(address + address_of(first_of(explanation)))
    page.wait_for_selector("[data-answers]")
    assert float(page.locator("[data-name=loss]").get_attribute("data-value")) == explanation.loss
    assert page.locator(".classes tbody th").all_inner_texts() == list(NAMES)
    assert page.locator("input[value=free]").is_checked()
    page.close()
