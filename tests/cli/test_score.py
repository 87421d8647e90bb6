"""`crossent score`: what is printed, as text and as JSON."""

import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import typer
from pyarrow import parquet
from typer.testing import CliRunner

from crossent.cli.score import score
from crossent.errors import SourceError

EXAMPLES = Path(__file__).parents[2] / "examples"

app = typer.Typer()
app.command()(score)


def printed(*arguments: object) -> str:
    ran = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert ran.exit_code == 0
    return ran.stdout


def written(path: Path, **columns: object) -> Path:
    parquet.write_table(pa.table(columns), path)
    return path


def block(text: str) -> str:
    return textwrap.dedent(text).strip() + "\n"


def test_the_whole_screen(tmp_path):
    path = written(tmp_path / "a.parquet", target=["cat", "dog", "cat"], p_cat=[0.5, 0.0, 1.0], p_dog=[0.5, 1.0, 0.0])
    assert printed(path) == block(
        f"""
        Cost 0.231049 nats = 0.333333 bits per row, perplexity 1.25992, accuracy 66.67%, 3 rows
        Standard error 0.23, 95 % interval -0.221799 to 0.683897
        63.70% less than always predicting the label frequencies, which costs 0.636514 nats.

        No impossible row: no prediction is 0 where the truth is.
        1 row tied: the truth shares the highest prediction, which is not counted as correct.

        Calibration of the highest prediction (exact): cost 0.231 = miscalibration 0.231 - discrimination 0.6365 + uncertainty 0.6365; calibration error 0.1667 in 16 bins
        Best temperature 1, which would gain 0 nats
        Median loss 0 nats; the worst 1 % of the rows make 3.0% of the cost

        Classes
        class  rows  cost in nats  accuracy  impossible
        cat       2        0.3466    50.00%           0
        dog       1        0.0000   100.00%           0

        Worst rows
        row  loss in nats  truth  its prediction  highest
        0          0.6931    cat             0.5  cat 0.5

        Read        {path} (Parquet)
        Labels      column 'target' (by its name)
        Predictions probabilities (by their name)
        Classes     2, named by the columns: cat = p_cat, dog = p_dog
        """
    )


def test_the_screen_of_a_file_in_trouble(tmp_path):
    path = written(
        tmp_path / "a.parquet",
        y=pa.array([0, 0, 1, None, -100]),
        logit_0=[-np.inf, 1e-5, -12.0, 0.0, 0.0],
        logit_1=[0.0, 1e-5, 0.0, 0.0, 0.0],
    )
    lines = printed(path, "--classes", "no, [yes]", "--target", "y").splitlines()
    assert lines[:8] == [
        "Cost inf nats = inf bits per row, perplexity inf, accuracy 33.33%, 3 rows",
        "Over the other 2 rows: cost 0.346577 nats = 0.500004 bits",
        "Standard error 0.35, 95 % interval -0.332689 to 1.02584",
        "Infinitely worse than always predicting the label frequencies, which costs 0.636514 nats.",
        "",
        "1 row impossible: the prediction is 0 where the truth is, so the cost is inf.",
        "1 row tied: the truth shares the highest prediction, which is not counted as correct.",
        "1 row without a label, not scored.",
    ]
    assert "1 row with label -100, not scored." in lines
    assert "no        2           inf     0.00%           1" in lines
    assert "[yes]     1       6.1e-06   100.00%           0" in lines
    assert lines[-1] == ("Classes     2, named by `classes`: no (label 0) = logit_0, [yes] (label 1) = logit_1")


def test_undefined_rows_and_sums_that_are_not_1_are_said(tmp_path):
    path = written(tmp_path / "a.parquet", y=[0, 1, 1], p_0=[np.nan, 0.5, 0.25], p_1=[0.5, 0.5, 0.5])
    text = printed(path)
    assert "Cost nan nats" in text
    assert "Not comparable with always predicting the label frequencies" in text
    assert "1 row undefined: the prediction is NaN or missing, so the cost is nan." in text
    assert "1 row with probabilities that do not sum to 1, by up to 0.25." in text


@pytest.mark.parametrize(
    ("first", "labels", "said"),
    [
        ([0.5, 0.5], [0, 1], "The same as always predicting"),
        ([0.25, 0.75], [0, 1], "more than always predicting the label frequencies, which costs 0.693147 nats: worse"),
        ([0.5, 0.5], [1, 1], "No baseline: every label is the same class."),
    ],
)
def test_the_baseline_in_words(tmp_path, first, labels, said):
    path = written(tmp_path / "a.parquet", y=labels, p_0=first, p_1=[1 - each for each in first])
    assert said in printed(path)


def test_many_classes_are_shown_by_their_cost(tmp_path):
    logits = {f"logit_{index}": np.where(np.arange(50) == index, index / 10, 0.0) for index in range(50)}
    lines = printed(written(tmp_path / "a.parquet", y=np.arange(50), **logits)).splitlines()
    start = lines.index("The 20 costliest of 50 classes")
    assert [line.split()[0] for line in lines[start + 2 : start + 22]] == [str(index) for index in range(20)]
    assert lines[-1].endswith("19 = logit_19, and 30 more")


def test_the_columns_may_be_given(tmp_path):
    path = written(tmp_path / "a.parquet", mine=[0, 1], a_0=[0.2, 0.1], a_1=[0.3, 0.4])
    for asked in ("a_", "a", "a_0,a_1", "a_0, a_1"):
        content = json.loads(printed(path, "--target", "mine", "--logits", asked, "--json"))
        assert content["reading"]["kind"] == "logits"
        assert content["reading"]["prediction_columns"] == ["a_0", "a_1"]
    assert json.loads(printed(path, "--probs", "a_", "--json"))["unnormalised"] == 2
    negative = written(tmp_path / "b.parquet", y=[0, 1], a_0=[-0.2, -0.1], a_1=[-0.3, -0.4])
    assert json.loads(printed(negative, "--log-probs", "a_", "--json"))["cost"] == pytest.approx(0.3, rel=1e-15)


def test_json_is_the_score(tmp_path):
    path = written(tmp_path / "a.parquet", y=[0, 1], p_0=[0.0, 0.5], p_1=[1.0, 0.5])
    content = json.loads(printed(path, "--json"))
    assert (content["rows"], content["cost"], content["impossible"]) == (2, "inf", 1)


def test_a_doubt_is_printed_once_and_no_warning_is_raised(tmp_path):
    first = np.tile([0.9, 0.2], 100)
    text = printed(written(tmp_path / "a.parquet", label=np.tile([0, 1], 100), p_0=first, p_1=1 - first))
    assert text.count("if it is the prediction and not the truth, name the true labels with `target`.") == 1


def test_errors_are_raised_for_main_to_print(tmp_path):
    with pytest.raises(SourceError, match=re.escape("`source` must be a file, there is no")):
        CliRunner().invoke(app, [str(tmp_path / "no.csv")], catch_exceptions=False)


@pytest.mark.parametrize("name", ["digits_probs.parquet", "digits_logits.parquet"])
def test_the_examples_that_ship_with_the_repository(name):
    lines = printed(EXAMPLES / name).splitlines()
    assert lines[0] == ("Cost 0.104325 nats = 0.150509 bits per row, perplexity 1.10996, accuracy 96.72%, 1,797 rows")


def test_importing_the_command_loads_nothing_heavy():
    code = "import sys, crossent.cli.score; print({'pyarrow', 'numba', 'numpy'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"
