"""The documentation site: built strictly, it fetches nothing from outside, and its pages' numbers are printed by their code."""

import doctest
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import pytest
from dev import accuracy_page, contract_page, contract_rows, findings_page
from dev.site import reference

import crossent
from tests.walls import pages
from tests.walls.test_pages import numbers

DOCS = pages.ROOT / "docs"
QUESTIONS = sorted(page for page in (DOCS / "questions").glob("*.md") if page.name != "index.md")
TAUGHT = [DOCS / "index.md", DOCS / "tutorial.md", *QUESTIONS]
CHROMIUM = Path("/usr/bin/chromium")
_FRONT = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)
_IN_STYLES = re.compile(r"@import\s+(?:url\()?[\"']?([^\"')\s;]+)|url\(\s*[\"']?([^\"')]+)")


class Fetched(HTMLParser):
    """What a browser fetches to show a page: scripts, styles, pictures, frames; not what links lead to."""

    PLACES = (
        ("script", "src"),
        ("img", "src"),
        ("source", "src"),
        ("iframe", "src"),
        ("embed", "src"),
        ("object", "data"),
    )
    RELATIONS = ("stylesheet", "icon", "preload", "preconnect", "dns-prefetch", "prefetch", "modulepreload", "manifest")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.urls: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.urls += [given[name] or "" for of, name in self.PLACES if of == tag and given.get(name)]
        if tag == "link" and set((given.get("rel") or "").split()) & set(self.RELATIONS):
            self.urls.append(given.get("href") or "")
        self.urls += in_styles(given.get("style") or "")


def in_styles(text: str) -> list[str]:
    return [first or second for first, second in _IN_STYLES.findall(text)]


def foreign(urls: list[str]) -> list[str]:
    return [url for url in urls if re.match(r"(?:https?:)?//", url)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the built site."""
    pytest.importorskip("material", reason="needs the extra `docs`")
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=pages.ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    assert built.stderr == ""
    return folder


def test_the_site_fetches_nothing_from_outside(site: Path) -> None:
    asked = {path: Fetched(path.read_text(encoding="utf-8")).urls for path in site.rglob("*.html")}
    asked |= {path: in_styles(path.read_text(encoding="utf-8")) for path in site.rglob("*.css")}
    assert len(asked) > len(TAUGHT)
    assert {path.name: found for path, urls in asked.items() if (found := foreign(urls))} == {}
    # the theme's script would fetch these two: a diagram's renderer, and the stars of a repository
    assert [
        path.name for path in site.rglob("*.html") if re.search(r'class="mermaid"|api\.github', path.read_text())
    ] == []


@pytest.mark.parametrize(
    ("page", "found"),
    [
        ('<script src="https://cdn.example/a.js"></script>', ["https://cdn.example/a.js"]),
        ('<link rel="preconnect" href="//fonts.example">', ["//fonts.example"]),
        ("<p style=\"background: url('http://example/a.png')\">", ["http://example/a.png"]),
        ('<a href="https://example.org">a link is no request</a><img src="a.png">', []),
    ],
)
def test_a_foreign_request_is_seen(page: str, found: list[str]) -> None:
    assert foreign(Fetched(page).urls) == found
    assert foreign(in_styles('@import "https://example/a.css"; b { src: url(c.woff) }')) == ["https://example/a.css"]


def test_a_browser_asks_for_local_files_alone(site: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.exists():
        pytest.skip(f"needs Chromium at {CHROMIUM}")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        for width, scheme in ((1280, "light"), (320, "dark")):
            page = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme).new_page()
            requests: list[str] = []
            messages: list[str] = []
            page.on("request", lambda request, seen=requests: seen.append(request.url))
            page.on("pageerror", lambda error, seen=messages: seen.append(str(error)))
            for name in ("index", "tutorial", "questions/log-zero", "contract", "reference/losses"):
                page.goto((site / f"{name}.html").as_uri())
                assert page.evaluate("document.documentElement.scrollWidth") <= width, name
            assert [url for url in requests if not url.startswith(("file:", "data:", "blob:"))] == []
            assert messages == []
        browser.close()


def test_axe_finds_nothing_and_paper_is_white_with_every_column(site: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    pytest.importorskip("axe_playwright_python")
    if not CHROMIUM.exists():
        pytest.skip(f"needs Chromium at {CHROMIUM}")
    axe = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            page = browser.new_context(viewport={"width": 320, "height": 800}, color_scheme=scheme).new_page()
            for name in ("index", "questions/loss-nan-or-inf", "accuracy", "reference/losses", "packages"):
                page.goto((site / f"{name}.html").as_uri())
                page.evaluate(axe)
                # the theme's script puts a <nav> without a name around each button that copies a block
                found = page.evaluate(
                    "axe.run({exclude: ['.md-code__nav']}).then(all => all.violations.map(one => one.id))"
                )
                assert found == [], f"{name}, {scheme}"
            # the last page, as a sheet of A4 less its margins
            page.set_viewport_size({"width": 718, "height": 1000})
            page.emulate_media(media="print")
            body = page.evaluate(
                "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
            )
            assert body == ["rgb(255, 255, 255)", "rgb(0, 0, 0)"]
            assert page.evaluate(
                "[...document.querySelectorAll('table')].every(one => one.getBoundingClientRect().right <= 718)"
            )
        browser.close()


@pytest.mark.parametrize("page", TAUGHT, ids=lambda page: page.stem)
def test_every_number_in_prose_is_printed_by_the_page_s_code(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    shown = numbers("\n".join(block.text for block in pages.blocks(text)))
    # 0, 1 and 2 stand for a zero, a certain prediction, a square or a list's items, not for something measured
    assert numbers(pages.prose(_FRONT.sub("", text))) - shown - {"0", "1", "2"} == set()


@pytest.mark.parametrize("page", TAUGHT, ids=lambda page: page.stem)
def test_a_page_says_in_front_what_a_search_engine_shows(page: Path) -> None:
    front = _FRONT.match(page.read_text(encoding="utf-8"))
    assert front is not None
    description = front[1].partition("\n")[0].removeprefix("description: ").strip('"')
    assert 60 <= len(description) <= 190


@pytest.mark.parametrize("page", QUESTIONS, ids=lambda page: page.stem)
def test_a_question_is_answered_first_and_shown_by_code(page: Path) -> None:
    text = _FRONT.sub("", page.read_text(encoding="utf-8"))
    title, _, rest = text.partition("\n")
    assert title.endswith("?")
    assert rest.lstrip().startswith('<div class="answer" markdown>')
    assert any(block.language == "python" for block in pages.blocks(text))


def test_there_are_twenty_one_questions_and_the_index_has_each_once() -> None:
    listed = re.findall(r"\]\(([\w-]+\.md)\)", (DOCS / "questions" / "index.md").read_text(encoding="utf-8"))
    assert len(QUESTIONS) == 21
    assert sorted(listed) == [page.name for page in QUESTIONS]


def test_the_contract_is_kept_and_its_page_is_what_it_answers() -> None:
    assert (DOCS / "contract.md").read_text(encoding="utf-8") == contract_page.page(), "run `make docs-pages`"


def test_a_broken_promise_stops_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = contract_rows.Case("t", "p", (("entropy([0.5, 0.5])", "0.5"), ("entropy([2.0])", "LabelError")))
    monkeypatch.setattr(contract_page, "CASES", (broken,))
    with pytest.raises(
        AssertionError, match=r"wanted 0\.5, got 0\.6931471805599453\n.*wanted LabelError, got RangeError: "
    ):
        contract_page.page()


def test_the_findings_page_is_the_rule_book() -> None:
    text = (DOCS / "findings.md").read_text(encoding="utf-8")
    assert text == findings_page.page(), "run `make docs-pages`"
    seen = crossent.diagnose(loss="1.4612", classes=10).findings[0]
    assert f"\n## {seen.code}\n" in text
    assert seen.see.endswith(f"#{seen.code.lower()}"), "the anchor of its heading"


def test_the_accuracy_page_is_the_record() -> None:
    told = accuracy_page.json.loads(accuracy_page.RECORD.read_text(encoding="utf-8"))
    assert (DOCS / "accuracy.md").read_text(encoding="utf-8") == accuracy_page.page(told) + "\n", (
        "run `make docs-pages`"
    )


@pytest.mark.parametrize(("dtype", "what", "bound"), accuracy_page.PROMISES)
def test_the_accuracy_promised_is_measured_again(dtype: str, what: str, bound: int) -> None:
    errors = accuracy_page.measure({"crossent": accuracy_page.ours}, dtype, (-10_000, -1, 5, 17, 80))["crossent"][what]
    assert max(errors) <= bound


def test_an_error_in_ulp_is_one() -> None:
    one = accuracy_page.oracle.exact.mpf(1)
    assert accuracy_page.error_ulp(1.0 + 2.0**-23, one, "float32") == 1.0
    assert accuracy_page.error_ulp(1.0 - 2.0**-52, one, "float64") == 1.0


def test_the_reference_has_every_public_name() -> None:
    made = reference.pages()
    text = "\n".join(made.values())
    assert [name for name in crossent.__all__ if name != "__version__" and f"{{#{name}}}" not in text] == []
    assert {"torch.cross_entropy", "torch.diagnose", "sklearn.log_loss", "errors.LabelError"} <= set(
        re.findall(r"\{#([\w.]+)\}", text)
    )
    assert not re.search(r"^-{4,}$|\n::\n", text, re.MULTILINE), "a docstring's section was left as it is"


@pytest.mark.parametrize("page", reference.pages())
def test_the_examples_of_a_reference_page_run_when_copied(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(pages.ROOT)
    sessions = [block.text for block in pages.blocks(reference.pages()[page]) if block.text.startswith(">>> ")]
    test = doctest.DocTestParser().get_doctest("\n".join(sessions), {}, page, None, 0)
    report: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE, verbose=False).run(test, out=report.append)
    assert report == [], "".join(report)
