"""NumPy's .npy: shapes, orders, dtypes, damage."""

import numpy as np
import pytest

from crossent.scoring.sources.opening import open_source
from tests.scoring.sources.whole import assert_pieces, assert_refused, assert_unreadable, read

MATRIX = np.random.default_rng(0).standard_normal((23, 3))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "val.probs.npy"


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", ">f8", "<i4", ">i2", "|u1", "|b1"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(("piece_rows", "pieces"), [(1, 23), (10, 3), (23, 1), (100, 1)])
def test_a_matrix_is_a_column_of_lists_named_as_the_file(path, dtype, order, piece_rows, pieces):
    array = np.array((MATRIX * 10).astype(dtype), order=order)
    np.save(path, array)
    source = open_source(path)
    assert (source.format, source.rows, source.schema.names) == ("npy", 23, ["val.probs"])
    assert read(path, batch_rows=5) == {"val.probs": array.tolist()}
    assert assert_pieces(path, ["val.probs"], piece_rows, 4) == pieces


@pytest.mark.parametrize("array", [np.arange(5), np.array(["cat", "é"]), np.array([b"cat", b"dog"]), np.array([True])])
def test_a_vector_is_a_column(path, array):
    np.save(path, array)
    assert read(path) == {"val.probs": array.astype(str).tolist() if array.dtype.kind == "S" else array.tolist()}


def test_not_a_number_and_infinities_come_through(path):
    np.save(path, np.array([np.nan, np.inf, -np.inf]))
    found = read(path)["val.probs"]
    assert np.isnan(found[0])
    assert found[1:] == [np.inf, -np.inf]


def test_no_rows(path):
    for array in (np.zeros((0, 3)), np.zeros((0, 3), order="F"), np.zeros(0)):
        np.save(path, array)
        assert read(path) == {}


def test_arrays_that_are_no_column(path):
    shape = "`source` must hold arrays of shape (rows,) or (rows, classes) with at least one class, "
    for array in (np.zeros(()), np.zeros((2, 0)), np.zeros((2, 2, 2))):
        np.save(path, array)
        assert_refused(f"{shape}'{path}' has shape {array.shape}; save it in such a shape", path)
    np.save(path, np.array(["a", None], object))
    assert_refused(
        f"`source` must hold plain arrays, '{path}' holds Python objects, which only pickle can read; "
        "save it with a dtype such as int64 or <U16",
        path,
    )
    np.save(path, np.zeros(2, complex))
    assert_refused(
        f"`source` must hold numbers and text, '{path}' has dtype complex128; "
        "save it with a dtype such as int64, float64 or <U16",
        path,
    )


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_file_that_breaks_off(path, order):
    np.save(path, np.array(MATRIX, order=order))
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    assert_refused(f"`source` must be complete, '{path}' ends 100 bytes too early", path)
    path.write_bytes(whole[:50])
    no_array = f"`source` must hold .npy arrays, '{path}' is none that can be read; write it with np.save"
    assert_refused(no_array, path)
    path.write_bytes(b"nothing of the kind" * 10)
    assert_refused(no_array, path)


def test_a_file_that_is_cut_after_it_was_opened(path):
    np.save(path, MATRIX)
    source = open_source(path)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ValueError, match="ends 8 bytes too early"):
        list(source.batches(["val.probs"], 5, {}))


def test_any_flipped_byte_of_the_header_is_one_sentence_or_harmless(path):
    np.save(path, MATRIX)
    whole = path.read_bytes()
    raised = 0
    for position in range(128):
        for flip in (0x01, 0x20, 0xFF):
            damaged = bytearray(whole)
            damaged[position] ^= flip
            path.write_bytes(damaged)
            try:
                read(path)
            except ValueError:
                assert_unreadable(path)
                raised += 1
    assert raised > 100
