"""The training examples, in a short form: what they say of the two losses is so, and they draw and write what they are asked."""

import json
import re
import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def run(name: str, *arguments: str) -> None:
    assert runpy.run_path(str(EXAMPLES / name))["main"](list(arguments)) == 0


@pytest.fixture(autouse=True)
def as_a_script(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(EXAMPLES)  # as `python examples/...` does
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # the networks are too small for more
    yield
    torch.set_num_threads(before)


def test_digits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture, numbers = tmp_path / "collapse.svg", tmp_path / "digits.json"
    run("train_digits.py", "--steps", "600", "--picture", str(picture), "--json", str(numbers))
    found = json.loads(numbers.read_text(encoding="utf-8"))
    # two float32 losses of about a nat, over 132 steps of which each takes on the last one's difference
    assert found["largest_difference_nats"] <= 1e-5
    torchs, ours = found["confident"]["torch"], found["confident"]["crossent"]
    assert torchs["without_gradient"][-1] > 0.1
    assert ours["without_gradient"][-1] == 0.0
    assert ours["said"][-1] == pytest.approx(ours["exact"][-1], rel=1e-6)
    assert "<svg" in picture.read_text(encoding="utf-8")
    assert "the two curves differ by at most" in capsys.readouterr().out


def test_characters(capsys: pytest.CaptureFixture[str]) -> None:
    run("train_lm.py", "--steps", "20")
    said = re.search(r"differ by at most (\S+) nats", capsys.readouterr().out)
    assert said is not None
    assert float(said[1]) <= 1e-5


def test_words(tmp_path: Path) -> None:
    picture, numbers = tmp_path / "filter.png", tmp_path / "words.json"
    run("train_lm.py", "--words", "--steps", "3", "--picture", str(picture), "--json", str(numbers))
    runs = json.loads(numbers.read_text(encoding="utf-8"))["runs"]
    assert list(runs) == ["exact", "grad_filter=2**-12"]
    assert all(len(some) == 3 for some in runs.values())
    assert picture.stat().st_size > 1000


def test_numbers_of_steps(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("train_digits.py", "train_lm.py"):
        with pytest.raises(SystemExit):
            run(name, "--steps", "0")
        assert "argument --steps: at least one step" in capsys.readouterr().err
