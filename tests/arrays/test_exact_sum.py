"""ExactSum against fractions.Fraction and math.fsum: subnormals, overflow half-way, products, merging, bytes, quotients."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from crossent._kernels.cpu import exact_sum as kernels
from crossent.arrays.exact_sum import ExactSum
from crossent.errors import DtypeError, RangeError, ShapeError

INF, NAN = float("inf"), float("nan")
TINY, HUGE = 5e-324, 1.7976931348623157e308


def untame(size: int, seed: int) -> np.ndarray:
    """Return numbers of every magnitude and sign, subnormals and zeros included."""
    rng = np.random.default_rng(seed)
    numbers = np.ldexp(rng.uniform(-1.0, 1.0, size), rng.integers(-1080, 1020, size))
    numbers[:: size // 8 or 1] = TINY
    numbers[1 :: size // 8 or 1] = 0.0
    return numbers


def exact(numbers: Any, others: Any = None) -> Fraction:
    others = np.ones(len(numbers)) if others is None else others
    return sum((Fraction(float(a)) * Fraction(float(b)) for a, b in zip(numbers, others, strict=True)), Fraction(0))


def nearest(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return INF if value > 0 else -INF


@pytest.mark.parametrize("seed", range(20))
def test_sums_are_those_of_fractions_and_fsum(seed: int) -> None:
    numbers = untame(50 * (seed + 1), seed)
    assert ExactSum().add(numbers).value() == nearest(exact(numbers)) == math.fsum(numbers)


CASES = [
    ([], 0.0),
    ([0.1] * 10, 1.0),
    ([1e16, 1.0, -1e16], 1.0),
    ([TINY] * 3, 3 * TINY),
    ([TINY, -TINY], 0.0),
    ([1e308, 1e308, -1e308], 1e308),
    ([HUGE, HUGE, -HUGE, -HUGE], 0.0),
    ([HUGE, HUGE], INF),
    ([-HUGE, -HUGE], -INF),
    ([1.0, 2.0**-53], 1.0),
    ([1.0, 2.0**-53, TINY], 1.0 + 2.0**-52),
    ([1.0 + 2.0**-52, 2.0**-53], 1.0 + 2.0**-51),
    ([1.0, INF], INF),
    ([-INF, 1.0], -INF),
    ([INF, -INF], NAN),
    ([NAN, 1.0], NAN),
    ([HUGE, HUGE, -INF], -INF),
]


@pytest.mark.parametrize(("numbers", "wanted"), CASES)
def test_sums_at_the_edges(numbers: list[float], wanted: float) -> None:
    for order in (numbers, numbers[::-1]):
        np.testing.assert_equal(ExactSum().add(order).value(), wanted)
        split = ExactSum()
        for number in order:
            split.merge(ExactSum().add(number))
        np.testing.assert_equal(split.value(), wanted)
        assert split.to_bytes() == ExactSum().add(numbers).to_bytes()
    assert not np.signbit(ExactSum().add([-0.0]).value())


@pytest.mark.parametrize("seed", range(20))
def test_products_are_exact(seed: int) -> None:
    a, b = untame(60, seed), untame(60, seed + 100)[::-1].copy()
    assert ExactSum().add_products(a, b).value() == nearest(exact(a, b))


def test_products_of_the_smallest_the_largest_and_zero() -> None:
    assert ExactSum().add_products([TINY], [TINY]).value() == 0.0
    assert ExactSum().add_products([TINY], [TINY]).divided_by(TINY) == TINY
    tiny = ExactSum().add_products([TINY] * 3, [TINY] * 3)
    assert tiny.divided_by(ExactSum().add_products([TINY], [TINY])) == 3.0
    huge = ExactSum().add_products([HUGE, HUGE, -HUGE], [HUGE, 1.0, HUGE])
    assert huge.value() == HUGE
    assert ExactSum().add_products([HUGE], [HUGE]).value() == INF
    square = ExactSum().add_products([HUGE], [HUGE])
    assert square.divided_by(ExactSum().add_products([HUGE], [HUGE / 2])) == 2.0
    assert ExactSum().add_products([0.0, INF, NAN, 0.0], [INF, 0.0, 0.0, NAN]).value() == 0.0
    assert ExactSum().add_products([-1.0], [INF]).value() == -INF
    assert math.isnan(ExactSum().add_products([1.0], [NAN]).value())


def test_merging_is_associative_and_commutative_bit_for_bit() -> None:
    parts = [untame(40, seed) for seed in range(3)]
    for special in ([], [INF], [NAN, INF]):
        a, b, c = (lambda i=i, s=special: ExactSum().add(parts[i]).add(s if i == 0 else []) for i in range(3))
        trees = [
            a().merge(b()).merge(c()),
            a().merge(b().merge(c())),
            c().merge(a()).merge(b()),
            ExactSum().merge(b()).merge(c().merge(a())).merge(ExactSum()),
        ]
        assert len({tree.to_bytes() for tree in trees}) == 1
        assert all(tree == trees[0] for tree in trees)
    other = b()
    before = other.to_bytes()
    a().merge(other)
    assert other.to_bytes() == before
    twice = b()
    assert twice.merge(twice).value() == 2 * b().value()


def test_bytes_round_trip_and_equal_sums_have_equal_bytes() -> None:
    numbers = np.append(untame(100, 3), [HUGE] * 5)
    total = ExactSum().add(numbers)
    again = ExactSum.from_bytes(total.to_bytes())
    assert again == total
    assert again.to_bytes() == total.to_bytes()
    assert again.add(1.0).value() == ExactSum().add(numbers).add(1.0).value()
    assert ExactSum().add([1.0] * 8).to_bytes() == ExactSum().add(8.0).to_bytes()
    assert ExactSum().add([-1.0, 1.0]).to_bytes() == ExactSum().to_bytes()
    assert ExactSum().add_products([0.5], [-3.0]).to_bytes() == ExactSum().add([-2.0, 0.5]).to_bytes()
    assert ExactSum().add(1.0) != ExactSum().add(TINY).add(1.0)
    assert ExactSum().add(INF) != ExactSum().add(NAN)
    assert ExactSum.from_bytes(bytearray(total.to_bytes())) == total
    assert repr(ExactSum().add(0.5)) == "ExactSum(0.5)"


@pytest.mark.parametrize("seed", range(10))
def test_quotients_are_rounded_once(seed: int) -> None:
    numbers = np.random.default_rng(seed).normal(size=30)
    total = ExactSum().add(numbers)
    weights = np.random.default_rng(seed + 50).random(30)
    for below in (3, -7, 10**30, 0.1, -1e-300, 1e300, np.float32(0.3), 2**0.5):
        assert total.divided_by(below) == nearest(
            exact(numbers) / Fraction(below if isinstance(below, int) else float(below))
        )
    assert total.divided_by(ExactSum().add(weights)) == nearest(exact(numbers) / exact(weights))
    subnormal = ExactSum().add(numbers * 2.0**-1060)
    assert subnormal.divided_by(7) == nearest(exact(numbers * 2.0**-1060) / 7)


def test_quotients_at_the_edges() -> None:
    one, none = ExactSum().add(1.0), ExactSum()
    assert one.divided_by(0) == INF
    assert ExactSum().add(-1.0).divided_by(none) == -INF
    assert math.isnan(none.divided_by(0))
    assert one.divided_by(INF) == 0.0
    assert math.isnan(one.divided_by(NAN))
    assert ExactSum().add(INF).divided_by(2) == INF
    assert math.isnan(ExactSum().add(INF).divided_by(ExactSum().add(INF)))
    assert ExactSum().add([HUGE, HUGE]).divided_by(2) == HUGE  # the sum alone would overflow


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_carries_are_moved_up_in_time(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = untame(40, 5), untame(40, 6)
    whole, products = ExactSum().add(a).merge(ExactSum().add(b)), ExactSum().add_products(a, b)
    monkeypatch.setattr(kernels, "TERMS_BETWEEN_CARRIES", limit)
    often = ExactSum().add(a)
    assert abs(often._limbs).max() < (limit + 2) * 2**34  # limbs are small again: a product adds less than 2**34.2
    often.merge(ExactSum().add(b))
    assert often.to_bytes() == whole.to_bytes()
    assert ExactSum().add_products(a, b).to_bytes() == products.to_bytes()


def test_limbs_have_room_for_the_terms_between_carries() -> None:
    """The worst term of all: each limb grows by less than 2**63 before its carries move."""
    worst = 0
    for position in range(32):
        number = float(2**53 - 1) * 2.0 ** (position - 500)
        one = ExactSum().add_products([number], [float(2**53 - 1)])
        worst = max(worst, int(abs(one._limbs).max()))
    assert worst * (kernels.TERMS_BETWEEN_CARRIES + 2) < 2**63


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int8, np.uint64, bool])
def test_other_dtypes_are_exact_too(dtype: Any) -> None:
    numbers = (np.arange(9) % 2 if dtype is bool else np.arange(9)).astype(dtype)
    assert ExactSum().add(numbers).value() == float(numbers.astype(float).sum())
    assert ExactSum().add(numbers.astype(float).reshape(3, 3).T[::-1]).value() == float(numbers.astype(float).sum())


def test_bad_input_is_an_error_that_says_so() -> None:
    cases = [
        (lambda: ExactSum().add(["a"]), DtypeError, "`values` must hold real numbers; got str32."),
        (
            lambda: ExactSum().add([2**53]),
            RangeError,
            "`values` must hold integers below 2**53, which float64 holds exactly; got 9007199254740992.",
        ),
        (
            lambda: ExactSum().add_products([1.0], [1.0, 2.0]),
            ShapeError,
            "`a` and `b` must have one shape; got (1,) and (2,).",
        ),
        (lambda: ExactSum().add_products([1.0], [1j]), DtypeError, "`b` must hold real numbers; got complex128."),
        (lambda: ExactSum().merge(1.0), DtypeError, "`other` must be an ExactSum; got float."),
        (lambda: ExactSum().divided_by("x"), DtypeError, "`denominator` must be a number or an ExactSum; got 'x'."),
        (lambda: ExactSum.from_bytes("x"), DtypeError, "`state` must be bytes from ExactSum.to_bytes; got str."),
        (
            lambda: ExactSum.from_bytes(b"abc"),
            RangeError,
            "`state` must be bytes from ExactSum.to_bytes; got 3 bytes of something else.",
        ),
        (
            lambda: ExactSum.from_bytes(ExactSum().to_bytes()[:-1]),
            RangeError,
            "`state` must be bytes from ExactSum.to_bytes; got 595 bytes of something else.",
        ),
    ]
    for call, error, text in cases:
        with pytest.raises(error) as caught:
            call()
        assert str(caught.value) == text
    with pytest.raises(TypeError):
        hash(ExactSum())
    assert (ExactSum() == 0.0) is False


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", [1, 7, 4095, 4096, 4097, 12_345])
def test_sums_of_blocks(dtype: Any, count: int) -> None:
    """Ordinary numbers go through float64 sums of blocks; one that does not fit sends its block number by number."""
    rng = np.random.default_rng(count)
    ordinary = (rng.standard_normal(count) * 10.0 ** rng.uniform(-9, 5, count)).astype(dtype)
    assert ExactSum().add(ordinary).value() == math.fsum(ordinary.tolist())
    for value in (1e-30, 5e-40, 2.0**20, -(2.0**20), 1048577.0, 3e38, -3e38):
        numbers = ordinary.copy()
        numbers[rng.integers(count)] = value
        assert ExactSum().add(numbers).value() == math.fsum(numbers.tolist()), value
    full = np.full(count, 2.0**20, dtype)  # the largest sums that a block may have
    assert ExactSum().add(full).value() == count * 2.0**20
    tiny = np.full(count, 2.0**-21 - 2.0**-45, dtype)  # the largest first remainders
    assert ExactSum().add(tiny).value() == math.fsum(tiny.tolist())
    for special in (np.inf, -np.inf, np.nan):
        numbers = ordinary.copy()
        numbers[-1] = special
        np.testing.assert_equal(ExactSum().add(numbers).value(), special)
