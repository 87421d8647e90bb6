"""Parquet: row groups as pieces, odd names, damage."""

import datetime

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from crossent.errors import SourceError
from crossent.scoring.sources.opening import open_source
from tests.scoring.sources.whole import assert_pieces, assert_refused, assert_unreadable, read

COLUMNS = {
    "target": [0, 1, None, 2, 1, 0, 2, 1, 0, 1],
    "probs": [[0.5, 0.5]] * 9 + [None],
    "name": pa.array(list("abcabcabca")).dictionary_encode(),
    "p.cat": np.arange(10.0),
}


@pytest.fixture
def path(tmp_path):
    parquet.write_table(pa.table(COLUMNS), tmp_path / "a.parquet", row_group_size=3)
    return tmp_path / "a.parquet"


def test_schema_and_rows_are_known_before_reading(path):
    source = open_source(path)
    assert (source.format, source.rows, source.schema.names) == ("Parquet", 10, list(COLUMNS))
    assert (source.skipped, source.notes) == ({}, ())


@pytest.mark.parametrize("batch_rows", [1, 2, 100])
@pytest.mark.parametrize(("piece_rows", "pieces"), [(1, 4), (3, 4), (4, 2), (9, 2), (10, 1), (10**9, 1)])
def test_pieces_are_runs_of_row_groups(path, piece_rows, pieces, batch_rows):
    assert assert_pieces(path, ["p.cat", "target"], piece_rows, batch_rows) == pieces


def test_lists_nulls_dictionaries_and_dots_in_names(path):
    assert read(path) == pa.table(COLUMNS).to_pydict()
    assert read(path, ["p.cat"]) == {"p.cat": list(range(10))}


def test_a_file_without_rows_and_one_without_row_groups(tmp_path):
    schema = pa.schema({"target": pa.int64(), "p": pa.float64()})
    parquet.write_table(schema.empty_table(), tmp_path / "empty.parquet")
    parquet.ParquetWriter(tmp_path / "none.parquet", schema).close()
    for name in ("empty.parquet", "none.parquet"):
        source = open_source(tmp_path / name)
        assert (source.rows, read(tmp_path / name)) == (0, {})
        assert [(piece.first_row, piece.rows) for piece in source.pieces(["p"], 5)] == [(0, 0)]


def test_any_ending_if_the_bytes_say_parquet(path, tmp_path):
    path.rename(tmp_path / "part-00000")
    assert len(read(tmp_path / "part-00000")["target"]) == 10


@pytest.mark.parametrize("kept", [4, 0.3, 0.6, 0.99])
def test_a_file_that_breaks_off(path, kept):
    whole = path.read_bytes()
    path.write_bytes(whole[: kept if kept == 4 else int(kept * len(whole))])
    assert_unreadable(path)


def test_any_flipped_byte_is_one_sentence_or_harmless(path):
    whole = path.read_bytes()
    raised = 0
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 0x84
        path.write_bytes(damaged)
        try:
            read(path)
        except SourceError as error:
            raised += 1
            assert "\n" not in str(error), position  # noqa: PT017 - most flips are harmless
    assert raised > 100


def test_a_file_that_is_something_else(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"nothing of the kind" * 10)
    assert_unreadable(tmp_path / "a.parquet")


def test_two_columns_of_one_name(tmp_path):
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["p_0", "p_0"]), path)
    assert_refused(f"`source` must name each column once, '{path}' has several called p_0; rename them", path)


def test_types_that_are_no_predictions_do_not_disturb(tmp_path):
    columns = {"when": [datetime.datetime(2026, 1, 2)], "about": [{"a": 1}], "p": [0.5]}
    parquet.write_table(pa.table(columns), tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet", ["p"]) == {"p": [0.5]}
