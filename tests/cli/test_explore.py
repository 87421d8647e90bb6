"""`crossent explore`: one line with the address, Ctrl-C with exit code 0, one sentence where it cannot start."""

import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from crossent.cli.app import run
from crossent.explaining.page import explore as door
from crossent.explaining.page import server

MISSING = "the page needs Starlette and uvicorn, which are not installed: pip install 'crossent[web]'"


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What would have been served, instead of serving it."""
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr("crossent.cli.explore.serve", lambda **options: asked.append(options))
    monkeypatch.setattr(server, "serve", lambda **options: asked.append(options))
    return asked


def test_the_options_reach_the_server(served: list[dict[str, Any]]) -> None:
    assert run(["explore"]) == 0
    assert run(["explore", "--port", "8123", "--no-open", "--recorded"]) == 0
    assert served == [
        {"port": 0, "open_browser": True, "measure": True},
        {"port": 8123, "open_browser": False, "measure": False},
    ]


def test_python_opens_an_explanation_at_its_address(served: list[dict[str, Any]]) -> None:
    import crossent

    door.explore(crossent.explain([0, 1], [0.25, 0.75], class_names=["a", "b,c"]), open_browser=False)
    fragment = "#explain?p=0.0,1.0&q=0.25,0.75&names=a,b%252Cc&kind=probs&base=e&free=0"
    assert served == [{"port": 0, "open_browser": False, "fragment": fragment}]


@pytest.mark.parametrize("port", ["70000", "-1", "x"])
def test_a_port_that_is_none_is_one_line_and_code_2(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explore", "--port", port]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_port_that_is_taken_is_one_line_and_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("uvicorn")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert run(["explore", "--no-open", "--port", str(port)]) == 2
    wanted = (
        f"crossent: `port` {port} cannot be used (Address already in use): choose another, or 0 for any free one.\n"
    )
    assert capsys.readouterr() == ("", wanted)


@pytest.mark.parametrize("package", ["starlette", "uvicorn"])
def test_without_the_extra_one_line_names_what_to_install(package: str) -> None:
    program = (
        f"import sys; sys.modules[{package!r}] = None; from crossent.cli.app import run; sys.exit(run(['explore']))"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (finished.returncode, finished.stdout, finished.stderr) == (2, "", f"crossent: {MISSING}\n")


def test_the_browser_is_opened_on_the_printed_address(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    uvicorn = pytest.importorskip("uvicorn")
    opened: list[str] = []

    class Stopped:
        """A server that is interrupted at once, as by Ctrl-C."""

        def __init__(self, config: Any) -> None:
            self.config = config

        def run(self, sockets: list[socket.socket]) -> None:
            assert sockets[0].getsockname()[0] == "127.0.0.1"
            raise KeyboardInterrupt

    class Now:
        """A thread that runs at once."""

        def __init__(self, target: Callable[..., Any], args: tuple[str, ...], daemon: bool) -> None:
            self.start = lambda: target(*args)

    monkeypatch.setattr(uvicorn, "Server", Stopped)
    monkeypatch.setattr(server.threading, "Thread", Now)
    monkeypatch.setattr(server.webbrowser, "open", opened.append)
    assert run(["explore"]) == 0
    assert capsys.readouterr().out.splitlines() == [opened[0], "Ctrl-C stops it."]
    assert opened[0].startswith("http://127.0.0.1:")


def test_one_command_serves_the_page_until_ctrl_c() -> None:
    pytest.importorskip("uvicorn")
    command = [sys.executable, "-m", "crossent", "explore", "--no-open"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        with urllib.request.urlopen(process.stdout.readline().strip()) as answer:
            assert b"/explorer.mjs" in answer.read()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert (process.returncode, said) == (0, "")
