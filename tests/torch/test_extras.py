"""What the PyTorch door adds to torch's losses: derivatives of every kind, digits at any margin, compilers, bad input."""

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.func import grad, hessian, jvp, vmap

import crossent.torch
from crossent import TopKTargets
from crossent.errors import OptionError, ShapeError

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
ours = crossent.torch.cross_entropy
head = crossent.torch.linear_cross_entropy
same = torch.testing.assert_close
NUMBERS = ("lse", "entropy", "target_logit")
EXTRAS: dict[str, Any] = {"z_loss": 0.1, "softcap": 3.0, "temperature": 0.7}


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def targets(rows: int, classes: int) -> dict[str, Any]:
    width = min(2, classes)
    ids = torch.randint(0, classes, (rows,))
    top = torch.stack([torch.randperm(classes)[:width] for _ in range(rows)])
    return {
        "ids": ids,
        "soft": torch.softmax(torch.randn(rows, classes), 1).double(),
        "top-k": TopKTargets(top, torch.full((rows, width), 0.4), rest="uniform"),
    }


@pytest.mark.parametrize("kind", ["ids", "soft", "top-k"])
@pytest.mark.parametrize("extras", [{}, {"z_loss": 0.1}, EXTRAS], ids=["none", "z", "all"])
def test_every_kind_of_derivative(kind: str, extras: dict[str, Any]) -> None:
    logits = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    own = torch.rand(4, dtype=torch.float64, requires_grad=True)
    weight = torch.rand(5, dtype=torch.float64, requires_grad=True)
    target = targets(4, 5)[kind]
    if kind == "soft":
        target.requires_grad_()

    def loss(x: torch.Tensor, s: torch.Tensor, w: torch.Tensor, *t: torch.Tensor) -> Any:
        return tuple(ours(x, t[0] if t else target, w, sample_weight=s, returns=NUMBERS, label_smoothing=0.1, **extras))

    for arguments in ((logits, own, weight), (logits, own.detach(), weight.detach())):
        inputs = (*arguments, target) if kind == "soft" and arguments[2] is weight else arguments
        inputs = tuple(t.detach().requires_grad_(t.requires_grad) for t in inputs)
        assert gradcheck(loss, inputs, check_forward_ad=True, check_batched_grad=True)
        assert gradgradcheck(loss, inputs, check_fwd_over_rev=True)


def test_torch_func() -> None:
    logits, ids, own = torch.randn(6, 5), torch.randint(0, 5, (6,)), torch.rand(6)

    def loss(x: torch.Tensor, t: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
        return ours(x, t, sample_weight=s, denominator=3.0, **EXTRAS)

    each = vmap(grad(loss))(logits, ids, own)
    leaf = logits.clone().requires_grad_()
    loss(leaf, ids, own).backward()
    same(each, leaf.grad)
    assert hessian(lambda x: loss(x, ids[0], own[0]))(logits[0]).shape == (5, 5)
    _, change = jvp(lambda x: loss(x, ids, own), (logits,), (torch.ones_like(logits),))
    same(change, leaf.grad.sum())


@pytest.mark.parametrize("kind", ["ids", "soft", "top-k"])
def test_one_graph(kind: str) -> None:
    logits, target = torch.randn(4, 5).requires_grad_(), targets(4, 5)[kind]
    target = target.float() if kind == "soft" else target

    def loss(x: torch.Tensor) -> Any:
        return ours(x, target, sample_weight=torch.arange(4.0), denominator=2.0, returns=NUMBERS[::-1], **EXTRAS)

    # an order that no other test asks for: compiled first, it once failed where no eager call had gone before
    found, expected = torch.compile(loss, fullgraph=True, backend="aot_eager")(logits), loss(logits)
    assert found._fields == ("loss", *NUMBERS[::-1])
    same(tuple(found), tuple(expected))
    same(*(torch.autograd.grad(some.loss + some.entropy.sum(), logits) for some in (found, expected)))


def exactly(
    x: np.ndarray, target: int, z_loss: float, softcap: float | None, temperature: float
) -> tuple[float, list[float]]:
    """Return the loss of a row and its gradient to 60 digits."""
    with mpmath.workdps(60):
        given = [mpmath.mpf(float(v)) for v in x]
        cap, heat = None if softcap is None else mpmath.mpf(softcap), mpmath.mpf(temperature)
        z = [(v if cap is None else cap * mpmath.tanh(v / cap)) / heat for v in given]
        slope = [(mpmath.mpf(1) if cap is None else mpmath.sech(v / cap) ** 2) / heat for v in given]
        lse = mpmath.log(mpmath.fsum(mpmath.exp(v) for v in z))
        loss = lse - z[target] + mpmath.mpf(z_loss) * lse**2
        factor = 1 + 2 * mpmath.mpf(z_loss) * lse
        gradient = [factor * mpmath.exp(v - lse) - (1 if c == target else 0) for c, v in enumerate(z)]
        return float(loss), [float(g * s) for g, s in zip(gradient, slope, strict=True)]


@pytest.mark.parametrize("classes", [2, 10, 1000])
@pytest.mark.parametrize(
    "extras",
    [
        {"z_loss": 1e-4},
        {"softcap": 50.0},
        {"temperature": 0.25},
        {"z_loss": 1e-30, "softcap": 60.0, "temperature": 2.0},
    ],
    ids=str,
)
def test_digits_at_any_margin(classes: int, extras: dict[str, Any]) -> None:
    """float32: the loss within 2 ulp, its gradient within 3, of rows from undecided to 80 nats confident."""
    for margin in (0.0, 5.0, 20.0, 40.0, 80.0):
        x = torch.randn(classes)
        x[0] += margin
        for target in (0, 1):
            leaf = x.clone().requires_grad_()
            loss = ours(leaf[None], torch.tensor([target]), **extras)
            loss.backward()
            options = {"z_loss": 0.0, "softcap": None, "temperature": 1.0} | extras
            expected, gradient = exactly(x.numpy(), target, **options)
            assert abs(loss.item() - expected) <= 2 * np.spacing(np.float32(abs(expected)))
            assert leaf.grad is not None
            error = np.abs(leaf.grad.double().numpy() - gradient)
            assert (error <= 3 * np.spacing(np.abs(gradient).astype(np.float32))).all()


def test_infinities_answer_as_the_contract_says() -> None:
    inf = np.inf
    logits = torch.tensor([[0.0, 1.0, -inf], [-inf, 0.0, 1.0], [inf, 0.0, 1.0], [-inf, -inf, -inf], [np.nan, 0.0, 1.0]])
    ids = torch.tensor([0, 0, 0, 0, 0])
    for softcap in (None, 1e4):
        leaf = logits.clone().requires_grad_()
        got = ours(leaf, ids, reduction="none", returns=("lse", "entropy", "accuracy"), softcap=softcap)
        expected = ours(logits, ids, reduction="none")
        if softcap is None:
            same(got.loss, expected, equal_nan=True)
            assert got.lse[:3].tolist() == [np.float32(1.3132616), np.float32(1.3132616), inf]
            same(got.entropy[:3], torch.tensor([0.5822031, 0.5822031, 0.0]))
        gradient = torch.autograd.grad(got.loss[:2].sum(), leaf)[0]
        assert gradient[:2].isfinite().all()
        assert got.loss[4].isnan()


def test_one_number_for_each_row() -> None:
    logits, ids = torch.randn(2, 7, 3), torch.randint(0, 7, (2, 3))
    got = ours(logits, ids, returns=("accuracy", "dropped_mass", "lse"))
    assert type(got).__name__ == "CrossEntropyResult"
    assert got._fields == ("loss", "accuracy", "dropped_mass", "lse")
    same(got.accuracy, (logits.argmax(1) == ids).float())
    assert not got.dropped_mass.any()
    same(got.lse, torch.logsumexp(logits, 1))
    half = ours(logits.half(), ids, returns=("lse",))
    assert (half.loss.dtype, half.lse.dtype) == (torch.float16, torch.float32)


def test_accumulated_batches_are_one_batch() -> None:
    logits, ids, own = torch.randn(12, 5, dtype=torch.float64), torch.randint(0, 5, (12,)), torch.rand(12).double()
    for f, weight in ((ours, ()), (head, (torch.eye(5, dtype=torch.float64),))):
        whole = f(logits, *weight, ids, sample_weight=own)
        parts = [
            f(x, *weight, t, sample_weight=s, denominator=own.sum())
            for x, t, s in zip(logits.split(5), ids.split(5), own.split(5), strict=True)
        ]
        same(sum(parts), whole, rtol=1e-14, atol=0.0)


def test_a_second_backward_and_other_upstream_gradients() -> None:
    logits, ids = torch.randn(6, 9, requires_grad=True), torch.randint(0, 9, (6,))
    loss = ours(logits, ids, **EXTRAS)
    first, second = (torch.autograd.grad(loss, logits, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, second)
    same(torch.autograd.grad(3 * loss, logits)[0], 3 * first)


def test_logits_written_to_since_are_noticed() -> None:
    logits = torch.randn(6, 9, requires_grad=True)
    doubled = logits * 2
    loss = ours(doubled, torch.randint(0, 9, (6,)), **EXTRAS)
    doubled.add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_a_mean_has_the_same_bits_for_any_order_and_any_threads() -> None:
    logits, ids, own = torch.randn(3000, 40) * 5, torch.randint(0, 40, (3000,)), torch.rand(3000)
    order = torch.randperm(3000)
    before = crossent.get_num_threads()
    found = set()
    try:
        for threads in (1, 2, 5):
            crossent.set_num_threads(threads)
            for extras in (EXTRAS, {"z_loss": 0.1}):
                for some in (slice(None), order):
                    got = ours(logits[some], ids[some], sample_weight=own[some], **extras)
                    found.add((len(extras), got.item()))
    finally:
        crossent.set_num_threads(before)
    assert len(found) == 2


def test_tensors_that_the_kernels_do_not_read() -> None:
    """As on other devices: torch's own loss with our extras around it."""

    class Own(torch.Tensor):
        pass

    logits, ids = torch.randn(4, 5), torch.randint(0, 5, (4,))
    got = ours(logits.as_subclass(Own), ids, sample_weight=torch.rand(4), returns=("lse",), **EXTRAS)
    assert got.loss.isfinite()
    same(got.lse.as_subclass(torch.Tensor), ours(logits, ids, returns=("lse",), **EXTRAS).lse)


def test_modules_take_extras() -> None:
    logits, ids, own = torch.randn(4, 5), torch.randint(0, 5, (4,)), torch.rand(4)
    module = crossent.torch.CrossEntropyLoss(label_smoothing=0.1, returns=("lse",), **EXTRAS)
    same(
        tuple(module(logits, ids, sample_weight=own)),
        tuple(ours(logits, ids, sample_weight=own, label_smoothing=0.1, returns=("lse",), **EXTRAS)),
    )
    layer = crossent.torch.LinearCrossEntropyLoss(5, 7, grad_filter=2**-12, **EXTRAS)
    expected = head(logits, layer.linear.weight, ids, linear_bias=layer.linear.bias, sample_weight=own, **EXTRAS)
    same(layer(logits, ids, sample_weight=own), expected)


def test_modules_refuse_what_functions_would() -> None:
    for wrong in ({"grad_filter": 2.0}, {"shift": -1}, {"memory_budget": 0}, {"softcap": -1.0}):
        with pytest.raises(OptionError, match=f"^`{next(iter(wrong))}` must"):
            crossent.torch.LinearCrossEntropyLoss(5, 7, **wrong)


NAMES = "('lse', 'entropy', 'accuracy', 'target_logit', 'dropped_mass')"
ERRORS: dict[str, tuple[dict[str, Any], str]] = {
    "a penalty below 0": ({"z_loss": -1}, "`z_loss` must be a finite number of at least 0; got -1."),
    "a penalty that is a word": ({"z_loss": "a"}, "`z_loss` must be a finite number of at least 0; got 'a'."),
    "no room below the cap": ({"softcap": 0.0}, "`softcap` must be a positive number, or None for no cap; got 0.0."),
    "absolute zero": ({"temperature": 0}, "`temperature` must be a positive number; got 0."),
    "NaN": ({"temperature": float("nan")}, "`temperature` must be a positive number; got nan."),
    "a word": ({"returns": "lse"}, f"`returns` must be a tuple of names among {NAMES}; got 'lse'."),
    "another name": ({"returns": ("p",)}, f"`returns` must be a tuple of names among {NAMES}; got ('p',)."),
    "twice": ({"returns": ("lse", "lse")}, "`returns` must name nothing twice; got ('lse', 'lse')."),
    "one weight": (
        {"sample_weight": torch.ones(1)},
        "`sample_weight` must have shape (4,), one for each row; got (1,).",
    ),
    "a list": ({"sample_weight": [1.0] * 4}, "`sample_weight` must be a tensor; got list."),
    "complex": ({"sample_weight": torch.ones(4) * 1j}, "`sample_weight` must hold real numbers; got torch.complex64."),
    "nothing": ({"denominator": 0}, "`denominator` must be a positive number; got 0."),
    "no mean": ({"denominator": 2, "reduction": "sum"}, "`denominator` needs reduction=\"mean\"; got 'sum'."),
    "several": ({"denominator": torch.ones(2)}, "`denominator` must be one number; got a tensor of shape (2,)."),
}


@pytest.mark.parametrize(("wrong", "message"), ERRORS.values(), ids=ERRORS)
def test_errors(wrong: dict[str, Any], message: str) -> None:
    logits, ids = torch.randn(4, 5), torch.randint(0, 5, (4,))
    calls: list[Callable[[], Any]] = [
        lambda: ours(logits, ids, **wrong),
        lambda: head(logits, torch.eye(5), ids, **wrong),
    ]
    for call in calls:
        with pytest.raises((ValueError, TypeError)) as caught:
            call()
        assert str(caught.value) == message


def test_top_k_targets_that_do_not_fit() -> None:
    logits = torch.randn(4, 5)
    with pytest.raises(ShapeError) as caught:
        ours(logits, TopKTargets([[0], [1]], [[1.0], [0.5]]))
    assert str(caught.value) == "`target.ids` must have shape (4, k) to match `input` of shape (4, 5); got (2, 1)."
    for f in (lambda t: ours(logits[:1], t), lambda t: head(logits[:1], torch.eye(5), t)):
        with pytest.raises(IndexError, match=r"^Target 5 is out of bounds\.$"):
            f(TopKTargets([[5]], [[0.5]]))


def test_soft_targets_that_sum_to_0_have_a_loss_whatever_is_asked_for() -> None:
    logits = torch.tensor([[0.0, 1.0, 2.0], [np.nan, 0.0, 1.0]], requires_grad=True)
    for target in (torch.tensor([[1.0, -1.0, 0.0]]).expand(2, 3), torch.zeros(2, 3)):
        plain = ours(logits, target, reduction="none")
        asked = ours(logits, target, reduction="none", returns=("lse",)).loss
        same(asked, plain, equal_nan=True)
        same(*(torch.autograd.grad(losses.sum(), logits)[0] for losses in (asked, plain)), equal_nan=True)


@pytest.mark.parametrize("extras", [{}, {"z_loss": 0.1}, {"softcap": 5.0}], ids=str)
@pytest.mark.parametrize("weights", [[0.0, 0.0], [0.5, -0.5]], ids=["none", "in all 0"])
def test_weights_of_rows_that_sum_to_0_give_no_mean_and_no_gradient(
    extras: dict[str, Any], weights: list[float]
) -> None:
    logits = torch.tensor([[0.5, 0.0, 2.0], [0.0, 1.0, 0.0]], requires_grad=True)
    own = torch.tensor(weights, requires_grad=True)
    loss = crossent.torch.cross_entropy(logits, torch.tensor([0, 1]), sample_weight=own, **extras)
    loss.backward()
    assert not loss.isfinite()
    assert torch.equal(logits.grad, torch.zeros(2, 3))
    assert torch.equal(own.grad, torch.zeros(2))
    logits.grad = None
    crossent.torch.cross_entropy(logits, torch.tensor([0, 1]), sample_weight=own.detach(), **extras).backward()
    assert torch.equal(logits.grad, torch.zeros(2, 3))
