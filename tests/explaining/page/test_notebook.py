"""The page in a notebook: a widget that asks the kernel, or the saved page in a frame."""

import html
import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.explaining.page.waiting import until

import crossent
from crossent.explaining.page.explore import in_notebook
from crossent.explaining.page.notebook import Framed, show
from crossent.explaining.page.saved import page_of

FOUNDING: dict[str, Any] = {"target": [1, 0, 0, 0, 0], "prediction": [0.1, 0.5, 0.1, 0.1, 0.2]}


@pytest.fixture
def explanation() -> Any:
    return crossent.explain(FOUNDING["target"], FOUNDING["prediction"], base=2)


def test_without_anywidget_the_saved_page_is_framed(monkeypatch: pytest.MonkeyPatch, explanation: Any) -> None:
    monkeypatch.setitem(sys.modules, "anywidget", None)
    shown = show(explanation)
    assert isinstance(shown, Framed)
    framed = re.fullmatch(r'<iframe srcdoc="([^"]*)" sandbox="allow-scripts" [^<]*></iframe>', shown._repr_html_())
    assert framed is not None
    assert html.unescape(framed[1]) == page_of(explanation)


def test_a_frame_is_alive_inside_a_foreign_page(browser: Any, tmp_path: Path, explanation: Any) -> None:
    path = tmp_path / "notebook.html"
    path.write_text(f"<!DOCTYPE html><html><body>{Framed(page_of(explanation))._repr_html_()}</body></html>", "utf-8")
    page = browser.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(path.as_uri())
    frame = page.frames[1]
    frame.wait_for_selector("[data-answers]")
    frame.locator(".classes input[type=range]").first.press("End")
    until(frame, "document.querySelector('[data-name=loss]').textContent === '0'")
    frame.click("text=Bits & codes")  # a link here must not load the page around it
    until(frame, "document.querySelector('[data-name=bits_each]').textContent === '0'")
    assert said == []
    page.close()


def test_the_widget_asks_the_kernel(explanation: Any) -> None:
    pytest.importorskip("anywidget")
    widget = show(explanation)
    assert (widget.first["base"], widget.first["prediction"]) == ("2", FOUNDING["prediction"])
    sent: list[Any] = []
    widget.send = sent.append
    for content in ({"id": 7, "question": "explain", "body": FOUNDING}, {"id": 8, "question": "what", "body": {}}, 5):
        widget._handle_custom_msg(content, [])
    assert (sent[0]["id"], sent[0]["answer"]["loss"][1]) == (7, "2.303")
    assert sent[1]["id"] == 8
    assert sent[1]["error"].startswith("`question` must be one of")
    assert show(None).first == {}


def test_the_widgets_module_draws_the_page_from_messages(browser: Any) -> None:
    pytest.importorskip("anywidget")
    from crossent.explaining.page.api import answer

    widget = show(None)
    page = browser.new_page()
    page.goto("about:blank")
    page.expose_function("kernel", lambda question, body: answer(question, body))
    program = """async ([module, css, first]) => {
      const heard = [];
      const model = {
        get: () => first,
        on: (_, hear) => heard.push(hear),
        off: () => heard.pop(),
        send: async ({ id, question, body }) => {
          const answer = await window.kernel(question, body);
          heard.forEach((hear) => hear({ id, answer }));
        },
      };
      const style = document.createElement("style");
      style.textContent = css;
      document.head.append(style);
      const made = await import(URL.createObjectURL(new Blob([module], { type: "text/javascript" })));
      const stop = made.default.render({ model, el: document.body });
      window.stop = () => { stop(); return heard.length; };
    }"""
    page.evaluate(program, [str(widget._esm), str(widget._css), json.loads(json.dumps(widget.first))])
    page.wait_for_selector("[data-answers]")
    assert page.inner_text("[data-name=loss]") == "2.303"
    page.locator(".classes input[type=range]").first.press("Home")
    until(page, "document.querySelector('[data-name=loss]').textContent === 'inf'")
    assert page.evaluate("window.stop()") == 0
    page.close()


def test_a_notebook_is_known_by_its_kernel(monkeypatch: pytest.MonkeyPatch, explanation: Any) -> None:
    monkeypatch.setitem(sys.modules, "IPython", None)
    assert not in_notebook()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: SimpleNamespace()))
    assert not in_notebook()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=object())))
    assert in_notebook()
    monkeypatch.setitem(sys.modules, "anywidget", None)
    assert crossent.explore(explanation) == Framed(page_of(explanation))
