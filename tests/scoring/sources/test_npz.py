"""NumPy's .npz: damaged in any way it is one sentence, and members that are no columns do not matter."""

import zipfile
from io import BytesIO

import numpy as np
import pytest

from crossent.errors import SourceError
from crossent.scoring.sources.opening import open_source
from tests.scoring.sources.whole import assert_pieces, assert_refused, assert_unreadable, read

LABEL = np.array([0, 1])
PROBS = np.full((2, 2), 0.5)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.npz"


def no_array(member: str, path: object) -> str:
    return f"`source` must hold .npy arrays, '{member}' in '{path}' is none that can be read; write it with np.savez"


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("batch_rows", [1, 4, 100])
def test_members_are_columns(path, save, order, batch_rows):
    probs = np.array(np.random.default_rng(0).random((23, 3), np.float32), order=order)
    save(path, label=np.arange(23), probs=probs, name=np.array(["é"] * 23))
    expected = {"probs": probs.tolist(), "label": list(range(23)), "name": ["é"] * 23}
    assert read(path, list(expected), batch_rows) == expected
    assert assert_pieces(path, ["probs", "label"], 5, batch_rows) == 1


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_any_flipped_byte_is_one_sentence_or_harmless(path, save):
    save(path, label=np.array(["a", "b"]), probs=PROBS)
    whole = path.read_bytes()
    raised = 0
    for position in range(len(whole)):
        for flip in (0x01, 0x20, 0xFF):
            damaged = bytearray(whole)
            damaged[position] ^= flip
            path.write_bytes(damaged)
            try:
                read(path)
            except SourceError as error:
                raised += 1
                assert "\n" not in str(error), (position, flip)  # noqa: PT017 - most flips raise, some do not
    assert raised > 100


def test_a_damaged_member(path):
    np.savez(path, label=LABEL, probs=PROBS)
    path.write_bytes(path.read_bytes().replace(PROBS.tobytes(), (PROBS + 1).tobytes()))
    assert_refused("`source` must be readable, 'probs.npy' is not: Bad CRC-32 for file 'probs.npy'", path)


def test_an_encrypted_member(path):
    np.savez(path, label=LABEL, probs=PROBS)
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    raw[6] |= 1
    path.write_bytes(raw)
    with pytest.raises(SourceError) as caught:
        read(path)
    assert str(caught.value).startswith("`source` must be readable, 'label.npy' is not: ")
    assert "encrypted" in str(caught.value)


def test_members_that_are_no_columns_are_skipped_with_the_reason(path):
    times = np.array(["2024-01-01", "2024-01-02"], "datetime64[D]")
    np.savez(path, label=LABEL, probs=PROBS, when=times, note=np.array(["a", None], object), cube=np.zeros((2, 2, 2)))
    stored = BytesIO()
    np.save(stored, LABEL)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("readme.txt", "how this was made")
        archive.writestr("label", stored.getvalue())
    source = open_source(path)
    assert source.schema.names == ["label", "probs"]
    assert source.skipped == {
        "when": f"`source` must hold numbers and text, 'when.npy' in '{path}' has dtype datetime64[D]; "
        "save it with a dtype such as int64, float64 or <U16",
        "note": f"`source` must hold plain arrays, 'note.npy' in '{path}' holds Python objects, which only pickle can "
        "read; save it with a dtype such as int64 or <U16",
        "cube": "`source` must hold arrays of shape (rows,) or (rows, classes) with at least one class, 'cube.npy' in "
        f"'{path}' has shape (2, 2, 2); save it in such a shape",
        "readme.txt": no_array("readme.txt", path),
    }


@pytest.mark.parametrize("shape", [(2, 10**18), (-2, 2)])
@pytest.mark.parametrize("is_fortran", [False, True])
def test_a_header_that_cannot_be_true(path, shape, is_fortran):
    stored = BytesIO()
    np.lib.format.write_array_header_1_0(stored, {"descr": "<f8", "fortran_order": is_fortran, "shape": shape})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("probs.npy", stored.getvalue() + bytes(32))
    assert_refused(no_array("probs.npy", path), path)


def test_different_numbers_of_rows(path):
    np.savez(path, labels=np.array([0, 1, 1]), probs=PROBS)
    assert_refused(f"`source` must hold arrays with the same number of rows, '{path}' has labels 3, probs 2", path)


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
def test_a_file_that_breaks_off(path, kept):
    np.savez(path, label=LABEL, probs=PROBS)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    assert_unreadable(path)


def test_no_rows_and_no_members(path):
    np.savez(path, label=LABEL[:0], probs=PROBS[:0])
    assert read(path) == {}
    with zipfile.ZipFile(path, "w"):
        pass
    assert open_source(path).schema.names == []
