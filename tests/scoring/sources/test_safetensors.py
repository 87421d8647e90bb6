"""Safetensors, as the package of its name writes them: dtypes, pieces, damage."""

import json

import ml_dtypes
import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch

from crossent.scoring.sources.opening import open_source
from tests.scoring.sources.whole import assert_pieces, assert_refused, assert_unreadable, read

PROBS = np.random.default_rng(0).random((23, 3))
LABELS = np.arange(23) % 3


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.safetensors"


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"])
@pytest.mark.parametrize(("piece_rows", "pieces"), [(1, 23), (10, 3), (100, 1)])
def test_tensors_are_columns(path, dtype, piece_rows, pieces):
    predictions = (PROBS * 100).astype(dtype)
    save_file({"probs": predictions, "labels": LABELS}, path, metadata={"made": "for a test"})
    source = open_source(path)
    assert (source.format, source.rows, set(source.schema.names)) == ("safetensors", 23, {"probs", "labels"})
    assert read(path, ["labels", "probs"], 5) == {"labels": LABELS.tolist(), "probs": predictions.tolist()}
    assert assert_pieces(path, ["probs", "labels"], piece_rows, 4) == pieces


def test_bfloat16_is_widened_exactly(path):
    values = np.array([1.0, -2.5, 3.14159, 1e-40, 3e38, np.inf, -np.inf], ml_dtypes.bfloat16)
    save_torch({"logits": torch.tensor(values.astype(np.float32)).to(torch.bfloat16)}, path)
    assert read(path)["logits"] == values.astype(np.float32).tolist()


def test_tensors_that_are_no_columns(path):
    hidden = torch.zeros(2, 2, 2)
    save_torch({"probs": torch.zeros(2, 3), "hidden": hidden, "f8": torch.zeros(2).to(torch.float8_e4m3fn)}, path)
    assert open_source(path).skipped == {
        "hidden": "`source` must hold arrays of shape (rows,) or (rows, classes) with at least one class, "
        f"'hidden' in '{path}' has shape (2, 2, 2); save it in such a shape",
        "f8": f"`source` must hold numbers, 'f8' in '{path}' has dtype F8_E4M3; save it with a dtype such as I64 or F32",
    }
    assert read(path) == {"probs": [[0.0] * 3] * 2}
    save_file({"a": np.zeros(2), "b": np.zeros(3)}, path)
    assert_refused(f"`source` must hold arrays with the same number of rows, '{path}' has a 2, b 3", path)


def test_no_rows_and_no_tensors(path):
    save_file({"a": np.zeros((0, 3))}, path)
    assert read(path) == {}
    save_file({}, path)
    assert open_source(path).schema.names == []


def test_a_file_that_breaks_off(path):
    save_file({"probs": PROBS}, path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    assert_refused(f"`source` must be complete, '{path}' ends 10 bytes too early", path)
    for kept in (3, 8, 20):
        path.write_bytes(whole[:kept])
        assert_unreadable(path)
    path.write_bytes(b"nothing of the kind" * 10)
    assert_unreadable(path)


@pytest.mark.parametrize(
    ("tensor", "reason"),
    [
        ({"dtype": "F64", "shape": [2], "data_offsets": [0, 8]}, "'a' has 8 bytes, which do not fit F64 of shape (2,)"),
        ({"dtype": "F64", "shape": [-2], "data_offsets": [0, 16]}, "its header does not say where 'a' is"),
        ({"dtype": "F64", "shape": [2], "data_offsets": [-8, 8]}, "its header does not say where 'a' is"),
        ({"dtype": "F64", "shape": [2], "data_offsets": [16, 0]}, "its header does not say where 'a' is"),
        ({"dtype": ["F64"], "shape": [2], "data_offsets": [0, 16]}, "its header does not say where 'a' is"),
        ({"dtype": "F64", "shape": 2, "data_offsets": [0, 16]}, "its header does not say where 'a' is"),
        ({"dtype": "F64"}, "its header does not say where 'a' is"),
        (
            {"dtype": "F64", "shape": [0, 10**18], "data_offsets": [0, 0]},
            f"'a' has 0 bytes, which do not fit F64 of shape (0, {10**18})",
        ),
        (7, "its header does not say where 'a' is"),
    ],
)
def test_headers_that_cannot_be_true(path, tensor, reason):
    header = json.dumps({"a": tensor}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(16))
    assert_refused(f"`source` must be readable, '{path}' is not: {reason}", path)


def test_a_header_that_is_no_object(path):
    path.write_bytes((2).to_bytes(8, "little") + b"[]" + bytes(16))
    assert_refused(f"`source` must be readable, '{path}' is not: its header is list", path)


def test_any_flipped_byte_of_the_header_is_one_sentence_or_harmless(path):
    save_file({"probs": PROBS, "labels": LABELS}, path)
    whole = path.read_bytes()
    raised = 0
    for position in range(8 + int.from_bytes(whole[:8], "little")):
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
