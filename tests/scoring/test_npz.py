"""NumPy's .npz: damaged in any way it is one sentence, and members that nobody chose do not matter."""

import re
import zipfile
from io import BytesIO

import numpy as np
import pytest

from crossent.errors import CrossentError, SourceError
from crossent.scoring.score import score

LABEL = np.array([0, 1])
PROBS = np.full((2, 2), 0.5)
TIMES = np.array(["2024-01-01", "2024-01-02"], "datetime64[D]")
OBJECTS = np.array(["a", None], object)


def assert_raises(text: str, path: object, **asked: object) -> None:
    with pytest.raises(SourceError, match=re.escape(text)) as caught:
        score(path, **asked)
    assert str(caught.value) == text


def no_column(member: str, path: object, shape: tuple[int, ...]) -> str:
    return (
        f"`source` must hold arrays of shape (rows,) or (rows, classes) with at least one class, '{member}' in "
        f"'{path}' has shape {shape}; save it in such a shape"
    )


def no_dtype(member: str, path: object, dtype: object) -> str:
    return (
        f"`source` must hold numbers and text, '{member}' in '{path}' has dtype {dtype}; "
        f"save it with a dtype such as int64, float64 or <U16"
    )


def no_objects(member: str, path: object) -> str:
    return (
        f"`source` must hold plain arrays, '{member}' in '{path}' holds Python objects, which only pickle can read; "
        f"save it with a dtype such as int64 or <U16"
    )


def no_array(member: str, path: object) -> str:
    return f"`source` must hold .npy arrays, '{member}' in '{path}' is none that can be read; write it with np.savez"


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_any_flipped_byte_is_one_sentence_or_harmless(tmp_path, save):
    path = tmp_path / "a.npz"
    save(path, label=np.array(["a", "b"]), probs=PROBS)
    whole = path.read_bytes()
    for position in range(len(whole)):
        for flip in (0x01, 0x20, 0xFF):
            damaged = bytearray(whole)
            damaged[position] ^= flip
            path.write_bytes(damaged)
            try:
                score(path, target="label", probs="probs", classes=["a", "b"])
            except CrossentError as error:
                assert "\n" not in str(error), (position, flip)  # noqa: PT017 - most flips raise, some do not


def test_a_damaged_member(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, label=LABEL, probs=PROBS)
    path.write_bytes(path.read_bytes().replace(PROBS.tobytes(), (PROBS + 1).tobytes()))
    assert_raises("`source` must be readable, 'probs.npy' is not: Bad CRC-32 for file 'probs.npy'", path)


def test_an_encrypted_member(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, label=LABEL, probs=PROBS)
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    raw[6] |= 1
    path.write_bytes(raw)
    with pytest.raises(SourceError) as caught:
        score(path)
    assert str(caught.value).startswith("`source` must be readable, 'label.npy' is not: ")
    assert "encrypted" in str(caught.value)


def test_a_member_without_its_ending(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, probs=PROBS)
    stored = BytesIO()
    np.save(stored, LABEL)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("label", stored.getvalue())
    assert_raises(no_array("label", path), path)


def test_members_that_nobody_chose(tmp_path):
    path = tmp_path / "a.npz"
    unused = {"when": TIMES, "note": OBJECTS, "cube": np.zeros((2, 2, 2)), "wide": PROBS.astype(np.longdouble)}
    np.savez(path, label=LABEL, probs=PROBS, none=np.zeros((2, 0)), **unused)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("readme.txt", "how this was made")
    assert score(path).rows == 2
    assert_raises(no_dtype("when.npy", path, "datetime64[D]"), path, target="when")
    assert_raises(no_objects("note.npy", path), path, target="note")
    assert_raises(no_array("readme.txt", path), path, target="readme.txt")
    assert_raises(no_column("cube.npy", path, (2, 2, 2)), path, probs="cube")
    assert_raises(no_column("none.npy", path, (2, 0)), path, logits="none")
    assert_raises(no_dtype("wide.npy", path, np.dtype(np.longdouble)), path, probs=["label", "wide"])


def test_members_that_their_names_choose(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, label=OBJECTS, ids=LABEL, probs=PROBS)
    assert_raises(no_objects("label.npy", path), path)
    np.savez(path, label=LABEL, probs=np.zeros((2, 0)), embedding=PROBS)
    assert_raises(no_column("probs.npy", path, (2, 0)), path)
    np.savez(path, label=LABEL, p_0=PROBS[0], p_1=PROBS[0], p_2=OBJECTS)
    assert_raises(no_objects("p_2.npy", path), path)
    assert_raises(no_objects("p_2.npy", path), path, probs="p_")
    np.savez(path, when=TIMES)
    assert_raises(no_dtype("when.npy", path, "datetime64[D]"), path)


@pytest.mark.parametrize("shape", [(2, 10**18), (-2, 2)])
@pytest.mark.parametrize("is_fortran", [False, True])
def test_a_header_that_cannot_be_true(tmp_path, shape, is_fortran):
    path = tmp_path / "a.npz"
    np.savez(path, label=LABEL)
    stored = BytesIO()
    np.lib.format.write_array_header_1_0(stored, {"descr": "<f8", "fortran_order": is_fortran, "shape": shape})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("probs.npy", stored.getvalue() + bytes(32))
    assert_raises(no_array("probs.npy", path), path)
