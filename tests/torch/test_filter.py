"""grad_filter: what it leaves out is what it says, every row and class keeps its mass, and flat rows lose nothing."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import crossent
import crossent.torch
from crossent.torch import _filter

ours = crossent.torch.linear_cross_entropy
same = torch.testing.assert_close
ROWS, FEATURES, CLASSES, EPS = 96, 32, 4000, 2**-12
# What is averaged of a row pulls with at most its mass times two rows of the weight, the row's own gradient with about one.
BOUND = 2 * _filter.LITTLE


def peaked(scale: float = 14.0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return hidden states, a head whose classes lie in groups of 80, and targets drawn from the predictions."""
    generator = torch.Generator().manual_seed(3)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    topics, group = normal(CLASSES // 80, FEATURES), torch.arange(CLASSES) % (CLASSES // 80)
    weight = (topics[group] + 0.3 * normal(CLASSES, FEATURES)) / FEATURES**0.5
    own = topics[torch.randint(0, len(topics), (ROWS,), generator=generator)]
    hidden = own * scale / FEATURES**0.5 + normal(ROWS, FEATURES)
    target = torch.multinomial(torch.softmax(hidden @ weight.t(), 1), 1, generator=generator).squeeze(1)
    return hidden.float(), weight.float(), target


def gradients(inputs: tuple[torch.Tensor, ...], **options: Any) -> tuple[Any, list[torch.Tensor]]:
    """Return what the loss returns, and the gradients of hidden states, weight and bias."""
    hidden, weight, target = inputs
    leaves = [
        hidden.clone().requires_grad_(),
        weight.clone().requires_grad_(),
        torch.zeros(len(weight)).requires_grad_(),
    ]
    leaves[2] = leaves[2].detach().to(weight.dtype).requires_grad_()
    found = ours(leaves[0], leaves[1], target, linear_bias=leaves[2], **options)
    loss = found.loss if options.get("returns") else found
    return found, list(torch.autograd.grad(loss.sum(), leaves))


def relative(one: torch.Tensor, other: torch.Tensor) -> float:
    return ((one.double() - other.double()).norm() / other.double().norm()).item()


def test_peaked_rows_lose_little_and_say_how_much() -> None:
    inputs = peaked()
    exact, expected = gradients(inputs)
    found, got = gradients(inputs, grad_filter=EPS, returns=("dropped_mass",), memory_budget=20 * CLASSES * 4)
    assert found.loss == exact  # the loss is never filtered
    p = torch.softmax(inputs[0].double() @ inputs[1].double().t(), 1)
    p[torch.arange(ROWS), inputs[2]] = 1.0  # a target is never left out
    tail = torch.where(p < EPS, p, 0.0).sum(1)
    little = tail <= _filter.LITTLE
    assert little.sum() > ROWS // 2
    same(found.dropped_mass[little].double(), tail[little], rtol=1e-4, atol=1e-7)
    assert (found.dropped_mass <= _filter.FLAT).all()
    for one, other, bound in zip(got, expected, (BOUND, BOUND, 1e-5), strict=True):
        assert relative(one, other) <= bound
    # entries were left out, or this shows nothing
    assert relative(got[1], expected[1]) > 1e-6


def test_every_class_keeps_its_mass() -> None:
    """The bias's gradient is the column sums; and no row of the weight's gradient is 0, however rare its class."""
    inputs = peaked()
    _, expected = gradients(inputs)
    _, got = gradients(inputs, grad_filter=EPS)
    same(got[2], expected[2], rtol=1e-4, atol=1e-9)
    assert (got[1].abs().sum(1) > 0.0).all()
    same(got[0].sum(0), expected[0].sum(0), rtol=5e-2, atol=2e-3)


def test_flat_rows_are_exact() -> None:
    hidden, weight, target = peaked(0.0)
    _, expected = gradients((hidden * 0.1, weight, target))
    found, got = gradients((hidden * 0.1, weight, target), grad_filter=EPS, returns=("dropped_mass",))
    assert not found.dropped_mass.any()
    same(got, expected, rtol=1e-4, atol=1e-8)
    # some of each kind in one chunk, with room for few of the flat ones at a time
    mixed = torch.cat([peaked()[0], hidden[: ROWS // 4] * 0.1])
    target = torch.cat([target, target[: ROWS // 4]])
    _, expected = gradients((mixed, weight, target))
    for budget in (8 * CLASSES * 4, 2**26):
        found, got = gradients(
            (mixed, weight, target), grad_filter=EPS, returns=("dropped_mass",), memory_budget=budget
        )
        assert not found.dropped_mass[ROWS:].any()
        assert relative(got[0][ROWS:], expected[0][ROWS:]) <= 1e-5
        assert all(relative(one, other) <= BOUND for one, other in zip(got, expected, strict=True))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16], ids=str)
def test_other_dtypes(dtype: torch.dtype) -> None:
    hidden, weight, target = peaked()
    inputs = (hidden.to(dtype), weight.to(dtype), target)
    _, expected = gradients((inputs[0].double(), inputs[1].double(), target))
    _, exact = gradients(inputs)
    _, got = gradients(inputs, grad_filter=EPS, memory_budget=30 * CLASSES * 8)
    for one, other, plain in zip(got, expected, exact, strict=True):
        assert one.dtype == dtype
        assert relative(one, other) <= BOUND + 2.0 * relative(plain, other)  # a half's own roundings


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_with_every_other_option(reduction: str) -> None:
    inputs = peaked()
    classes = torch.arange(CLASSES)
    ids = torch.where(torch.arange(ROWS) % 7 == 0, -100, inputs[2])
    soft = torch.nn.functional.one_hot(inputs[2], CLASSES).float() * 0.9 + 0.1 / CLASSES
    top = crossent.TopKTargets(torch.stack([inputs[2], (inputs[2] + 1) % CLASSES], 1), torch.full((ROWS, 2), 0.4))
    for target in (ids, soft, top):
        for extras in (
            {"label_smoothing": 0.1},
            {"weight": 0.5 + classes.float() / CLASSES, "sample_weight": torch.linspace(-0.5, 1.0, ROWS)},
            {"z_loss": 0.01, "softcap": 60.0, "temperature": 1.5},
        ):
            if reduction == "mean" and "sample_weight" in extras:
                extras = extras | {"denominator": 17.0}
            options: dict[str, Any] = {"reduction": reduction, **extras}
            _, expected = gradients((*inputs[:2], target), **options)
            _, got = gradients((*inputs[:2], target), grad_filter=EPS, memory_budget=40 * CLASSES * 4, **options)
            for one, other in zip(got, expected, strict=True):
                assert relative(one, other) <= BOUND
    told = ours(*inputs, grad_filter=EPS, reduction="none", returns=("dropped_mass",))  # nobody asked for gradients
    same(told.dropped_mass, gradients(inputs, grad_filter=EPS, returns=("dropped_mass",))[0].dropped_mass)


def test_rows_without_weight_and_rows_that_are_nan() -> None:
    hidden, weight, target = peaked()
    own = torch.ones(ROWS)
    own[3] = 0.0
    _, got = gradients((hidden, weight, target), grad_filter=EPS, sample_weight=own)
    assert not got[0][3].any()
    hidden[5, 0] = torch.nan
    _, got = gradients((hidden, weight, target), grad_filter=EPS)
    assert got[0][5].isnan().all()
    assert got[0][:5].isfinite().all()
    _, got = gradients((hidden, weight, torch.full((ROWS,), -100)), grad_filter=EPS, reduction="sum")
    assert not any(gradient.any() for gradient in got)


def test_the_same_bits_for_any_threads() -> None:
    inputs = peaked()
    before, found = crossent.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            crossent.set_num_threads(threads)
            found.append(gradients(inputs, grad_filter=EPS)[1])
    finally:
        crossent.set_num_threads(before)
    assert all(torch.equal(one, other) for some in found[1:] for one, other in zip(found[0], some, strict=True))


@pytest.mark.parametrize("wrong", [0.0, 1.0, -1e-3, float("nan")])
def test_what_is_no_filter(wrong: float) -> None:
    with pytest.raises(ValueError, match="`grad_filter` must lie in") as caught:
        ours(*peaked(), grad_filter=wrong)
    assert str(caught.value) == f"`grad_filter` must lie in (0, 1), or be None for exact gradients; got {wrong!r}."
    with pytest.raises(ValueError, match="`grad_filter` must be") as caught:
        ours(*peaked(), grad_filter="a")  # type: ignore[arg-type]
    assert str(caught.value) == "`grad_filter` must be a number in (0, 1), or None for exact gradients; got 'a'."


MEASURE = """
import ctypes, gc, sys
from pathlib import Path
import torch
from crossent.torch import linear_cross_entropy

# one class stands out, 3 % of the mass lie on thousands of entries a row: the lists of all rows together take 100 MB
rows, classes = 4096, 32768
generator = torch.Generator().manual_seed(0)
hidden = torch.cat([torch.ones(rows, 1), 0.01 * torch.randn(rows, 3, generator=generator)], 1).requires_grad_()
weight = (0.5 * torch.randn(classes, 4, generator=generator)).requires_grad_()
bias = 0.5 * torch.randn(classes, generator=generator)
bias[0] = 14.0
ids = torch.zeros(rows, dtype=torch.int64)

def once():
    loss = linear_cross_entropy(hidden, weight, ids, linear_bias=bias, grad_filter=2**-12, memory_budget=16 * 2**20)
    return torch.autograd.grad(loss, (hidden, weight))

once()
gc.collect()
ctypes.CDLL(None).malloc_trim(0)
Path("/proc/self/clear_refs").write_text("5")

def resident(field):
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field)]
    return int(line.split()[1]) * 1024

before = resident("VmRSS")
once()
sys.stdout.write(str(resident("VmHWM") - before))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peaks are read from Linux's /proc")
def test_lists_stay_within_the_budget() -> None:
    said = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True)
    # the budget, the gradients (1 MB), and what torch and NumPy take for a moment
    assert int(said.stdout) <= 16 * 2**20 + 8 * 2**20
