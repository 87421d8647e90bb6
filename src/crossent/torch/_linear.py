"""The linear head, chunk by chunk: a matrix product gives the logits of some rows, the row kernel turns them into their
gradient where they lie, two more products take it on. Never more logits than the budget holds.

6 N D V operations, as torch's `linear` with its loss, by torch's own products in the dtype of the tensors: float16 and
bfloat16 have instructions of their own on many processors (in float32 a bfloat16 head took 1.64 s, torch's 0.76). What a
chunk adds to the gradients of weight and bias is added in float32, or in float64.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from crossent.arrays.exact_sum import ExactSum
from crossent.torch import _rows
from crossent.torch._rows import Settings

# Halves are added to float32 sums a part of the classes at a time: their products lie in a quarter of the budget.
_PARTS = 4


@dataclass(slots=True)
class Head:
    """What a linear head is given: rows that take part, and no others."""

    hidden: torch.Tensor  # (rows, features)
    linear_weight: torch.Tensor  # (classes, features)
    linear_bias: torch.Tensor | None  # (classes,)
    target: torch.Tensor  # (rows,) class ids or (rows, classes) distributions
    weight: torch.Tensor | None  # (classes,)
    settings: Settings
    budget_bytes: int

    @property
    def sums(self) -> torch.dtype:
        """Return the dtype that chunks are added in."""
        return torch.float64 if self.hidden.dtype == torch.float64 else torch.float32

    def rows_at_once(self) -> int:
        """Return how many rows of logits the budget holds, next to a part of their products where these are halves."""
        held = self.budget_bytes if self.hidden.dtype == self.sums else self.budget_bytes - self.budget_bytes // _PARTS
        row_bytes: int = len(self.linear_weight) * self.hidden.dtype.itemsize
        return max(1, min(held // row_bytes, len(self.hidden)))

    def parts(self) -> list[slice]:
        """Return the classes whose products are converted and added together."""
        classes, features = self.linear_weight.shape
        step = max(1, self.budget_bytes // _PARTS // (features * self.hidden.dtype.itemsize))
        return [slice(start, min(start + step, classes)) for start in range(0, classes, step)]


@dataclass(slots=True)
class Gradients:
    """The gradients that are wanted, those of weight and bias in the dtype of sums; None for the others."""

    hidden: torch.Tensor | None
    linear_weight: torch.Tensor | None
    linear_bias: torch.Tensor | None


def solve(
    head: Head, wanted: tuple[bool, bool, bool], scale: float, scales: np.ndarray | None
) -> tuple[np.ndarray, ExactSum, Gradients]:
    """Return the row losses, their exact sum, and the gradients times scale, and times each row's."""
    rows, classes, step = len(head.hidden), len(head.linear_weight), head.rows_at_once()
    room = torch.empty(step, classes, dtype=head.hidden.dtype, device="cpu")
    made = Gradients(
        torch.empty_like(head.hidden) if wanted[0] else None,
        torch.zeros(head.linear_weight.shape, dtype=head.sums, device="cpu") if wanted[1] else None,
        torch.zeros(classes, dtype=head.sums, device="cpu") if wanted[2] else None,
    )
    weights = _rows.class_weights(head.weight)
    losses = np.empty(rows, np.float64 if head.sums == torch.float64 else np.float32)
    total = ExactSum()
    for start in range(0, rows, step):
        these = slice(start, min(start + step, rows))
        hidden, logits = head.hidden[these], room[: these.stop - start]
        if head.linear_bias is None:
            torch.mm(hidden, head.linear_weight.t(), out=logits)
        else:
            torch.addmm(head.linear_bias, hidden, head.linear_weight.t(), out=logits)
        target = _rows.as_targets(head.target[these], head.settings, logits.shape)
        out = logits if any(wanted) else None
        own = None if scales is None else scales[these]
        problem = _rows.solve(logits, target, weights, head.settings, scale=scale, scales=own, out=out)
        losses[these] = problem.losses
        total.merge(problem.exact_total())
        _take_on(head, made, these, hidden, logits)
    return losses, total, made


def _take_on(head: Head, made: Gradients, these: slice, hidden: torch.Tensor, of_logits: torch.Tensor) -> None:
    """Add what a chunk's gradient of its logits does to hidden states, weight and bias."""
    if made.hidden is not None:
        torch.mm(of_logits, head.linear_weight, out=made.hidden[these])
    if made.linear_weight is not None and hidden.dtype == head.sums:
        made.linear_weight.addmm_(of_logits.t(), hidden, beta=0.0 if these.start == 0 else 1.0)
    elif made.linear_weight is not None:
        for part in head.parts():
            made.linear_weight[part] += of_logits[:, part].t() @ hidden
    if made.linear_bias is not None:
        made.linear_bias += of_logits.sum(0, dtype=head.sums)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a head is asked for besides its tensors."""

    settings: Settings
    budget_bytes: int
    with_gradients: bool  # whether gradients may be asked for at all


class LinearCrossEntropy(torch.autograd.Function):
    """The reduced loss of a head: its gradients are made together with it, where a scalar is what is wanted."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        linear_weight: torch.Tensor,
        linear_bias: torch.Tensor | None,
        target: torch.Tensor,
        weight: torch.Tensor | None,
        wish: Wish,
    ) -> torch.Tensor:
        settings = wish.settings
        ctx.save_for_backward(hidden, linear_weight, linear_bias, target, weight)
        ctx.wish, ctx.made, ctx.denominator = wish, None, 1.0
        wanted = (False, False, False)
        if wish.with_gradients and settings.reduction != "none":
            wanted = tuple(ctx.needs_input_grad[:3])
        if settings.reduction == "mean":
            ctx.denominator = float(len(hidden))
            if weight is not None and not target.is_floating_point():
                ids = _rows.as_ids(target, settings, torch.Size((len(hidden), len(linear_weight)))).ids
                ctx.denominator = ExactSum().add(weight.double().numpy()[ids]).value()
        head = Head(hidden, linear_weight, linear_bias, target, weight, settings, wish.budget_bytes)
        losses, total, made = solve(head, wanted, _rows.inverse(ctx.denominator), None)
        if any(wanted):
            ctx.made = made
        if settings.reduction == "none":
            return torch.from_numpy(losses).to(settings.loss_dtype)
        return torch.tensor(total.divided_by(ctx.denominator), dtype=settings.loss_dtype, device="cpu")

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        hidden, linear_weight, linear_bias, target, weight = ctx.saved_tensors
        made, ctx.made = ctx.made, None  # handed on as they are: a second backward makes them anew
        scale, scales = _rows.rows_of(upstream)
        if made is None:
            head = Head(hidden, linear_weight, linear_bias, target, weight, ctx.wish.settings, ctx.wish.budget_bytes)
            made = solve(head, tuple(ctx.needs_input_grad[:3]), scale * _rows.inverse(ctx.denominator), scales)[2]
            scale = 1.0
        results = []
        for gradient, tensor in zip(
            (made.hidden, made.linear_weight, made.linear_bias), (hidden, linear_weight, linear_bias), strict=True
        ):
            if gradient is not None and scale != 1.0:
                gradient *= scale
            results.append(None if gradient is None else gradient.to(tensor.dtype))
        return (*results, None, None, None)
