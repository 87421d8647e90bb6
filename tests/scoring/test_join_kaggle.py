"""Kaggle's solution files: rows marked Public and Private, labels one-hot."""

import math

import pytest

from crossent.cli.app import run
from crossent.scoring.score import score
from tests.scoring.joining import assert_refused, both

pytest.importorskip("duckdb", minversion="2.0")


@pytest.mark.parametrize("mark", ["Usage", "Indicator", "usage"])
def test_rows_that_are_not_public_have_no_label(write, mark):
    labels = write({"id": range(7), "target": range(7), mark: ["Public"] * 4 + ["Private"] * 2 + ["Ignored"]}, "l.csv")
    report, found = both(write({"id": [6, 0, 5, 3]}), labels)
    assert found == {"id": [6, 0, 5, 3], "target": [None, 0, None, 3], mark: ["Ignored", "Public", "Private", "Public"]}
    assert (report.public, report.excluded) == (4, 2)
    assert report.notes[-1] == f"{labels} marks 4 of 7 rows Public in {mark}."


def test_marks_that_are_all_public_or_none_or_something_else(write):
    predictions = write({"id": [1, 2]})
    labels = write({"id": [1, 2], "target": [0, 1], "Usage": ["Public", "Public"]}, "l.csv")
    report, found = both(predictions, labels)
    assert (report.notes, report.excluded, found["target"]) == ((), 0, [0, 1])
    labels = write({"id": [1, 2], "target": [0, 1], "Usage": ["Private", "Private"]}, "l.csv")
    text = f"`labels` must mark rows Public in 'Usage', '{labels}' marks none of its 2; drop that column to score every row"
    assert_refused(text, predictions, labels)
    labels = write({"id": [1, 2], "target": [0, 1], "Usage": ["Public", "heavy"]}, "l.csv")
    assert both(predictions, labels)[1]["Usage"] == ["Public", "heavy"]


def test_a_one_hot_solution_becomes_names(write):
    predictions = write({"id": [3, 1, 2, 9], "Status_C": [0.5] * 4, "Status_D": [0.5] * 4}, "p.csv")
    solution = {"id": [1, 2, 3], "Status_C": [1, 0, 0], "Status_D": [0, 1, 0], "Usage": ["Public", "Public", "Private"]}
    labels = write(solution, "solution.csv")
    report, found = both(predictions, labels)  # the classes are in both files too, and no key
    assert found["target"] == [None, "Status_C", "Status_D", None]
    assert found["Status_C"] == [0.5] * 4
    assert found["Usage"] == ["Private", "Public", "Public", "public"]  # the last lacks a label, which is another thing
    assert report.excluded == 1
    labels = write({name: solution[name] for name in ("id", "Status_C", "Status_D")}, "solution.parquet")
    text = "`labels` must have one 1 and otherwise 0 in Status_C, Status_D, which are columns of the predictions too, row 2 "
    assert_refused(f"{text}of '{labels}' has not; rename what is no such label", predictions, labels, "id")


@pytest.mark.parametrize("form", ["names", "one-hot"])
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_rows_that_are_not_public_are_ignored_and_not_missing(write, form, ending):
    ids = range(6)
    predictions = write({"id": [*ids, 9], "Status_C": [0.5] * 7, "Status_D": [0.5] * 7}, f"p.{ending}")
    truth = ["C", "D", "C", "nothing", "D", None]
    one_hot = {"Status_C": [1, 0, 1, 7, 0, 0], "Status_D": [0, 1, 0, 7, 1, 1]}
    marks = ["Public", "Public", "Public", "Private", "Ignored", "Public" if form == "one-hot" else "Private"]
    columns = {"Status": truth} if form == "names" else one_hot
    labels = write({"id": ids} | columns | {"Usage": marks}, f"solution.{ending}")
    result = score(predictions, labels=labels, on="id")
    public = marks.count("Public")
    assert (result.rows, result.ignored_labels, result.missing_labels) == (public, 6 - public, 1)
    assert result.cost == pytest.approx(math.log(2.0), rel=1e-15)
    assert result.reading.mark_column == "Usage"
    assert f"{labels} marks {public} of 6 rows Public in Usage." in result.reading.notes


def test_the_screen_says_what_was_left_out(write, capsys):
    predictions = write({"id": [1, 2], "p_C": [0.5] * 2, "p_D": [0.5] * 2}, "p.csv")
    labels = write({"id": [1, 2], "label": ["C", "D"], "Usage": ["Public", "Private"]}, "labels.csv")
    assert run(["score", str(predictions), "--labels", str(labels), "--on", "id"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "1 row with label -100, or not marked Public in 'Usage', not scored." in shown
    assert "without a label" not in shown
