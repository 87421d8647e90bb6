"""Small heads for the tests of the linear head on the GPU: tensors, targets, options, and what a call answers."""

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812

import crossent
import crossent.torch

ROWS, FEATURES, CLASSES = 7, 8, 90
CUDA = torch.cuda.is_available()
DEVICE = "cuda" if CUDA else "cpu"
ours = crossent.torch.linear_cross_entropy


def head(dtype: torch.dtype = torch.float32, rows: int = ROWS) -> tuple[torch.Tensor, ...]:
    """Return hidden states, weight, bias."""
    shapes = (rows, FEATURES), (CLASSES, FEATURES), (CLASSES,)
    return tuple(torch.randn(shape, device=DEVICE).to(dtype).requires_grad_() for shape in shapes)


def ids(rows: int = ROWS) -> torch.Tensor:
    """Return class ids of rows, the second one ignored."""
    target = torch.randint(0, CLASSES, (rows,), device=DEVICE)
    target[1] = -100
    return target


def distributions(dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.softmax(2.0 * torch.randn(ROWS, CLASSES, device=DEVICE), -1).to(dtype)


def top_k(rest: str) -> crossent.TopKTargets:
    named = torch.stack([torch.randperm(CLASSES)[:3] for _ in range(ROWS)])
    return crossent.TopKTargets(named.numpy(), torch.full((ROWS, 3), 0.25).numpy(), rest=rest)


def _ignored_distributions() -> dict[str, Any]:
    target = distributions()
    target[2] = F.one_hot(torch.tensor(4), CLASSES)
    return {"target": target, "ignore_index": 4}


OPTIONS: dict[str, Any] = {
    "plain": dict,
    "sum": lambda: {"reduction": "sum"},
    "another ignored class": lambda: {"ignore_index": 3, "target": torch.tensor([3, 1, 2, 3, 4, 5, 6])},
    "smoothing": lambda: {"label_smoothing": 0.2},
    "class weights": lambda: {"weight": torch.rand(CLASSES)},
    "z_loss": lambda: {"z_loss": 0.1},
    "softcap": lambda: {"softcap": 3.0},
    "temperature": lambda: {"temperature": 0.7},
    "row weights": lambda: {"sample_weight": torch.randn(ROWS)},
    "row weights, summed": lambda: {"sample_weight": torch.randn(ROWS), "reduction": "sum"},
    "row weights of each row": lambda: {"sample_weight": torch.randn(ROWS), "reduction": "none"},
    "row and class weights": lambda: {"sample_weight": torch.rand(ROWS), "weight": torch.rand(CLASSES)},
    "a denominator": lambda: {"denominator": 11.0},
    "distributions": lambda: {"target": distributions()},
    "distributions, one ignored": _ignored_distributions,
    "distributions and row weights": lambda: {"target": distributions(), "sample_weight": torch.rand(ROWS)},
    "top k": lambda: {"target": top_k("zero")},
    "top k, the rest even": lambda: {"target": top_k("uniform"), "label_smoothing": 0.1},
    "all of them": lambda: {
        "z_loss": 0.1,
        "softcap": 5.0,
        "temperature": 1.5,
        "label_smoothing": 0.1,
        "weight": torch.rand(CLASSES),
        "sample_weight": torch.rand(ROWS),
    },
}
RETURNS = ("lse", "entropy", "accuracy", "target_logit", "dropped_mass")


def answer(tensors: tuple[torch.Tensor, ...], options: dict[str, Any], budget: int) -> tuple[Any, list[torch.Tensor]]:
    """Return what a call returns, and the gradients of hidden states, weight and bias."""
    leaves = [tensor.detach().clone().requires_grad_() for tensor in tensors]
    options = dict(options)
    target = options.pop("target", None)
    found = ours(*leaves[:2], target, linear_bias=leaves[2], memory_budget=budget, **options)
    loss = found.loss if options.get("returns") else found
    total = (loss * torch.linspace(0.5, 2.0, loss.numel(), device=loss.device).reshape(loss.shape)).sum()
    if options.get("returns"):
        total = total + (found.lse * 0.3 - found.entropy * 0.2 + found.target_logit * 0.1).sum()
    return found, list(torch.autograd.grad(total, leaves))
