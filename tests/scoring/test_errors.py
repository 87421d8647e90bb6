"""Every error of score(), its whole text."""

import os
import re
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from crossent.errors import CrossentError, LabelError, OptionError, RangeError, SourceError
from crossent.scoring.score import score

HALF = [0.5, 0.5]
GOOD = {"target": [0, 1], "prob_0": HALF, "prob_1": HALF}


def assert_raises(error: type[CrossentError], text: str, path: object, **asked: object) -> None:
    with pytest.raises(error, match=re.escape(text)) as caught:
        score(path, **asked)
    assert str(caught.value) == text


def test_no_file_and_an_empty_folder(tmp_path):
    assert_raises(SourceError, f"`source` must be a file, there is no '{tmp_path / 'no.csv'}'", tmp_path / "no.csv")
    assert_raises(
        SourceError,
        f"`source` must name files, the folder '{tmp_path}' has none; hidden files and _SUCCESS do not count",
        str(tmp_path),
    )


def test_a_source_that_is_no_path():
    assert_raises(
        SourceError,
        "`source` must be the path of a file, or Arrow data, got dict; write it to a file first, or give a table",
        GOOD,
    )


def test_a_label_beyond_int64(tmp_path):
    table = pa.table({"target": pa.array([0, 1, 2**64 - 1], pa.uint64()), "prob_0": [0.5] * 3, "prob_1": [0.5] * 3})
    parquet.write_table(table, tmp_path / "a.parquet")
    assert_raises(
        LabelError,
        "`target` must hold one of the classes 0, 1; row 2 has 18446744073709551615: give the prediction of "
        "'18446744073709551615' a column, or name the label column with `target`",
        tmp_path / "a.parquet",
    )
    assert score(tmp_path / "a.parquet", bad_labels="count").bad_labels == 1


def test_text_that_is_not_utf8(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("target,p_é,p_b\nb,0.5,0.5\n".encode("latin-1"))
    assert_raises(
        SourceError,
        f"`source` must be text in UTF-8, line 1 of '{path}' is not, it has the byte 0xe9; convert it from what it is, "
        f"for example with `iconv -f LATIN1 -t UTF-8`, or save it as UTF-8 where it was made",
        path,
    )


@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.arrow", "a.npz"])
def test_an_empty_file(tmp_path, name):
    (tmp_path / name).touch()
    assert_raises(SourceError, f"`source` must have rows, '{tmp_path / name}' is an empty file", tmp_path / name)


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "a.arrows", "a.npz"])
def test_a_file_that_is_something_else(tmp_path, name):
    (tmp_path / name).write_bytes(b"nothing of the kind" * 10)
    with pytest.raises(SourceError) as caught:
        score(tmp_path / name)
    assert str(caught.value).startswith(f"`source` must be readable, '{tmp_path / name}' is not: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "a.arrows", "a.npz"])
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
def test_a_file_that_breaks_off(write, name, kept):
    rng = np.random.default_rng(0)
    predictions = rng.dirichlet([1.0, 1.0], size=20_000)
    path = write({"target": rng.integers(0, 2, 20_000), "p_0": predictions[:, 0], "p_1": predictions[:, 1]}, name, 5000)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(SourceError) as caught:
        score(path)
    assert str(caught.value).startswith("`source` must be ")
    assert "\n" not in str(caught.value)


def test_flipped_bytes_in_an_npz(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, labels=np.arange(5000) % 2, probs=np.random.default_rng(0).random((5000, 2)))
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2 : len(raw) // 2 + 64] = bytes(64)
    path.write_bytes(raw)
    # The checksum stands at the end of a member: numbers that cannot be logits may be seen before it.
    with pytest.raises((SourceError, RangeError), match=r"^(`source` must be readable|losses times weights must be)"):
        score(path, logits="probs")


@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.arrow", "a.arrows", "a.npz"])
def test_no_rows(write, name):
    path = write({"target": np.array([], int), "prob_0": np.array([]), "prob_1": np.array([])}, name)
    assert_raises(SourceError, f"`source` must have rows, '{path}' has none", path)


def test_a_line_that_is_too_short(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("target,p_0,p_1\n0,0.5,0.5\n1,0.5\n")
    assert_raises(
        SourceError,
        f"`source` must be readable, '{path}' is not: CSV parse error: Row #3: Expected 3 columns, got 2: 1,0.5",
        path,
    )


def test_text_where_a_number_should_be(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("target,p_0,p_1\n" + "0,0.5,0.5\n" * 200_000 + "0,half,0.5\n")
    assert_raises(
        SourceError,
        f"`p_0` must hold numbers, line 200002 of '{path}' has 'half'; "
        "correct the cell, or leave it empty where there is no value",
        path,
    )
    path.write_text("target,p_0,p_1,w,loss\n0,0.5,0.5,1,1\n1,0.5,NA,x,none\n")
    where = f"line 3 of '{path}' has"
    assert_raises(
        SourceError,
        f"`p_1` must hold numbers, {where} 'NA'; correct the cell or leave it empty, "
        f"or name the predictions with `probs` or `logits`",
        path,
    )
    assert_raises(
        SourceError,
        f"`weight` must be a column of numbers, {where} 'x' in 'w'; correct the cell",
        path,
        weight="w",
    )
    assert_raises(
        SourceError,
        f"`loss` must hold numbers, {where} 'none'; correct the cell or leave it empty",
        path,
        losses="loss",
    )
    labels = tmp_path / "labels.csv"
    labels.write_text("id,label\n1,a\n2,b\n")
    path.write_text("id,p_a,p_b\n1,0.5,0.5\n2,0.5,NA\n")
    assert_raises(
        SourceError,
        f"`p_b` must hold numbers, {where} 'NA'; correct the cell or leave it empty, "
        f"or name the predictions with `probs` or `logits`",
        path,
        labels=labels,
        on="id",
    )


def test_weights_may_begin_as_whole_numbers(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("target,p_0,p_1,w\n" + "0,0.5,0.5,1\n" * 200_000 + "0,0.5,0.5,0.5\n")
    assert score(path, weight="w").weight == 200_000.5


def test_labels_that_are_not_utf_8(tmp_path):
    path, labels = tmp_path / "a.csv", tmp_path / "labels.csv"
    path.write_text("id,p_a,p_b\n1,0.5,0.5\n2,0.5,0.5\n")
    labels.write_bytes("id,label\n1,a\n2,h\xe9\n".encode("latin-1"))
    assert_raises(
        SourceError,
        f"`labels` must be text in UTF-8, line 3 of '{labels}' is not, it has the byte 0xe9; convert it from what it is, "
        f"for example with `iconv -f LATIN1 -t UTF-8`, or save it as UTF-8 where it was made",
        path,
        labels=labels,
        on="id",
    )


def test_columns_that_are_not_there(write):
    path = write(GOOD)
    assert_raises(
        SourceError,
        "`target` must be a column, got 'truth'; the columns are target, prob_0, prob_1",
        path,
        target="truth",
    )
    assert_raises(
        SourceError,
        "`logits` must be a column of lists or the beginning of column names, got 'logit_'; "
        "the columns are target, prob_0, prob_1",
        path,
        logits="logit_",
    )
    assert_raises(
        SourceError,
        "`probs` must name columns, got prob_2; the columns are target, prob_0, prob_1",
        path,
        probs=["prob_0", "prob_2"],
    )
    assert_raises(
        SourceError,
        "`probs` must give one column per class, got only 'prob_1'; "
        "add the column of the other class, which for two classes is 1 - prob_1",
        path,
        probs="prob_1",
    )
    assert_raises(
        SourceError,
        "no column is called target, targets, y_true, truth or the like; name the label column with `target`, "
        "the columns are a, b, prob_0, prob_1",
        write({"a": [0, 1], "b": [0, 1], "prob_0": HALF, "prob_1": HALF}),
    )
    wide = {"target": [0, 1]} | {f"x{index}": ["a", "b"] for index in range(20)}
    assert_raises(
        SourceError,
        "`source` must have predictions, none were found among the columns target, x0, x1, x2, x3, x4, x5, x6, x7, x8, "
        "x9, x10 and 9 more; name them with `probs`, `logits` or `log_probs`",
        write(wide),
    )


def test_two_columns_of_one_name(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("target,p_0,p_0\n0,0.5,0.5\n")
    assert_raises(
        SourceError, f"`source` must name each column once, '{path}' has several called p_0; rename them", path
    )


def test_what_could_be_understood_in_several_ways(write):
    both = write(GOOD | {"logit_0": HALF, "logit_1": HALF})
    assert_raises(
        SourceError,
        "several columns could be the predictions: prob_0, logit_0; say which with `probs`, `logits` or `log_probs`",
        both,
    )
    unclear = write({"target": [0, 1], "score_0": HALF, "score_1": [0.25, 0.5]})
    assert_raises(
        SourceError,
        "the predictions score_0, score_1 could be probabilities or logits, their first rows lie in [0, 1] without "
        "summing to 1; say which with `probs`, `logits` or `log_probs`",
        unclear,
    )
    assert score(unclear, logits="score_").rows == 2
    assert_raises(
        OptionError,
        "`probs` and `logits` cannot both be given; the predictions are of one kind",
        both,
        probs="prob_",
        logits="logit_",
    )


def test_columns_of_the_wrong_type(write):
    assert_raises(
        SourceError,
        "`prob_1` must hold numbers, it holds string; name the predictions with `probs` or `logits`",
        write(GOOD | {"prob_1": ["a", "b"]}),
    )
    assert_raises(
        SourceError,
        "`target` must hold class ids or names, it holds list<element: double>; name the label column with `target`",
        write(GOOD | {"target": [HALF, HALF]}),
    )
    assert_raises(
        SourceError,
        "`probs` must hold 2 numbers in each row, row 2 has 3",
        write({"target": [0, 1, 0], "probs": [HALF, HALF, [0.2, 0.3, 0.5]]}),
    )
    assert_raises(
        SourceError,
        "`probs` must hold one number per class in each row, the first rows have none",
        write({"target": [0, 1], "probs": pa.array([None, None], pa.list_(pa.float64()))}),
    )


def test_classes_that_do_not_fit(write):
    path = write(GOOD)
    assert_raises(SourceError, "`classes` must have 2 names, one per prediction, got 1: cat", path, classes=["cat"])
    assert_raises(
        SourceError, "`classes` must differ from each other, got cat, cat", path_of_names(write), classes=["cat"] * 2
    )
    named = write({"target": [0, 1], "p_cat": HALF, "p_dog": HALF})
    assert_raises(
        SourceError,
        "`classes` must be the names in the prediction columns, cat, dog; got cat, cow",
        named,
        classes=["cat", "cow"],
    )
    assert_raises(
        SourceError,
        "`classes` must be given: 'target' holds numbers and the predictions are named cat, dog; "
        "give the names in the order of the numbers, from 0",
        named,
    )
    assert_raises(
        SourceError,
        "`classes` must be given: 'target' holds names and 'probs' a list without names; "
        "give the names in the order of the list",
        path_of_names(write),
    )


def path_of_names(write):
    return write({"target": ["cat", "dog"], "probs": [HALF, HALF]}, "names.parquet")


@pytest.mark.parametrize("asked", [{}, {"batch_rows": 1}])
def test_labels_that_are_no_class(write, asked):
    def labelled(*labels):
        return write({"target": labels, "prob_0": HALF, "prob_1": HALF})

    one_of = "`target` must hold one of the classes 0, 1; row 1 has"
    assert_raises(LabelError, f"{one_of} 2: are the labels 1-based?", labelled(1, 2), **asked)
    assert_raises(LabelError, f"{one_of} -1: a row without a label has -100 or nothing", labelled(1, -1), **asked)
    elsewhere = "a column, or name the label column with `target`"
    assert_raises(LabelError, f"{one_of} 9: give the prediction of '9' {elsewhere}", labelled(1, 9), **asked)
    assert_raises(LabelError, f"{one_of} 0.5: give the prediction of '0.5' {elsewhere}", labelled(1.0, 0.5), **asked)
    named = write({"target": ["cat", "cow"], "p_cat": HALF, "p_dog": HALF})
    assert_raises(
        LabelError,
        f"`target` must hold one of the classes cat, dog; row 1 has 'cow': give the prediction of 'cow' {elsewhere}",
        named,
        **asked,
    )
    with pytest.raises(IndexError):
        score(named)


def test_no_label_at_all(write):
    path = write({"target": pa.array([None, -100]), "prob_0": HALF, "prob_1": HALF})
    assert_raises(SourceError, f"`target` must hold labels, '{path}' has none: 1 missing, 1 ignored", path)


@pytest.mark.parametrize("asked", [{}, {"batch_rows": 1}])
def test_probabilities_outside_their_range(write, asked):
    hint = "if these are logits, say so with `logits`"
    assert_raises(
        RangeError,
        f"`prob_1` must be in [0, 1], row 1 has -0.25; {hint}",
        write(GOOD | {"prob_1": [0.5, -0.25]}),
        **asked,
    )
    assert_raises(
        RangeError,
        f"`probs[0]` must be in [0, 1], row 1 has 1.5; {hint}",
        write({"target": [0, 1], "probs": [HALF, [1.5, 0.5]]}),
        **asked,
    )
    assert_raises(
        RangeError,
        f"`log_prob_0` must be at most 0, row 0 has 2; {hint}",
        write({"target": [0, 1], "log_prob_0": [2.0, -1.0], "log_prob_1": [-1.0, -1.0]}),
        **asked,
    )


def test_npz_members_that_cannot_be_columns(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, labels=np.array(["a", None], object), probs=np.full((2, 2), 0.5))
    assert_raises(
        SourceError,
        f"`source` must hold plain arrays, 'labels.npy' in '{path}' holds Python objects, which only pickle can read; "
        "save it with a dtype such as int64 or <U16",
        path,
    )
    np.savez(path, labels=np.array([0, 1, 1]), probs=np.full((2, 2), 0.5))
    assert_raises(
        SourceError,
        f"`source` must hold arrays with the same number of rows, '{path}' has labels 3, probs 2",
        path,
    )


def test_batch_rows_below_1(write):
    assert_raises(OptionError, "`batch_rows` must be at least 1, got 0", write(GOOD), batch_rows=0)


def test_without_pyarrow_the_command_that_installs_it_is_named():
    code = "import sys; sys.modules['pyarrow'] = None; from crossent.scoring.score import score"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=False)
    assert ran.stderr.splitlines()[-1] == (
        "crossent.errors.MissingExtraError: reading prediction files needs pyarrow, which is not installed: "
        "pip install 'crossent[score]'"
    )
