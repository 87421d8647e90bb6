"""What is installed is asked while the page is looked at, once, and no child outlives the server."""

import json
import math
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.request import Request, urlopen

import pytest
from tests.explaining.page.waiting import PATIENCE_S, until

from crossent.explaining.page import live as module
from crossent.explaining.page.api import answer
from crossent.explaining.page.live import Live
from crossent.explaining.page.zero import LAST
from crossent.peers.measuring import Measurement
from crossent.peers.registry import PROBES, Probe

ASKED = ("crossent", "numpy by hand", "scipy")  # what the tests of this repository need anyway
HERE = [probe for probe in PROBES if probe.package in ASKED]
SERVER = f"""
from crossent.explaining.page.live import Live
from crossent.explaining.page.server import serve
from crossent.peers.registry import PROBES
serve(open_browser=False, measure=Live([probe for probe in PROBES if probe.package in {ASKED!r}]))
"""


def rows(live: Live | None, place: int) -> list[dict[str, Any]]:
    return [row for row in answer("zero", {"place": place, "all": True}, live)["rows"] if row["package"] in ASKED]


def wait_for(live: Live) -> None:
    end = time.monotonic() + 100.0
    while live.progress()["going"]:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_what_is_installed_is_measured_at_the_stops_with_a_button() -> None:
    live = Live(HERE)
    wait_for_nothing = live.progress()
    assert (wait_for_nothing["done"], wait_for_nothing["going"]) == (0, False)  # before the screen is opened
    answer("zero", {}, live)
    wait_for(live)
    assert live.progress()["sentence"].endswith("at the stops with a button: asked 3 of 3.")
    for place, exact in ((1, math.log(10.0)), (45, 45.0 * math.log(10.0)), (LAST, math.inf)):
        found = rows(live, place)
        assert len(found) > 5
        for row in found:
            assert row["how"].partition("; ")[2].startswith("measured now"), row
        double = next(row for row in found if row["function"] == "special.rel_entr(p, q).sum() (float64)")
        assert float(double["answer"][0]) == pytest.approx(exact, rel=1e-12)
    assert not any("measured now" in row["how"] for row in rows(live, 100))  # no button there
    assert not any("measured now" in row["how"] for row in rows(None, 45))
    live.stop()


def test_it_is_asked_once_and_stop_ends_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []

    def hang(probe: Probe, *, stop: threading.Event, **_: Any) -> Measurement:
        begun.append(probe.package)
        assert stop.wait(PATIENCE_S)
        return Measurement(probe, broken="stopped")

    monkeypatch.setattr(module, "measure", hang)
    live = Live(HERE)
    for _ in range(5):
        live.start()
    while not begun:
        time.sleep(0.01)
    said = live.progress()
    assert said["going"]
    assert f"asking {begun[0]}" in said["sentence"]
    began = time.monotonic()
    live.stop()
    assert time.monotonic() - began < PATIENCE_S / 2
    assert len(begun) == len(set(begun)) <= len(HERE)
    assert not live.progress()["going"]
    live.start()  # a late question begins nothing new
    assert len(begun) <= len(HERE)


def test_a_package_that_cannot_be_asked_is_named_and_keeps_its_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "measure", lambda probe, **_: Measurement(probe, broken="ImportError: no"))
    live = Live(HERE)
    answer("zero", {}, live)
    wait_for(live)
    assert "Not to be asked: crossent, numpy by hand, scipy." in live.progress()["sentence"]
    assert not any("measured now" in row["how"] for row in rows(live, 45))
    live.stop()


@pytest.fixture
def measuring() -> Iterator[tuple[str, Any]]:
    pytest.importorskip("starlette")
    pytest.importorskip("uvicorn")
    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), process
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=20) == 0


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_the_server_ends_at_once_while_packages_are_asked(measuring: tuple[str, Any], sign: signal.Signals) -> None:
    address, process = measuring
    body = json.dumps({"place": 45}).encode()
    asked = Request(f"{address}api/zero", body, {"content-type": "application/json"})  # our own server
    with urlopen(asked, timeout=30) as found:
        assert json.load(found)["measuring"]["of"] == 3
    began = time.monotonic()
    process.send_signal(sign)
    assert process.wait(timeout=20) in (0, -signal.SIGTERM)
    assert time.monotonic() - began < 10.0


def test_the_screen_fills_with_what_is_measured_as_it_comes(browser: Any, measuring: tuple[str, Any]) -> None:
    address, _ = measuring
    page = browser.new_page()
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(f"{address}#zero?zero.place=45&zero.all=1")
    until(page, "/measured at the stops with a button/.test(document.querySelector('.measuring')?.textContent)")
    ended = "document.querySelector('.measuring').textContent.endsWith('asked 3 of 3.')"
    end = time.monotonic() + 60.0
    while not page.evaluate(ended):
        assert time.monotonic() < end
        page.wait_for_timeout(200)
    until(page, "document.querySelectorAll('[aria-label=Answers] tbody tr').length > 90")
    texts = page.locator("[aria-label=Answers] tbody tr").all_inner_texts()
    mine = [text for text in texts if text.split("\t")[0] in ASKED]
    assert mine
    assert all("measured now" in text for text in mine)
    assert all("by its rule, checked on" in text or "source" in text for text in texts if text not in mine)
    page.close()
    assert said == []
