"""Labels joined on a key: every row gets what pandas gives it, whatever the formats, the pieces and the order."""

import json
import math
import os
import pickle
import re
import sys
from datetime import date, datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from crossent.errors import MissingExtraError, SourceError
from crossent.scoring import joined_source
from crossent.scoring.join import JoinedSource, check_join
from crossent.scoring.sources.opening import open_source, read_batches
from tests.scoring.joining import assert_refused, both
from tests.scoring.sources.whole import joined

pytest.importorskip("duckdb", minversion="2.0")

NAMES = ["ä", "cat", "o'clock", ""]


def shuffled(rows, seed=0):
    rng = np.random.default_rng(seed)
    keys = rng.permutation(rows + 3)[:rows]
    predictions = {"id": keys, "prob_0": rng.random(rows)}
    others = rng.permutation(rows)
    labels = {"id": others, "target": rng.integers(0, 5, rows), "name": [NAMES[key % 4] or None for key in others]}
    return predictions, labels


@pytest.mark.parametrize("predictions_name", ["p.parquet", "p.csv", "p.arrow", "p.arrows", "p.npz"])
@pytest.mark.parametrize("labels_name", ["l.parquet", "l.csv", "l.feather"])
def test_every_format_gets_what_pandas_merges(write, predictions_name, labels_name):
    predictions, labels = shuffled(1000)
    predictions_path = write(predictions, predictions_name)
    _, found = both(predictions_path, write(labels, labels_name), batch_rows=64)
    merged = pd.DataFrame(predictions).merge(pd.DataFrame(labels), on="id", how="left")
    assert found["id"] == merged["id"].tolist()
    assert found["prob_0"] == pytest.approx(merged["prob_0"].tolist(), abs=0)
    assert found["target"] == [None if math.isnan(each) else each for each in merged["target"]]
    assert found["name"] == [each if isinstance(each, str) else None for each in merged["name"]]


@pytest.mark.parametrize("chunk_rows", [1, 10, 2**20])
def test_pieces_batches_and_chunks_change_nothing(write, monkeypatch, chunk_rows):
    monkeypatch.setattr(joined_source, "_FIRST_ROWS", chunk_rows)
    monkeypatch.setattr(joined_source, "_FEWEST_ROWS", chunk_rows)
    monkeypatch.setattr(joined_source, "_MOST_ROWS", chunk_rows)
    predictions, labels = shuffled(97)
    path = write(predictions, rows_per_batch=10)
    report, whole = both(path, write(labels, "truth.csv"), batch_rows=1000)
    source = pickle.loads(pickle.dumps(JoinedSource(open_source(path), report.label_file)))
    pieces = source.pieces(source.schema.names, 20)
    assert len(pieces) == 5
    for batch_rows in (1, 3, 64):
        parts = [joined(read_batches(source, source.schema.names, batch_rows, {}, piece)) for piece in pieces]
        assert {name: [value for part in parts for value in part[name]] for name in whole} == whole
        batches = list(read_batches(source, ["target"], batch_rows, {}))
        assert max(batch.num_rows for batch in batches) <= batch_rows
        assert joined(batches) == {"target": whole["target"]}
    assert joined(read_batches(source, ["prob_0"], 50, {})) == {"prob_0": whole["prob_0"]}
    assert joined(read_batches(source, ["name", "id"], 50, {})) == {"name": whole["name"], "id": whole["id"]}
    assert (source.path, source.format, source.rows, source.notes) == (path, "Parquet", 97, ())


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (pa.int8(), [-128, 127, None]),
        (pa.uint64(), [0, 2**64 - 1, None]),
        (pa.float16(), [0.5, math.inf, None]),
        (pa.float32(), [0.25, -math.inf, None]),
        (pa.float64(), [0.1, 5e-324, None]),
        (pa.bool_(), [True, False, None]),
        (pa.string(), ["", "ä", None]),
        (pa.large_string(), ["", "ä", None]),
        (pa.decimal128(38, 2), [Decimal("0.25"), Decimal("-1.00"), None]),
        (pa.dictionary(pa.int8(), pa.string()), ["b", "a", None]),
        (pa.list_(pa.float32()), [[0.5, math.inf], [], None]),
        (pa.list_(pa.float64(), 2), [[0.5, math.inf], [0.25, 0.75], None]),
        (pa.list_(pa.float16(), 2), [[0.5, math.inf], [0.25, 0.75], None]),
    ],
    ids=str,
)
def test_label_values_and_types_survive(write, kind, values):
    labels = pa.table({"id": [3, 1, 2], "target": pa.array(values, kind)})
    report, found = both(write({"id": [1, 2, 3, 4]}), write(labels, "labels.arrow"))
    assert found["target"] == [values[1], values[2], values[0], None]
    source = JoinedSource(open_source(write({"id": [1]})), report.label_file)
    batch = next(read_batches(source, ["target"], 9, {}))
    assert batch.schema.field("target").type == source.schema.field("target").type


def test_class_names_in_the_metadata_of_the_labels_are_kept(write):
    content = {"info": {"features": {"target": {"names": ["no", "yes"]}}}}
    labels = pa.table({"id": [1], "target": [0]}).replace_schema_metadata(
        {"huggingface": json.dumps(content), "pandas": "of the labels"}
    )
    predictions = pa.table({"id": [1]}).replace_schema_metadata({"pandas": "of the predictions"})
    source = open_source(write(predictions))
    schema = JoinedSource(source, check_join([source], write(labels, "l.parquet")).label_file).schema
    assert json.loads(schema.metadata[b"huggingface"]) == content
    assert schema.metadata[b"pandas"] == b"of the predictions"


def test_nan_stays_nan_and_is_not_missing(write):
    labels = write({"id": [1, 2], "target": pa.array([math.nan, None], pa.float64())}, "l.parquet")
    _, found = both(write({"id": [1, 2]}), labels)
    assert math.isnan(found["target"][0])
    assert found["target"][1] is None


@pytest.mark.parametrize(
    ("predictions", "labels"),
    [
        (pa.array([2, 1], pa.int8()), pa.array([1, 2], pa.int64())),
        (pa.array([2**64 - 1, 1], pa.uint64()), pa.array([1, 2**64 - 1], pa.uint64())),
        (pa.array([2, 1], pa.uint64()), pa.array([1, 2], pa.int32())),
        (pa.array(["b", "a"]), pa.array(["a", "b"], pa.large_string())),
        (pa.array(["b", "a"]).dictionary_encode(), pa.array(["a", "b"], pa.string())),
        (pa.array([12, 7]), pa.array(["7", "12"])),
        (pa.array([date(2024, 1, 2), date(1969, 1, 1)]), pa.array([date(1969, 1, 1), date(2024, 1, 2)], pa.date64())),
        (pa.array([date(2024, 1, 2), date(1969, 1, 1)]), pa.array(["1969-01-01", "2024-01-02"])),
        (
            pa.array([datetime(2024, 1, 2), datetime(2024, 1, 1)], pa.timestamp("s")),
            pa.array([datetime(2024, 1, 1), datetime(2024, 1, 2)], pa.timestamp("ns")),
        ),
        (
            pa.array([1_700_000_000, 5], pa.timestamp("s", "Europe/Berlin")),
            pa.array([5_000, 1_700_000_000_000], pa.timestamp("ms", "UTC")),
        ),
    ],
)
def test_keys_of_different_types(write, predictions, labels):
    report, found = both(
        write(pa.table({"key": predictions}), "p.arrow"), write(pa.table({"key": labels, "y": [10, 20]}), "l.arrow")
    )
    assert found["y"] == [20, 10]
    assert report.notes == ()


def test_numbers_that_are_close_are_different_keys(write):
    near = pa.table({"key": pa.array([2**63 - 1, 2**63 - 2, 2**53 + 1], pa.uint64())})
    labels = pa.table({"key": pa.array([2**63 - 2, 2**53, 2**63 - 1], pa.int64()), "y": [1, 2, 3]})
    _, found = both(write(near, "p.arrow"), write(labels, "l.arrow"))
    assert found["y"] == [3, 1, None]


def test_csv_keys_with_zeros_in_front_are_text_beside_text(tmp_path, write):
    path = tmp_path / "truth.csv"
    path.write_text("id,target\n00012,a\n12,b\n")
    _, found = both(write({"id": ["12", "00012", "012"]}), path)
    assert found["target"] == ["b", "a", None]


def test_csv_keys_that_are_numbers_only_at_first(tmp_path):
    predictions, labels = tmp_path / "p.csv", tmp_path / "l.csv"
    rows = 300_000  # past the first block, by which CSV takes the column for whole numbers
    predictions.write_text("id,prob_0\n" + "".join(f"{row:07},0.5\n" for row in range(rows)) + "A12,0.25\n")
    labels.write_text("id,target\nA12,b\n0000003,a\n")
    report, found = both(predictions, labels, batch_rows=10_000)
    assert (found["target"][-1], found["target"][3], found["target"][4]) == ("b", "a", None)
    assert report.predictions_without_label == rows - 1
    assert (found["id"][3], found["id"][-1]) == ("0000003", "A12")


def test_csv_labels_that_are_numbers_only_at_first(tmp_path, write):
    labels = tmp_path / "l.csv"
    rows = 300_000
    labels.write_text("id,target\n" + "".join(f"{row},01\n" for row in range(rows)) + f"{rows},cat\n")
    predictions = write({"id": [rows, 3]})
    assert both(predictions, labels, types={"target": pa.string()})[1]["target"] == ["cat", "01"]
    assert both(write({"id": [4, 3]}), labels)[1]["target"] == [1, 1]
    text = (
        f"`labels` must be readable, 'target' of '{labels}' is not: Failed to parse string: 'cat' as a scalar of type "
    )
    assert_refused(f"{text}int64", write({"id": [rows]}), labels)


def test_the_key_is_the_only_column_in_common(write):
    predictions = write({"ID": [1], "row": [5], "prob_0": [0.5]}, "p.parquet")
    assert both(predictions, write({"row": [5], "id": [1], "y": [2]}, "l.parquet"))[0].on == "row"
    labels = write({"id": [1], "y": [2]}, "none.parquet")
    text = (
        f"`on` must be a column of both files, '{labels}' has 'id', 'y' and '{predictions}' has 'ID', 'row', 'prob_0'; "
    )
    assert_refused(f"{text}give the rows of both a column with the same name and keys", predictions, labels)
    several = write({"user_id": [1], "item_id": [5], "prob_0": [0.5]}, "several.parquet")
    two = write({"user_id": [1], "item_id": [2], "y": [2]}, "keys.parquet")
    text = f"`on` must say which column is the key, '{two}' and '{several}' share 'user_id', 'item_id'"
    assert_refused(text, several, two)
    text = f"`on` must be a column of both files, '{several}' has no 'y' among 'user_id', 'item_id', 'prob_0'"
    assert_refused(text, several, two, "y")


def test_columns_in_common_beside_the_key(write):
    predictions = write({"id": [1], "text": ["a"], "": [0]}, "p.parquet")
    labels = write({"id": [1], "text": ["b"], "": [0]}, "l.parquet")
    text = (
        f"`labels` must not have columns of the predictions beside the key, '{labels}' and '{predictions}' both have "
    )
    assert_refused(f"{text}text; rename or drop them in one of the files", predictions, labels, "id")
    _, found = both(predictions, write({"id": [1], "y": [4], "": [9]}, "l.parquet"), "id")
    assert found == {"id": [1], "text": ["a"], "": [0], "y": [4]}


@pytest.mark.parametrize("kind", [pa.float32(), pa.bool_(), pa.binary(), pa.list_(pa.int64()), pa.decimal128(5, 0)])
def test_keys_that_cannot_be_compared(write, kind):
    labels = write(pa.table({"id": pa.array([None], kind), "y": [1]}), "l.arrow")
    text = f"`on` must hold whole numbers, text or dates, 'id' of '{labels}' holds {kind}; "
    assert_refused(f"{text}write the keys as whole numbers or as text", write({"id": [1]}), labels)


def test_keys_of_two_kinds(write):
    predictions, labels = write({"id": [1]}), write({"id": [date(2024, 1, 1)], "y": [1]}, "l.arrow")
    text = f"`on` must hold the same kind of key in both files, 'id' holds dates in '{labels}' and whole numbers in "
    assert_refused(f"{text}'{predictions}'; write the keys alike", predictions, labels)


def test_missing_keys_match_nothing_and_are_counted(write):
    labels = write({"id": [None, 1, None], "target": [7, 8, 9]}, "l.parquet")
    report, found = both(write({"id": [None, 1, None, None]}), labels)
    assert found["target"] == [None, 8, None, None]
    assert (report.labels_without_key, report.predictions_without_key) == (2, 3)
    assert (report.labels_without_prediction, report.predictions_without_label) == (0, 0)
    assert report.notes == (
        f"2 labels in {labels} have no id, and a missing key matches nothing.",
        "3 predictions have no id, and a missing key matches nothing.",
    )


def test_rows_without_partner_are_counted_and_named(write):
    labels = write({"id": [1, 19, 18, 17], "target": [0, 1, 1, 0]}, "l.parquet")
    report, _ = both(write({"id": [5, 1]}), labels)
    assert (report.labels, report.predictions) == (4, 2)
    assert report.notes == (
        f"3 labels in {labels} have no prediction: 17, 18 and 19.",
        f"1 prediction has no label in {labels}: 5.",
    )
    labels = write({"id": ["b", "e", "c", "d", "f"], "target": [0, 1, 1, 0, 0]}, "l.parquet")
    report, _ = both(write({"id": ["a", "b"]}), labels)
    assert report.notes == (
        f"4 labels in {labels} have no prediction: the first are 'c', 'd' and 'e'.",
        f"1 prediction has no label in {labels}: 'a'.",
    )


def test_several_files_are_checked_together(write):
    first, second = write({"id": [1, 2]}, "a.parquet"), write({"id": ["2", "3"], "p": [1, 2]}, "b.csv")
    labels = write({"id": [3, 1, 2], "target": [3, 1, 2]}, "l.parquet")
    text = f"`source` must have each key of 'id' once, 1 of them stands in several rows, the first, 2, in row 1 of '{first}'"
    assert_refused(f"{text} and row 0 of '{second}'; drop the rows that do not count", [first, second], labels)
    second = write({"id": [3]}, "b.parquet")
    report, _ = both([first, second], labels)
    assert (report.predictions, report.notes) == (3, ())


def test_keys_twice_among_the_labels(write):
    labels = write({"id": ["x", "b", "b", "x", "b", None, None], "target": range(7)}, "l.parquet")
    text = f"`labels` must have each key of 'id' once, 2 of them stand in several rows, the first, 'b', in row 1 of '{labels}'"
    assert_refused(f"{text} and row 2 of '{labels}'; drop the rows that do not count", write({"id": ["b"]}), labels)


def test_no_key_in_common(tmp_path, write):
    labels, predictions = tmp_path / "l.csv", write({"id": ["1.0", "2.0"]})
    labels.write_text("id,target\n2,0\n1,1\n")
    text = f"`on` must have keys in common in both files, 'id' has none: the first is '1' in '{labels}' and '1.0' in "
    assert_refused(f"{text}'{predictions}'", predictions, labels)


def test_no_keys_at_all(write):
    labels = write({"id": pa.array([None, None], pa.int64()), "target": [0, 1]}, "l.parquet")
    text = f"`on` must be a column with keys, 'id' is missing in every one of the 2 rows of '{labels}'"
    assert_refused(text, write({"id": [1]}), labels)
    predictions = write(pa.table({"id": pa.array([None], pa.null())}))
    text = f"`on` must be a column with keys, 'id' is missing in every one of the 1 rows of '{predictions}'"
    assert_refused(text, predictions, write({"id": [1], "target": [0]}, "l.parquet"))


def test_files_of_labels_that_cannot_be_read(tmp_path, write):
    predictions = write({"id": [1]})
    assert_refused(f"`labels` must be a file, there is no '{tmp_path / 'no.csv'}'", predictions, tmp_path / "no.csv")
    (tmp_path / "empty.csv").touch()
    text = f"`labels` must have rows, '{tmp_path / 'empty.csv'}' is an empty file"
    assert_refused(text, predictions, tmp_path / "empty.csv")
    (tmp_path / "head.csv").write_text("id,target\n")
    assert_refused(f"`labels` must have rows, '{tmp_path / 'head.csv'}' has none", predictions, tmp_path / "head.csv")
    ragged = tmp_path / "ragged.csv"
    ragged.write_text("id,target\n1,2\n3\n")
    with pytest.raises(
        SourceError, match=f"^`labels` must be readable, '{ragged}' is not: .*Expected 2 columns, got 1"
    ):
        both(predictions, ragged)
    labels = write({"id": range(1000), "target": range(1000)}, "cut.parquet")
    labels.write_bytes(labels.read_bytes()[:-100])
    with pytest.raises(SourceError, match=f"^`labels` must be readable, '{labels}' is not: [^\n]*$"):
        both(predictions, labels)
    text = "`labels` must be the path of a file, got dict; write it to a file first"
    assert_refused(text, predictions, {"id": [1]})
    labels = write({"id": [1]}, "l.parquet")
    text = f"`labels` must have a column beside the key 'id' that can hold labels, '{labels}' has none"
    assert_refused(text, predictions, labels)


def test_a_file_of_labels_that_vanishes_after_the_check(write):
    predictions, labels = write({"id": [1]}), write({"id": [1], "y": [1]}, "l.parquet")
    source = JoinedSource(open_source(predictions), check_join([open_source(predictions)], labels).label_file)
    labels.unlink()
    text = f"`labels` must be readable, '{labels}' is not: [Errno 2] No such file or directory: '{labels}'"
    with pytest.raises(SourceError, match=re.escape(text)) as caught:
        next(read_batches(source, ["y"], 10, {}))
    assert str(caught.value) == text


def test_a_file_of_labels_that_changes_is_read_again(write):
    predictions, labels = write({"id": [1, 2]}), write({"id": [1, 2], "y": [1, 2]}, "l.parquet")
    assert both(predictions, labels)[1]["y"] == [1, 2]
    labels = write({"id": [1, 2], "y": [3, 4]}, "l.parquet")
    os.utime(labels, (0, 0))
    assert both(predictions, labels)[1]["y"] == [3, 4]


def test_predictions_without_rows(write):
    predictions = write({"id": pa.array([], pa.int64())})
    labels = write({"id": [1], "target": [1]}, "l.parquet")
    assert_refused(f"`source` must have rows, '{predictions}' has none", predictions, labels)


def test_a_stream_can_be_read_once_only_and_a_table_again(write):
    labels = write({"id": [1, 2], "target": [5, 6]}, "l.parquet")
    table = pa.table({"id": [2, 1]})
    assert both(table, labels)[1]["target"] == [6, 5]
    text = "`source` must be read twice to join labels, '<RecordBatchReader>' can be read once; "
    assert_refused(f"{text}give a table or write it to a file", table.to_reader(), labels)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (pa.timestamp("us"), datetime(2024, 1, 1)),
        (pa.binary(), b"a"),
        (pa.struct([("a", pa.int64())]), {"a": 1}),
        (pa.list_(pa.string()), ["a"]),
        (pa.list_view(pa.float64()), [0.5]),
        (pa.decimal256(50, 2), Decimal("0.25")),
    ],
    ids=str,
)
def test_columns_that_cannot_hold_labels_are_skipped_with_the_reason(write, kind, value):
    labels = write(pa.table({"id": [1], "target": [1], "other": pa.array([value], kind)}), "l.arrow")
    report, found = both(write({"id": [1]}), labels)
    assert found == {"id": [1], "target": [1]}
    assert dict(report.label_file.skipped) == {
        "other": f"`other` must hold class ids, names, numbers or lists of numbers, in '{labels}' it holds {kind}; "
        "write it as one of them"
    }


def test_a_missing_duckdb_is_one_sentence(write, monkeypatch):
    monkeypatch.setitem(sys.modules, "duckdb", None)
    text = "joining labels needs duckdb, which is not installed: pip install 'crossent[score]'"
    with pytest.raises(MissingExtraError, match=re.escape(text)) as caught:
        both(write({"id": [1]}), write({"id": [1], "y": [1]}, "l.parquet"))
    assert str(caught.value) == text
