"""The sums of a block, written as vectors: against sums in fractions, with holes and ragged ends, and what they may touch."""

import ctypes
import json
import mmap
import os
import subprocess
import sys
from fractions import Fraction
from typing import Any

import llvmlite.binding
import numba
import numpy as np
import pytest

import crossent
from crossent._kernels.cpu.block_sum import largest_of, step_bytes, sum_vectors
from crossent._kernels.cpu.exp import LN_2, faintest_exponent
from crossent._kernels.cpu.raise_tile import raise_run, raise_run_and_sum, step_numbers

FLOATS = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@numba.njit
def sums_of(x: Any, count: Any, hole: Any, reference: Any, kept: Any, like: Any) -> Any:
    low = like + (reference + faintest_exponent(like)) * LN_2
    nothing = np.int64(0)
    return sum_vectors(
        x, count, hole, reference, type(like)(low), x, kept, nothing, nothing, like, like, nothing, nothing, like
    )


@numba.njit
def largest(x: Any, count: Any, hole: Any, like: Any) -> Any:
    return largest_of(x, count, hole, like)


@numba.njit
def raised(x: Any, start: Any, count: Any, scratch: Any, place: Any, like: Any) -> None:
    raise_run(x, start, x, count, scratch, place, like, like)


@numba.njit
def raised_and_summed(x: Any, count: Any, scratch: Any, sums: Any, targets: Any, own: Any, like: Any) -> None:
    nothing = np.int64(0)
    raise_run_and_sum(x, nothing, x, count, scratch, nothing, sums, targets, own, like)


@numba.njit
def steps() -> Any:
    return step_bytes(), step_numbers()


def exact_sum(logits: np.ndarray, reference: int) -> float:
    powers = np.exp(logits.astype(np.longdouble) - np.longdouble(reference) * np.log(np.longdouble(2)))
    return float(sum((Fraction(*power.as_integer_ratio()) for power in powers), Fraction(0)))


@FLOATS
@pytest.mark.parametrize("count", [1, 15, 16, 17, 63, 64, 65, 128, 500, 1023, 1024])
def test_sums_leave_out_the_hole_and_what_lies_beyond_the_end(dtype: Any, count: int) -> None:
    rng = np.random.default_rng(count)
    room = np.full(1200, 50.0, dtype)  # 50: one of these in the sum would outweigh everything
    room[7 : 7 + count] = 3 * rng.standard_normal(count)
    for hole in {-1, 0, count // 2, count - 1}:
        x, kept = room[7 : 7 + count].copy(), np.zeros(1200, dtype)
        rest = np.delete(x, hole) if hole >= 0 else x
        room[7 + hole if hole >= 0 else 0] = 50.0
        powers, error, corrections, correction_error, top, least = sums_of(
            room.ctypes.data + 7 * room.itemsize, count, hole, 2, kept.ctypes.data, dtype(0)
        )
        room[7 : 7 + count] = x
        total = powers + (error + (corrections + correction_error))
        tolerance = float(np.finfo(dtype).eps)  # two roundings of the largest summand
        assert total == pytest.approx(exact_sum(rest, 2), rel=tolerance, abs=1e-25)
        if rest.size:
            assert top == round(float(rest.max()) / LN_2)
            assert least == rest.min()
            assert largest(room.ctypes.data + 7 * room.itemsize, count, -1, dtype(0)) == x.max()
            mine = kept[:count] if hole < 0 else np.delete(kept[:count], hole)
            np.testing.assert_allclose(mine, np.exp(rest) / 4, rtol=2 * tolerance)


@FLOATS
def test_the_largest_overlooks_nan_and_the_hole(dtype: Any) -> None:
    x = np.array([3.0, np.nan, 7.0, -np.inf, 5.0], dtype)
    assert largest(x.ctypes.data, 5, 2, dtype(0)) == 5.0
    assert largest(x[3:].ctypes.data, 1, -1, dtype(0)) == -np.inf
    assert largest(x[3:].ctypes.data, 2, 1, dtype(0)) == -np.inf


@FLOATS
def test_nan_and_infinities_show_in_the_sums(dtype: Any) -> None:
    for value in (np.nan, -np.nan, np.inf):
        x, kept = np.zeros(64, dtype), np.zeros(64, dtype)
        x[40] = value
        found = sums_of(x.ctypes.data, 64, -1, 0, kept.ctypes.data, dtype(0))
        assert np.isnan(found[2]) or found[4] > 2**20
    x[40] = -np.inf
    found = sums_of(x.ctypes.data, 64, -1, 0, kept.ctypes.data, dtype(0))
    assert found[0] + found[2] == pytest.approx(63, rel=1e-15)
    assert found[5] == -np.inf


@FLOATS
def test_e_to_the_x_of_a_run(dtype: Any) -> None:
    count = 2 * steps()[1]
    x = np.linspace(-650, 650, count + 3).astype(dtype)
    out = np.zeros(count + 9)
    raised(x.ctypes.data, 3, count, out.ctypes.data, 5, dtype(0))
    rtol = 2.0**-33 if dtype == np.float32 else 2.0**-51
    np.testing.assert_allclose(out[5 : 5 + count], np.exp(x[3:].astype(np.float64)), rtol=rtol)
    assert (out[:5] == 0).all()
    assert (out[5 + count :] == 0).all()


def test_e_to_the_x_of_a_class_is_added_to_the_rows_of_others() -> None:
    count = steps()[1]
    x = np.zeros(count, np.float32)
    scratch = np.zeros(3 * count)
    targets = scratch[2 * count :].view(np.int64)
    targets[::3] = 4
    scratch[count : 2 * count] = 10.0
    raised_and_summed(x.ctypes.data, count, scratch.ctypes.data, count, 2 * count, 4, np.float32(0))
    np.testing.assert_array_equal(scratch[:count], 1.0)
    np.testing.assert_array_equal(scratch[count : 2 * count], np.where(targets == 4, 10.0, 11.0))


@pytest.mark.skipif(sys.platform != "linux", reason="2026-11-24: protects a page through mprotect")
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("classes", [2, 5, 257, 1000, 1100])
def test_nothing_beyond_the_input_is_read_or_written(dtype: Any, classes: int) -> None:
    """The arrays end where a page begins that may not be touched: a read beyond them would end the process."""
    page = mmap.PAGESIZE
    rows = 70
    logits = np.random.default_rng(1).standard_normal((rows, classes)).astype(dtype)
    wide = np.float64 if dtype == np.float64 else np.float32
    for own in (False, True):
        guarded = [_before_a_guarded_page(logits.nbytes, page).view(dtype).reshape(logits.shape)]
        guarded[0][...] = logits
        out = _before_a_guarded_page(rows * classes * np.dtype(dtype if own else wide).itemsize, page)
        out = out.view(dtype if own else wide).reshape(logits.shape)
        targets = np.arange(rows) % classes
        got = crossent.cross_entropy_and_grad(guarded[0], targets, out=out)
        expected = crossent.cross_entropy_and_grad(logits, targets, out=np.empty_like(out))
        assert got.value == expected.value
        np.testing.assert_array_equal(got.grad, expected.grad)


def _before_a_guarded_page(size: int, page: int) -> np.ndarray:
    pages = -(-size // page)
    room = mmap.mmap(-1, (pages + 1) * page)
    whole = np.frombuffer(room, np.uint8)
    address = whole.ctypes.data
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.mprotect(ctypes.c_void_p(address + pages * page), ctypes.c_size_t(page), 0) == 0
    return whole[pages * page - size : pages * page]


OTHER_VECTORS = """
import json, sys
import numpy as np
import crossent
found = []
for classes in (2, 21, 300, 2500):
    rng = np.random.default_rng(classes)
    logits = (8 * rng.standard_normal((40, classes))).astype(np.float32)
    result = crossent.cross_entropy_and_grad(logits, rng.integers(0, classes, 40), reduction="none")
    found.append([np.asarray(result.value, float).tolist(), np.asarray(result.grad, float).tolist()])
json.dump(found, sys.stdout)
"""


def test_vectors_of_half_a_line_give_the_same_losses(tmp_path: Any) -> None:
    """The same numbers to 2 and 3 ulp as a processor without AVX-512 computes: its code, run on this one."""
    features = llvmlite.binding.get_host_cpu_features()
    narrow = ",".join(
        ("+" if on and not name.startswith(("avx512", "evex")) else "-") + name for name, on in features.items()
    )
    variables = {**os.environ, "CROSSENT_CACHE_DIR": str(tmp_path)}
    variables |= {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": narrow}
    command = [sys.executable, "-W", "error", "-c", OTHER_VECTORS]
    got = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=120, check=False)
    assert got.returncode == 0, got.stderr
    for classes, (losses, grads) in zip((2, 21, 300, 2500), json.loads(got.stdout), strict=True):
        rng = np.random.default_rng(classes)
        logits = (8 * rng.standard_normal((40, classes))).astype(np.float32)
        here = crossent.cross_entropy_and_grad(logits, rng.integers(0, classes, 40), reduction="none")
        for there, own, ulp in ((losses, here.value, 4), (grads, here.grad, 6)):  # each side may be 2 and 3 off
            spacing = np.spacing(np.abs(own)).astype(np.float64)
            assert (np.abs(np.array(there) - own) <= ulp * spacing).all()
