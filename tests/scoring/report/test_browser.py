"""What a browser makes of the page: no message, no request, nothing wider than the screen."""

from pathlib import Path

import pytest

from tests.scoring.report import cases

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = Path("/usr/bin/chromium")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"needs Chromium at {CHROMIUM}")

PAGES = {
    "plain": cases.plain,
    "impossible": cases.impossible,
    "hostile": cases.hostile,
    "scalar": cases.scalar,
    "10 classes": cases.LARGE["10 classes"],
    "10 000 classes": cases.LARGE["10 000 classes"],
    "groups": lambda: cases.grouped(12),
}


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield opened
        opened.close()


def opened_quietly(browser, path: Path, width: int, scheme: str) -> tuple[list[str], list[str], int, str]:
    """Return messages, requests, the width that the page needs, and the colour behind it."""
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    messages: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("dialog", lambda dialog: messages.append(dialog.message))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(path.as_uri())
    needed = page.evaluate("document.documentElement.scrollWidth")
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    context.close()
    return messages, requests, needed, background


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_quiet_and_fits_phones_and_desks_in_light_and_dark(browser, tmp_path: Path, name: str) -> None:
    path = tmp_path / "report.html"
    path.write_text(PAGES[name]().to_html(), encoding="utf-8")
    backgrounds = set()
    for width in (320, 1280):
        for scheme in ("light", "dark"):
            messages, requests, needed, background = opened_quietly(browser, path, width, scheme)
            assert messages == []
            assert requests == [path.as_uri()]
            assert needed <= width
            backgrounds.add((scheme, background))
    assert len(backgrounds) == 2, "light and dark must differ"


def test_the_check_sees_a_request_a_message_and_a_page_too_wide(browser, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    body = '<div style="width:500px">wide</div><img src="missing.png"><script>console.log("hello")</script>'
    path.write_text(f"<!DOCTYPE html><html><body>{body}</body></html>", encoding="utf-8")
    messages, requests, needed, _ = opened_quietly(browser, path, 320, "light")
    assert "hello" in messages
    assert len(requests) == 2
    assert needed > 320


def test_text_in_pictures_stays_inside_them(browser, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(cases.hostile().to_html(), encoding="utf-8")
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(path.as_uri())
    outside = page.evaluate(
        """[...document.querySelectorAll("svg text")].filter(text => {
            const inner = text.getBoundingClientRect(), outer = text.ownerSVGElement.getBoundingClientRect();
            return inner.left < outer.left - 1 || inner.right > outer.right + 1;
        }).map(text => text.textContent)"""
    )
    page.close()
    assert outside == []


def test_on_paper_nothing_is_cut_off_and_the_ground_is_white(browser, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(cases.hostile().to_html(), encoding="utf-8")
    page = browser.new_page(viewport={"width": 672, "height": 900}, color_scheme="dark")
    page.goto(path.as_uri())
    page.emulate_media(media="print", color_scheme="dark")
    cut = page.evaluate(
        """[...document.querySelectorAll("table, .picture")].filter(part =>
            part.getBoundingClientRect().right > document.documentElement.clientWidth + 1).map(part => part.innerText)"""
    )
    colour = page.evaluate("getComputedStyle(document.body).color")
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.close()
    assert cut == []
    assert colour == "rgb(27, 36, 48)", "ink, not the light letters of the dark scheme"
    assert background == "rgba(0, 0, 0, 0)"
