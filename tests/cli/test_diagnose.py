"""``crossent diagnose``: numbers that look like options, files, JSON, and one line for every mistake."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from crossent.cli.app import run
from crossent.cli.diagnose import NEXT
from crossent.explaining.diagnosing.diagnose import diagnose

Capture = pytest.CaptureFixture[str]


def printed(capsys: Capture, *arguments: str) -> str:
    assert run(["diagnose", *arguments]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def test_the_text_is_the_diagnosis_and_what_to_try_next(capsys: Capture) -> None:
    text = printed(capsys, "1.4612", "--classes", "10")
    assert text == diagnose(loss="1.4612", classes=10).render() + "\n\n" + NEXT + "\n"


def test_json_is_the_diagnosis(capsys: Capture) -> None:
    text = printed(capsys, "16.118", "--function", "keras.losses.CategoricalCrossentropy", "--json")
    assert json.loads(text) == diagnose(loss="16.118", function="keras.losses.CategoricalCrossentropy").to_dict()


@pytest.mark.parametrize(
    ("loss", "code"), [("-0.5", "CE104"), ("-55.03", "CE105"), ("-inf", "CE129"), ("nan", "CE002")]
)
def test_losses_that_look_like_options(capsys: Capture, loss: str, code: str) -> None:
    assert json.loads(printed(capsys, loss, "--json"))["findings"][0]["code"] == code
    assert json.loads(printed(capsys, "--json", loss))["findings"][0]["code"] == code


def test_counts(capsys: Capture) -> None:
    text = printed(capsys, "3.31035117", "--class-counts", "144277,15294")
    assert "clipped" in text
    assert "0.0958445" in text


def test_files(capsys: Capture, tmp_path: Path) -> None:
    history, z, y = tmp_path / "losses.csv", tmp_path / "z.npy", tmp_path / "y.npy"
    history.write_text("loss\n2.31\n2.30\n2.30\n2.31\n2.30\n")
    np.save(z, np.full((32, 4), 0.25))
    np.save(y, np.arange(32) % 4)
    assert "CE101" in printed(capsys, "--history", str(history), "--classes", "10")
    assert "CE005" in printed(capsys, "--logits", str(z), "--targets", str(y))
    assert "CE101" in printed(capsys, "--probs", str(z), "--targets", str(y))


def test_nothing_to_report(capsys: Capture) -> None:
    assert "No finding: nothing here looks like a known mistake." in printed(capsys, "0.21", "--classes", "10")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "a loss is needed, such as `crossent diagnose 2.3026 --classes 10`, or --history, --logits or --probs."),
        (["high"], '`loss` must be one number, such as 2.3026, or "inf" or "nan"; got \'high\'.'),
        (["2,3"], '`loss` must be one number, such as 2.3026, or "inf" or "nan"; got \'2,3\'.'),
        (["1.0", "--classes", "ten"], "`classes` must be the number of classes, such as 10; got 'ten'."),
        (["1.0", "--classes", "-3"], "`classes` must be the number of classes, at least 1; got -3."),
        (
            ["2.3", "--classes", "1"],
            (
                "`classes` is 1, and a loss over one class is always 0; got the loss 2.3. Type 2 for one sigmoid output, which "
                "tells two classes apart."
            ),
        ),
        (
            ["1.0", "--function", "mse"],
            (
                "`function` must be a loss that is known here; got 'mse'. Did you mean torch.nn.CrossEntropyLoss or "
                "keras.losses.CategoricalCrossentropy or sklearn.metrics.log_loss?"
            ),
        ),
        (
            ["1.0", "--class-counts", "9,x"],
            "`class_counts` must be numbers separated by commas, such as 900,100; 'x' is no number.",
        ),
        (["1.0", "--class-counts", "9,-1"], "`class_counts` must be at least 0 and not all 0; class 1 has -1."),
        (["1.0", "--history", "none.csv"], "`history` names the file none.csv, which does not exist."),
        (["--logits", "none.npy"], "`logits` names the file none.npy, which does not exist."),
        (["2.3026", "10"], "One loss is taken; for 10 classes type --classes 10. See `crossent --help`."),
        (["--bogus", "3"], "No such option: --bogus. See `crossent --help`."),
        (["3", "--bogus"], "Got unexpected extra argument(s) (--bogus). See `crossent --help`."),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(capsys: Capture, arguments: list[str], said: str) -> None:
    assert run(["diagnose", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"crossent: {said}\n"


def test_lengths_that_differ(capsys: Capture, tmp_path: Path) -> None:
    z, y = tmp_path / "z.npy", tmp_path / "y.npy"
    np.save(z, np.zeros((4, 3)))
    np.save(y, np.zeros(5, int))
    assert run(["diagnose", "--logits", str(z), "--targets", str(y)]) == 2
    assert capsys.readouterr().err == (
        "crossent: `targets` must have one entry per row of outputs of shape (4, 3), 4 in all, or that shape; "
        "got shape (5,).\n"
    )


def test_the_command_loads_nothing_heavy() -> None:
    program = (
        "import sys; from crossent.cli.app import run; assert run(['diagnose', '2.3026', '--classes', '10']) == 0; "
        "print(sorted({'numba', 'llvmlite', 'pyarrow', 'rich', 'scipy', 'torch', 'matplotlib'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "[]"
