"""The linear head as it runs on the GPU, here interpreted: torch's loss of torch's layer, and nothing that waits for the device."""

import itertools
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from crossent.torch import _gpu, _gpu_sums
from tests.torch.gpu_heads import (
    CLASSES,
    CUDA,
    DEVICE,
    FEATURES,
    OPTIONS,
    RETURNS,
    ROWS,
    answer,
    distributions,
    head,
    ids,
    ours,
)
from tests.torch.test_linear_cross_entropy import (  # noqa: F401  # pytest runs it here too
    test_row_weights_and_second_derivatives_go_together,
)

same = torch.testing.assert_close


@pytest.fixture(autouse=True)
def seeded(gpu_route: None) -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("soft", [False, True], ids=["ids", "distributions"])
def test_it_is_torchs_loss_of_torchs_layer(dtype: torch.dtype, soft: bool) -> None:
    tolerance = {"rtol": 2e-2, "atol": 2e-2} if dtype.itemsize == 2 else {"rtol": 1e-4, "atol": 1e-5}
    for reduction, full in itertools.product(("mean", "none"), (False, True)):
        leaves = head(dtype)
        wide = [leaf.detach().double().requires_grad_() for leaf in leaves]
        target = distributions(dtype) if soft else ids()
        weight = torch.rand(CLASSES, device=DEVICE).to(dtype) if full else None
        options: dict[str, Any] = {"reduction": reduction, "label_smoothing": 0.1 if full else 0.0}
        loss = ours(
            *leaves[:2], target, linear_bias=leaves[2] if full else None, weight=weight, memory_budget=2048, **options
        )
        logits = F.linear(*wide[: 2 + full])
        other_weight = None if weight is None else weight.double()
        expected = F.cross_entropy(logits, target.double() if soft else target, other_weight, **options)
        assert loss.dtype == dtype
        same(loss.double(), expected, **tolerance)
        upstream = torch.randn(loss.shape, device=DEVICE).to(dtype)
        loss.backward(upstream, retain_graph=True)
        expected.backward(upstream.double())
        for leaf, other in zip(leaves[: 2 + full], wide, strict=False):
            assert leaf.grad is not None
            assert leaf.grad.dtype == dtype
            same(leaf.grad.double(), other.grad, **tolerance)
        first = leaves[1].grad.clone()
        loss.backward(upstream)
        same(leaves[1].grad, 2 * first, **tolerance)  # made anew


@pytest.mark.skipif(CUDA, reason="2026-11-30: compares with the CPU's path, of the same tensors")
@pytest.mark.parametrize("returns", [(), RETURNS], ids=["loss", "returns"])
@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_is_the_cpus(name: str, returns: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"target": ids(), "returns": returns} | OPTIONS[name]()
    tensors = head()
    found, got = answer(tensors, options, 3 * 128 * 4)
    monkeypatch.setattr(_gpu, "DEVICES", frozenset({"cuda"}))
    expected, wanted = answer(tensors, options, 3 * 128 * 4)
    same(found, expected, rtol=1e-5, atol=1e-6)
    same(got, wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_row_weights_have_a_gradient(reduction: str) -> None:
    hidden, weight, _ = head(torch.float64)
    target, class_weight = ids(), torch.rand(CLASSES, dtype=torch.float64, device=DEVICE)
    weights = torch.rand(ROWS, dtype=torch.float64, device=DEVICE).requires_grad_()
    loss = ours(hidden, weight, target, weight=class_weight, sample_weight=weights, reduction=reduction)
    of_rows = F.cross_entropy(hidden @ weight.t(), target, class_weight, reduction="none") * weights
    shares = torch.where(target == -100, 0.0, class_weight[target.clamp(min=0)]) * weights
    expected = {"mean": of_rows.sum() / shares.sum(), "sum": of_rows.sum(), "none": of_rows}[reduction]
    same(loss, expected)
    inputs = (hidden, weight, weights)
    same(torch.autograd.grad(loss.sum(), inputs), torch.autograd.grad(expected.sum(), inputs))


def test_any_budget_gives_the_same_loss_and_sums_to_a_rounding() -> None:
    tensors, options = head(torch.float64, 20), {"target": ids(20)}
    found = [answer(tensors, options, budget) for budget in (1, 5 * 128 * 8, 2**30)]
    for (loss, gradients), (other, others) in itertools.combinations(found, 2):
        same(loss, other, rtol=1e-14, atol=0.0)
        same(gradients, others, rtol=1e-12, atol=1e-15)


def test_the_same_call_gives_the_same_bits() -> None:
    tensors, options = head(torch.bfloat16), {"target": ids(), "sample_weight": torch.rand(ROWS, device=DEVICE)}
    (loss, gradients), (other, others) = (answer(tensors, options, 4096) for _ in range(2))
    assert torch.equal(loss, other)
    assert all(map(torch.equal, gradients, others))


def test_what_ignored_rows_hold_reaches_nobody() -> None:
    hidden, weight, bias = head()
    target = ids()
    with torch.no_grad():
        hidden[1] = torch.nan
    loss = ours(hidden, weight, target, linear_bias=bias)
    loss.backward()
    kept = torch.arange(ROWS, device=DEVICE) != 1
    same(loss, F.cross_entropy(F.linear(hidden[kept], weight, bias), target[kept]))
    assert all(leaf.grad is not None and leaf.grad.isfinite().all() for leaf in (weight, bias))
    assert hidden.grad is not None
    assert not hidden.grad[1].any()
    assert ours(hidden, weight, torch.full((ROWS,), -100, device=DEVICE)).isnan()


@pytest.mark.skipif(CUDA, reason="2026-11-30: ends the process's use of the device")
def test_a_label_that_is_no_class_is_an_assertion_of_the_device() -> None:
    hidden, weight, _ = head()
    with pytest.raises(AssertionError):
        ours(hidden, weight, torch.full((ROWS,), CLASSES))


def test_without_rows_and_with_one_class() -> None:
    hidden, weight, bias = head()
    none = ours(hidden[:0], weight, ids()[:0], linear_bias=bias, reduction="sum")
    assert none == 0.0
    loss = ours(hidden, weight[:1], torch.zeros(ROWS, dtype=torch.long, device=DEVICE))
    assert loss == 0.0
    assert not torch.autograd.grad(loss, weight)[0].any()


def test_only_the_gradients_that_are_asked_for() -> None:
    hidden, weight, bias = head()
    target = ids()
    expected = F.cross_entropy(F.linear(hidden, weight, bias), target)
    for chosen in ([hidden], [weight], [bias], [weight, bias]):
        own = [
            tensor.detach().requires_grad_(any(tensor is one for one in chosen)) for tensor in (hidden, weight, bias)
        ]
        loss = ours(*own[:2], target, linear_bias=own[2])
        got = torch.autograd.grad(loss, [tensor for tensor in own if tensor.requires_grad])
        same(got, torch.autograd.grad(expected, chosen, retain_graph=True))
    with torch.no_grad():
        assert ours(hidden, weight, target, linear_bias=bias).grad_fn is None


def test_second_derivatives_go_through_logits_that_are_held() -> None:
    leaves = [tensor.detach().double().requires_grad_() for tensor in head()]
    target = ids()

    def loss(*tensors: torch.Tensor) -> Any:
        return ours(*tensors[:2], target, linear_bias=tensors[2])

    def torchs(*tensors: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(F.linear(*tensors), target)

    found, expected = (torch.autograd.grad(f(*leaves), leaves, create_graph=True) for f in (loss, torchs))
    same(found, expected)
    seconds = [torch.autograd.grad(sum((g**2).sum() for g in first), leaves) for first in (found, expected)]
    same(*seconds)


def test_a_causal_model_predicts_what_comes_later() -> None:
    hidden, weight, _ = head()
    states, target = hidden[:6].reshape(2, 3, FEATURES), ids()[:6].reshape(2, 3)
    expected = F.cross_entropy((states[:, :2] @ weight.t()).reshape(4, CLASSES), target[:, 1:].reshape(4))
    loss = ours(states, weight, target, shift=1)
    same(loss, expected)
    same(torch.autograd.grad(loss, weight), torch.autograd.grad(expected, weight))


@pytest.mark.skipif(CUDA, reason="2026-11-30: gloo has tensors of the CPU")
def test_a_head_split_over_ranks_is_the_whole_head(tmp_path: Path) -> None:
    """Over three processes, of which the second has no classes; see gpu_ranks.py."""
    command = [sys.executable, "-m", "tests.torch.gpu_ranks"]
    processes = [
        subprocess.Popen(
            [*command, str(rank), "3", str(tmp_path / "store")],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(3)
    ]
    try:
        said = [process.communicate(timeout=300)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert said == ["10 problems agree\n"] * 3


def test_autocast_multiplies_in_halves_and_returns_float32() -> None:
    hidden, weight, bias = head()
    target = ids()
    with torch.autocast(DEVICE, dtype=torch.bfloat16):
        loss = ours(hidden, weight, target, linear_bias=bias)
        expected = F.cross_entropy(F.linear(hidden, weight, bias).float(), target)
    assert loss.dtype == torch.float32
    same(loss, expected, rtol=1e-2, atol=1e-2)
    leaves = (hidden, weight, bias)
    same(torch.autograd.grad(loss, leaves), torch.autograd.grad(expected, leaves), rtol=2e-2, atol=2e-2)


def test_a_scaled_float16_loss_keeps_what_would_vanish() -> None:
    """Divided by the number of rows first, small entries of the logits' gradient would be 0 in float16."""
    hidden, weight, _ = head(torch.float16, 600)
    target = torch.randint(0, CLASSES, (600,), device=DEVICE)
    scale = 2.0**12
    (ours(hidden, weight, target).float() * scale).backward()
    wide = [tensor.detach().double().requires_grad_() for tensor in (hidden, weight)]
    (F.cross_entropy(wide[0] @ wide[1].t(), target) * scale).backward()
    for leaf, other in zip((hidden, weight), wide, strict=True):
        assert leaf.grad is not None
        assert other.grad is not None
        assert (leaf.grad - other.grad).norm() < 5e-3 * other.grad.norm()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32], ids=str)
@pytest.mark.parametrize("classes", [1, 255, 256, 300, 5003])
def test_sums_are_float32_and_rounded_once(dtype: torch.dtype, classes: int) -> None:
    sums = _gpu_sums.Sums(torch.empty(classes, 6, dtype=dtype, device=DEVICE))
    expected = torch.zeros(classes, 6, dtype=torch.float64, device=DEVICE)
    for _ in range(40):
        left, right = (torch.randn(shape, device=DEVICE).to(dtype) for shape in ((3, classes), (3, 6)))
        sums.add(left, right)
        expected += left.t().double() @ right.double()
    found = sums.finish(torch.tensor(0.37, dtype=torch.float64, device=DEVICE))
    assert found.dtype == dtype
    same(found.double(), expected * 0.37, rtol=torch.finfo(dtype).eps / 2 + 1e-5, atol=1e-5)
