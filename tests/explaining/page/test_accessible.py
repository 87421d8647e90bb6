"""The page for everybody: axe finds nothing, the keyboard reaches everything, 320 px are wide enough."""

from collections.abc import Iterable
from importlib.resources import files
from typing import Any

import pytest
from tests.explaining.page.waiting import until

axe_package = pytest.importorskip("axe_playwright_python")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
SCREENS = {
    "explain": "#explain",
    "explain, infinite": "#explain?p=1,0,0&q=0,1,0&names=cat,dog,fox",
    "explain, logits": "#explain?p=0.5,0.5,0&q=3,-inf,1&kind=logits&base=2",
    "explain, free": "#explain?p=1,0&q=0.3,0.3&free=1",
    "zero": "#zero",
    "bits": "#bits",
    "bits, text": "#bits?bits.text=jteikfqa",
    "diagnose": "#diagnose?diagnose.loss=1.4612&diagnose.classes=10",
    "diagnose, history": "#diagnose?diagnose.history=2.3+2.31+2.3+2.3&diagnose.classes=10",
}
READY = ".screen:not([hidden]) :is(.finding, [data-name=loss][data-value], [data-name=exact][data-value], [data-name=bits_each][data-value])"


@pytest.fixture(scope="module")
def axe() -> str:
    return files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")


def opened(browser: Any, url: str, width: int = 1280, **options: Any) -> Any:
    page = browser.new_context(viewport={"width": width, "height": 900}, **options).new_page()
    page.goto(url)
    page.wait_for_selector(READY)
    return page


def violations(page: Any, axe: str) -> list[str]:
    page.evaluate(axe)
    found = page.evaluate("(rules) => axe.run(document, { runOnly: rules })", RULES)
    return [f"{one['id']}: {node['html'][:160]}" for one in found["violations"] for node in one["nodes"]]


def look_at(browser: Any, address: str, axe: str, names: Iterable[str], width: int, scheme: str) -> None:
    for name in names:
        page = opened(browser, address + SCREENS[name], width, color_scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        # with the tables out there is everything to look at, the charts included
        page.click(".screen:not([hidden]) >> text=Show every chart as a table")
        assert violations(page, axe) == [], f"{name}, {scheme}, {width} px"
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name}, as tables"
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert background == ("rgb(255, 253, 248)" if scheme == "light" else "rgb(20, 24, 30)")
        page.context.close()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (320, "light")])
def test_axe_finds_nothing_and_nothing_is_wider_than_the_window(
    browser: Any, address: str, axe: str, width: int, scheme: str
) -> None:
    look_at(browser, address, axe, ("explain", "zero", "bits", "diagnose"), width, scheme)


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (320, "light"), (320, "dark")])
def test_axe_finds_nothing_in_any_state(browser: Any, address: str, axe: str, width: int, scheme: str) -> None:
    look_at(browser, address, axe, SCREENS, width, scheme)


def test_axe_sees_what_is_wrong(browser: Any, address: str, axe: str) -> None:
    page = opened(browser, address)
    page.evaluate("document.querySelector('nav').append(document.createElement('button'))")
    assert any(found.startswith("button-name") for found in violations(page, axe))
    page.context.close()


@pytest.mark.parametrize("name", ["explain", "zero", "bits", "diagnose"])
def test_the_tab_key_reaches_everything_and_shows_where_it_is(browser: Any, address: str, name: str) -> None:
    page = opened(browser, address + SCREENS[name])
    # one radio of a group is a stop; arrows move between them
    wanted = page.evaluate(
        """() => {
          const all = [...document.querySelectorAll("a, button, input, select, textarea, summary, [tabindex]")];
          const stops = all.filter((one) => one.checkVisibility() && (one.type !== "radio" || one.checked));
          stops.forEach((one, place) => { one.dataset.stop = place; });
          return stops.length;
        }"""
    )
    seen = []
    for _ in range(wanted):
        page.keyboard.press("Tab")
        stop, outline = page.evaluate(
            "[document.activeElement.dataset.stop, getComputedStyle(document.activeElement).outlineStyle]"
        )
        seen.append(int(stop))
        assert outline == "solid", page.evaluate("document.activeElement.outerHTML.slice(0, 200)")
    assert seen == list(range(wanted)), "in reading order, each once, and no trap"
    page.context.close()


def test_the_keyboard_alone_goes_through_the_screens_and_names_the_truth(browser: Any, address: str) -> None:
    page = opened(browser, address)
    page.locator("nav a >> nth=2").focus()
    page.keyboard.press("Enter")
    until(page, "document.querySelector('[data-name=bits_each]').textContent === '1.961'")
    assert page.locator("nav a[aria-current=page]").inner_text() == "Bits & codes"
    page.locator("nav a >> nth=0").focus()
    page.keyboard.press("Enter")
    page.get_by_label("cat is the true class").focus()
    page.keyboard.press("ArrowDown")
    until(page, "document.querySelector('[data-name=loss]').textContent === '0.693'")
    page.context.close()


def test_forced_colours_keep_every_line_visible(browser: Any, address: str, axe: str) -> None:
    page = opened(browser, address, forced_colors="active")
    assert violations(page, axe) == []
    background = page.evaluate("getComputedStyle(document.querySelector('.crossent')).backgroundColor")
    strokes = page.evaluate(
        "[...document.querySelectorAll('.line, .tangent')].map((one) => getComputedStyle(one).stroke)"
    )
    assert strokes
    assert background not in strokes
    page.context.close()


def test_targets_are_large_enough_for_a_finger(browser: Any, address: str) -> None:
    page = opened(browser, address, 320)
    small = page.evaluate(
        """[...document.querySelectorAll("a, button, input, select, summary")].filter((one) => one.checkVisibility())
             .map((one) => [one, (one.closest("label") ?? one).getBoundingClientRect()])
             .filter(([, box]) => box.height < 24 || box.width < 24).map(([one]) => one.outerHTML)"""
    )
    page.context.close()
    assert small == []


def test_what_a_screen_reader_is_told(browser: Any, address: str) -> None:
    page = opened(browser, address)
    told = page.locator("main").aria_snapshot()
    for wanted in (
        'navigation "Screens"',
        'table "Drag a slider, or type a number: everything else follows"',
        'columnheader "target p"',
        'slider "predicted for cat"',
        'spinbutton "predicted for cat, as a number"',
        'img "−log q over q: cat 2.303, dog 0.693, fox 2.303, cow 2.303, owl 1.609"',
        'img "The loss 2.303 is H(p) 0 plus KL 2.303; a uniform guess costs 1.609"',
    ):
        assert wanted in told, told
    page.context.close()
