"""Run a function on several gloo processes: ``python -m tests.torch.ranks RANK WORLD STORE SEED``, or `on_ranks`.

Each process draws the same problems, takes its part of the classes and compares what it gets with the loss of the whole.
"""

import datetime
import os
import sys
import warnings
from typing import Any

import pytest
import torch
import torch.distributed as dist

from crossent import TopKTargets
from crossent.torch import cross_entropy, linear_cross_entropy

RETURNS = ("lse", "entropy", "target_logit", "accuracy")
CLASSES = 23


def shards(world: int) -> list[slice]:
    """Return uneven parts of the classes; of four ranks the last has a single class, of three the second has none."""
    sizes = {1: [23], 2: [16, 7], 3: [11, 0, 12], 4: [9, 3, 10, 1]}[world]
    starts = [sum(sizes[:rank]) for rank in range(world)]
    return [slice(start, start + size) for start, size in zip(starts, sizes, strict=True)]


def problems(seed: int) -> list[tuple[Any, dict[str, Any]]]:
    """Return targets with options, all of each with some of each."""
    generator = torch.Generator().manual_seed(seed)
    rows = 12
    ids = torch.randint(0, 16, (rows,), generator=generator)  # the last rank of four has nobody's target
    ignored = torch.where(torch.arange(rows) % 5 == 0, -100, ids)
    soft = torch.softmax(torch.randn(rows, CLASSES, generator=generator), 1)
    soft[3] = torch.nn.functional.one_hot(torch.tensor(2), CLASSES)
    top = torch.stack([torch.randperm(CLASSES, generator=generator)[:3] for _ in range(rows)])
    shares = torch.full((rows, 3), 0.3)
    own = torch.rand(rows, generator=generator)
    weight = torch.rand(CLASSES, generator=generator) + 0.1
    options: list[dict[str, Any]] = [
        {},
        {"reduction": "none"},
        {"label_smoothing": 0.2, "z_loss": 0.1, "returns": RETURNS},
        {"weight": weight, "sample_weight": own, "returns": RETURNS[:1]},
        {
            "softcap": 4.0,
            "temperature": 0.7,
            "z_loss": 0.01,
            "denominator": 5.0,
            "weight": weight,
            "returns": RETURNS[::-1],
        },
        {"reduction": "sum", "ignore_index": 2, "label_smoothing": 0.1, "sample_weight": own + 0.5},
    ]
    targets = [ids, ignored, soft, TopKTargets(top, shares), TopKTargets(top, shares, rest="uniform")]
    whole = [(target, some) for target in targets for some in options]
    return [(torch.where(t == -100, 2, t) if t is ignored and "ignore_index" in o else t, o) for t, o in whole]


def parts_of(target: Any, options: dict[str, Any], own: slice) -> tuple[Any, dict[str, Any]]:
    """Return a rank's part of targets and options."""
    if isinstance(target, torch.Tensor) and target.is_floating_point():
        target = target[:, own]
    if "weight" in options:
        options = {**options, "weight": options["weight"][own]}
    return target, options


def compare(found: Any, expected: Any, leaves: list[torch.Tensor], whole: list[torch.Tensor], own: list[Any]) -> None:
    """Assert that losses, numbers and gradients are those of the whole, to the last digits."""
    near = {"rtol": 3e-7, "atol": 1e-7} if leaves[0].dtype == torch.float32 else {"rtol": 1e-12, "atol": 1e-14}
    if leaves[0].dtype == torch.float32 and len(leaves) > 1:
        near = {"rtol": 1e-4, "atol": 1e-5}  # a head's matrix products of other shapes add in another order
    found = found if isinstance(found, tuple) else (found,)
    expected = expected if isinstance(expected, tuple) else (expected,)
    torch.testing.assert_close(tuple(found), tuple(expected), **near)
    outputs = [(f, e) for f, e in zip(found, expected, strict=True) if f.requires_grad]
    upstream = [torch.linspace(0.5, 1.5, f.numel(), dtype=f.dtype).reshape(f.shape) for f, _ in outputs]
    got = torch.autograd.grad([f for f, _ in outputs], leaves, upstream)
    wanted = torch.autograd.grad([e for _, e in outputs], whole, upstream)
    for one, other, part in zip(got, wanted, own, strict=True):
        torch.testing.assert_close(one, other[part], **near)


def check_all(group: Any, seed: int) -> int:
    """Compare every problem, in both precisions; return how many."""
    own = shards(dist.get_world_size(group))[dist.get_rank(group)]
    generator = torch.Generator().manual_seed(seed)
    count = 0
    for dtype in (torch.float32, torch.float64):
        for target, options in problems(seed):
            if isinstance(target, torch.Tensor) and target.is_floating_point():
                target = target.to(dtype)
            options = {k: v.to(dtype) if isinstance(v, torch.Tensor) else v for k, v in options.items()}
            logits = (6.0 * torch.randn(12, CLASSES, generator=generator)).to(dtype).requires_grad_()
            part, mine = parts_of(target, options, own)
            leaf = logits.detach()[:, own].clone().requires_grad_()
            compare(
                cross_entropy(leaf, part, process_group=group, **mine),
                cross_entropy(logits, target, **options),
                [leaf],
                [logits],
                [(slice(None), own)],
            )
            whole = [torch.randn(12, 5, generator=generator), torch.randn(CLASSES, 5, generator=generator)]
            whole.append(torch.randn(CLASSES, generator=generator))
            whole = [tensor.to(dtype).requires_grad_() for tensor in whole]
            places: list[Any] = [slice(None), own, own]
            leaves = [t.detach()[place].clone().requires_grad_() for t, place in zip(whole, places, strict=True)]
            for budget in (1, 2**26):
                compare(
                    linear_cross_entropy(
                        *leaves[:2], part, linear_bias=leaves[2], memory_budget=budget, process_group=group, **mine
                    ),
                    linear_cross_entropy(*whole[:2], target, linear_bias=whole[2], **options),
                    leaves,
                    whole,
                    places,
                )
            count += 3
    return count


def check_margins(group: Any) -> None:
    """Confident rows, whose loss is all in the ranks that do not have the target, and infinities."""
    own = shards(dist.get_world_size(group))[dist.get_rank(group)]
    logits = torch.zeros(9, CLASSES)
    logits[torch.arange(4), torch.tensor([0, 22, 9, 16])] = torch.tensor([20.0, 40.0, 60.0, 80.0])
    logits[4, 1:] = -torch.inf
    logits[5, :16] = -torch.inf
    logits[6] = -torch.inf
    logits[7, 20] = torch.inf
    logits[8, 5] = torch.nan
    ids = torch.tensor([0, 22, 9, 16, 0, 17, 3, 20, 1])
    leaf, whole = logits[:, own].clone().requires_grad_(), logits.clone().requires_grad_()
    found = cross_entropy(leaf, ids, reduction="none", process_group=group)
    expected = cross_entropy(whole, ids, reduction="none")
    torch.testing.assert_close(found, expected, rtol=3e-7, atol=0.0, equal_nan=True)
    found[:6].sum().backward()
    expected[:6].sum().backward()
    assert leaf.grad is not None
    assert whole.grad is not None
    torch.testing.assert_close(leaf.grad[:6], whole.grad[:6, own], rtol=4e-7, atol=0.0)
    # a row without a loss has no gradient, on any rank
    for row in (6, 8):
        leaf = logits[row : row + 1, own].clone().requires_grad_()
        (gradient,) = torch.autograd.grad(cross_entropy(leaf, ids[row : row + 1], process_group=group), leaf)
        assert gradient.isnan().all()
    spatial = torch.randn(2, CLASSES, 3, generator=torch.Generator().manual_seed(2)).bfloat16()
    ids = torch.tensor([[0, 5, 22], [-100, 1, 2]], dtype=torch.int16)
    same = torch.testing.assert_close
    same(cross_entropy(spatial[:, own], ids, process_group=group), cross_entropy(spatial, ids))


def check_filter(group: Any) -> None:
    """Peaked rows through the filter, each rank for its own classes."""
    own = shards(dist.get_world_size(group))[dist.get_rank(group)]
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(CLASSES, 8, generator=generator)
    hidden = 3.0 * weight[torch.arange(12)] + 0.1 * torch.randn(12, 8, generator=generator)
    ids = torch.arange(12)
    whole = [hidden.clone().requires_grad_(), weight.clone().requires_grad_()]
    leaves = [hidden.clone().requires_grad_(), weight[own].clone().requires_grad_()]
    expected = linear_cross_entropy(*whole, ids)
    for weight_of_classes in (None, torch.full((CLASSES,), 1e-4)):  # which must not matter for the mean
        own_weight = None if weight_of_classes is None else weight_of_classes[own]
        found = linear_cross_entropy(
            *leaves, ids, weight=own_weight, grad_filter=1e-3, returns=("dropped_mass",), process_group=group
        )
        torch.testing.assert_close(found.loss, expected)
        assert 0.0 <= found.dropped_mass.min() <= found.dropped_mass.max() <= 0.05
        got = torch.autograd.grad(found.loss, leaves)
        wanted = torch.autograd.grad(expected, whole, retain_graph=True)
        for one, other, part in zip(got, wanted, (slice(None), own), strict=True):
            torch.testing.assert_close(one, other[part], rtol=0.05, atol=0.05 * other.abs().max().item())


ONCE = "With `process_group` a loss can be differentiated once: backward without create_graph=True."


def second_derivative(logits: torch.Tensor, group: Any, head: torch.Tensor | None = None) -> None:
    """Ask for what ranks do not exchange."""
    leaf, ids = logits.clone().requires_grad_(), torch.tensor([0, 1])
    if head is None:
        loss = cross_entropy(leaf, ids, process_group=group)
    else:
        loss = linear_cross_entropy(leaf, head, ids, process_group=group)
    torch.autograd.grad(loss, leaf, create_graph=True)


def check_errors(group: Any) -> None:
    """Every rank raises, before or after the same reductions: nobody waits for the others."""
    own = shards(dist.get_world_size(group))[dist.get_rank(group)]
    logits = torch.zeros(2, own.stop - own.start)
    for call, wanted in (
        (lambda: cross_entropy(logits, torch.tensor([0, 23]), process_group=group), "Target 23 is out of bounds."),
        (
            lambda: cross_entropy(logits, TopKTargets([[0], [23]], [[0.5], [0.5]]), process_group=group),
            "Target 23 is out of bounds.",
        ),
        (
            lambda: cross_entropy(logits, torch.tensor([0]), process_group=group),
            "`target` must have shape (2,) for class ids, to match `input`; got (1,).",
        ),
        (
            lambda: cross_entropy(
                logits, torch.tensor([0, 1]), torch.ones(logits.shape[1], requires_grad=True), process_group=group
            ),
            "`weight` cannot be differentiated with `process_group`: pass weight.detach().",
        ),
        (
            lambda: cross_entropy(logits, torch.tensor([True, False]), process_group=group),
            "`target` must be integers or floating point; got torch.bool.",
        ),
        (
            lambda: cross_entropy(logits, torch.tensor([0, 1]), ignore_index=1.5, process_group=group),  # type: ignore[arg-type]
            "`ignore_index` must be an integer or None; got 1.5.",
        ),
        (
            lambda: linear_cross_entropy(torch.zeros(2, 3), torch.zeros(3), torch.tensor([0, 1]), process_group=group),
            "`linear_weight` must have shape (C, D); got (3,).",
        ),
        (lambda: second_derivative(logits, group), ONCE),
        (lambda: second_derivative(torch.zeros(2, 3), group, torch.zeros(logits.shape[1], 3)), ONCE),
    ):
        with pytest.raises((IndexError, ValueError, TypeError, RuntimeError)) as caught:
            call()
        assert str(caught.value) == wanted


def main(rank: int, world: int, store: str, seed: int) -> None:
    """Be one of the processes."""
    warnings.simplefilter("error")
    torch.set_num_threads(1)
    file_store = dist.FileStore(store, world)
    dist.init_process_group(
        "gloo", store=file_store, rank=rank, world_size=world, timeout=datetime.timedelta(seconds=60)
    )
    group = dist.group.WORLD
    count = check_all(group, seed)
    check_margins(group)
    check_filter(group)
    check_errors(group)
    dist.barrier()
    dist.destroy_process_group()
    sys.stdout.write(f"{count} problems agree\n")
    sys.stdout.flush()
    # gloo's threads may outlive the interpreter's and then end a process that is done with "terminate called without an
    # active exception", once in some hundred runs on a busy machine (torch 2.13.0)
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
