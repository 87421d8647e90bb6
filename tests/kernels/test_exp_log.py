"""The machines below the kernels against mpmath and fractions: exponentials, logarithms, scaling, rounding to halves."""

import math
from fractions import Fraction
from typing import Any

import ml_dtypes
import mpmath
import numba
import numpy as np
import pytest

from crossent._kernels.cpu._llvm import store
from crossent._kernels.cpu.exp import (
    exp_parts,
    exponent_of,
    exponent_offset,
    exponential,
    limit_of,
    mantissa_and_exponent,
    narrow,
    power_over,
    scaled,
    upper_half_rounded,
)
from crossent._kernels.cpu.log import log1p_positive, log1p_single, log_positive

PRECISION_BITS = 200
TAGS = {"float16": np.int16(0), "bfloat16": np.uint16(0)}
FORMATS = {"float16": (10, -14, 5), "bfloat16": (7, -126, 8)}  # fraction bits, smallest normal exponent, exponent bits

# Loops over the machines, compiled here: nothing of them is tested through the kernels.


@numba.njit(error_model="numpy")
def split(x: Any, n: Any, c: Any) -> None:
    for i in range(x.size):
        shifted, c[i] = exp_parts(x[i])
        n[i] = exponent_of(shifted)


@numba.njit(error_model="numpy")
def limits(like: Any) -> Any:
    return limit_of(like)


@numba.njit(error_model="numpy")
def powers(x: Any, reference: Any, out: Any) -> None:
    for i in range(x.size):
        shifted, _ = exp_parts(x[i])
        out[i] = power_over(shifted, exponent_offset(reference, x[i]))


@numba.njit(error_model="numpy")
def logarithms(x: Any, of_x: Any, of_one_more: Any) -> None:
    for i in range(x.size):
        of_x[i], of_one_more[i] = log_positive(x[i]), log1p_positive(x[i])


@numba.njit(error_model="numpy")
def scale_all(x: Any, exponents: Any, out: Any) -> None:
    for i in range(x.size):
        out[i] = scaled(x[i], exponents[i])


@numba.njit(error_model="numpy")
def split_all(x: Any, m: Any, e: Any) -> None:
    for i in range(x.size):
        m[i], e[i] = mantissa_and_exponent(x[i])


@numba.njit(error_model="numpy")
def narrow_all(x: Any, address: Any, tag: Any) -> None:
    for i in range(x.size):
        store(address, i, narrow(x[i], tag), tag)


@numba.njit(error_model="numpy")
def exponentials(x: Any, tag: Any, out: Any) -> None:
    for i in range(x.size):
        out[i] = exponential(x[i], tag)


@numba.njit(error_model="numpy")
def single_logarithms(x: Any, out: Any) -> None:
    for i in range(x.size):
        out[i] = log1p_single(x[i])


def arguments_of_exp(dtype: type) -> np.ndarray:
    """Both signs and all sizes up to the limit, and what lies beside the places where n jumps."""
    rng = np.random.default_rng(1)
    largest = float(limits(dtype(0))) * math.log(2) * 0.999
    sizes = 10 ** rng.uniform(-40 if dtype == np.float32 else -300, math.log10(largest), 1500)
    jumps = (rng.integers(-1000, 1000, 500) + 0.5) * math.log(2)
    near = np.concatenate([jumps, rng.uniform(-100, 100, 1000), [0.0, -0.0, largest, -largest]])
    return np.concatenate([sizes, -sizes, near]).astype(dtype)


@pytest.mark.parametrize(("dtype", "digits", "polynomial_bits"), [(np.float32, 24, 29), (np.float64, 53, 57)])
def test_exp_parts(dtype: type, digits: int, polynomial_bits: int) -> None:
    """|c - (e**x / 2**n - 1)| <= 2**-digits + 2**-polynomial_bits: 0.7 ulp of 1 + c at most, 1.1 of it below 1.

    r < 1/2 comes from two products of which each rounds by up to 2**-(digits + 2); times the slope ln 2 (1 + c) < 1
    that is 2**-(digits + 1). Q in (0.59, 0.83) rounds by 2**-(digits + 1), times |r| <= 1/2; the product r Q < 1/2 by
    2**-(digits + 2). The polynomial adds its own error, and 2**-(2 digits) log2(e) |x| is below it.
    """
    x = arguments_of_exp(dtype)
    n, c = np.empty(x.size, np.int64), np.empty(x.size, dtype)
    split(x, n, c)
    worst = 0.0
    with mpmath.workprec(PRECISION_BITS):
        for value, exponent, correction in zip(x.tolist(), n.tolist(), c.tolist(), strict=True):
            exact = mpmath.ldexp(mpmath.exp(mpmath.mpf(value)), -exponent) - 1
            worst = max(worst, float(abs(exact - mpmath.mpf(correction))))
    assert np.abs(c).max() < 0.42
    bound = 2.0**-digits + 2.0**-polynomial_bits
    assert bound / 8 < worst <= bound, worst * 2.0**digits
    distance = np.abs(n - x.astype(np.longdouble) / np.log(np.longdouble(2)))
    assert distance.max() <= 0.505  # what the polynomial was made for


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_exp_parts_of_what_is_no_number_say_so(dtype: type) -> None:
    x = np.array([np.inf, -np.inf, np.nan, np.finfo(dtype).max, -np.finfo(dtype).max], dtype)
    n, c = np.empty(x.size, np.int64), np.empty(x.size, dtype)
    split(x, n, c)
    limit = limits(dtype(0))
    assert np.isnan(c[:3]).all()
    assert (n[[0, 3]] > limit).all()
    assert (n[[1, 4]] < -limit).all()
    assert abs(n[2]) > limit


@pytest.mark.parametrize(("tag", "bits"), [(np.float32(0), 33), (np.int16(0), 52), (np.uint16(0), 52)])
def test_exponential(tag: Any, bits: int) -> None:
    """Relative error: 2**-33 by the polynomial where float32 is enough, else a few roundings."""
    rng = np.random.default_rng(7)
    jumps = (rng.integers(-1000, 1000, 500) + 0.5) * math.log(2)
    sizes = rng.choice([-1.0, 1.0], 1500) * 10 ** rng.uniform(-20, math.log10(699.9), 1500)
    x = np.concatenate([sizes, jumps, rng.uniform(-40, 40, 1000), [0.0, -0.0, 700.0, -700.0]])
    out = np.empty(x.size)
    exponentials(x, tag, out)
    with mpmath.workprec(PRECISION_BITS):
        errors = [
            float(abs(mpmath.mpf(got) / mpmath.exp(mpmath.mpf(value)) - 1))
            for value, got in zip(x.tolist(), out.tolist(), strict=True)
        ]
    assert 2.0**-bits / 16 < max(errors) < 2.0**-bits


def test_exponential_at_the_ends() -> None:
    x = np.array([-700.5, -1e300, -np.inf, 700.5, 1e300, np.inf, np.nan])
    for tag in (np.float32(0), np.int16(0)):
        out = np.empty(x.size)
        exponentials(x, tag, out)
        np.testing.assert_array_equal(out[:3], 0.0)
        assert (out[3:6] > 1e303).all()
        assert np.isnan(out[6])


def test_short_logarithm() -> None:
    x = np.concatenate([10 ** np.random.default_rng(8).uniform(-300, 260, 3000), np.linspace(0.3, 0.5, 500), [0.0]])
    out = np.empty(x.size)
    single_logarithms(x, out)
    assert out[-1] == 0.0
    with mpmath.workprec(1200):
        errors = [
            float(abs(mpmath.mpf(got) / mpmath.log1p(mpmath.mpf(value)) - 1))
            for value, got in zip(x[:-1].tolist(), out[:-1].tolist(), strict=True)
        ]
    assert 2.0**-50 < max(errors) < 2.0**-33


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("reference", [0, 100, -900])
def test_power_over(dtype: type, reference: int) -> None:
    exponents = np.arange(-126, 128)
    x = ((exponents + reference) * np.log(2)).astype(dtype)
    out = np.empty(x.size, dtype)
    powers(x, reference, out)
    np.testing.assert_array_equal(out, np.ldexp(dtype(1), exponents))


def positive_numbers() -> np.ndarray:
    rng = np.random.default_rng(2)
    ones = 1.0 + rng.uniform(-1, 1, 1500) * 10 ** rng.uniform(-16, 0, 1500)
    roots = math.sqrt(0.5) * 2.0 ** rng.integers(-3, 4, 500) * (1 + rng.integers(-3, 4, 500) * 2.0**-53)
    edges = [5e-324, 2.2250738585072014e-308, 2.225073858507201e-308, 1.7976931348623157e308, 1.0, 2.0**-53, 2.0**53]
    return np.concatenate([10 ** rng.uniform(-323, 308, 1500), 10 ** rng.uniform(-17, 17, 1500), ones, roots, edges])


def test_logarithms_are_off_by_less_than_one_ulp() -> None:
    x = positive_numbers()
    of_x, of_one_more = np.empty(x.size), np.empty(x.size)
    logarithms(x, of_x, of_one_more)
    with mpmath.workprec(1200):  # 1 + x is exact: x may be 2**-1074
        for got, function in ((of_x, mpmath.log), (of_one_more, mpmath.log1p)):
            worst = 0.0
            for value, result in zip(x.tolist(), got.tolist(), strict=True):
                if value == 1.0 and function is mpmath.log:
                    assert result == 0.0
                    continue
                with mpmath.workprec(PRECISION_BITS):
                    exact = function(mpmath.mpf(value))
                    error = abs(mpmath.mpf(result) - exact)
                    worst = max(worst, float(error / mpmath.mpf(float(np.spacing(abs(float(exact)))))))
            assert 0.4 < worst < 1.0, worst


def test_logarithms_at_the_ends() -> None:
    x = np.array([0.0, -0.0, np.inf, np.nan, 1.0])
    of_x, of_one_more = np.empty(x.size), np.empty(x.size)
    logarithms(x, of_x, of_one_more)
    np.testing.assert_array_equal(of_x, [-np.inf, -np.inf, np.inf, np.nan, 0.0])
    np.testing.assert_array_equal(of_one_more, [0.0, 0.0, np.inf, np.nan, math.log(2)])
    assert not np.signbit(of_x[4])


def test_scaled_rounds_once() -> None:
    rng = np.random.default_rng(3)
    x = np.ldexp(rng.uniform(1, 2, 6000), rng.integers(-50, 100, 6000))
    exponents = rng.integers(-1300, 1300, 6000)
    exponents[:3000] = -1022 - np.frexp(x[:3000])[1] + rng.integers(-58, 4, 3000)  # subnormal, and around the last bit
    x[:100], exponents[:100] = 1.0, -1075  # a tie between 0 and the smallest number
    out = np.empty(x.size)
    scale_all(x, exponents, out)
    for value, exponent, got in zip(x.tolist(), exponents.tolist(), out.tolist(), strict=True):
        exact = Fraction(value) * Fraction(2) ** exponent
        try:
            expected = exact.numerator / exact.denominator  # Python rounds once, to nearest even
        except OverflowError:
            expected = math.inf
        assert got == expected, (value, exponent)


def test_mantissa_and_exponent() -> None:
    rng = np.random.default_rng(4)
    x = np.ldexp(rng.uniform(-2, 2, 3000), rng.integers(-1080, 1022, 3000))
    x = np.concatenate([x, [5e-324, -5e-324, 1.7976931348623157e308, 1.0, 0.5, np.inf, -np.inf, np.nan, 0.0]])
    m, e = np.empty(x.size), np.empty(x.size, np.int64)
    split_all(x, m, e)
    expected_m, expected_e = np.frexp(x)
    np.testing.assert_array_equal(m, expected_m)
    np.testing.assert_array_equal(e, np.where(np.isfinite(x), expected_e, 0))


def half_bits(value: float, name: str) -> int:
    """Round to nearest even in whole numbers; NaN is left to the caller."""
    fraction, smallest, exponent_bits = FORMATS[name]
    sign = int(math.copysign(1, value) < 0) << (fraction + exponent_bits)
    infinity = ((1 << exponent_bits) - 1) << fraction
    if math.isinf(value):
        return sign | infinity
    if value == 0.0:
        return sign
    exponent = max(math.frexp(abs(value))[1] - 1, smallest)
    steps = round(Fraction(abs(value)) / Fraction(2) ** (exponent - fraction))  # to nearest even
    # in the bits of a format the steps of one binade follow those of the last
    return sign | min(steps + ((exponent - smallest) << fraction), infinity)


def numbers_around_halves(name: str) -> np.ndarray:
    """Halves, the ties between them, and the doubles beside those; sizes from far below the smallest to the largest."""
    rng = np.random.default_rng(5)
    dtype = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16}[name]
    every = np.arange(2**16, dtype=np.uint16)
    some = np.unique(np.concatenate([rng.choice(every, 4000), every[:300], every[2**15 - 1 :: 2**12]]))
    with np.errstate(invalid="ignore", over="ignore"):  # inf and NaN, also signalling ones, are among them
        halves = some.view(dtype).astype(np.float64)
        following = (some + np.uint16(1)).view(dtype).astype(np.float64)
        ties = halves + (following - halves) / 2
        ends = [halves, ties, np.nextafter(ties, np.inf), np.nextafter(ties, -np.inf)]
    largest, smallest = (65504.0, 2.0**-24) if name == "float16" else (3.3895313892515355e38, 2.0**-133)
    beyond = [largest * (1 + 2.0**-12), largest * 1.0001, largest * 1.01, 1e300, smallest / 2, smallest / 4, 5e-324]
    beyond += [65520.0, 65519.99999999999, 3.3961775292304607e38, 3.39617752923046e38, 0.0, 3e-51, 1e-45]
    spread = rng.choice([-1.0, 1.0], 3000) * 10 ** rng.uniform(-60, 60, 3000)
    return np.concatenate([*ends, beyond, np.negative(beyond), spread, [np.inf, -np.inf, np.nan]])


@pytest.mark.parametrize("name", TAGS)
def test_narrow_rounds_once_to_nearest_even(name: str) -> None:
    x = numbers_around_halves(name)
    out = np.zeros(x.size, np.uint16)
    narrow_all(x, out.ctypes.data, TAGS[name])
    assert_halves(x, out, name)


@numba.njit(error_model="numpy")
def round_upper_halves(x: Any, out: Any, lower_halves: Any) -> None:
    for i in range(x.size):
        entry, lower_halves[i] = upper_half_rounded(x[i])
        store(out, i, entry, np.uint16(0))


def test_upper_half_rounded_is_the_nearest_bfloat16_or_says_that_it_is_in_doubt() -> None:
    x = numbers_around_halves("bfloat16")
    x = x[~np.isnan(x)]
    out, lower_halves = np.zeros(x.size, np.uint16), np.zeros(x.size, np.int32)
    round_upper_halves(x, out.ctypes.data, lower_halves)
    doubtful = lower_halves == -(2**31)
    assert 2000 < doubtful.sum() < x.size - 2000  # the ties and the doubles beside them
    assert_halves(x[~doubtful], out[~doubtful], "bfloat16")


def assert_halves(x: np.ndarray, bits: np.ndarray, name: str) -> None:
    fraction, _, exponent_bits = FORMATS[name]
    infinity = ((1 << exponent_bits) - 1) << fraction
    undefined = np.isnan(x)
    assert ((bits[undefined] & 0x7FFF) > infinity).all()
    expected = np.array([half_bits(value, name) for value in x[~undefined].tolist()])
    got = bits[~undefined].astype(int)
    expected[expected == 0x8000] = 0  # a negative number too small for the format may give +0
    got[got == 0x8000] = 0
    np.testing.assert_array_equal(got, expected)
