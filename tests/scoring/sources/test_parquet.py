"""Parquet: row groups as pieces, odd names, damage."""

import datetime

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from crossent.errors import SourceError
from crossent.scoring import tasks
from crossent.scoring.columns import Asked
from crossent.scoring.memory_pool import lean_pool
from crossent.scoring.options import Options
from crossent.scoring.reading import understand
from crossent.scoring.sources import parquet as parquet_source
from crossent.scoring.sources.opening import open_source, read_batches
from tests.scoring.sources.whole import assert_pieces, assert_refused, assert_unreadable, joined, read

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


@pytest.mark.parametrize("whole_bytes", [0, 10**9])
def test_groups_are_the_same_whole_and_in_batches(path, monkeypatch, whole_bytes):
    monkeypatch.setattr(parquet_source, "_WHOLE_BYTES", whole_bytes)
    assert assert_pieces(path, list(COLUMNS), 3, 2) == 4
    assert assert_pieces(path, ["p.cat", "target"], 6, 100) == 2


def test_only_flat_columns_of_small_groups_are_decoded_whole(tmp_path, monkeypatch):
    """A million zeros, or the same long text a million times, take a few bytes in the file and millions in memory."""
    rows = 10**6
    columns = {"zero": np.zeros(rows), "lists": pa.array([[0.0] * 9] * rows), "text": pa.array(["long" * 9] * rows)}
    parquet.write_table(pa.table(columns), tmp_path / "a.parquet", row_group_size=rows)
    assert (tmp_path / "a.parquet").stat().st_size < rows
    asked, whole = [], parquet_source._whole
    monkeypatch.setattr(parquet_source, "_whole", lambda *given: asked.append(given[1:]) or whole(*given))
    source = open_source(tmp_path / "a.parquet")
    for limit, expected in ((8 * rows, [([0], rows, ["zero"])]), (8 * rows - 1, [])):
        asked.clear()
        monkeypatch.setattr(parquet_source, "_WHOLE_BYTES", limit)
        batches = read_batches(source, list(columns), 300_000, {}, source.pieces(list(columns), 1)[0])
        assert [(batch.num_rows, batch.schema.names) for batch in batches] == [
            (count, list(columns)) for count in (300_000, 300_000, 300_000, 100_000)
        ]
        assert asked == expected


@pytest.mark.parametrize("group_rows", [1, 7, 100])
def test_short_groups_are_decoded_together(tmp_path, monkeypatch, group_rows):
    columns = {"a": np.arange(300.0), "a.b": np.arange(300), "name": [str(i) for i in range(300)]}
    parquet.write_table(pa.table(columns), tmp_path / "a.parquet", row_group_size=group_rows)
    asked, whole = [], parquet_source._whole
    monkeypatch.setattr(parquet_source, "_whole", lambda *given: asked.append(given[2]) or whole(*given))
    source = open_source(tmp_path / "a.parquet")
    [piece] = source.pieces(list(columns), 10**6)
    batches = list(read_batches(source, ["name", "a.b", "a"], 100, {}, piece))
    assert joined(batches) == {name: pa.table(columns).to_pydict()[name] for name in ("name", "a.b", "a")}
    assert len(asked) == 3
    assert len(batches) <= 6


def test_one_row_group_is_in_memory_at_a_time(tmp_path, monkeypatch):
    """Whoever hands the last part of a group on would hold it while the next is decoded: four functions do.

    The first 100 000 rows are kept, for exact calibration.
    """
    rows = 160_000
    probabilities = np.random.default_rng(0).dirichlet(np.ones(10), rows)
    columns = {f"prob_{c}": probabilities[:, c] for c in range(10)}
    table = pa.table({"target": np.zeros(rows, np.int64), **columns})
    parquet.write_table(table, tmp_path / "a.parquet", row_group_size=20_000)
    held, whole = [], parquet_source._whole
    monkeypatch.setattr(
        parquet_source,
        "_whole",
        lambda *given: held.append(pa.default_memory_pool().bytes_allocated()) or whole(*given),
    )
    monkeypatch.setattr(tasks, "_TASK_VALUES", 10**9)  # one task, read on one thread without reading ahead
    source = open_source(tmp_path / "a.parquet")
    job = tasks.job_for(understand(source, Asked()), Options(), batch_rows=7_000)
    with lean_pool():
        tasks.score_task(tasks.plan([source], job)[0], job, reads_ahead=False)
    assert len(held) == 8
    assert max(held[-2:]) < 100_000 < table.nbytes / 8


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
            source = open_source(path)
            for piece in source.pieces(source.schema.names, 1):
                joined(read_batches(source, source.schema.names, 100, {}, piece))
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
