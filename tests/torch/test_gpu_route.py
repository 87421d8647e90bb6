"""The PyTorch door over the GPU's kernels, interpreted on tensors of the CPU: a selection that runs with every `pytest`.

All of tests/torch goes this way with `make gpu-route`. Derivatives are compared with float64 torch's here, not with finite
differences: an interpreted kernel takes milliseconds, and differences ask for thousands of them.
"""

import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import HealthCheck, given, settings
from torch.func import grad, hessian, jvp, vmap

import crossent.torch
from crossent import TopKTargets
from crossent.errors import OptionError
from crossent.torch import _gpu
from tests.torch import test_op_samples, test_options
from tests.torch.reference import Options, loss_of
from tests.torch.test_options import Case, cases
from tests.torch.test_softmax_cross_entropy import (  # noqa: F401  # pytest runs them here too
    seed,
    test_a_confident_row_keeps_its_gradient,
    test_autocast_gives_a_float32_loss,
    test_backward_twice_with_any_upstream_and_nothing_written_to,
    test_compiled_whole_and_exported_as_one_operator,
    test_layouts_are_read_as_they_are,
    test_the_module_is_torchs,
    test_what_nobody_takes_part_in,
    test_zero_times_infinity_is_nothing,
)

pytestmark = [
    pytest.mark.usefixtures("gpu_route"),
    pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning"),
]
ours, linear = crossent.torch.cross_entropy, crossent.torch.linear_cross_entropy
same = torch.testing.assert_close
EXTRAS: dict[str, Any] = {"z_loss": 0.1, "softcap": 3.0, "temperature": 0.7}
NUMBERS = ("lse", "entropy", "target_logit")
EXACT_TOTAL = _gpu.total  # the kernel, which the fixture replaces


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_torchs_own_samples(dtype: torch.dtype) -> None:
    test_op_samples.test_values("nn.functional.cross_entropy", dtype)


def combined(case: Case) -> None:
    test_options.test_any_combination_of_options.hypothesis.inner_test(case)


without_a_head = given(case=cases().filter(lambda case: case.head is None))
some = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
test_any_combination_of_options = some(without_a_head(combined))
test_many_combinations_of_options = pytest.mark.slow(settings(some, max_examples=200)(without_a_head(combined)))


def targets() -> dict[str, Any]:
    return {
        "ids": torch.tensor([0, -100, 2]),
        "soft": torch.softmax(torch.randn(3, 4), 1).double(),
        "top-k": TopKTargets([[0, 1], [3, 1], [2, 0]], [[0.5, 0.25]] * 3, rest="uniform"),
    }


@pytest.mark.parametrize("kind", ["ids", "soft", "top-k"])
@pytest.mark.parametrize("extras", [{}, EXTRAS], ids=["plain", "extras"])
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_every_kind_of_derivative(kind: str, extras: dict[str, Any], reduction: str) -> None:
    """Backward and double backward, forward mode, per-row gradients and Hessians, against torch's in float64."""
    target, weight, own = targets()[kind], torch.rand(4).double(), torch.rand(3).double()
    logits, change = torch.randn(3, 4).double(), torch.randn(3, 4).double()
    options = {"reduction": reduction, "label_smoothing": 0.1, "sample_weight": own, **extras}

    def mine(x: torch.Tensor, w: torch.Tensor = weight) -> torch.Tensor:
        return ours(x, target, w, **options).sum()

    def reference(x: torch.Tensor, w: torch.Tensor = weight) -> torch.Tensor:
        return loss_of(x, target, Options(weight=w, **options))[0].sum()

    found = []
    for f in (mine, reference):
        leaf, w = logits.clone().requires_grad_(), weight.clone().requires_grad_()
        (first,) = torch.autograd.grad(f(leaf), leaf, create_graph=True)
        second = torch.autograd.grad((first * change).sum(), leaf)
        of_weight = torch.autograd.grad(f(leaf, w), (leaf, w))
        forward = jvp(f, (logits,), (change,))
        backward = torch.autograd.grad(3.0 * f(leaf), leaf, retain_graph=False)
        found.append((first, second, of_weight, forward, backward, grad(f)(logits)))
    same(*found)
    if kind == "ids" and reduction == "mean":
        same(hessian(mine)(logits), hessian(reference)(logits))


@pytest.mark.parametrize("returns", [("accuracy", "dropped_mass"), NUMBERS])
def test_numbers_of_rows_are_returned(returns: tuple[str, ...]) -> None:
    for target in targets().values():
        leaf, wide = (torch.randn(3, 4, generator=torch.Generator().manual_seed(1)).requires_grad_() for _ in range(2))
        found = ours(leaf, target.float() if kind_is_soft(target) else target, returns=returns, **EXTRAS)
        loss, numbers = loss_of(wide.double(), target, Options(**EXTRAS))
        expected = (loss, *(numbers[name] for name in returns))
        same(tuple(x.double() for x in found), expected, rtol=1e-6, atol=1e-6)
        outputs, theirs = ([x.sum() for x in some if x.requires_grad] for some in (found, expected))
        same(torch.autograd.grad(outputs, leaf), torch.autograd.grad(theirs, wide), rtol=1e-5, atol=1e-6)


def kind_is_soft(target: Any) -> bool:
    return isinstance(target, torch.Tensor) and target.is_floating_point()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("upstream", [1.0, 4096.0, 0.0, torch.inf])
def test_what_the_upstream_gradient_makes_of_a_gradient(dtype: torch.dtype, upstream: float) -> None:
    """Made with the loss and scaled, or made in backward: the same, and a second time; rows left out stay 0."""
    logits, ids = torch.randn(3, 700).to(dtype), torch.tensor([3, -100, 699])
    leaf, wide = logits.clone().requires_grad_(), logits.double().requires_grad_()
    loss = ours(leaf, ids)
    first, again = (torch.autograd.grad(loss * upstream, leaf, retain_graph=True)[0] for _ in range(2))
    assert not first[1].any()
    if upstream == torch.inf:
        return
    (expected,) = torch.autograd.grad(F.cross_entropy(wide, ids) * upstream, wide)
    eps = torch.finfo(dtype).eps
    for gradient in (first, again):
        same(gradient.double(), expected, rtol=4 * eps, atol=torch.finfo(dtype).smallest_normal * eps)


def test_a_label_that_is_no_class_is_an_assertion_of_the_device() -> None:
    with pytest.raises(AssertionError):
        ours(torch.randn(2, 3), torch.tensor([0, 7]))
    with pytest.raises(IndexError, match=r"^Target 5 is out of bounds\.$"):  # these are looked at on the host
        ours(torch.randn(1, 3), TopKTargets([[5]], [[0.5]]))


def test_weights_and_denominators_are_checked_on_the_device() -> None:
    logits, ids = torch.randn(2, 3), torch.tensor([0, 1])
    with pytest.raises(RuntimeError, match="`sample_weight` must be finite"):
        ours(logits, ids, sample_weight=torch.tensor([1.0, torch.nan]))
    with pytest.raises(RuntimeError, match="`denominator` must be a positive number"):
        ours(logits, ids, denominator=torch.zeros(()))


def test_a_denominator_may_lie_on_another_device() -> None:
    """The logits' device says who looks at it, here "meta", which has no kernels, as the processor has for once."""
    logits, ids = torch.empty(2, 3, device="meta"), torch.zeros(2, dtype=torch.int64, device="meta")
    for call in (lambda d: ours(logits, ids, denominator=d), lambda d: linear(logits, logits, ids, denominator=d)):
        with pytest.raises(OptionError, match=r"`denominator` must be a positive number; got -1\.0"):
            call(torch.tensor(-1.0))  # a check of the host, though the tensor's device has kernels
        assert call(torch.tensor(2.0)).device == logits.device


def test_axes_in_an_order_that_the_kernels_do_not_know_are_copied() -> None:
    logits = torch.randn(2, 4, 3, 3)[:, :, ::2, ::2].permute(3, 1, 0, 2).requires_grad_()  # (2, 4, 2, 2)
    ids = torch.randint(0, 4, (2, 2, 2))
    wide = logits.detach().double().requires_grad_()
    loss, expected = ours(logits, ids), F.cross_entropy(wide, ids)
    same(loss.double(), expected, rtol=1e-6, atol=0.0)
    same(torch.autograd.grad(loss, logits)[0].double(), torch.autograd.grad(expected, wide)[0], rtol=1e-5, atol=1e-7)


def test_rows_are_mapped() -> None:
    logits, ids, own = torch.randn(3, 4), torch.tensor([0, 3, 2]), torch.rand(3)

    def loss(x: torch.Tensor, t: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
        return ours(x, t, sample_weight=s, denominator=3.0, **EXTRAS)

    leaf = logits.clone().requires_grad_()
    loss(leaf, ids, own).backward()
    same(vmap(grad(loss))(logits, ids, own), leaf.grad)


def test_a_mean_is_exact_and_rounded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_gpu, "total", EXACT_TOTAL)
    logits, ids, weight = 9.0 * torch.randn(200, 5), torch.randint(0, 5, (200,)), torch.rand(5)
    order = torch.randperm(200)
    rows = ours(logits.double(), ids, weight.double(), reduction="none").tolist()
    expected = math.fsum(rows) / math.fsum(weight.double()[ids].tolist())
    for some in (slice(None), order):
        assert ours(logits[some].double(), ids[some], weight.double()).item() == pytest.approx(expected, rel=4e-16)
    assert torch.equal(ours(logits, ids, weight), ours(logits[order], ids[order], weight))


def test_the_kernels_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once for a value with its gradient, once for a value alone; and not again for a gradient that is kept."""
    asked: list[bool] = []
    solve: Callable[..., None] = _gpu.solve
    monkeypatch.setattr(_gpu, "solve", lambda p, n, u, g: asked.append(g is not None) or solve(p, n, u, g))
    logits, ids = torch.randn(2, 3, requires_grad=True), torch.tensor([0, 1])
    for extras in ({}, EXTRAS, {"sample_weight": torch.rand(2)}, {"returns": ("accuracy",)}):
        asked.clear()
        found = ours(logits, ids, **extras)
        (found.loss if "returns" in extras else found).backward()
        assert asked == [True]
        with torch.no_grad():
            ours(logits, ids, **extras)
        assert asked == [True, False]


def test_logits_written_to_since_are_noticed() -> None:
    logits = torch.randn(2, 3, requires_grad=True)
    doubled = logits * 2
    loss = ours(doubled, torch.tensor([0, 1]))
    doubled.add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_without_triton_torch_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors of the device "meta" stand for CUDA's, which the CPU's kernels do not read either."""
    monkeypatch.setattr(_gpu, "DEVICES", frozenset({"meta"}))
    monkeypatch.setattr(_gpu, "_HAS_TRITON", False)
    monkeypatch.setattr(_gpu, "solve", None)
    logits, ids = torch.empty(2, 3, device="meta"), torch.zeros(2, dtype=torch.int64, device="meta")
    for extras in ({}, EXTRAS):
        assert ours(logits, ids, **extras).device.type == "meta"


@pytest.mark.parametrize(
    "stand_in", ["sys.modules['triton'] = types.ModuleType('triton')", "sys.modules['triton'] = None"]
)
def test_a_stand_in_for_triton_is_none(stand_in: str) -> None:
    """Some programs put an empty module in Triton's place, so that what asks for it can be imported on their machines."""
    program = f"""
import sys, types
{stand_in}
import torch, crossent.torch
print(crossent.torch.cross_entropy(torch.zeros(1, 2), torch.tensor([0])).item(), crossent.torch._gpu._HAS_TRITON)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["0.6931471824645996", "False"], done.stderr


def test_the_compilers_operators_have_a_kernel_for_cuda() -> None:
    for name in ("crossent::cross_entropy", "crossent::cross_entropy_backward"):
        assert torch._C._dispatch_has_kernel_for_dispatch_key(name, "CUDA")
