"""What a reviewer of the PyTorch door found, each as it was found."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch.autograd import forward_ad
from torch.func import jacfwd, jacrev, jvp, vmap
from torch.fx.experimental.proxy_tensor import make_fx

import crossent.torch as ours

same = torch.testing.assert_close
pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:reduction. 'mean' divides:UserWarning"),
]


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def test_a_uint8_label_is_not_ignored_for_being_equal_to_minus_100_in_8_bits() -> None:
    logits, ids = torch.randn(3, 200, requires_grad=True), torch.tensor([156, 1, 2], dtype=torch.uint8)
    log_p = torch.log_softmax(logits.detach(), 1)
    same(ours.nll_loss(log_p, ids), F.nll_loss(log_p, ids.long()))
    expected = F.cross_entropy(logits, ids.long())
    loss = ours.cross_entropy(logits, ids)
    same(loss, expected)
    (right,) = torch.autograd.grad(expected, logits)
    for _ in range(2):
        same(torch.autograd.grad(loss, logits, retain_graph=True)[0], right)
    hidden, head = torch.randn(3, 4), torch.randn(200, 4)
    losses = ours.linear_cross_entropy(hidden, head, ids, reduction="none")
    same(losses, F.cross_entropy(F.linear(hidden, head), ids.long(), reduction="none"))


@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_a_target_that_is_written_to_before_backward_is_an_error(reduction: str) -> None:
    hidden, head = torch.randn(4, 3, requires_grad=True), torch.randn(5, 3)
    for name in ("linear", "logits"):
        ids = torch.randint(0, 5, (4,))
        if name == "linear":
            loss = ours.linear_cross_entropy(hidden, head, ids, reduction=reduction).sum()
        else:
            loss = ours.cross_entropy(hidden @ head.t(), ids, reduction=reduction).sum()
        ids.fill_(1)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            loss.backward()


def test_a_scaled_half_precision_gradient_is_rounded_after_it_is_scaled() -> None:
    logits, ids = torch.randn(512, 1000).half().requires_grad_(), torch.randint(0, 1000, (512,))
    with torch.autocast("cpu", torch.float16):
        (ours.cross_entropy(logits, ids) * 65536).backward()
    wide = logits.detach().double().requires_grad_()
    (F.cross_entropy(wide, ids) * 65536).backward()
    assert logits.grad is not None
    same(logits.grad.double(), wide.grad, rtol=2**-11, atol=2**-25)


def test_half_precision_means_divide_before_they_are_rounded() -> None:
    many = torch.full((200_000,), 2.0).half()
    for name in ("binary_cross_entropy_with_logits", "kl_div"):
        got, expected = (getattr(module, name)(many, torch.zeros_like(many)) for module in (ours, F))
        assert torch.isfinite(got)
        same(got, expected, rtol=2e-3, atol=1e-3)
    logits, ids = torch.randn(3000, 3).half(), torch.randint(0, 3, (3000,))
    weight = torch.full((3,), 30.0).half()
    same(ours.cross_entropy(logits, ids, weight.clone().requires_grad_()), ours.cross_entropy(logits, ids, weight))
    rows, labels = torch.full((2, 100_000, 2), 9.0).half(), torch.zeros(2, 100_000).long()
    same(vmap(ours.cross_entropy)(rows, labels), torch.full((2,), 0.6931).half())


def test_tangents_of_class_weights() -> None:
    logits, ids = torch.randn(6, 3).double(), torch.randint(0, 3, (6,))
    weight, change = torch.rand(3).double(), torch.randn(3).double()

    def of(weight: torch.Tensor) -> torch.Tensor:
        return ours.cross_entropy(logits, ids, weight)

    same(jacfwd(of)(weight), jacrev(of)(weight))
    same(jvp(of, (weight,), (change,))[1], jacrev(of)(weight) @ change)
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(weight, change)
        same(forward_ad.unpack_dual(of(dual)).tangent, jacrev(of)(weight) @ change)


def test_forward_over_reverse_keeps_the_tangent() -> None:
    ids, change = torch.randint(0, 4, (5,)), torch.randn(5, 4)
    found = []
    for function in (ours.cross_entropy, F.cross_entropy):
        leaf = torch.linspace(-1, 1, 20).reshape(5, 4).requires_grad_()
        with forward_ad.dual_level():
            dual = forward_ad.make_dual(leaf, change)
            (gradient,) = torch.autograd.grad(function(dual, ids), dual)
            found.append(forward_ad.unpack_dual(gradient).tangent)
    same(*found)


def test_soft_targets_of_a_head_have_gradients() -> None:
    hidden, head = torch.randn(4, 3), torch.randn(5, 3)
    y = torch.softmax(torch.randn(4, 5), 1)
    results = []
    for function in (ours.linear_cross_entropy, F.linear_cross_entropy):
        leaf = y.clone().requires_grad_()
        function(hidden, head, leaf).backward()
        results.append(leaf.grad)
    same(*results)


def test_the_default_device_does_not_move_a_loss() -> None:
    logits, ids = torch.randn(4, 3, requires_grad=True), torch.randint(0, 3, (4,))
    big = torch.randn(40, 300, requires_grad=True)
    some = torch.tensor([0, 1, -100, 2])
    with torch.device("meta"):
        for loss in (
            ours.cross_entropy(logits, ids),
            ours.cross_entropy(big, ids.repeat(10), reduction="sum"),
            ours.binary_cross_entropy_with_logits(logits, torch.ones_like(logits)),
            ours.linear_cross_entropy(logits, big[:5, :3], ids),
            ours.linear_cross_entropy(logits, big[:5, :3], some, reduction="none").sum(),
        ):
            assert loss.device.type == "cpu"
            loss.backward(retain_graph=True)


def test_what_is_recorded_is_computed_when_it_is_played() -> None:
    ids = torch.tensor([0, 1])
    recorded = make_fx(lambda x: ours.cross_entropy(x, ids))(torch.randn(2, 3))
    same(recorded(torch.zeros(2, 3)), torch.tensor(3.0).log())
    truths = torch.ones(2, 3)
    recorded = make_fx(lambda x: ours.binary_cross_entropy_with_logits(x, truths))(torch.randn(2, 3))
    same(recorded(torch.zeros(2, 3)), torch.tensor(2.0).log())


@pytest.mark.parametrize("upstream", [torch.inf, torch.nan])
def test_ignored_rows_stay_0_whatever_comes_from_above(upstream: float) -> None:
    logits, ids = torch.randn(4, 3, requires_grad=True), torch.tensor([0, 1, -100, -100])
    (gradient,) = torch.autograd.grad(ours.cross_entropy(logits, ids) * upstream, logits)
    assert not gradient[2:].any()


def test_transforms_within_transforms() -> None:
    logits, ids = torch.randn(2, 3, 4, 5), torch.randint(0, 5, (2, 3, 4))
    expected = torch.tensor([[F.cross_entropy(logits[i, j], ids[i, j]) for j in range(3)] for i in range(2)])
    same(vmap(vmap(ours.cross_entropy))(logits, ids), expected)
    leaf = torch.randn(4, 5, requires_grad=True)
    loss = ours.cross_entropy(leaf, ids[0, 0])
    scales = torch.tensor([1.0, 2.0])
    (mapped,) = vmap(lambda v: torch.autograd.grad(loss, leaf, v, retain_graph=True))(scales)
    (one,) = torch.autograd.grad(loss, leaf)
    same(mapped, torch.stack([one, 2 * one]))
    head, hidden = torch.randn(5, 4), torch.randn(3, 4)
    got = torch.func.grad(lambda w: ours.linear_cross_entropy(hidden, w, ids[0, 0, :3]))(head)
    same(got, torch.func.grad(lambda w: F.cross_entropy(F.linear(hidden, w), ids[0, 0, :3]))(head))


def test_a_head_under_autocast() -> None:
    hidden, head = torch.randn(6, 8).bfloat16().requires_grad_(), torch.randn(30, 8).requires_grad_()
    ids = torch.randint(0, 30, (6,))
    with torch.autocast("cpu", torch.bfloat16):
        loss, expected = ours.linear_cross_entropy(hidden, head, ids), F.cross_entropy(F.linear(hidden, head), ids)
        binary = ours.binary_cross_entropy_with_logits(hidden, torch.ones_like(hidden))
    assert loss.dtype == expected.dtype == binary.dtype == torch.float32
    same(loss, expected, rtol=1e-2, atol=1e-2)
    loss.backward()
    assert hidden.grad is not None
    assert head.grad is not None
    assert (hidden.grad.dtype, head.grad.dtype) == (torch.bfloat16, torch.float32)


def test_heads_that_the_chunks_leave_to_torch() -> None:
    hidden, ids = torch.randn(3, 4), torch.randint(0, 5, (3,))
    same(ours.linear_cross_entropy(hidden, torch.zeros(5, 4), ids, ignore_index=None), torch.tensor(5.0).log())
    several = torch.randn(5, 2, 4)
    targets = torch.randint(0, 5, (3, 2))
    same(ours.linear_cross_entropy(hidden, several, targets), F.linear_cross_entropy(hidden, several, targets))
    nothing: Any = ours.linear_cross_entropy(torch.zeros(3, 0), torch.zeros(5, 0), ids)
    same(nothing, torch.tensor(5.0).log())


def test_arguments_that_torch_refuses() -> None:
    logits, y = torch.randn(2, 3), torch.softmax(torch.randn(2, 3), 1)
    for make in (
        lambda f: f.cross_entropy(logits, torch.tensor([0, 1]), torch.rand(3).double()),
        lambda f: f.binary_cross_entropy_with_logits(logits[0], y[0], weight=torch.rand(2, 3)),
    ):
        said = []
        for module in (ours, F):
            with pytest.raises(RuntimeError) as caught:
                make(module)
            said.append(str(caught.value))
        assert said[0] == said[1]
    same(ours.cross_entropy(logits, y.double()), F.cross_entropy(logits, y.double()))
    mirrored = torch.view_as_complex(torch.randn(4, 3, 2)).conj().imag
    same(
        ours.cross_entropy(mirrored, torch.tensor([0, 1, 2, 0])), F.cross_entropy(mirrored, torch.tensor([0, 1, 2, 0]))
    )


def test_evaluation_makes_no_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    from crossent.torch import _linear  # looked into, not used

    asked = []
    solve = _linear.solve
    monkeypatch.setattr(
        _linear, "solve", lambda head, wanted, *rest: asked.append(wanted) or solve(head, wanted, *rest)
    )
    hidden, head = torch.randn(3, 4, requires_grad=True), torch.randn(5, 4, requires_grad=True)
    with torch.no_grad():
        ours.linear_cross_entropy(hidden, head, torch.randint(0, 5, (3,)))
        assert ours.cross_entropy(hidden, torch.randint(0, 4, (3,))).grad_fn is None
    assert asked == [(False, False, False)]
