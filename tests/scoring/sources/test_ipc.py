"""Arrow files and streams: record batches as pieces, compression, damage."""

import pyarrow as pa
import pytest
from pyarrow import feather, ipc

from crossent.errors import SourceError
from crossent.scoring.sources.opening import open_source
from tests.scoring.sources.whole import assert_pieces, assert_unreadable, read

TABLE = pa.table(
    {
        "name": pa.array(list("abcabcabca")).dictionary_encode(),
        "target": range(10),
        "probs": [[float(row), 0.5] for row in range(10)],
    }
)


def written(path, opened, compression=None):
    with opened(path, TABLE.schema, options=ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(TABLE, max_chunksize=3)
    return path


@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
@pytest.mark.parametrize("batch_rows", [1, 2, 100])
@pytest.mark.parametrize(("piece_rows", "pieces"), [(1, 4), (4, 2), (100, 1)])
def test_the_record_batches_of_a_file_are_its_pieces(tmp_path, compression, batch_rows, piece_rows, pieces):
    path = written(tmp_path / "a.arrow", ipc.new_file, compression)
    assert assert_pieces(path, ["probs", "name"], piece_rows, batch_rows) == pieces
    assert read(path) == TABLE.to_pydict()


@pytest.mark.parametrize("compression", [None, "zstd"])
def test_a_stream_is_one_piece(tmp_path, compression):
    path = written(tmp_path / "a.arrows", ipc.new_stream, compression)
    assert open_source(path).format == "Arrow stream"
    assert assert_pieces(path, ["probs", "name"], 1, 2) == 1
    assert read(path) == TABLE.to_pydict()


def test_a_file_without_columns_of_fixed_width(tmp_path):
    table = TABLE.select(["probs"])
    with ipc.new_file(tmp_path / "a.ipc", table.schema) as writer:
        writer.write_table(table, max_chunksize=4)
    assert assert_pieces(tmp_path / "a.ipc", ["probs"], 1, 100) == 3


def test_feather(tmp_path):
    feather.write_feather(TABLE, tmp_path / "a.feather")
    assert read(tmp_path / "a.feather") == TABLE.to_pydict()


@pytest.mark.parametrize("opened", [ipc.new_file, ipc.new_stream])
@pytest.mark.parametrize("kept", [0.1, 0.3, 0.6, 0.8])
def test_a_file_that_breaks_off(tmp_path, opened, kept):
    path = written(tmp_path / "a.ipc", opened)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    assert_unreadable(path)


@pytest.mark.parametrize("name", ["a.arrow", "a.arrows", "a.feather"])
def test_a_file_that_is_something_else(tmp_path, name):
    (tmp_path / name).write_bytes(b"nothing of the kind" * 10)
    assert_unreadable(tmp_path / name)


@pytest.mark.parametrize("opened", [ipc.new_file, ipc.new_stream])
def test_any_flipped_byte_is_one_sentence_or_harmless(tmp_path, opened):
    path = written(tmp_path / "a.ipc", opened)
    whole = path.read_bytes()
    raised = 0
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 0x84
        path.write_bytes(damaged)
        try:
            read(path)  # to Python objects: an offset that leads nowhere would be followed
            open_source(path).pieces(["probs"], 5)
        except SourceError as error:
            raised += 1
            assert "\n" not in str(error), position  # noqa: PT017 - most flips are harmless
    assert raised > 100


def test_no_rows(tmp_path):
    with ipc.new_file(tmp_path / "a.arrow", TABLE.schema):
        pass
    assert read(tmp_path / "a.arrow") == {}
    assert [(piece.first_row, piece.rows) for piece in open_source(tmp_path / "a.arrow").pieces(["target"], 5)] == [
        (0, 0)
    ]
