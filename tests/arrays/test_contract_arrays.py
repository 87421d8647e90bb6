"""Contract: dtypes, shapes and strides; what is written, and where; half precision rounded once."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import crossent
from crossent.errors import DtypeError
from tests.arrays.numbers import (
    BFLOAT16,
    DTYPES,
    assert_same_bits,
    distributions,
    exact_gradient,
    exact_losses,
    labels,
    normal,
    one_hot,
    result_dtype,
)

every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)
every_size = pytest.mark.parametrize("classes", [1, 3, 64, 65, 300])


@every_dtype
def test_results_are_float32_or_float64_for_float64(dtype: np.dtype) -> None:
    logits, ids = normal((4, 3), dtype), labels((4,), 3)
    probs = np.full((4, 3), 0.25, dtype)
    for door, given, options in (
        ("cross_entropy", logits, {}),
        ("cross_entropy_from_log_probs", -np.abs(logits), {}),
        ("cross_entropy_from_probs", probs, {"normalized": "ignore"}),
    ):
        got = getattr(crossent, f"{door}_and_grad")(given, ids, reduction="none", **options)
        assert (got.value.dtype, got.value.shape) == (result_dtype(dtype), (4,))
        assert (got.grad.dtype, got.grad.shape) == (result_dtype(dtype), (4, 3))
        for reduction in ("mean", "sum"):
            assert type(getattr(crossent, door)(given, ids, reduction=reduction, **options)) is float
    for door, given in (("binary_cross_entropy", logits), ("binary_cross_entropy_from_probs", probs)):
        got = getattr(crossent, f"{door}_and_grad")(given, np.ones((4, 3)), reduction="none")
        assert (got.value.dtype, got.value.shape) == (result_dtype(dtype), (4, 3))
        assert (got.grad.dtype, got.grad.shape) == (result_dtype(dtype), (4, 3))


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, bool, complex, object, "U3"])
def test_logits_that_are_no_floats_are_a_type_error(dtype: Any) -> None:
    with pytest.raises(DtypeError, match="`logits` must be floating point") as caught:
        crossent.cross_entropy(np.zeros((2, 3)).astype(dtype), [0, 1])
    assert isinstance(caught.value, TypeError)


@pytest.mark.parametrize("classes", [2, 65, 1500])
@pytest.mark.parametrize("dtype", [np.dtype(np.float16), BFLOAT16], ids=str)
def test_halves_give_the_exact_result_rounded_once(dtype: np.dtype, classes: int) -> None:
    rows = 6 if classes > 1000 else 40
    logits, ids = normal((rows, classes), dtype, seed=classes), labels((rows,), classes)
    got = crossent.cross_entropy_and_grad(logits, ids, reduction="none")
    np.testing.assert_array_equal(got.value, exact_losses(logits, ids).astype(np.float32))
    if classes < 1000:
        exact = exact_gradient(logits, ids)
        np.testing.assert_array_equal(got.grad, exact.astype(np.float32))
        out = np.empty(logits.shape, dtype)
        crossent.cross_entropy_and_grad(logits, ids, reduction="none", out=out)
        # float64 to half directly: once; the oracle's own rounding to float64 moves a tie with probability 2**-40
        np.testing.assert_array_equal(out.astype(np.float64), exact.astype(dtype).astype(np.float64))


def test_long_rows_of_halves_are_not_accumulated_in_half() -> None:
    logits = np.zeros((1, 100_000), np.float16)  # float16 ends at 65504, and stops counting at 2048
    assert crossent.cross_entropy(logits, [0]) == float(np.float32(np.log(100_000)))


def layouts(logits: np.ndarray, folder: Path) -> dict[str, np.ndarray]:
    """Return the same numbers, stored in every way NumPy knows."""
    rows, classes = logits.shape
    wide = np.zeros((2 * rows, 3 * classes), logits.dtype)
    wide[::2, ::3] = logits
    record = np.zeros(rows, np.dtype([("tag", "i1"), ("logits", logits.dtype, (classes,))]))
    record["logits"] = logits
    column = np.zeros((rows, classes), np.dtype([("tag", "i1"), ("x", logits.dtype)]))
    column["x"] = logits
    shifted = np.frombuffer(b"\0" + logits.tobytes(), np.uint8)[1:].view(logits.dtype).reshape(logits.shape)
    mapped = np.lib.format.open_memmap(folder / "x.npy", "w+", np.uint8, (logits.nbytes,))
    mapped[:] = np.frombuffer(logits.tobytes(), np.uint8)
    del mapped
    frozen = logits.copy()
    frozen.flags.writeable = False
    return {
        "read-only": frozen,
        "strided": wide[::2, ::3],
        "backwards": np.ascontiguousarray(logits[::-1, ::-1])[::-1, ::-1],
        "Fortran": np.asfortranarray(logits),
        "record": record["logits"],
        "packed": column["x"],
        "unaligned": shifted,
        "mapped": np.load(folder / "x.npy", mmap_mode="r").view(logits.dtype).reshape(logits.shape),
    }


@every_size
@every_dtype
def test_any_layout_gives_the_answer_and_stays_as_it_was(dtype: np.dtype, classes: int, tmp_path: Path) -> None:
    logits, ids = normal((5, classes), dtype, seed=classes), labels((5,), classes)
    y, weight = distributions((5, classes), np.float32), np.random.default_rng(0).random(classes)
    for name, stored in layouts(logits, tmp_path).items():
        for targets in (ids, y, ids[::-1].copy()[::-1], np.asfortranarray(y)):
            wanted = crossent.cross_entropy_and_grad(logits, targets, class_weight=weight, reduction="none")
            before = (stored.tobytes(), targets.tobytes(), weight.tobytes())
            got = crossent.cross_entropy_and_grad(stored, targets, class_weight=weight, reduction="none")
            assert before == (stored.tobytes(), targets.tobytes(), weight.tobytes()), name
            # strided rows are computed by another kernel: both are within 4 ulp, of the larger term where two cancel
            eps = float(np.finfo(result_dtype(dtype)).eps)
            np.testing.assert_allclose(got.value, wanted.value, rtol=8 * eps, err_msg=name)
            np.testing.assert_allclose(got.grad, wanted.grad, rtol=8 * eps, atol=8 * eps * 3, err_msg=name)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_the_other_byte_order_is_read(dtype: str) -> None:
    logits, ids = normal((5, 7), dtype), labels((5,), 7)
    other = logits.astype(logits.dtype.newbyteorder("S"))
    wanted = crossent.cross_entropy_and_grad(logits, ids)
    got = crossent.cross_entropy_and_grad(other, ids.astype(ids.dtype.newbyteorder("S")))
    assert_same_bits(got.value, wanted.value)
    assert_same_bits(got.grad, wanted.grad)
    soft = distributions((5, 7), dtype)
    swapped = soft.astype(soft.dtype.newbyteorder("S"))
    assert crossent.cross_entropy(other, swapped) == crossent.cross_entropy(logits, soft)
    assert crossent.entropy(swapped[0]) == crossent.entropy(soft[0])


@every_size
@pytest.mark.parametrize("leading", [(), (4,), (2, 3), (2, 1, 3), (0,), (2, 0)])
def test_any_leading_dimensions_and_any_axis(leading: tuple[int, ...], classes: int) -> None:
    logits, ids = normal((*leading, classes)), labels(leading, classes)
    flat = crossent.cross_entropy_and_grad(logits.reshape(-1, classes), ids.reshape(-1), reduction="none")
    for axis in range(-len(leading) - 1, len(leading) + 1):
        moved = np.moveaxis(logits, -1, axis)
        for stored in (moved, np.ascontiguousarray(moved)):
            got = crossent.cross_entropy_and_grad(stored, ids, axis=axis, reduction="none")
            assert got.value.shape == leading
            assert got.grad.shape == moved.shape
            np.testing.assert_allclose(got.value.reshape(-1), flat.value, rtol=8 * 2.0**-52)  # both within 4 ulp
            grad = np.moveaxis(got.grad, axis, -1).reshape(-1, classes)
            np.testing.assert_allclose(grad, flat.grad, rtol=8 * 2.0**-52)


def test_broadcast_logits_are_read_in_place() -> None:
    row = normal((1, 5))
    got = crossent.cross_entropy_and_grad(np.broadcast_to(row, (3, 5)), [0, 1, 2], reduction="none")
    wanted = crossent.cross_entropy_and_grad(np.repeat(row, 3, axis=0), [0, 1, 2], reduction="none")
    assert_same_bits(got.value, wanted.value)
    np.testing.assert_array_equal(got.grad, wanted.grad)


@every_size
@every_dtype
def test_the_value_beside_a_gradient_is_the_value_in_any_layout(dtype: np.dtype, classes: int) -> None:
    logits, ids = normal((30, classes), dtype, seed=classes), labels((30,), classes)
    for stored in (logits, np.asfortranarray(logits), logits[::-1]):
        alone = crossent.cross_entropy(stored, ids, reduction="none")
        assert_same_bits(crossent.cross_entropy_and_grad(stored, ids, reduction="none").value, alone)


DOORS = {
    "cross_entropy_and_grad": lambda shape, dtype: normal(shape, dtype),
    "cross_entropy_from_probs_and_grad": distributions,
    "cross_entropy_from_log_probs_and_grad": lambda shape, dtype: -np.abs(normal(shape, dtype)),
}


@pytest.mark.filterwarnings("ignore::crossent.errors.NormalizationWarning")
@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("classes", [3, 65, 300])
@every_dtype
def test_out_is_filled_also_in_place(dtype: np.dtype, classes: int, door: str) -> None:
    function, given, ids = getattr(crossent, door), DOORS[door]((5, classes), dtype), labels((5,), classes)
    mixed = distributions((5, classes), dtype)
    mixed[2] = one_hot(ids[2], classes)
    for targets in (ids, distributions((5, classes), dtype), mixed):
        wanted = function(given, targets)
        for out_dtype in {dtype, result_dtype(dtype)}:
            for order in "CF":
                out = np.full(given.shape, 7.0, out_dtype, order=order)
                got = function(given, targets, out=out)
                assert got.grad is out
                np.testing.assert_allclose(got.value, wanted.value, rtol=8 * float(np.finfo(np.float32).eps))
                if order == "C":
                    assert got.value == wanted.value
                    halves = out_dtype != result_dtype(dtype)  # rounded once from the exact, not from float32
                    # half an ulp of bfloat16's 8 bits, or half of float16's smallest subnormal
                    allowed = 2.0**-8 * np.abs(wanted.grad.astype(np.float64)) * 1.01 + 2.0**-25 * 1.01
                    off = np.abs(out.astype(np.float64) - wanted.grad)
                    assert np.all(off <= (allowed if halves else 0.0))
        copy = given.copy()
        got = function(copy, targets, out=copy)
        assert got.grad is copy
        assert got.value == wanted.value
        separate = np.empty_like(given)
        function(given, targets, out=separate)
        assert_same_bits(copy, separate)


def test_out_may_stand_beside_the_logits_in_one_table() -> None:
    table = np.zeros((4, 6))
    table[:, :3] = normal((4, 3))
    wanted = crossent.cross_entropy_and_grad(table[:, :3].copy(), [0, 1, 2, 0]).grad
    crossent.cross_entropy_and_grad(table[:, :3], [0, 1, 2, 0], out=table[:, 3:])
    np.testing.assert_array_equal(table[:, 3:], wanted)


def test_binary_out_is_filled_also_in_place() -> None:
    logits, targets = normal((3, 4), np.float32), labels((3, 4), 2)
    wanted = crossent.binary_cross_entropy_and_grad(logits, targets)
    copy = logits.copy()
    got = crossent.binary_cross_entropy_and_grad(copy, targets, out=copy)
    assert got.grad is copy
    assert_same_bits(copy, wanted.grad)
    assert got.value == wanted.value
    turned = crossent.binary_cross_entropy_and_grad(np.asfortranarray(logits), targets)
    np.testing.assert_array_equal(turned.grad, wanted.grad)


def test_nothing_of_the_callers_is_written() -> None:
    logits, ids, mask = normal((6, 70)), np.array([0, 5, -1, 69, 2, 3]), np.random.default_rng(0).random((6, 70)) < 0.9
    mask[np.arange(6), ids] = True
    weight, own = np.ones(70), np.ones(6)
    given = (logits, ids, mask, weight, own)
    before = [array.tobytes() for array in given]
    for array in given:
        array.flags.writeable = False
    crossent.cross_entropy_and_grad(
        logits, ids, where=mask, class_weight=weight, sample_weight=own, ignore_index=-1, label_smoothing=0.0, base=2
    )
    crossent.binary_cross_entropy_and_grad(logits, mask, where=mask)
    probs = distributions((6, 70))
    probs.flags.writeable = False
    crossent.cross_entropy_from_probs_and_grad(probs, ids, ignore_index=-1, normalized="rescale", zero="clip", eps=1e-3)
    assert [array.tobytes() for array in given] == before
