"""What the kernels of class ids answer to infinities, NaN, ignored rows, weights, penalties, layouts: by every route alike."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from crossent._kernels.gpu import class_ids
from crossent._kernels.gpu._launch import INTERPRETED
from crossent._kernels.gpu.class_ids import BLOCKS, COLUMNS, PARTS, WHOLE, Launch, choose
from crossent._kernels.gpu.layout import layout_of
from crossent._kernels.gpu.problem import CLASS_IDS, Numbers, Problem, Upstream
from tests.kernels.gpu.problems import DEVICE, solve

ROUTES = {
    "columns": Launch(COLUMNS, rows=16, block=1, warps=1),
    "registers": Launch(WHOLE, rows=4, block=8, warps=4),
    "blocks": Launch(BLOCKS, rows=8, block=2, warps=4),
    "parts": Launch(PARTS, rows=1, block=4, warps=1, parts=2),
}
every_route = pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)
TYPES = torch.float32, torch.float64, torch.float16, torch.bfloat16
# every type by one route, float32 by every
routes_and_types = pytest.mark.parametrize(
    ("route", "dtype"),
    [*((route, torch.float32) for route in ROUTES), *(("registers", dtype) for dtype in TYPES[1:])],
    ids=str,
)
INF, NAN = math.inf, math.nan
E = math.e

# logits, target, loss, gradient, lse, whether the target is the first of the likeliest
CASES: dict[str, tuple[list[float], int, float, list[float], float, bool]] = {
    "one +inf, the target": ([0, INF, 1, 2, 0], 1, 0.0, [0, 0, 0, 0, 0], INF, True),
    "one +inf, another": ([0, 1, 2, 3, INF], 0, INF, [-1, 0, 0, 0, 1], INF, False),
    "one +inf, another and early": ([INF, 1, -INF, 3, 2], 4, INF, [1, 0, 0, 0, -1], INF, False),
    "two +inf": ([0, INF, 2, 3, INF], 0, NAN, [NAN] * 5, NAN, False),
    "two +inf, one the target": ([0, INF, 2, 3, INF], 1, NAN, [NAN] * 5, NAN, False),
    "nothing but -inf": ([-INF] * 5, 2, NAN, [NAN] * 5, NAN, False),
    "NaN": ([0, 1, NAN, 3, 2], 0, NAN, [NAN] * 5, NAN, False),
    "NaN at the target": ([0, 1, NAN, 3, 2], 2, NAN, [NAN] * 5, NAN, False),
    "NaN and +inf": ([0, 1, NAN, INF, 2], 0, NAN, [NAN] * 5, NAN, False),
    "target impossible": ([-INF, 0, 0, -INF, -INF], 3, INF, [0, 0.5, 0.5, -1, 0], math.log(2), False),
    "others impossible": ([-INF, -INF, -INF, -7, -INF], 3, 0.0, [0, 0, 0, 0, 0], -7, True),
    "first block impossible": ([-INF, -INF, 4, 4, -INF], 2, math.log(2), [0, 0, -0.5, 0.5, 0], 4 + math.log(2), True),
    "ties, the first": ([0, 1, 1, 1, 0], 1, math.log(3 + 2 / E), [], 1 + math.log(3 + 2 / E), True),
    "ties, not the first": ([0, 1, 1, 1, 0], 2, math.log(3 + 2 / E), [], 1 + math.log(3 + 2 / E), False),
    "far apart": ([-30000, 0, 30000, 0, 0], 0, 60000, [-1, 0, 1, 0, 0], 30000, False),
    "certain": ([-30000, 0, 30000, 0, 0], 2, 0.0, [0, 0, 0, 0, 0], 30000, True),
}


@routes_and_types
def test_infinities_and_nan(dtype: torch.dtype, route: str) -> None:
    logits = torch.tensor([case[0] for case in CASES.values()], dtype=dtype, device=DEVICE)
    result = solve(logits, [case[1] for case in CASES.values()], route=ROUTES[route])
    numbers = result.numbers
    assert numbers.lse is not None
    assert numbers.accuracy is not None
    rounding = {torch.float64: 1e-15, torch.float32: 1e-7, torch.float16: 1e-3, torch.bfloat16: 1e-2}[dtype]
    for row, (name, (x, target, loss, gradient, lse, right)) in enumerate(CASES.items()):
        x = [float(number) for number in logits[row].double()]
        if name in {"far apart", "certain"}:
            loss, lse = x[2] - x[target], x[2]
        np.testing.assert_allclose(result.losses[row], loss, rtol=1e-6, err_msg=name)
        np.testing.assert_allclose(float(numbers.lse[row]), lse, rtol=1e-6, err_msg=name)
        assert float(numbers.accuracy[row]) == right, name
        if gradient:
            np.testing.assert_allclose(result.gradients[row], gradient, rtol=rounding, err_msg=name)
        if loss == 0.0:
            assert math.copysign(1.0, result.losses[row]) == 1.0, name


def expected(
    logits: torch.Tensor,
    ids: torch.Tensor,
    weight: torch.Tensor | None,
    z_loss: float,
    upstream: dict[str, torch.Tensor],
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Return numbers and gradient by float64 autograd, rows of -100 ignored."""
    leaf = logits.detach().double().requires_grad_()
    counted = ids != -100
    kept = ids.clamp(min=0)
    mass = torch.ones_like(leaf[:, 0]) if weight is None else weight.double()[kept]
    lse = leaf.logsumexp(1)
    own = leaf.gather(1, kept[:, None])[:, 0]
    numbers = {"loss": mass * (lse - own) + z_loss * mass * lse**2, "lse": lse, "target_logit": own}
    numbers = {name: torch.where(counted, number, 0.0) for name, number in numbers.items()}
    total = sum((upstream[name] * number).sum() for name, number in numbers.items() if name in upstream)
    assert isinstance(total, torch.Tensor)
    (gradient,) = torch.autograd.grad(total, leaf)
    return {name: number.detach() for name, number in numbers.items()}, gradient


@every_route
@pytest.mark.parametrize(("weighted", "z_loss"), [(False, 0.0), (True, 0.3)])
@pytest.mark.parametrize(
    "asked", [("loss",), ("factor",), ("loss", "factor", "lse", "target_logit"), ("lse",)], ids=str
)
def test_options_against_autograd(asked: tuple[str, ...], weighted: bool, z_loss: float, route: Launch) -> None:
    generator = torch.Generator().manual_seed(7)
    logits = 3 * torch.randn(6, 5, generator=generator, dtype=torch.float64)
    ids = torch.tensor([4, 0, -100, 2, 1, 3])
    weight = torch.rand(5, generator=generator, dtype=torch.float32) if weighted else None
    each = {name: torch.randn(6, generator=generator, dtype=torch.float64) for name in ("loss", "lse", "target_logit")}
    each = {name: number for name, number in each.items() if name in asked}
    factor = torch.tensor(0.7, dtype=torch.float64) if "factor" in asked else None
    upstream = Upstream(
        factor=None if factor is None else factor.to(DEVICE),
        **{name: number.to(DEVICE) for name, number in each.items()},
    )
    if factor is not None:
        each["loss"] = each.get("loss", torch.ones(6, dtype=torch.float64)) * factor
    numbers, gradient = expected(logits, ids, weight, z_loss, each)
    own_weight = None if weight is None else weight.to(DEVICE)
    result = solve(logits.to(DEVICE), ids, upstream=upstream, route=route, class_weight=own_weight, z_loss=z_loss)
    for name, number in numbers.items():
        np.testing.assert_allclose(getattr(result.numbers, name).cpu(), number, rtol=1e-14, atol=1e-14, err_msg=name)
    np.testing.assert_allclose(result.gradients, gradient, rtol=1e-13, atol=1e-14)


@every_route
@pytest.mark.parametrize("ignored", [-100, 2])
def test_ignored_rows_count_for_nothing_whatever_their_logits(ignored: int, route: Launch) -> None:
    logits = torch.tensor([[NAN] * 5, [0.0, 1, 2, 3, 4], [INF] * 5], device=DEVICE)
    result = solve(logits, [ignored, 1, ignored], route=route, ignore_index=ignored, z_loss=0.1)
    for name in ("loss", "lse", "accuracy", "target_logit"):
        assert getattr(result.numbers, name)[[0, 2]].tolist() == [0.0, 0.0]
    assert not result.gradients[[0, 2]].any()
    assert np.isfinite(result.losses[1])
    assert result.gradients[1].any()


@every_route
def test_a_row_without_upstream_has_no_gradient_even_where_it_is_nan(route: Launch) -> None:
    logits = torch.tensor([[NAN, 1, 2], [0.0, 1, 2], [INF, INF, 0]], device=DEVICE)
    upstream = Upstream(loss=torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64, device=DEVICE))
    result = solve(logits, [0, 1, 2], upstream=upstream, route=route)
    assert np.isnan(result.losses[[0, 2]]).all()
    assert not result.gradients[[0, 2]].any()
    assert result.gradients[1].any()


@every_route
@pytest.mark.parametrize("z_loss", [0.0, 0.1])
def test_a_class_without_weight_costs_nothing_and_has_no_gradient(z_loss: float, route: Launch) -> None:
    logits = torch.tensor([[-INF, 1, 2], [NAN, 1, 2], [0.0, 1, 2]], device=DEVICE)
    weight = torch.tensor([0.0, 1.0, -1.0], device=DEVICE)
    result = solve(logits, [0, 0, 0], route=route, class_weight=weight, z_loss=z_loss)
    assert result.losses.tolist() == [0.0, 0.0, 0.0]
    assert not result.gradients.any()


@every_route
def test_one_class_is_certain(route: Launch) -> None:
    result = solve(torch.tensor([[3.0], [-80.0], [NAN], [-INF]], device=DEVICE), [0, 0, 0, 0], route=route)
    np.testing.assert_array_equal(result.losses, [0.0, 0.0, NAN, NAN])
    np.testing.assert_array_equal(result.gradients[:, 0], [0.0, 0.0, NAN, NAN])


def test_no_rows_are_no_launch() -> None:
    assert solve(torch.zeros(0, 5, device=DEVICE), []).losses.shape == (0,)


@pytest.mark.skipif(not INTERPRETED, reason="a failed assertion on a GPU ends the process's use of it")
@every_route
@pytest.mark.parametrize("wrong", [5, -1, 2**40])
def test_an_id_that_is_no_class_is_an_assertion(wrong: int, route: Launch) -> None:
    with pytest.raises(AssertionError, match="neither a class nor ignore_index"):
        solve(torch.zeros(2, 5), [1, wrong], route=route)


def laid_out(logits: torch.Tensor) -> dict[str, tuple[torch.Tensor, int]]:
    """Return six rows of five classes in other layouts, and their class axes."""
    room = torch.full((12, 16), NAN, dtype=logits.dtype)
    room[::2, 1:16:3] = logits
    wide = torch.full((6, 8), NAN, dtype=logits.dtype)
    wide[:, 2:7] = logits
    image = logits.view(2, 3, 5).permute(0, 2, 1).contiguous()
    return {
        "side by side": (logits.t().contiguous().t(), 1),
        "first axis": (logits.t().contiguous(), 0),
        "strided": (room[::2, 1:16:3], 1),
        "padded": (wide[:, 2:7], 1),
        "image": (image, 1),
        "image, channels last": (image.permute(0, 2, 1).contiguous().permute(0, 2, 1), 1),
    }


@every_route
@pytest.mark.parametrize("name", list(laid_out(torch.zeros(6, 5))))
def test_rows_are_read_and_written_where_they_lie(name: str, route: Launch) -> None:
    logits = 4 * torch.randn(6, 5, generator=torch.Generator().manual_seed(3))
    ids = [4, 0, -100, 2, 1, 3]
    plain = solve(logits.to(DEVICE), ids, route=ROUTES["registers"])
    view, axis = laid_out(logits)[name]
    view = view.to(DEVICE)
    for out in (view.clone(memory_format=torch.contiguous_format), view):  # another layout, and in place
        result = solve(view, ids, axis=axis, out=out, route=route)
        np.testing.assert_allclose(result.losses, plain.losses, rtol=1e-7)
        got = np.moveaxis(result.gradients, axis, -1).reshape(6, 5)
        np.testing.assert_allclose(got, plain.gradients, rtol=3e-7)


def test_rows_at_three_strides_are_refused() -> None:
    logits = torch.zeros(2, 5, 3, 4, 6, device=DEVICE)[:, :, :, ::2, ::2]
    with pytest.raises(ValueError, match="two strides"):
        solve(logits, torch.zeros(2 * 3 * 2 * 3, dtype=torch.int64))


@routes_and_types
def test_a_row_has_its_bits_from_run_to_run_and_among_any_others(dtype: torch.dtype, route: str) -> None:
    logits = (6 * torch.randn(5, 7, generator=torch.Generator().manual_seed(5))).to(dtype).to(DEVICE)
    logits[2] = 700.0
    ids = torch.tensor([6, 0, 3, 2, 1])
    first = solve(logits, ids, route=ROUTES[route])
    others = logits.clone()
    others[1], others[2], others[4] = NAN, INF, 30000.0
    for again in (solve(logits, ids, route=ROUTES[route]), solve(others, ids, route=ROUTES[route])):
        for row in (0, 3):
            assert again.losses[row] == first.losses[row]
            np.testing.assert_array_equal(again.gradients[row], first.gradients[row])


SHAPES: dict[tuple[int, int], Launch] = {
    (65536, 2): Launch(COLUMNS, rows=128, block=1, warps=4),
    (65536, 10): Launch(COLUMNS, rows=128, block=1, warps=4),
    (16384, 100): Launch(WHOLE, rows=4, block=128, warps=4),
    (16384, 1000): Launch(WHOLE, rows=2, block=1024, warps=4),
    (8192, 4096): Launch(WHOLE, rows=1, block=4096, warps=8),
    (8192, 8192): Launch(WHOLE, rows=1, block=8192, warps=8),
    (8192, 32000): Launch(BLOCKS, rows=1, block=8192, warps=16),
    (4096, 50257): Launch(BLOCKS, rows=1, block=8192, warps=16),
    (4096, 128256): Launch(BLOCKS, rows=1, block=8192, warps=16),
    (1024, 262144): Launch(BLOCKS, rows=1, block=8192, warps=16),
    (64, 128256): Launch(PARTS, rows=1, block=4096, warps=8, parts=9),
    (1, 262144): Launch(PARTS, rows=1, block=4096, warps=8, parts=64),
}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_route_of_a_shape(shape: tuple[int, int]) -> None:
    layout = layout_of(torch.empty(shape, device="meta"), 1)
    assert layout is not None
    assert choose(layout, 4, 132) == SHAPES[shape]


def test_rows_side_by_side_have_a_thread_each() -> None:
    layout = layout_of(torch.empty(8, 21, 512, 512, device="meta"), 1)
    assert layout is not None
    assert choose(layout, 2, 132) == Launch(COLUMNS, rows=128, block=1, warps=4)
    few = layout_of(torch.empty(8, 50257, 64, device="meta"), 1)
    assert few is not None
    assert choose(few, 2, 132) == Launch(COLUMNS, rows=32, block=1, warps=1)


@pytest.mark.parametrize(
    ("options", "wanted", "served"),
    [
        ({}, {}, True),
        ({"z_loss": 0.1}, {}, True),
        ({"label_smoothing": 0.1}, {}, False),
        ({"softcap": 30.0}, {}, False),
        ({"temperature": 0.5}, {}, False),
        ({"kind": 0}, {}, False),
        ({}, {"entropy": torch.zeros(1)}, False),
    ],
    ids=str,
)
def test_what_is_served(options: dict[str, Any], wanted: dict[str, torch.Tensor], served: bool) -> None:
    problem = Problem(torch.zeros(1, 2), 1, options.pop("kind", CLASS_IDS), **options)
    assert class_ids.serves(problem, Numbers(**wanted), None) == served
    assert not class_ids.serves(problem, Numbers(), Upstream(entropy=torch.zeros(1)))
