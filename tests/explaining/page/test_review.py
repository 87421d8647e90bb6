"""What a reviewer found on the served page: messages that were lost, steps that were not kept, texts that ran out."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.explaining.page.waiting import until

ALARM = "document.querySelector('[role=alert]').textContent"


class Opened:
    """A page of its own at an address, and what went wrong on it."""

    def __init__(self, browser: Any, address: str) -> None:
        self.context = browser.new_context(viewport={"width": 1280, "height": 900})
        self.page = self.context.new_page()
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.address = address

    def at(self, fragment: str) -> Any:
        """Open a fragment in a fresh document, and wait for Python's first answer."""
        self.page.goto("about:blank")
        self.page.goto(self.address + fragment)
        self.page.wait_for_selector("[data-answers]")
        return self.page


@pytest.fixture
def opened(browser: Any, address: str) -> Iterator[Opened]:
    found = Opened(browser, address)
    yield found
    found.context.close()
    assert found.errors == []


def settled(page: Any) -> None:
    """Return once nothing is asked and the address is written."""
    page.wait_for_timeout(400)
    until(page, "document.querySelector('[data-answers]').dataset.busy === undefined")


@pytest.mark.parametrize(
    ("fragment", "sentence"),
    [
        ("#zero?zero.place=abc", "`place` must be a whole number from 0 (q = 1) to 321 (q = 0); got abc."),
        ("#zero?zero.place=1e9", "`place` must be a whole number from 0 (q = 1) to 321 (q = 0); got 1000000000."),
        ("#diagnose?diagnose.loss=abc", "`loss` "),
        ("#bits?bits.count=0", "`count` must be a whole number from 1 to 1024; got 0."),
    ],
)
def test_a_link_with_a_bad_value_says_so_on_every_screen(opened: Opened, fragment: str, sentence: str) -> None:
    page = opened.at(fragment)
    settled(page)
    assert page.evaluate(ALARM).startswith(sentence)
    page.click("nav a[data-screen=explain]")
    assert page.evaluate(ALARM) == ""


def test_a_batch_and_a_text_of_1001_classes_are_refused_and_the_page_goes_on(opened: Opened) -> None:
    page = opened.at("")
    page.click("text=Your own numbers")
    for prediction, sentence in (
        ("0.5 0.5 ; 0.1 0.9", "`prediction` must be one row on this page; got 2 rows"),
        ("0.000999 " * 1001, "`prediction` must have 1 to 1000 classes on this page; got 1001."),
    ):
        page.get_by_label("Target: a class id").fill("0")
        page.get_by_label("Prediction: one number").fill(prediction)
        page.get_by_label("Names, separated").fill("")
        page.click("text=Explain these")
        until(page, f"{ALARM}.startsWith({sentence!r})")
        assert page.inner_text("[data-name=loss]") == "2.303"
    settled(page)
    assert len(page.url) < 200
    slide = page.locator(".classes input[type=range]").first
    slide.focus()
    slide.press("End")
    until(page, "document.querySelector('[data-name=loss]').textContent === '0'")


def test_a_diagnosis_of_nothing_is_nothing(opened: Opened) -> None:
    page = opened.at("#diagnose?diagnose.loss=16.118")
    page.wait_for_selector(".finding")
    page.get_by_label("Loss you see").fill("")
    page.click("button:text-is('Diagnose')")
    until(page, "document.querySelectorAll('.finding').length === 0")
    assert page.inner_text(".screen:not([hidden]) .verdict") == ""


def test_back_returns_to_the_screen_before_and_forward_to_its_values(opened: Opened) -> None:
    page = opened.at("")
    page.click("nav a[data-screen=zero]")
    page.click("[aria-label=Stops] >> text=1e−7")
    page.get_by_label("Show all").check()
    settled(page)
    assert page.url.endswith("#zero?zero.place=7&zero.all=1")
    page.click("nav a[data-screen=bits]")
    page.click("text=jteikfqa")
    settled(page)
    length = page.evaluate("history.length")
    page.go_back()
    until(page, "document.querySelector('[aria-current]').dataset.screen === 'zero'")
    until(page, "document.querySelector('[data-name=exact]').textContent === '16.118'")
    assert page.get_by_label("Show all").is_checked()
    assert page.locator("[aria-label=Answers] tbody tr").count() > 90
    page.go_back()
    until(page, "document.querySelector('[aria-current]').dataset.screen === 'explain'")
    page.go_forward()
    page.go_forward()
    until(page, "document.querySelector('[aria-current]').dataset.screen === 'bits'")
    until(page, "document.querySelector('[data-name=bits_all]').textContent === '24.000'")
    settled(page)
    assert page.evaluate("history.length") == length


def test_a_sum_that_is_not_one_is_free_without_a_word_and_a_temperature_says_what_it_does(opened: Opened) -> None:
    page = opened.at("#explain?p=1,0&q=0.5,0.7")
    assert page.is_checked("input[value=free]")
    assert page.inner_text("[data-name=sum_q]") == "1.2"
    assert not page.is_visible(".tempered")
    exact = page.get_by_label("temperature, as a number")
    exact.fill("2")
    exact.press("Enter")
    until(page, "document.querySelector('[data-name=sum_q]').textContent === '1'")
    assert page.is_checked("input[value=free]")
    assert (
        page.inner_text(".tempered")
        == "At T = 2 the loss sees softmax(log q / T), which sums to 1; at T = 1 it sees q."
    )
    # a sum that was unlocked by hand, or locked by hand, stays so in a link
    page = opened.at("#explain?p=1,0&q=0.5,0.7&free=0")
    assert page.is_checked("input[value=locked]")
    settled(page)
    assert "free=0" in page.url


@pytest.mark.parametrize(
    ("label", "typed", "sentence"),
    [
        ("predicted for cat, as a number", "-0.5", "The box of q of cat holds -0.5: type a number from 0 to 1"),
        ("predicted for cat, as a number", "1.5", "The box of q of cat holds 1.5: type a number from 0 to 1"),
        ("predicted for cat, as a number", "1e400", "The box of q of cat holds no number: type a number from 0 to 1"),
        ("predicted for cat, as a number", "0.5e", "The box of q of cat holds no number: type a number from 0 to 1"),
        ("target p of dog", "2", "The box of p of dog holds 2: type a number from 0 to 1, such as 0.25."),
        ("target p of dog", "-1", "The box of p of dog holds -1: type a number from 0 to 1, such as 0.25."),
        ("temperature, as a number", "0", "The box of the temperature holds 0: type a number from 0.01 to 100"),
    ],
)
def test_a_number_box_says_what_it_did_not_take(opened: Opened, label: str, typed: str, sentence: str) -> None:
    page = opened.at("")
    box = page.get_by_label(label, exact=True)
    before = box.input_value()
    box.focus()
    box.select_text()
    page.keyboard.type(typed)
    box.press("Enter")
    until(page, f"{ALARM}.startsWith({sentence!r})")
    settled(page)
    assert page.evaluate(ALARM).startswith(sentence)
    assert box.input_value() == before
    assert page.inner_text("[data-name=loss]") == "2.303"
    slide = page.locator(".classes input[type=range]").first
    slide.focus()
    slide.press("End")
    until(page, f"{ALARM} === ''")


def test_the_form_gives_back_what_it_shows_also_a_name_with_a_comma(opened: Opened) -> None:
    page = opened.at("#explain?p=1,0,0&q=0.2,0.5,0.3&names=a%252Cb,say%2520%2522no%2522,c")
    names = page.locator(".classes tbody th").all_inner_texts()
    assert names == ["a,b", 'say "no"', "c"]
    page.click("text=Your own numbers")
    assert page.get_by_label("Names, separated").input_value() == '"a,b", "say ""no""", c'
    page.get_by_label("Prediction: one number").fill("0.5 0.2 0.3")
    page.click("text=Explain these")
    until(page, "document.querySelector('[data-name=loss]').textContent === '0.693'")
    assert page.locator(".classes tbody th").all_inner_texts() == names


def test_the_form_shows_no_numbers_of_the_case_before(opened: Opened) -> None:
    page = opened.at("")
    page.evaluate("(hash) => { location.hash = hash; }", f"#explain?p=1{',0' * 100}&q=1{',0' * 100}")
    until(page, "document.querySelector('[data-name=loss]').textContent === '0'")
    assert page.get_by_label("Prediction: one number").input_value() == ""


def test_a_guess_is_not_read_out_before_and_focus_stays_on_the_page(opened: Opened) -> None:
    page = opened.at("")
    until(page, "document.querySelector('[role=status]').textContent.startsWith('Loss 2.303')")
    page.click("text=Guess first")
    assert page.inner_text("[role=status]") == ""
    page.keyboard.type("2")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    until(page, "document.activeElement.className === 'reveal'")
    page.click("text=Guess first")
    page.click("text=Skip")
    assert page.evaluate("document.activeElement.textContent") == "Guess first"


def test_to_logits_and_back_changes_no_digit(opened: Opened) -> None:
    page = opened.at("")
    program = "[...document.querySelectorAll('.predicted input[type=number]')].map((box) => Number(box.dataset.value))"
    for _ in range(2):
        page.check("input[value=logits]")
        until(page, f"{program}[0] < 0")
        page.check("input[value=locked]")
        until(page, f"{program}[0] > 0")
        assert page.evaluate(program) == [0.1, 0.5, 0.1, 0.1, 0.2]
    settled(page)
    assert page.url.endswith("#explain")
    page.check("input[value=logits]")
    until(page, f"{program}[0] < 0")
    page.locator(".predicted input[type=range]").first.press("End")  # touched: then it is what it has become
    until(page, f"{program}[0] === 10")
    page.check("input[value=free]")
    until(page, f"{program}[0] > 0.99")


@pytest.mark.parametrize("width", [320, 1280])
def test_a_class_name_of_one_long_word_stays_on_the_page(opened: Opened, width: int) -> None:
    opened.page.set_viewport_size({"width": width, "height": 800})
    page = opened.at(f"#explain?p=0,1&q=0.5,0.5&names={'W' * 80},{'incomprehensibility' * 4}")
    for screen in ("explain", "bits"):
        page.click(f"nav a[data-screen={screen}]")
        settled(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        program = """() => [...document.querySelectorAll(".screen:not([hidden]) svg.picture text")].filter((text) => {
            const [one, all] = [text.getBoundingClientRect(), text.closest("svg").getBoundingClientRect()];
            return one.width && (one.right > all.right + 1 || one.left < all.left - 1);
        }).map((text) => text.textContent)"""
        assert page.evaluate(program) == []


def test_at_320_pixels_each_loss_is_in_the_first_view(opened: Opened) -> None:
    opened.page.set_viewport_size({"width": 320, "height": 800})
    page = opened.at("#zero?zero.place=45")
    until(page, "document.querySelectorAll('.answers tbody tr').length === 10")
    program = (
        "[...document.querySelectorAll('.answers td:nth-child(4)')].map((one) => one.getBoundingClientRect().right)"
    )
    assert max(page.evaluate(program)) <= 320
    texts = """() => [...document.querySelectorAll(".screen:not([hidden]) svg.picture text")].filter((text) => {
        const [one, all] = [text.getBoundingClientRect(), text.closest("svg").getBoundingClientRect()];
        return one.top < all.top - 1 || one.left < all.left - 1 || one.right > all.right + 1;
    }).map((text) => text.textContent)"""
    assert page.evaluate(texts) == []


def test_words_stand_in_their_rectangle_or_beside_it(opened: Opened) -> None:
    page = opened.at("#bits")
    page.wait_for_selector(".screen:not([hidden]) svg.picture rect")
    program = """() => [...document.querySelectorAll("svg.picture text.inside")].filter((text) => {
        const one = text.getBoundingClientRect();
        const box = text.previousElementSibling.getBoundingClientRect();
        return one.right > box.right;
    }).map((text) => text.textContent)"""
    assert page.evaluate(program) == []
    assert page.locator("svg.picture text", has_text="dog 0.5 × 1.000").count() == 1


def test_forced_colours_and_paper(browser: Any, address: str) -> None:
    context = browser.new_context(forced_colors="active", color_scheme="dark")
    page = context.new_page()
    page.goto(address)
    page.wait_for_selector("[data-answers]")
    style = "(selector) => (({ fill, borderBottomColor, color, backgroundColor }) => ({ fill, borderBottomColor, color, backgroundColor }))(getComputedStyle(document.querySelector(selector)))"
    assert page.evaluate(style, ".floor")["fill"] != page.evaluate(style, ".excess")["fill"]
    plain, current = (page.evaluate(style, f"nav a{which}") for which in (":not([aria-current])", "[aria-current]"))
    assert plain["borderBottomColor"] != current["borderBottomColor"]
    context.close()
    page = browser.new_page(color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    page.goto(address)
    page.wait_for_selector("[data-answers]")
    assert page.evaluate(style, ".crossent")["color"] == "rgb(0, 0, 0)"
    assert page.evaluate(style, "body")["backgroundColor"] == "rgb(255, 255, 255)"
    assert page.locator("input[type=range]:visible").count() == 0
    assert page.locator(".classes input[type=number]:visible").count() == 10
    page.close()
