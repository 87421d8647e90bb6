"""Every option with every other: random combinations against the plain float64 computation in reference.py."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crossent import TopKTargets
from crossent.torch import cross_entropy, linear_cross_entropy
from tests.torch.reference import Options, loss_of

RETURNS = ("lse", "entropy", "target_logit", "accuracy", "dropped_mass")
DIFFERENTIABLE = ("lse", "entropy", "target_logit")


@dataclass(frozen=True)
class Case:
    """A drawn call: hidden states are the logits themselves where there is no head."""

    hidden: torch.Tensor
    head: torch.Tensor | None
    bias: torch.Tensor | None
    target: torch.Tensor | TopKTargets
    options: Options
    returns: tuple[str, ...]
    budget: int
    leading: bool  # whether logits have the classes second, as torch wants them


@st.composite
def cases(draw: st.DrawFn) -> Case:
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32 - 1)))

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    dtype = draw(st.sampled_from([torch.float32, torch.float64]))
    with_head = draw(st.booleans())
    shape = draw(st.sampled_from([(1,), (5,), (9,), (2, 3), (3, 2, 2)]))
    classes, features = draw(st.sampled_from([2, 3, 7, 40, 130])), 4
    scale = draw(st.sampled_from([0.3, 3.0, 12.0]))
    ignored = draw(st.sampled_from([-100, 1]))
    kind = draw(st.sampled_from(["ids", "soft", "zero", "uniform"]))
    rows = math.prod(shape)
    ids = torch.randint(0, classes, (rows,), generator=generator)
    left_out = torch.rand(rows, generator=generator) < draw(st.sampled_from([0.0, 0.3]))
    target: torch.Tensor | TopKTargets
    if kind == "ids":
        target = torch.where(left_out, ignored, ids).reshape(shape)
    elif kind == "soft":
        y = torch.softmax(normal(rows, classes), 1)
        y[left_out] = torch.nn.functional.one_hot(torch.tensor(max(ignored, 0)), classes).double()
        target = y.reshape(*shape, classes).to(dtype)
    else:
        width = min(3, classes)
        top = torch.stack([torch.randperm(classes, generator=generator)[:width] for _ in range(rows)])
        shares = torch.softmax(normal(rows, width), 1) * 0.9
        for r in left_out.nonzero().squeeze(1).tolist():
            others = [c for c in range(classes) if c != ignored][: width - 1]
            top[r], shares[r] = torch.tensor([ignored, *others]), torch.tensor([1.0] + [0.0] * (width - 1))
        target = TopKTargets(top.reshape(*shape, width), shares.reshape(*shape, width), rest=kind)  # type: ignore[arg-type]
    options = Options(
        weight=torch.rand(classes, generator=generator).to(dtype) + 0.1 if draw(st.booleans()) else None,
        ignore_index=ignored,
        reduction=draw(st.sampled_from(["mean", "sum", "none"])),
        label_smoothing=draw(st.sampled_from([0.0, 0.2])),
        z_loss=draw(st.sampled_from([0.0, 1e-2])),
        softcap=draw(st.sampled_from([None, 5.0])),
        temperature=draw(st.sampled_from([1.0, 0.6, 3.0])),
        sample_weight=normal(*shape).to(dtype) if draw(st.booleans()) else None,
    )
    if options.reduction == "mean":  # weights of both signs may sum to nothing
        options = Options(**{**vars(options), "denominator": draw(st.sampled_from([None, 11.0]))})
        if options.denominator is None and options.sample_weight is not None:
            options = Options(**{**vars(options), "sample_weight": options.sample_weight.abs() + 0.1})
    returns = tuple(draw(st.permutations(RETURNS))[: draw(st.integers(0, 3))])
    head = bias = None
    if with_head:
        hidden, head = normal(*shape, features).to(dtype), (normal(classes, features) * scale / 2.0).to(dtype)
        bias = normal(classes).to(dtype) if draw(st.booleans()) else None
    else:
        hidden = (normal(*shape, classes) * scale).to(dtype)
    return Case(hidden, head, bias, target, options, returns, draw(st.sampled_from([1, 4096, 2**26])), len(shape) > 1)


def ours(case: Case, leaves: list[torch.Tensor]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    options = {**vars(case.options), "returns": case.returns}
    if case.head is not None:
        bias = leaves[2] if case.bias is not None else None
        options |= {"linear_bias": bias, "memory_budget": case.budget}
        found = linear_cross_entropy(leaves[0], leaves[1], case.target, **options)
    else:
        target = case.target
        logits = leaves[0].movedim(-1, 1) if case.leading else leaves[0]
        if case.leading and isinstance(target, torch.Tensor) and target.is_floating_point():
            target = target.movedim(-1, 1)
        found = cross_entropy(logits, target, **options)
    if not case.returns:
        return found, {}
    return found.loss, {name: getattr(found, name) for name in case.returns}


@settings(max_examples=1000, deadline=None)
@given(case=cases())
def test_any_combination_of_options(case: Case) -> None:
    inputs = [t for t in (case.hidden, case.head, case.bias) if t is not None]
    leaves = [t.clone().requires_grad_() for t in inputs]
    wide = [t.double().requires_grad_() for t in inputs]
    logits = wide[0]
    if case.head is not None:
        logits = torch.nn.functional.linear(*wide)
    expected, numbers = loss_of(logits, case.target, case.options)
    loss, found = ours(case, leaves)

    # A logit of size X is known to eps X (the head's product: + its 4 terms), the loss to as much times the weights, and so is
    # every other number; derivatives multiply that by the logits' own size once (d entropy) and the penalty's slope.
    eps = torch.finfo(case.hidden.dtype).eps
    size = 1.0 + logits.abs().max().item() / case.options.temperature
    tolerance = 16.0 * eps * size * size
    assert set(found) == set(case.returns)
    assert loss.dtype == case.hidden.dtype
    torch.testing.assert_close(loss.double(), expected, rtol=tolerance, atol=tolerance, equal_nan=True)
    for name, value in found.items():
        if name == "accuracy":  # a tie in one precision need not be one in the other
            assert (value.double() - numbers[name]).abs().sum() <= (0 if logits.shape[-1] > 2 else 1)
        else:
            torch.testing.assert_close(value.double(), numbers[name], rtol=tolerance, atol=tolerance)

    outputs, theirs = [loss], [expected]
    for name in case.returns:
        if name in DIFFERENTIABLE:
            outputs.append(found[name])
            theirs.append(numbers[name])
    upstream = [torch.randn(o.shape, generator=torch.Generator().manual_seed(1)).to(o.dtype) for o in outputs]
    if loss.isnan().all():
        return  # a mean over nothing
    gradients = torch.autograd.grad(outputs, leaves, upstream)
    wanted = torch.autograd.grad(theirs, wide, [u.double() for u in upstream])
    for gradient, other in zip(gradients, wanted, strict=True):
        bound = tolerance * (1.0 + other.abs().max().item())
        torch.testing.assert_close(gradient.double(), other, rtol=tolerance, atol=bound)


@pytest.mark.parametrize("head", [False, True])
def test_ignored_rows_leave_no_trace(head: bool) -> None:
    """Whatever an ignored row holds, its numbers and its gradient are 0."""
    logits = torch.tensor([[1.0, 2.0, 0.5], [np.nan, np.inf, 1.0], [0.1, 0.2, 0.3]])
    targets = (
        torch.tensor([0, 2, 1]),
        torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]),
        TopKTargets([[0, 1], [2, 0], [1, 2]], [[0.5, 0.5], [1.0, 0.0], [0.7, 0.3]]),
    )
    for target in targets:
        for softcap in (None, 3.0):
            x = logits.clone().requires_grad_()
            options = {"ignore_index": 2, "softcap": softcap, "z_loss": 0.1, "returns": ("lse", "entropy")}
            if head:
                got = linear_cross_entropy(x, torch.eye(3), target, **options)
            else:
                got = cross_entropy(x, target, **options)
            (gradient,) = torch.autograd.grad(got.loss + got.lse.sum() + got.entropy.sum(), x)
            assert got.lse[1] == got.entropy[1] == 0.0
            assert gradient[1].tolist() == [0.0, 0.0, 0.0]
            assert gradient.isfinite().all()
