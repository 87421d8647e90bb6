"""The short way of the commonest call gives the bits of the general way, and leaves everything else to it."""

import numpy as np
import pytest

import crossent
from crossent.arrays import _plain
from crossent.arrays._rows import read_options

OPTIONS = read_options(label_smoothing=0.0, reduction="mean", denominator="weight", base=None, empty="nan")
UNUSED = -100  # an ignore_index that no row has: the general way, the same answer


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (7, 3), (128, 10), (5, 256), (4000, 2), (100, 300), (4097, 2)])
@pytest.mark.parametrize("scale", [1.0, 40.0, 1e4])
def test_same_bits_as_the_general_way(shape: tuple[int, int], scale: float) -> None:
    rng = np.random.default_rng(shape[0])
    logits = (scale * rng.standard_normal(shape)).astype(np.float32)
    targets = rng.integers(0, shape[1], shape[0])
    assert crossent.cross_entropy(logits, targets) == crossent.cross_entropy(logits, targets, ignore_index=UNUSED)
    got = crossent.cross_entropy_and_grad(logits, targets)
    wanted = crossent.cross_entropy_and_grad(logits, targets, ignore_index=UNUSED)
    assert got.value == wanted.value
    np.testing.assert_array_equal(got.grad, wanted.grad)
    assert got.grad.dtype == np.float32


def test_what_is_ordinary_takes_the_short_way() -> None:
    logits, targets = np.zeros((3, 2), np.float32), np.array([0, 1, 1])
    plain = _plain.mean_and_gradient(logits, targets, OPTIONS, -1, with_gradient=True)
    assert plain is not None
    assert plain[0] == np.float32(np.log(2.0))


@pytest.mark.parametrize(
    ("logits", "targets", "axis"),
    [
        (np.zeros((3, 2)), np.array([0, 1, 1]), -1),
        (np.zeros((3, 2), np.float32), np.array([0, 1, 1], np.int32), -1),
        (np.zeros((3, 2), np.float32), np.array([0, 1, 2]), -1),
        (np.zeros((3, 2), np.float32), np.array([0, -1, 1]), -1),
        (np.zeros((3, 2), np.float32), np.array([0, 1]), -1),
        (np.zeros((2, 2), np.float32), np.array([0, 1]), 0),
        (np.zeros((3, 4), np.float32)[:, ::2], np.array([0, 1, 1]), -1),
        (np.zeros((0, 2), np.float32), np.zeros(0, np.int64), -1),
        (np.zeros((3, 0), np.float32), np.array([0, 1, 1]), -1),
        (np.array([[0.0, np.nan]], np.float32), np.array([0]), -1),
        (np.array([[0.0, -np.inf]], np.float32), np.array([1]), -1),
        (np.ma.masked_array(np.zeros((1, 2), np.float32)), np.array([0]), -1),
        ([[0.0, 1.0]], [0], -1),
    ],
)
def test_anything_else_is_left_to_the_general_way(logits: object, targets: object, axis: int) -> None:
    assert _plain.mean_and_gradient(logits, targets, OPTIONS, axis, with_gradient=True) is None
