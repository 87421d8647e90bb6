"""Half-precision rows from the table of e**x: the table against mpmath, gradients rounded once, rows beyond the table."""

import threading
from concurrent.futures import ThreadPoolExecutor

import ml_dtypes
import mpmath
import numpy as np
import pytest

import crossent
from crossent._kernels.cpu import half_exp
from crossent._kernels.cpu.half_exp import table_of
from crossent.definitions.softmax_cross_entropy import softmax, softmax_cross_entropy
from tests.kernels.test_exp_log import half_bits

BITS = {"float16": np.int16, "bfloat16": np.uint16}
DTYPES = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16}


@pytest.mark.parametrize("name", BITS)
def test_the_table_holds_e_to_every_half(name: str) -> None:
    table = table_of(np.dtype(BITS[name]))
    with np.errstate(invalid="ignore"):  # signalling NaN
        x = np.arange(65536, dtype=np.uint16).view(DTYPES[name]).astype(np.float64)
    assert np.isnan(table[np.isnan(x)]).all()
    assert (table[x < -700] == 0).all()
    assert (table[x > 700] > 1e303).all()
    inside = np.flatnonzero(abs(x) <= 700)
    for i in np.random.default_rng(3).choice(inside, 3000):
        exact = mpmath.exp(mpmath.mpf(x[i]))
        assert abs(table[i] - exact) <= exact * 2.0**-52, x[i]


@pytest.mark.parametrize("classes", [257, 1000, 5003])
@pytest.mark.parametrize("name", DTYPES)
def test_gradients_of_halves_are_rounded_once(name: str, classes: int) -> None:
    """The definition's error of 1e-15 moves an entry across a middle one time of 1e12; float32 hits the middle often."""
    rng = np.random.default_rng(classes)
    rows = 400_000 // classes
    logits = rng.normal(0, 3, (rows, classes)).astype(DTYPES[name])
    targets = rng.integers(0, classes, rows)
    out = np.empty_like(logits)
    crossent.cross_entropy_and_grad(logits, targets, out=out, reduction="sum")
    exact = softmax(logits.astype(np.float64))
    others = np.arange(classes) != targets[:, None]
    once = exact.astype(np.float32)
    lower_bits, middle = (16, 0x8000) if name == "bfloat16" else (13, 0x1000)
    middles = once.view(np.uint32) & (2**lower_bits - 1) == middle
    if name == "float16":
        middles |= (once < 2.0**-14) & (once * 2.0**25 % 2 == 1)  # subnormal numbers lie 2**-24 apart
    assert (middles & others).any()
    wanted = once.astype(DTYPES[name]).view(np.uint16)  # rounded twice
    wanted[middles] = [half_bits(value, name) for value in exact[middles].tolist()]
    np.testing.assert_array_equal(out.view(np.uint16)[others], wanted[others])


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("offset", [-1e4, -800.0, -640.0, 0.0, 640.0, 688.0, 800.0, 1e4])
def test_rows_beyond_the_table_are_summed_relative_to_their_largest(name: str, offset: float) -> None:
    rng = np.random.default_rng(7)
    logits = (rng.normal(0, 3, (40, 1000)) + offset).astype(DTYPES[name])
    logits[::4, 5:] = -np.inf
    targets = rng.integers(0, 5, 40)
    got = crossent.cross_entropy_and_grad(logits, targets, reduction="none", out=np.empty(logits.shape, np.float32))
    exact = softmax_cross_entropy(logits.astype(np.float64), np.eye(1000)[targets])
    np.testing.assert_array_equal(got.value, exact.astype(np.float32))
    share = softmax(logits.astype(np.float64))
    others = np.arange(1000) != targets[:, None]
    # half an ulp of float32, normal or not
    np.testing.assert_allclose(got.grad[others], share[others], rtol=2.0**-24, atol=2.0**-150)
    # the definition takes 1 - p from p, which costs it 1e-16
    np.testing.assert_allclose(got.grad[~others], share[~others] - 1, rtol=2.0**-24, atol=1e-15)


@pytest.mark.parametrize(
    ("largest", "others", "weight"), [(-620.0, -702.0, 1.0), (-624.0, -704.0, 1.0), (0.0, -702.0, 1e268)]
)
@pytest.mark.parametrize("name", DTYPES)
def test_gradients_of_logits_below_the_table_do_not_vanish(
    name: str, largest: float, others: float, weight: float
) -> None:
    logits = np.full((1, 300), others).astype(DTYPES[name])
    logits[0, :5] = largest
    got = crossent.cross_entropy_and_grad(logits, np.array([0]), sample_weight=[weight], reduction="sum")
    x = logits.astype(np.float64)[0]
    exact = weight * mpmath.exp(x[100]) / mpmath.fsum(mpmath.exp(value) for value in x)
    assert abs(got.grad[0, 100] - exact) <= max(exact * 2.0**-24, 2.0**-150)  # half an ulp, normal or not


@pytest.mark.parametrize(("name", "classes"), [("bfloat16", 512), ("float16", 4096)])
def test_a_gradient_in_the_middle_between_two_halves_goes_to_the_even_one(name: str, classes: int) -> None:
    """Equal logits: the target's gradient is -(classes - 1) / classes, and -1 the even one."""
    logits = np.full((64, classes), np.linspace(-8, 8, 64)[:, None]).astype(DTYPES[name])
    out = np.empty_like(logits)
    crossent.cross_entropy_and_grad(logits, np.zeros(64, int), reduction="sum", out=out)
    np.testing.assert_array_equal(out[:, 0].astype(float), -1.0)


def test_threads_that_come_first_together_get_one_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels hold the address only: a second table, dropped at once, was read after it was gone."""
    fill = half_exp.fill
    together = threading.Barrier(2)

    def slow_fill(*arguments: object) -> None:
        together.wait(timeout=10)
        fill(*arguments)

    monkeypatch.setattr(half_exp, "_tables", {})
    monkeypatch.setattr(half_exp, "fill", slow_fill)
    with ThreadPoolExecutor(2) as pool:
        first, second = [pool.submit(table_of, np.dtype(np.uint16)) for _ in range(2)]
    assert first.result() is second.result()
