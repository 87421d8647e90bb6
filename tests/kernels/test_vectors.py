"""The loops that are written as vectors, against NumPy: sums with a hole, rows and lines times a factor."""

from typing import Any

import numba
import numpy as np
import pytest

from crossent._kernels.cpu._vectors import scale_row, scaled_line, stream_scaled_line, sum_apart


@numba.njit
def sum_of(address: Any, start: Any, count: Any, left_out: Any) -> Any:
    return sum_apart(address, start, count, left_out)


@numba.njit
def scale_into(address: Any, start: Any, count: Any, factor: Any, target: Any, tag: Any) -> None:
    scale_row(address, start, count, factor, target, tag)


@numba.njit
def line_into(source: Any, high: Any, low: Any, target: Any, stream: Any) -> None:
    if stream:
        stream_scaled_line(source, high, low, target)
    else:
        scaled_line(source, high, low, target)


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 16, 100])
def test_sum_apart(count: int) -> None:
    """Whole numbers: any order gives the same sum, so only the hole and the ends can be wrong."""
    numbers = np.arange(1.0, 130.0)
    address = numbers.ctypes.data
    for left_out in (-1, 0, count // 2, count - 1):
        expected = numbers[3 : 3 + count].sum() - (numbers[3 + left_out] if left_out >= 0 else 0.0)
        assert sum_of(address, 3, count, left_out) == expected


def test_sum_apart_has_the_order_it_states() -> None:
    numbers = np.random.default_rng(1).random(40)
    partial = [sum(numbers[lane:29:8].tolist()) for lane in range(8)]
    four = [partial[i] + partial[i + 4] for i in range(4)]
    assert sum_of(numbers.ctypes.data, 0, 29, -1) == (four[0] + four[2]) + (four[1] + four[3])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scale_row(dtype: Any) -> None:
    numbers = np.random.default_rng(2).standard_normal(64)
    out = np.zeros(40, dtype)
    scale_into(numbers.ctypes.data, 5, 19, 0.3, out.ctypes.data, dtype(0))
    np.testing.assert_array_equal(out[:19], (numbers[5:24] * 0.3).astype(dtype))
    assert (out[24:] == 0).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("stream", [False, True])
def test_scaled_line(dtype: Any, stream: bool) -> None:
    """Powers of two: every product is exact, and so is their sum."""
    count = 64 // np.dtype(dtype).itemsize
    numbers = np.ldexp(dtype(1), np.arange(count + 1) % 7).astype(dtype)[1:]
    room = np.zeros(3 * count, dtype)
    first = -room.ctypes.data % 64 // room.itemsize
    line_into(numbers.ctypes.data, dtype(0.5), dtype(2.0**-10), room.ctypes.data + first * room.itemsize, stream)
    np.testing.assert_array_equal(room[first : first + count], numbers * dtype(0.5 + 2.0**-10))
    assert (np.delete(room, np.s_[first : first + count]) == 0).all()
