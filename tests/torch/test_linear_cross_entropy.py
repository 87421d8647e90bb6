"""The linear head: torch's loss of torch's linear layer in float64, whatever the budget; and nothing beyond the budget."""

import itertools
import json
import subprocess
import sys
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

import crossent
import crossent.torch

ours = crossent.torch.linear_cross_entropy
same = torch.testing.assert_close
FEATURES, CLASSES = 8, 300


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def head(leading: tuple[int, ...], dtype: torch.dtype, *, soft: bool) -> tuple[torch.Tensor, ...]:
    """Return hidden states, weight, bias and targets; where there are several class ids, one is ignored."""
    hidden, weight = torch.randn(*leading, FEATURES).to(dtype), (torch.randn(CLASSES, FEATURES) / 2).to(dtype)
    bias = torch.randn(CLASSES).to(dtype)
    if soft:
        return hidden, weight, bias, torch.softmax(torch.randn(*leading, CLASSES), -1).to(dtype)
    ids = torch.randint(0, CLASSES, leading)
    if ids.numel() > 1:
        ids.view(-1)[1] = -100
    return hidden, weight, bias, ids


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("leading", [(), (6,), (2, 5)], ids=str)
@pytest.mark.parametrize("soft", [False, True])
def test_is_torchs_loss_of_torchs_layer(dtype: torch.dtype, leading: tuple[int, ...], soft: bool) -> None:
    # halves: gradients are rounded to 8 or 11 bits at the end
    tolerance = {"rtol": 2e-2, "atol": 2e-2} if dtype.itemsize == 2 else {"rtol": 1e-4, "atol": 1e-5}
    for reduction, biased, weighted, smoothing in itertools.product(
        ("mean", "sum", "none"), (0, 1), (0, 1), (0.0, 0.1)
    ):
        *tensors, target = head(leading, dtype, soft=soft)
        leaves = [tensor.requires_grad_() for tensor in tensors[: 2 + biased]]
        wide = [tensor.detach().double().requires_grad_() for tensor in leaves]
        weight = torch.rand(CLASSES).to(dtype) if weighted else None
        options: dict[str, Any] = {"reduction": reduction, "label_smoothing": smoothing}
        bias = leaves[2] if biased else None
        budget = 3 * CLASSES * 8  # two rows or three at a time
        loss = ours(*leaves[:2], target, linear_bias=bias, weight=weight, memory_budget=budget, **options)
        logits = F.linear(*wide).reshape(-1, CLASSES)
        flat = target.reshape(-1, CLASSES).double() if soft else target.reshape(-1)
        expected = F.cross_entropy(logits, flat, None if weight is None else weight.double(), **options)
        assert loss.dtype == dtype
        assert loss.shape == (leading if reduction == "none" else ())
        same(loss.double().reshape(expected.shape), expected, **tolerance)
        upstream = torch.randn(loss.shape).to(dtype)
        loss.backward(upstream, retain_graph=True)
        expected.backward(upstream.double().reshape(expected.shape))
        for leaf, other in zip(leaves, wide, strict=True):
            assert leaf.grad is not None
            assert leaf.grad.dtype == dtype
            same(leaf.grad.double(), other.grad, **tolerance)
        first = leaves[1].grad.clone()
        loss.backward(upstream)
        same(leaves[1].grad, 2 * first, **tolerance)  # made anew, with the upstream gradient folded in


def test_a_budget_changes_sums_over_chunks_by_roundings_only() -> None:
    hidden, weight, bias, ids = (tensor for tensor in head((64,), torch.float64, soft=False))
    found = []
    for budget in (1, 5 * CLASSES * 8, 2**30):
        leaves = [tensor.clone().requires_grad_() for tensor in (hidden, weight, bias)]
        loss = ours(leaves[0], leaves[1], ids, linear_bias=leaves[2], memory_budget=budget)
        loss.backward()
        found.append((loss.detach(), *(leaf.grad for leaf in leaves)))
    for one, other in itertools.combinations(found, 2):
        same(one, other, rtol=1e-12, atol=1e-15)


def test_a_causal_model_predicts_what_comes_later() -> None:
    hidden, weight, _, ids = head((2, 5), torch.float64, soft=False)
    for shift in (0, 1, 2, 5):
        expected = ours(hidden[:, : 5 - shift], weight, ids[:, shift:], reduction="sum")
        same(ours(hidden, weight, ids, shift=shift, reduction="sum"), expected)


def test_ignored_rows_are_not_multiplied() -> None:
    """What they hold cannot reach the others: not even NaN."""
    hidden, weight, _, ids = head((4,), torch.float32, soft=False)
    hidden[1] = torch.nan
    hidden.requires_grad_()
    weight.requires_grad_()
    ours(hidden, weight, ids).backward()
    assert weight.grad is not None
    assert hidden.grad is not None
    assert torch.isfinite(weight.grad).all()
    assert not hidden.grad[1].any()
    assert ours(hidden, weight, torch.full((4,), -100)).isnan()


def test_without_gradients_and_compiled() -> None:
    hidden, weight, _, ids = head((6,), torch.float32, soft=False)
    expected = F.cross_entropy(F.linear(hidden, weight), ids)
    with torch.no_grad():
        same(ours(hidden, weight.requires_grad_(), ids), expected)
    compiled = torch.compile(lambda x, w: ours(x, w, ids), fullgraph=True, backend="aot_eager")
    same(compiled(hidden, weight), expected)


def test_the_module_is_torchs() -> None:
    options: dict[str, Any] = {"bias": True, "weight": torch.rand(CLASSES), "ignore_index": 3, "label_smoothing": 0.1}
    reference = torch.nn.LinearCrossEntropyLoss(FEATURES, CLASSES, **options)
    mine = crossent.torch.LinearCrossEntropyLoss(FEATURES, CLASSES, memory_budget=10_000, **options)
    mine.load_state_dict(reference.state_dict())
    hidden, ids = torch.randn(6, FEATURES), torch.randint(0, CLASSES, (6,))
    same(mine(hidden, ids), reference(hidden, ids))
    several = crossent.torch.LinearCrossEntropyLoss(FEATURES, 4, out_features=(3,))
    assert several(hidden, torch.randint(0, 4, (6, 3))).isfinite()


ERRORS = {
    "other features": (
        {"input": torch.zeros(6, 7)},
        "`input` must have shape (..., 8) to match `linear_weight` of shape (300, 8); got (6, 7).",
    ),
    "other dtypes": (
        {"input": torch.zeros(6, 8).double()},
        "`input` and `linear_weight` must have one dtype; got torch.float64 and torch.float32.",
    ),
    "integers": (
        {"input": torch.zeros(6, 8).long()},
        "`input` must be float16, bfloat16, float32 or float64; got torch.int64.",
    ),
    "fewer targets": (
        {"target": torch.zeros(5).long()},
        "`target` must have shape (6,) for class ids, to match `input`; got (5,).",
    ),
    "other distributions": (
        {"target": torch.zeros(6, 5)},
        "`target` must have shape (6, 300) for distributions, to match `input`; got (6, 5).",
    ),
    "boolean targets": (
        {"target": torch.zeros(6).bool()},
        "`target` must be integer class ids or floating-point distributions; got torch.bool.",
    ),
    "a short bias": (
        {"linear_bias": torch.zeros(3)},
        "`linear_bias` must have shape (300,), one for each class; got (3,).",
    ),
    "short weights": ({"weight": torch.zeros(3)}, "`weight` must have shape (300,), one for each class; got (3,)."),
    "a label that is no class": ({"target": torch.full((6,), 300)}, "Target 300 is out of bounds."),
    "a negative shift": ({"shift": -1}, "`shift` must be an integer of at least 0; got -1."),
    "no budget": ({"memory_budget": 0}, "`memory_budget` must be an integer of at least 1; got 0."),
    "smoothing": ({"label_smoothing": 2.0}, "`label_smoothing` must lie in [0, 1]; got 2.0."),
}


@pytest.mark.parametrize(("wrong", "message"), ERRORS.values(), ids=ERRORS)
def test_errors_name_both_sides(wrong: dict[str, Any], message: str) -> None:
    arguments = {"input": torch.zeros(6, 8), "linear_weight": torch.zeros(300, 8), "target": torch.zeros(6).long()}
    arguments |= wrong
    positional = [arguments.pop(name) for name in ("input", "linear_weight", "target")]
    with pytest.raises((ValueError, TypeError, IndexError)) as caught:
        ours(*positional, **arguments)
    assert str(caught.value) == message


def test_the_budget_is_in_the_configuration() -> None:
    assert 32 * 2**20 <= crossent.show_config()["linear_memory_budget"] <= 256 * 2**20


@pytest.mark.parametrize("denominator", [None, 7.0])
def test_row_weights_and_second_derivatives_go_together(denominator: float | None) -> None:
    hidden, weight, _, ids = head((3,), torch.float64, soft=False)
    own = torch.rand(3, dtype=torch.float64).requires_grad_()
    hidden.requires_grad_()

    def seconds(loss: torch.Tensor) -> tuple[torch.Tensor, ...]:
        first = torch.autograd.grad(loss, (hidden, own), create_graph=True)
        return (*first, *torch.autograd.grad(sum((g**2).sum() for g in first), (hidden, own)))

    rows = F.cross_entropy(F.linear(hidden, weight), ids, reduction="none")
    expected = (rows * own).sum() / (own[ids != -100].sum() if denominator is None else denominator)
    same(seconds(ours(hidden, weight, ids, sample_weight=own, denominator=denominator)), seconds(expected))


MEASURE = """
import ctypes, gc, json, sys
from pathlib import Path
import torch
import crossent.torch

rows, features, classes = 2048, 64, 20000  # logits of all rows: 164 MB
hidden = torch.randn(rows, features, requires_grad=True)
weight = torch.randn(classes, features, requires_grad=True)
ids = torch.randint(0, classes, (rows,))

def once():
    loss = crossent.torch.linear_cross_entropy(hidden, weight, ids, memory_budget=16 * 2**20)
    return torch.autograd.grad(loss, (hidden, weight))

gradients = once()
del gradients
gc.collect()
ctypes.CDLL(None).malloc_trim(0)
Path("/proc/self/clear_refs").write_text("5")

def resident(field):
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field)]
    return int(line.split()[1]) * 1024

before = resident("VmRSS")
gradients = once()
own = sum(gradient.nbytes for gradient in gradients)
json.dump(resident("VmHWM") - before - own, sys.stdout)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="2026-11-24: reads and resets /proc/self")
def test_peak_memory_is_the_budget() -> None:
    """Beyond gradients: the budget, and 4 MB for what the matrix product packs and the allocator keeps."""
    finished = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, timeout=120, check=True)
    assert json.loads(finished.stdout) < 16 * 2**20 + 4 * 2**20
