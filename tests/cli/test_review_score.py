"""What a reviewer found on the command line: files that were overwritten, options without effect, names as markup."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from crossent.cli.app import run
from crossent.errors import OptionError
from crossent.scoring.score import score

GOOD = {"id": [1, 2, 3], "p_cat": [0.5, 0.2, 0.9], "p_dog": [0.5, 0.8, 0.1]}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    parquet.write_table(pa.table({**GOOD, "target": ["cat", "dog", "cat"]}), "a.parquet")
    parquet.write_table(pa.table({**GOOD, "target": ["dog", "dog", "dog"]}), "b.parquet")
    Path("truth.csv").write_text("id,label\n1,cat\n2,dog\n3,dog\n", encoding="utf-8")
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(["score", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err.removeprefix("crossent: ").rstrip()


@pytest.mark.parametrize(
    ("arguments", "name", "path"),
    [
        (("a.parquet", "--report", "a.parquet"), "report", "a.parquet"),
        (("b.parquet", "--labels", "truth.csv", "--on", "id", "--report", "./truth.csv"), "report", "truth.csv"),
        (("a.parquet", "--against", "b.parquet", "--report", "b.parquet"), "report", "b.parquet"),
        (("a.parquet", "--report", "same", "--state", "same"), "report", "same"),
        (("a.parquet", "--state", "a.parquet"), "state", "a.parquet"),
        (("b.parquet", "--labels", "truth.csv", "--on", "id", "--state", "truth.csv"), "state", "truth.csv"),
    ],
)
def test_what_is_read_is_not_written(folder, capsys, arguments, name, path):
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert refused(capsys, *arguments) == (
        f"`{name}` must be a file of its own, '{path}' is read or written as something else; choose another"
    )
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_a_link_stays_one_and_a_pipe_is_refused(folder, capsys):
    (folder / "link.html").symlink_to("real.html")
    assert run(["score", "a.parquet", "--report", "link.html"]) == 0
    assert (folder / "link.html").is_symlink()
    assert (folder / "real.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    capsys.readouterr()
    os.mkfifo("pipe")
    assert refused(capsys, "a.parquet", "--report", "pipe") == (
        "`report` must be a file, 'pipe' is a device or the like; choose another"
    )


def test_the_truth_is_that_of_the_labels_file(folder, capsys):
    assert run(["score", "b.parquet", "--labels", "truth.csv", "--on", "id", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["cost"] == pytest.approx(-np.log([0.5, 0.8, 0.1]).mean())
    assert content["reading"]["label_column"] == "label"
    assert content["reading"]["label_reason"] == "the labels of truth.csv"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("a.parquet", "--on", "id"), "`on` goes with `labels`, a file to join with; there is none"),
        (("a.parquet", "--probs", ""), "`probs` must be the name of a column, got no text"),
        (("",), "`source` must be the path of a file, got no text"),
        (
            ("a.parquet", "--against", "b.parquet", "--workers", "2"),
            "`--workers` does not go with `--against`: a comparison with 'b.parquet' has no use for it",
        ),
        (
            ("a.parquet", "--cluster", "id", "--bootstrap", "100"),
            "`cluster` and `bootstrap` cannot both be given; the bootstrap draws single rows",
        ),
    ],
)
def test_options_without_effect_are_refused(folder, capsys, arguments, said):
    assert refused(capsys, *arguments) == said


GIVEN = "says what the truth of each row was given"
UNUSED = {
    "target": f"{GIVEN}, so that no label is looked at",
    "bad_labels": f"{GIVEN}, so that no label is looked at",
    "classes": f"{GIVEN}, so that there is no prediction of each class to name",
}


@pytest.mark.parametrize("against", [(), ("--against", "c.parquet")])
@pytest.mark.parametrize("given", [("--losses", "loss"), ("--truth-log-probs", "chance"), ()])
@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("target", ("--target", "answer")),
        ("classes", ("--classes", "cat,dog")),
        ("bad_labels", ("--bad-labels", "count")),
        ("labels", ("--labels", "truth.csv", "--on", "id")),
    ],
)
def test_options_about_classes_are_refused_where_only_the_truth_was_given(folder, capsys, given, against, name, option):
    table = {"id": [1, 2, 3], "answer": ["cat", "dog", "cat"], "loss": [0.5, 1.0, 1.5]}
    chances = {"chance": [-0.5, -1.0, -1.5]} if given else {}
    parquet.write_table(pa.table(table | chances), "c.parquet")
    column = "chance" if "chance" in given else "loss"
    said = (
        f"`labels` must be left out here, no column of 'truth.csv' is used: '{column}' {GIVEN}"
        if name == "labels"
        else f"`{name}` must be left out here: '{column}' {UNUSED[name]}"
    )
    assert refused(capsys, "c.parquet", *given, *against, *option) == said


def test_labels_beside_losses_may_bring_weights_and_groups(folder, capsys):
    parquet.write_table(pa.table({"id": [1, 2, 3], "loss": [0.5, 1.0, 1.5]}), "c.parquet")
    Path("more.csv").write_text("id,store,w\n1,x,1\n2,y,2\n3,x,3\n", encoding="utf-8")
    labels = ("--labels", "more.csv", "--on", "id", "--by", "store", "--weight", "w")
    assert run(["score", "c.parquet", "--losses", "loss", *labels, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(each["name"], each["weight"]) for each in found["groups"]] == [("x", 4.0), ("y", 2.0)]
    assert found["cost"] == pytest.approx(7.0 / 6.0, rel=1e-15)


def test_labels_are_refused_where_the_truth_is_that_of_the_predictions(folder, capsys):
    said = "`labels` must be left out here, no column of 'truth.csv' is used: the truth is the column 'target' of the predictions"
    assert refused(capsys, "a.parquet", "--target", "target", "--labels", "truth.csv", "--on", "id") == said


def test_the_most_likely_classes_cannot_be_named(folder, capsys):
    lists = {"target": [1, 2], "top_ids": [[1, 2], [2, 3]], "top_logprobs": [[-0.5, -1.0], [-0.5, -1.0]]}
    parquet.write_table(pa.table(lists), "c.parquet")
    only = "'top_logprobs' lists the most likely classes only, so that"
    assert refused(capsys, "c.parquet", "--classes", "a,b") == (
        f"`classes` must be left out here: {only} there is no prediction of each class to name"
    )
    assert refused(capsys, "c.parquet", "--bad-labels", "count") == (
        f"`bad_labels` must be left out here: {only} no label is known to be no class"
    )


def test_a_folder_may_hold_other_files(folder, capsys):
    (folder / "b.parquet").unlink()
    (folder / "truth.csv").unlink()
    (folder / "README.txt").write_text("about", encoding="utf-8")
    for _ in range(2):
        assert run(["score", ".", "--state", "kept.state", "--report", "report.html"]) == 0
        assert "3 rows" in capsys.readouterr().out


def test_what_is_wrong_names_its_file_among_several(folder, capsys):
    parquet.write_table(pa.table({**GOOD, "p_cat": [0.5, 7.0, 0.9], "target": ["cat"] * 3}), "c.parquet")
    (folder / "truth.csv").unlink()
    assert refused(capsys, ".").endswith("row 1 has 7; if these are logits, say so with `logits` (in 'c.parquet')")


def test_names_are_text_and_nothing_else(folder, capsys):
    name = "\x1b[31mred\n[bold]"
    parquet.write_table(pa.table({"y": [name, "b"], f"p_{name}": [0.5, 0.2], "p_b": [0.5, 0.8]}), "d.parquet")
    assert run(["score", "d.parquet", "--target", "y"]) == 0
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "\\x1b[31mred\\n[bold]" in printed


def test_a_terminal_without_the_letters_shows_their_numbers(folder):
    parquet.write_table(pa.table({"y": ["猫", "b"], "p_猫": [0.5, 0.2], "p_b": [0.5, 0.8]}), "n.parquet")
    command = [sys.executable, "-m", "crossent", "score", "n.parquet", "--target", "y"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    finished = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert "\\u732b" in finished.stdout


def test_every_label_bad_is_said(folder, capsys):
    parquet.write_table(pa.table({**GOOD, "target": ["x", "y", "z"]}), "e.parquet")
    assert refused(capsys, "e.parquet", "--bad-labels", "count") == (
        "`target` must hold labels, 'e.parquet' has none: 0 missing, 0 ignored, 3 no class"
    )


def test_a_table_without_columns_and_a_log_without_tokens(folder, capsys):
    Path("chat.jsonl").write_text('{"choices":[{"logprobs":null}]}\n', encoding="utf-8")
    assert refused(capsys, "chat.jsonl").startswith("`source` must")


def test_undefined_losses_make_an_undefined_perplexity(folder, capsys):
    parquet.write_table(pa.table({"nll": [0.5, float("nan")]}), "nll.parquet")
    assert run(["score", "nll.parquet", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["language"]["token_perplexity"] == "nan"


def test_a_table_is_asked_for_no_classes_either():
    table = pa.table({"loss": [0.5, 1.0]})
    with pytest.raises(OptionError) as caught:
        score(table, losses="loss", classes=["cat", "dog"])
    assert str(caught.value) == f"`classes` must be left out here: 'loss' {UNUSED['classes']}"
