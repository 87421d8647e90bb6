"""What two reviewers found in the door's extras, its filter and its ranks: each a test that failed on the code they read."""

import pickle
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from crossent import TopKTargets
from crossent.errors import DtypeError, OptionError, RangeError, ShapeError
from crossent.torch import cross_entropy, linear_cross_entropy

same = torch.testing.assert_close


def relative(one: torch.Tensor, other: torch.Tensor) -> float:
    return ((one.double() - other.double()).norm() / other.double().norm()).item()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_one_hot_rows_among_soft_ones_keep_their_class_weights(dtype: torch.dtype) -> None:
    logits = torch.tensor([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0], [0.0, 1.0, 0.0]]).to(dtype)
    y = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 0.0]]).to(dtype)
    weight = torch.tensor([0.1, 1.0, 2.0]).to(dtype)
    expected = F.cross_entropy(logits.double(), y.double(), weight.double(), reduction="none")
    tolerance = {"rtol": 1e-2, "atol": 1e-3} if dtype == torch.bfloat16 else {"rtol": 1e-6, "atol": 1e-7}
    same(cross_entropy(logits, y, weight, reduction="none").double(), expected, **tolerance)
    found = linear_cross_entropy(logits, torch.eye(3, dtype=dtype), y, weight=weight, reduction="none")
    same(found.double(), expected, **tolerance)


def test_an_ignored_top_k_row_does_not_unweight_the_others() -> None:
    logits, weight = torch.randn(3, 4, requires_grad=True), torch.tensor([0.2, 0.5, 1.0, 0.7])
    loss = cross_entropy(logits, TopKTargets([[1], [-100], [2]], np.ones((3, 1))), weight, reduction="sum")
    plain, kept = (torch.autograd.grad(loss, logits, create_graph=c, retain_graph=True)[0] for c in (False, True))
    same(plain, kept)


def peaked() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(2048, 16, generator=generator) * 2
    ids = torch.randint(0, 2048, (24,), generator=generator)
    return (weight[ids] * 1.2 + torch.randn(24, 16, generator=generator) * 0.5) / 2, weight, ids


UPSTREAMS: dict[str, Any] = {
    "lse": ({}, lambda r: r.lse.sum()),
    "entropy": ({}, lambda r: r.entropy.sum()),
    "target_logit": ({}, lambda r: r.target_logit.sum()),
    "both": ({"sample_weight": (torch.arange(24) % 2).float()}, lambda r: r.loss + 0.1 * r.lse.mean()),
    "small class weights": ({"weight": torch.full((2048,), 1e-4), "reduction": "sum"}, lambda r: r.loss),
    "hot": ({"temperature": 50.0}, lambda r: r.loss),
    "penalty": ({"z_loss": 10.0}, lambda r: r.loss),
}


@pytest.mark.parametrize("name", UPSTREAMS)
@pytest.mark.parametrize("kind", ["ids", "one-hot", "top-k", "a part of one-hot"])
def test_a_filter_knows_what_a_row_weighs(name: str, kind: str) -> None:
    hidden, weight, ids = peaked()
    one_hot = F.one_hot(ids, 2048).float()
    target = {"ids": ids, "one-hot": one_hot, "top-k": TopKTargets(ids[:, None], np.ones((24, 1)))}.get(
        kind, one_hot * 1e-4
    )
    options, reduce = UPSTREAMS[name]
    found = {}
    for grad_filter in (None, 2**-12):
        leaves = [hidden.clone().requires_grad_(), weight.clone().requires_grad_()]
        returns = ("lse", "entropy", "target_logit", "dropped_mass")
        result = linear_cross_entropy(*leaves, target, grad_filter=grad_filter, returns=returns, **options)
        found[grad_filter] = torch.autograd.grad(reduce(result), leaves)
    for got, expected in zip(found[2**-12], found[None], strict=True):
        assert relative(got, expected) <= 0.1  # all of it was lost


def test_a_filter_stays_within_the_budget() -> None:
    """Whatever its lists hold is added to the gradients before it takes more than its part."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(600, 4, generator=generator)
    weight[0] += 3.0
    hidden = torch.full((200, 4), 1.2) + 0.1 * torch.randn(200, 4, generator=generator)
    ids = torch.zeros(200, dtype=torch.int64)
    found = []
    for options in ({}, {"grad_filter": 1e-3}, {"grad_filter": 1e-3, "memory_budget": 4000}):
        leaves = [hidden.clone().requires_grad_(), weight.clone().requires_grad_()]
        bias = torch.zeros(600, requires_grad=True)
        loss = linear_cross_entropy(*leaves, ids, linear_bias=bias, **options)
        found.append(torch.autograd.grad(loss, [*leaves, bias]))
    for some in found[1:]:
        for got, expected in zip(some, found[0], strict=True):
            assert relative(got, expected) <= 0.03


@pytest.mark.parametrize("grad_filter", [None, 2**-12])
def test_a_scaled_loss_saves_half_gradients(grad_filter: float | None) -> None:
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(4096, 8, generator=generator).half().requires_grad_()
    weight = (0.1 * torch.randn(2000, 8, generator=generator)).half().requires_grad_()
    ids = torch.randint(0, 2000, (4096,), generator=generator)
    wide = [t.detach().double().requires_grad_() for t in (hidden, weight)]
    expected = torch.autograd.grad(F.cross_entropy(F.linear(*wide), ids) * 4096.0, wide)
    loss = linear_cross_entropy(hidden, weight, ids, grad_filter=grad_filter)
    got = torch.autograd.grad(loss * 4096.0, (hidden, weight))
    for one, other in zip(got, expected, strict=True):
        assert relative(one, other) <= 1e-3


def test_lse_near_nothing() -> None:
    logits, ids = torch.tensor([[-1e4, 1e-3, -5e3]], requires_grad=True), torch.tensor([0])
    assert cross_entropy(logits, ids, returns=("lse",)).lse.item() == pytest.approx(1e-3, abs=1e-7)
    gradient = torch.autograd.grad(cross_entropy(logits, ids, z_loss=1e4), logits)[0]
    assert gradient[0].tolist() == pytest.approx([-1.0, 21.0, 0.0], rel=1e-5)
    huge = torch.tensor([[0.0, 1e30]], requires_grad=True)
    gradient = torch.autograd.grad(cross_entropy(huge, ids, z_loss=0.1), huge)[0]
    assert gradient[0, 0] == -1.0


@pytest.mark.parametrize("cap", [1e3, 1e12, 1e16, 1e20, 1e300])
def test_a_cap_far_above_the_logits_does_nothing(cap: float) -> None:
    logits, ids = torch.tensor([[3.0, 1.0, 0.0]], requires_grad=True), torch.tensor([1])
    loss, plain = cross_entropy(logits, ids, softcap=cap), cross_entropy(logits, ids)
    tolerance = {"rtol": 3e-5, "atol": 0.0} if cap == 1e3 else {"rtol": 2e-7, "atol": 0.0}
    same(loss, plain, **tolerance)
    same(torch.autograd.grad(loss, logits)[0], torch.autograd.grad(plain, logits)[0], **tolerance)


def test_the_slope_of_a_reached_cap_in_every_path() -> None:
    logits = torch.tensor([[64.6, 23.7, -11.4, 0.0]], dtype=torch.float64, requires_grad=True)
    loss = cross_entropy(logits, torch.tensor([1]), softcap=2.0)
    plain, kept = (torch.autograd.grad(loss, logits, create_graph=c, retain_graph=True)[0] for c in (False, True))
    assert plain[0, 0] != 0.0
    same(plain, kept, rtol=1e-12, atol=0.0)


def test_a_head_has_second_derivatives_through_its_logits() -> None:
    leaves = [torch.randn(4, 5, dtype=torch.float64, requires_grad=True), torch.randn(6, 5, dtype=torch.float64)]
    for own in (None, torch.rand(4, dtype=torch.float64)):
        options: dict[str, Any] = {"sample_weight": own, "z_loss": 0.1, "returns": ("lse",)}
        found = []
        for f in (
            lambda h, w: linear_cross_entropy(h, w, torch.arange(4), **options),  # noqa: B023  # called at once
            lambda h, w: cross_entropy(F.linear(h, w), torch.arange(4), **options),  # noqa: B023
        ):
            result = f(*leaves)
            (first,) = torch.autograd.grad(result.loss + result.lse.sum(), leaves[0], create_graph=True)
            found.append(torch.autograd.grad(first.square().sum(), leaves[0])[0])
        same(*found)


def test_many_upstream_gradients_at_once() -> None:
    logits = torch.randn(4, 5, requires_grad=True)
    loss = cross_entropy(logits, torch.arange(4), z_loss=0.1, reduction="none")
    (each,) = torch.autograd.grad(loss, logits, torch.eye(4), is_grads_batched=True, retain_graph=True)
    (whole,) = torch.autograd.grad(loss, logits, torch.ones(4))
    same(each.sum(0), whole)


@pytest.mark.parametrize("extras", [{}, {"temperature": 2.0}, {"z_loss": 0.1}], ids=str)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_rows_of_weight_zero_take_no_part(extras: dict[str, Any], bad: float) -> None:
    logits = torch.tensor([[bad, 0.0, 0.0], [0.0, 1.0, 2.0]], requires_grad=True)
    own, ids = torch.tensor([0.0, 1.0]), torch.tensor([1, 1])
    for call in (cross_entropy, lambda x, t, **k: linear_cross_entropy(x, torch.eye(3), t, **k)):
        if call is not cross_entropy and bad == np.inf:
            continue  # inf * 0 in the product is NaN in other columns
        loss = call(logits, ids, sample_weight=own, **extras)
        assert loss.isfinite()
        assert torch.autograd.grad(loss, logits)[0][0].tolist() == [0.0, 0.0, 0.0]


def test_results_are_pickled() -> None:
    result = cross_entropy(torch.randn(2, 3), torch.tensor([0, 1]), returns=("lse", "accuracy"))
    back = pickle.loads(pickle.dumps(result))
    assert back._fields == result._fields
    same(tuple(back), tuple(result))


def test_no_rows_of_any_integer() -> None:
    assert cross_entropy(torch.zeros(0, 5), torch.zeros(0, dtype=torch.int32)).isnan()


X, HEAD = torch.randn(4, 3), torch.randn(5, 3)
IDS = torch.tensor([0, 1, 2, 0])
LINEAR: dict[str, Any] = {
    "more targets": (
        torch.zeros(10).long(),
        {"shift": 1},
        ShapeError,
        "`target` must have 4 tokens on axis 0, as `input` has, to be shifted; got (10,).",
    ),
    "fewer targets": (
        torch.zeros(3).long(),
        {"shift": 1},
        ShapeError,
        "`target` must have 4 tokens on axis 0, as `input` has, to be shifted; got (3,).",
    ),
    "a list": ([0, 1, 2, 0], {}, DtypeError, "`target` must be a tensor or crossent.TopKTargets; got list."),
    "an elsewhere": (IDS.to("meta"), {}, DtypeError, "`target` must be on `input`'s device, cpu; got meta."),
    "weights elsewhere": (
        IDS,
        {"sample_weight": torch.ones(4, device="meta")},
        DtypeError,
        "`sample_weight` must be a strided tensor on `input`'s device, cpu; got meta, torch.strided.",
    ),
    "half an index": (IDS, {"ignore_index": 1.5}, OptionError, "`ignore_index` must be an integer or None; got 1.5."),
}


@pytest.mark.parametrize(("target", "options", "error", "message"), LINEAR.values(), ids=LINEAR)
def test_errors_of_the_head(target: Any, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        linear_cross_entropy(X, HEAD, target, **options)
    assert str(caught.value) == message


LOSS: dict[str, Any] = {
    "NaN": (
        IDS,
        {"sample_weight": torch.tensor([1.0, np.nan, 1, 1])},
        RangeError,
        "`sample_weight` must be finite; row 1 has nan.",
    ),
    "a learnt temperature": (
        IDS,
        {"temperature": torch.tensor(2.0, requires_grad=True)},
        OptionError,
        "`temperature` is a number and has no gradient; scale the logits themselves, or pass temperature.item().",
    ),
    "two temperatures": (
        IDS,
        {"temperature": torch.ones(2)},
        OptionError,
        "`temperature` must be a positive number; got tensor([1., 1.]).",
    ),
    "a list": (
        [0, 1, 2, 0],
        {"z_loss": 0.1},
        DtypeError,
        "`target` must be a tensor or crossent.TopKTargets; got list.",
    ),
    "booleans": (IDS > 1, {"z_loss": 0.1}, RuntimeError, "expected target dtype to be Long or Byte, but got Bool"),
    "too small a cap": (
        IDS,
        {"softcap": 1e-310},
        OptionError,
        "`softcap` must be a positive number, or None for no cap; got 1e-310.",
    ),
    "other shapes": (
        IDS[:3],
        {"z_loss": 0.1},
        ValueError,
        "Expected input batch_size (4) to match target batch_size (3).",
    ),
    "distributions of other shapes": (
        torch.rand(4),
        {"ignore_index": 3},
        RuntimeError,
        "expected target dtype to be Long or Byte, but got Float",
    ),
}


@pytest.mark.parametrize(("target", "options", "error", "message"), LOSS.values(), ids=LOSS)
def test_errors_of_the_loss(target: Any, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        cross_entropy(X, target, **options)
    assert str(caught.value) == message
