"""grad_filter on the GPU, here interpreted: what it leaves out is what it says, every row and class keeps its mass."""

from typing import Any

import pytest
import torch

import crossent
import crossent.torch
from crossent._kernels.gpu import tile_products, tile_sums
from crossent.torch import _filter

ours = crossent.torch.linear_cross_entropy
same = torch.testing.assert_close
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
ROWS, FEATURES, CLASSES, TOPICS, EPS = 70, 16, 1000, 8, 2**-9
FEW = 5  # rows of one topic
# What is averaged of a row pulls with at most its mass times two rows of the weight, the row's own gradient with about one.
BOUND = 2.0 * _filter.FLAT


pytestmark = pytest.mark.usefixtures("gpu_route")


def peaked(scale: float = 14.0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return rows and classes of topics, both sorted by topic, so that whole tiles are small; and targets of the rows' topics."""
    generator = torch.Generator().manual_seed(3)
    topics = torch.eye(TOPICS, FEATURES)
    of_class = torch.arange(CLASSES) * TOPICS // CLASSES
    of_row = torch.tensor([0] * 32 + [1] * 32 + [5] * (ROWS - 64))
    weight = topics[of_class] + 0.2 * torch.randn(CLASSES, FEATURES, generator=generator)
    hidden = scale * topics[of_row] + torch.randn(ROWS, FEATURES, generator=generator)
    target = torch.multinomial(torch.softmax(hidden @ weight.t(), 1), 1, generator=generator).squeeze(1)
    return hidden.to(DEVICE), weight.to(DEVICE), target.to(DEVICE)


def gradients(inputs: tuple[torch.Tensor, ...], **options: Any) -> tuple[Any, list[torch.Tensor]]:
    """Return what the loss returns, and the gradients of hidden states, weight and bias."""
    hidden, weight, target = inputs
    bias = torch.zeros(len(weight), dtype=weight.dtype, device=weight.device)
    leaves = [tensor.detach().clone().requires_grad_() for tensor in (hidden, weight, bias)]
    found = ours(leaves[0], leaves[1], target, linear_bias=leaves[2], **options)
    loss = found.loss if options.get("returns") else found
    return found, list(torch.autograd.grad(loss.sum(), leaves))


def relative(one: torch.Tensor, other: torch.Tensor) -> float:
    return ((one.double() - other.double()).norm() / other.double().norm()).item()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16], ids=str)
def test_peaked_rows_lose_little_and_say_how_much(dtype: torch.dtype) -> None:
    hidden, weight, target = peaked()
    inputs = (hidden.to(dtype), weight.to(dtype), target)
    exact, expected = gradients(inputs)
    found, got = gradients(inputs, grad_filter=EPS, returns=("dropped_mass",), memory_budget=40 * 1024 * dtype.itemsize)
    assert found.loss == exact  # the loss is never filtered
    assert 0.0 < found.dropped_mass.max() <= _filter.FLAT
    noise = torch.finfo(dtype).eps
    for one, other in zip(got[:2], expected[:2], strict=True):
        assert one.dtype == dtype
        assert relative(one, other) <= BOUND + 2.0 * noise
    assert relative(got[2], expected[2]) <= 2.0 * noise  # the bias loses nothing
    assert relative(got[1], expected[1]) > 1e-6  # something was left out, or this shows nothing
    if dtype != torch.float16:  # in which a probability of 1e-8 is 0 before anything is left out
        assert (got[1].abs().sum(1) > 0.0).all()  # no class stands still


def test_what_is_left_out_is_spread_over_rows_and_classes() -> None:
    """Against the same in float64, by torch's operations, tile by tile."""
    hidden, weight, target = (tensor.double() if tensor.is_floating_point() else tensor for tensor in peaked())
    _, got = gradients((hidden, weight, target), grad_filter=EPS, reduction="sum")
    g = torch.softmax(hidden @ weight.t(), 1)
    g[torch.arange(ROWS), target] -= 1.0
    kept, light = g.clone(), torch.zeros_like(g)
    height, width = tile_sums.TILE_ROWS, tile_sums.TILE_CLASSES
    for row in range(0, ROWS, height):
        block = g[row : row + height]
        starts = [c for c in range(0, CLASSES, width) if (block[:, c : c + width].abs() < EPS).all()]
        mass = sum((block[:, c : c + width].abs().sum(1) for c in starts), torch.zeros(len(block)))
        for c in starts if (torch.as_tensor(mass) <= _filter.FLAT).all() else []:
            light[row : row + height, c : c + width] = block[:, c : c + width]
            kept[row : row + height, c : c + width] = 0.0
    assert light.any()
    for part in (light.clamp(min=0.0), light.clamp(max=0.0)):
        if part.any():
            kept += part.sum(1)[:, None] * part.sum(0) / part.sum()
    same(got[0], kept @ weight, rtol=1e-9, atol=1e-12)
    same(got[1], kept.t() @ hidden, rtol=1e-9, atol=1e-12)


def test_flat_rows_are_multiplied_whole() -> None:
    hidden, weight, target = (tensor if len(tensor) == CLASSES else tensor[:FEW] for tensor in peaked(0.0))
    inputs = (hidden * 0.1, weight, target)
    _, expected = gradients(inputs)
    found, got = gradients(inputs, grad_filter=EPS, returns=("dropped_mass",))
    assert not found.dropped_mass.any()
    same(got, expected, rtol=1e-4, atol=1e-8)


WEIGHTS = torch.linspace(0.5, 1.5, CLASSES, device=DEVICE)
# smoothing and what top-k targets leave over are small entries too: more than a twentieth, and rows are multiplied whole
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "smoothing": ("ids", {"label_smoothing": 0.02}),
    "weights, summed": (
        "ids",
        {"weight": WEIGHTS, "sample_weight": torch.linspace(-0.5, 1.0, FEW, device=DEVICE), "reduction": "sum"},
    ),
    "penalty and bends": ("soft", {"z_loss": 0.01, "softcap": 60.0, "temperature": 1.5}),
    "weighted distributions": ("soft", {"weight": WEIGHTS, "reduction": "none"}),
    "weighted top k": ("top", {"weight": WEIGHTS, "reduction": "none"}),
}


@pytest.mark.parametrize("name", CASES)
def test_with_every_other_option(name: str) -> None:
    kind, options = CASES[name]
    hidden, weight, ids = (tensor if len(tensor) == CLASSES else tensor[:FEW] for tensor in peaked())
    target: Any = torch.where(torch.arange(FEW, device=DEVICE) == 2, -100, ids)
    if kind == "soft":
        target = torch.nn.functional.one_hot(ids, CLASSES).float() * 0.98 + 0.02 / CLASSES
    elif kind == "top":
        named = torch.stack([ids, (ids + 1) % CLASSES], 1).cpu()
        target = crossent.TopKTargets(named, torch.full((FEW, 2), 0.49), rest="uniform")
    inputs = (hidden, weight, target)
    _, expected = gradients(inputs, **options)
    found, got = gradients(inputs, grad_filter=EPS, returns=("dropped_mass",), **options)
    assert found.dropped_mass.any()
    for one, other in zip(got, expected, strict=True):
        assert relative(one, other) <= BOUND
    with torch.no_grad():  # nobody asks for gradients
        same(ours(*inputs, grad_filter=EPS, returns=("dropped_mass",), **options).dropped_mass, found.dropped_mass)


def test_rows_without_weight_and_rows_that_are_nan() -> None:
    hidden, weight, target = (tensor if len(tensor) == CLASSES else tensor[: 2 * FEW] for tensor in peaked())
    own = torch.ones(len(hidden), device=DEVICE)
    own[3] = 0.0
    _, got = gradients((hidden, weight, target), grad_filter=EPS, sample_weight=own)
    assert not got[0][3].any()
    hidden[5, 0] = torch.nan
    _, got = gradients((hidden, weight, target), grad_filter=EPS)
    assert got[0][5].isnan().all()
    assert got[0][:5].isfinite().all()
    _, got = gradients((hidden, weight, torch.full_like(target, -100)), grad_filter=EPS, reduction="sum")
    assert not any(gradient.any() for gradient in got)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_products_take_the_tiles_that_are_kept(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    rows, classes, features = 100, 300, 20
    matrix, right, hidden = (
        torch.randn(shape, device=DEVICE).to(dtype)
        for shape in ((rows, classes), (classes, features), (rows, features))
    )
    left_out = torch.tensor([[True, False, True], [True, True, True]], device=DEVICE)
    kept = tile_products.kept_of(left_out)
    zeroed = matrix.double()
    zeroed[:64, :128] = zeroed[:64, 256:] = zeroed[64:] = 0.0
    out = torch.full((rows, features), torch.nan, dtype=dtype, device=DEVICE)
    tile_products.times(matrix, kept, right, out)
    tolerance = {"rtol": torch.finfo(dtype).eps, "atol": 1e-4}
    same(out.double(), zeroed @ right.double(), **tolerance)
    sums = torch.full((classes, features), torch.nan, device=DEVICE)
    for times_added, begun in ((1, False), (2, True)):
        tile_products.add_transposed_times(matrix, kept, hidden, sums[:128], sums[128:], begun=begun)
        same(sums.double(), times_added * zeroed.t() @ hidden.double(), rtol=1e-4, atol=1e-4)
