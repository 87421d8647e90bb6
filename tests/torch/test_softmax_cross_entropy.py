"""The PyTorch door's cross_entropy: torch's semantics and errors, the kernels' digits, every kind of derivative."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vmap

import crossent
import crossent.torch
from crossent.torch._library import compiled_cross_entropy, compiled_gradient
from tests.oracle.load import batches, load, ulp_error

# forward mode of torch 2.13 scripts its own decompositions, and warns of itself
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
ours = crossent.torch.cross_entropy
same = torch.testing.assert_close


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def drawn(shape: tuple[int, ...], dtype: torch.dtype, *, soft: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits and targets; where there are several class ids, one is ignored."""
    axis = min(1, len(shape) - 1)
    logits = torch.randn(shape).to(dtype)
    if soft:
        return logits, torch.softmax(torch.randn(shape), axis).to(dtype)
    ids = torch.randint(0, shape[axis], shape[:axis] + shape[axis + 1 :])
    if ids.numel() > 1:
        ids.view(-1)[1] = -100
    return logits, ids


@pytest.mark.parametrize("shape", [(5,), (4, 7), (3, 5, 4), (2, 300, 3), (2, 3, 4, 5), (6, 2)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("soft", [False, True])
def test_values_and_gradients_are_torchs_in_float64(shape: tuple[int, ...], dtype: torch.dtype, soft: bool) -> None:
    tolerance = {"rtol": 1e-2, "atol": 1e-2} if dtype.itemsize == 2 else {"rtol": 1e-5, "atol": 1e-6}
    for reduction, weighted, smoothing in itertools.product(("mean", "sum", "none"), (False, True), (0.0, 0.1)):
        logits, target = drawn(shape, dtype, soft=soft)
        weight = torch.rand(shape[min(1, len(shape) - 1)]).to(dtype) if weighted else None
        options = {"reduction": reduction, "label_smoothing": smoothing}
        leaves, wide = [logits.requires_grad_()], [logits.detach().double().requires_grad_()]
        if soft:
            leaves.append(target.requires_grad_())
            wide.append(target.detach().double().requires_grad_())
        loss = ours(leaves[0], leaves[-1] if soft else target, weight, **options)
        wide_weight = None if weight is None else weight.double()
        expected = F.cross_entropy(wide[0], wide[-1] if soft else target, wide_weight, **options)
        assert loss.dtype == dtype
        assert loss.shape == expected.shape
        same(loss.double(), expected, **tolerance)
        upstream = torch.randn(loss.shape).to(dtype)
        loss.backward(upstream)
        expected.backward(upstream.double())
        for leaf, other in zip(leaves, wide, strict=True):
            assert leaf.grad is not None
            assert leaf.grad.dtype == dtype
            same(leaf.grad.double(), other.grad, **tolerance)


@pytest.mark.parametrize("name", ["hard_float32", "hard_float64"])
def test_digits_through_autograd(name: str) -> None:
    """Every row of the oracle's tables, within the ulp that it allows."""
    dtype = np.float64 if name.endswith("64") else np.float32
    for batch in batches(load(name)):
        logits = torch.from_numpy(batch.inputs.copy()).requires_grad_()
        loss = ours(logits, torch.from_numpy(batch.target.copy()), reduction="none")
        loss.backward(torch.ones(()).to(loss.dtype).expand(loss.shape))
        error = ulp_error(loss.detach().numpy(), batch.loss_hi, batch.loss_lo, dtype)
        assert (error <= batch.allowed_ulp_loss).all()
        assert logits.grad is not None
        got = logits.grad.numpy()[batch.grad_row, batch.grad_index].astype(np.float64)
        error = ulp_error(got, batch.grad_hi, batch.grad_lo, dtype, batch.grad_scale)
        assert (error <= batch.grad_allowed).all()


def test_a_confident_row_keeps_its_gradient() -> None:
    logits, ids = torch.tensor([[30.0, 0.0]]), torch.tensor([0])
    got, theirs = (grad(lambda x, f=f: f(x, ids))(logits) for f in (ours, F.cross_entropy))
    assert got.tolist() == [[-np.float32(np.exp(-30)), np.float32(np.exp(-30))]]
    assert theirs[0, 0] == 0.0  # what a confident run stalls on


def test_a_mean_has_the_same_bits_for_any_order_and_any_threads() -> None:
    logits, ids = torch.randn(5000, 7) * 9, torch.randint(0, 7, (5000,))
    order = torch.randperm(5000)
    before = crossent.get_num_threads()
    try:
        found = set()
        for threads in (1, 2, 5):
            crossent.set_num_threads(threads)
            found |= {ours(logits, ids).item(), ours(logits[order], ids[order]).item()}
    finally:
        crossent.set_num_threads(before)
    assert len(found) == 1


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32, torch.uint16, torch.uint32])
def test_every_integer_is_a_class_id(dtype: torch.dtype) -> None:
    logits, ids = torch.randn(6, 5), torch.randint(0, 5, (6,))
    same(ours(logits, ids.to(dtype)), F.cross_entropy(logits, ids))


def test_layouts_are_read_as_they_are() -> None:
    whole = torch.randn(9, 8, 10)
    ids = torch.randint(0, 8, (9, 5))
    view = whole[:, :, ::2].requires_grad_()
    loss = ours(view, ids)
    same(loss, F.cross_entropy(view.detach().contiguous(), ids))
    (gradient,) = torch.autograd.grad(loss, view)
    last = whole.movedim(1, -1).contiguous().movedim(-1, 1)[:, :, ::2].requires_grad_()
    (other,) = torch.autograd.grad(ours(last, ids), last)
    same(gradient, other, rtol=0, atol=0)


ERRORS = {
    "labels as floats": lambda x, t: (x, t.float()),
    "a label that is no class": lambda x, t: (x, t + 5),
    "fewer labels than rows": lambda x, t: (x, t[:3]),
    "boolean labels": lambda x, t: (x, t.bool()),
    "integer logits": lambda x, t: (x.long(), t),
    "a weight too few": lambda x, t: (x, t, torch.rand(4)),
    "distributions of another shape": lambda x, t: (x, torch.rand(8, 4)),
    "no tensor": lambda x, t: (x.tolist(), t),
    "no logits": lambda x, t: (torch.tensor(1.0), torch.tensor(0)),
}
OPTIONS = [{"reduction": "average"}, {"label_smoothing": 1.5}]


def raised(function: Callable[..., Any], *arguments: Any, **options: Any) -> tuple[type[Exception], str]:
    with pytest.raises(Exception) as caught:  # noqa: PT011  # compared with torch's own, word for word
        function(*arguments, **options)
    return caught.type, str(caught.value)


@pytest.mark.parametrize("make", ERRORS.values(), ids=ERRORS)
def test_errors_are_torchs(make: Callable[..., Any]) -> None:
    arguments = make(torch.randn(8, 5), torch.randint(0, 5, (8,)))
    assert raised(ours, *arguments) == raised(F.cross_entropy, *arguments)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_errors_of_options_are_torchs(options: dict[str, Any]) -> None:
    arguments = torch.randn(8, 5), torch.randint(0, 5, (8,))
    assert raised(ours, *arguments, **options) == raised(F.cross_entropy, *arguments, **options)


def test_the_label_that_is_named_is_the_first_wrong_one() -> None:
    ids = torch.tensor([-100, 3, 9, -1])
    assert raised(ours, torch.randn(4, 5), ids) == (IndexError, "Target 9 is out of bounds.")


@pytest.mark.parametrize("options", [{}, {"weight": 1}, {"weight": 1, "label_smoothing": 0.2}, {"reduction": "sum"}])
def test_transforms_of_torch_func(options: dict[str, Any]) -> None:
    options = {key: torch.rand(5).double() if key == "weight" else value for key, value in options.items()}
    x, xs = torch.randn(6, 5).double(), torch.randn(4, 6, 5).double()
    ids, several = torch.randint(0, 5, (6,)), torch.randint(0, 5, (4, 6))
    ids[2] = several[1, 3] = -100
    y = torch.softmax(torch.randn(6, 5).double(), 1)

    def mine(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return ours(logits, target, **options)

    def reference(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(logits, target, **options)

    def one_by_one(function: Callable[..., Any], *arguments: Any) -> torch.Tensor:  # torch cannot map smoothing
        return torch.stack([function(*each) for each in zip(*arguments, strict=True)])

    for target in (ids, y):
        same(grad(mine)(x, target), grad(reference)(x, target))
        same(hessian(mine)(x, target), hessian(reference)(x, target))
        change = torch.randn_like(x)
        same(*(jvp(lambda z, f=f, t=target: f(z, t), (x,), (change,)) for f in (mine, reference)))
    same(grad(mine, 1)(x, y), grad(reference, 1)(x, y))
    same(jacrev(jacfwd(mine, 1), 0)(x, y), jacrev(jacfwd(reference, 1), 0)(x, y))
    for mapped in (lambda f: f, grad, hessian):
        same(vmap(mapped(mine))(xs, several), one_by_one(mapped(reference), xs, several))
        same(vmap(mapped(mine), (None, 0))(x, several), one_by_one(mapped(reference), [x] * 4, several))
        same(vmap(mapped(mine), (0, None))(xs, ids), one_by_one(mapped(reference), xs, [ids] * 4))


def test_gradients_of_class_weights() -> None:
    logits = torch.randn(6, 5).double().requires_grad_()
    ids = torch.tensor([0, 1, -100, 4, 4, 2])
    y = torch.softmax(torch.randn(6, 5).double(), 1).requires_grad_()
    weight = torch.rand(5).double().requires_grad_()
    for smoothing, reduction in itertools.product((0.0, 0.1), ("mean", "sum", "none")):
        options = {"label_smoothing": smoothing, "reduction": reduction}
        same(ours(logits, ids, weight, **options), F.cross_entropy(logits, ids, weight.detach(), **options))
        assert torch.autograd.gradcheck(lambda x, w, o=options: ours(x, ids, w, **o), (logits, weight))
        assert torch.autograd.gradcheck(lambda x, t, w, o=options: ours(x, t, w, **o), (logits, y, weight))


def test_backward_twice_with_any_upstream_and_nothing_written_to() -> None:
    logits, ids = torch.randn(8, 5, requires_grad=True), torch.randint(0, 5, (8,))
    version = logits._version
    rows = ours(logits, ids, reduction="none")
    (first,) = torch.autograd.grad(rows.mean(), logits, retain_graph=True)
    (second,) = torch.autograd.grad(rows.mean(), logits, retain_graph=True)
    same(first, second, rtol=0, atol=0)
    (of_one,) = torch.autograd.grad(rows[2], logits, retain_graph=True)
    same(of_one[2] / 8, first[2])
    assert not of_one[[0, 1, 3, 4, 5, 6, 7]].any()
    assert logits._version == version


@pytest.mark.parametrize("shape", [(8, 5), (300, 400), (6, 4, 3)], ids=str)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_gradient_made_with_the_loss_is_the_one_made_anew(shape: tuple[int, ...], smoothing: float) -> None:
    """The first backward gets what forward has kept, a second one and one that is differentiated compute it."""
    logits, ids = drawn(shape, torch.float32, soft=False)
    logits.requires_grad_()
    for upstream in (torch.tensor(1.0), torch.tensor(-0.5)):
        loss = ours(logits, ids, label_smoothing=smoothing)
        (kept,) = torch.autograd.grad(loss, logits, upstream, retain_graph=True)
        copy = kept.clone()
        (anew,) = torch.autograd.grad(loss, logits, upstream, retain_graph=True)
        same(kept, anew, rtol=2e-7, atol=0)
        (differentiated,) = torch.autograd.grad(
            ours(logits, ids, label_smoothing=smoothing), logits, upstream, create_graph=True
        )
        same(differentiated.detach(), anew, rtol=0, atol=0)
        assert differentiated.requires_grad
        same(kept, copy, rtol=0, atol=0)


def test_forward_mode_without_torch_func() -> None:
    logits, ids = torch.randn(8, 5).double(), torch.randint(0, 5, (8,))
    change = torch.randn_like(logits)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(logits.requires_grad_(), change)
        tangents = [torch.autograd.forward_ad.unpack_dual(f(dual, ids)).tangent for f in (ours, F.cross_entropy)]
    same(*tangents)


def test_what_nobody_takes_part_in() -> None:
    logits, ids = torch.randn(3, 4, requires_grad=True), torch.full((3,), -100)
    for reduction in ("mean", "sum", "none"):
        loss = ours(logits, ids, reduction=reduction)
        same(loss, F.cross_entropy(logits, ids, reduction=reduction), equal_nan=True)
        (gradient,) = torch.autograd.grad(loss.sum(), logits)
        assert not gradient.any()
    same(ours(torch.randn(0, 4), torch.zeros(0).long(), reduction="sum"), torch.tensor(0.0))


def test_zero_times_infinity_is_nothing() -> None:
    """A deviation: torch answers NaN for a distribution with no mass on a class that is ruled out."""
    logits = torch.tensor([[0.0, -torch.inf]], requires_grad=True)
    y = torch.tensor([[1.0, 0.0]])
    assert F.cross_entropy(logits, y).isnan()
    loss = ours(logits, y)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert (loss.item(), gradient.tolist()) == (0.0, [[0.0, 0.0]])


def test_autocast_gives_a_float32_loss() -> None:
    logits, ids = torch.randn(8, 5).bfloat16(), torch.randint(0, 5, (8,))
    with torch.autocast("cpu", torch.bfloat16):
        loss, expected = ours(logits, ids), F.cross_entropy(logits, ids)
    assert loss.dtype == expected.dtype == torch.float32
    same(loss, expected)


def test_the_operators_are_what_they_say() -> None:
    logits, weight = torch.randn(8, 5), torch.rand(5)
    ids = torch.tensor([0, -100, 2, 3, 4, 0, 1, 2])
    for reduction in ("mean", "sum", "none"):
        for target in (ids, torch.softmax(torch.randn(8, 5), 1).requires_grad_()):
            arguments = (logits.requires_grad_(), target, weight, 1, reduction, -100, 0.1, torch.float32)
            torch.library.opcheck(compiled_cross_entropy, arguments)
    torch.library.opcheck(compiled_gradient, (torch.rand(8), logits.detach(), ids, weight, 1, -100, 0.1))


class Model(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.loss = crossent.torch.CrossEntropyLoss()

    def forward(self, logits: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.loss(logits, ids)
        return result


def test_compiled_whole_and_exported_as_one_operator() -> None:
    model, logits, ids = Model(), torch.tensor([[30.0, 0.0]], requires_grad=True), torch.tensor([0])
    (gradient,) = torch.autograd.grad(torch.compile(model, fullgraph=True, backend="aot_eager")(logits, ids), logits)
    same(gradient, grad(ours)(logits.detach(), ids), rtol=0, atol=0)
    graph = torch.export.export(model, (logits.detach(), ids)).graph
    calls = [str(node.target) for node in graph.nodes if node.op == "call_function"]
    assert calls == ["crossent.cross_entropy.default"]


def test_the_module_is_torchs() -> None:
    weight = torch.rand(5)
    options = {"ignore_index": 2, "reduction": "sum", "label_smoothing": 0.1}
    mine, reference = crossent.torch.CrossEntropyLoss(weight, **options), torch.nn.CrossEntropyLoss(weight, **options)
    logits, ids = torch.randn(8, 5), torch.randint(0, 5, (8,))
    same(mine(logits, ids), reference(logits, ids))
    assert mine.state_dict().keys() == reference.state_dict().keys()
    assert repr(mine) == repr(reference)
