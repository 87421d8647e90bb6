"""Arrow data in memory: the first rows can be looked at, and the reading after it misses none."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from crossent.errors import SourceError
from crossent.scoring.sources.opening import open_source, read_batches
from tests.scoring.sources.whole import assert_refused, joined

TABLE = pa.table({"target": range(10), "p": np.arange(10) / 10, "name": list("abcdefghij")})
EMPTY = [pa.RecordBatch.from_pylist([], TABLE.schema)]
BATCHES = [*EMPTY, *TABLE.to_batches(max_chunksize=3)]


class Exported:
    """Nothing but the protocol."""

    def __init__(self, table):
        self.table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


class ExportedArray:
    """Nothing but the protocol of one batch."""

    def __init__(self, batch):
        self.batch = batch

    def __arrow_c_array__(self, requested_schema=None):
        return self.batch.__arrow_c_array__(requested_schema)


ONCE = {
    "reader": lambda: pa.RecordBatchReader.from_batches(TABLE.schema, BATCHES),
    "generator": lambda: (batch for batch in BATCHES),
    "list": lambda: BATCHES,
    "list of exported batches": lambda: [ExportedArray(batch) for batch in TABLE.to_batches(max_chunksize=3)],
    "exported": lambda: Exported(TABLE),
    "pandas": lambda: TABLE.to_pandas(),
    "polars": lambda: pl.from_arrow(TABLE),
}
OFTEN = {
    "table": lambda: TABLE,
    "batch": lambda: TABLE.combine_chunks().to_batches()[0],
    "exported batch": lambda: ExportedArray(TABLE.combine_chunks().to_batches()[0]),
}


def look(source, columns, rows=2):
    return next(read_batches(source, columns, rows, {}))


@pytest.mark.parametrize("made", [*ONCE.values(), *OFTEN.values()], ids=[*ONCE, *OFTEN])
@pytest.mark.parametrize("batch_rows", [1, 4, 100])
def test_a_look_takes_nothing_away(made, batch_rows):
    source = open_source(made())
    assert source.schema.names == TABLE.schema.names
    assert look(source, ["p"]).num_rows in (1, 2)
    assert look(source, ["name", "target"]).column("name")[0].as_py() == "a"
    batches = list(read_batches(source, ["name", "p"], batch_rows, {}))
    assert all(0 < batch.num_rows <= batch_rows for batch in batches)
    assert joined(batches) == TABLE.select(["name", "p"]).to_pydict()
    assert [(piece.first_row, piece.rows) for piece in source.pieces(["p"], 2)] == [(0, source.rows)]


@pytest.mark.parametrize("made", ONCE.values(), ids=ONCE)
def test_a_stream_is_read_once(made):
    source = open_source(made())
    assert len(joined(read_batches(source, ["p"], 4, {}))["p"]) == 10
    with pytest.raises(SourceError) as caught:
        look(source, ["p"])
    assert str(caught.value) == (
        f"`source` must be read once, '{source.path}' was read before; give a table or a new stream"
    )


@pytest.mark.parametrize("made", OFTEN.values(), ids=OFTEN)
def test_a_table_is_read_as_often_as_one_likes(made):
    source = open_source(made())
    for _ in range(3):
        assert joined(read_batches(source, ["p"], 4, {}))["p"] == TABLE["p"].to_pylist()


def test_no_rows():
    for source in (TABLE[:0], pa.RecordBatchReader.from_batches(TABLE.schema, iter(EMPTY)), EMPTY):
        opened = open_source(source)
        assert opened.schema == TABLE.schema
        assert list(read_batches(opened, ["p"], 4, {})) == []
    assert_refused("`source` must have rows, '<list>' yields nothing", [])


def test_objects_that_hold_no_arrow_data():
    message = "`source` must be the path of a file, or Arrow data, got {}; write it to a file first, or give a table"
    for source, name in (({"p": [1]}, "dict"), (7, "int"), (None, "NoneType"), (b"a.csv", "bytes")):
        assert_refused(message.format(name), source)
    assert_refused(
        "`source` must be a path or yield record batches, item 0 of '<list>' is str; give paths as text, or a table",
        ["a.csv"],
    )
    assert_refused(
        "`source` must be a path or yield record batches, item 1 of '<list>' is int; give paths as text, or a table",
        [BATCHES[1], 7],
    )


def test_a_batch_of_another_schema():
    assert_refused(
        "`source` must yield record batches of one schema, item 2 of '<list>' differs from the first; "
        "cast them to one schema",
        [*BATCHES[:2], pa.record_batch({"q": [1]})],
    )


def test_a_column_that_is_no_table():
    with pytest.raises(SourceError) as caught:
        open_source(pl.Series([1.0]))
    assert str(caught.value).startswith("`source` must be readable, '<Series>' is not: ")


def test_two_columns_of_one_name():
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["p_0", "p_0"])
    assert_refused("`source` must name each column once, '<Table>' has several called p_0; rename them", table)


def test_an_error_of_the_caller_is_the_callers():
    def broken():
        yield BATCHES[1]
        message = "mine"
        raise RuntimeError(message)

    with pytest.raises(RuntimeError, match="mine"):
        list(read_batches(open_source(broken()), ["p"], 4, {}))


def test_the_index_of_a_frame_is_a_column_of_its_own():
    frame = pd.DataFrame({"p": [0.5, 0.25]}, index=[7, 3])
    assert joined(read_batches(open_source(frame), ["p"], 4, {})) == {"p": [0.5, 0.25]}
