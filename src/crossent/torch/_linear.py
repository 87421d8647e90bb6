"""The linear head, chunk by chunk: a matrix product gives the logits of some rows, the row kernel turns them into their
gradient where they lie, two more products take it on. Never more logits than the budget holds.

6 N D V operations, as torch's `linear` with its loss. float16 and bfloat16 are multiplied in float32, a part of the weight
at a time; gradients are summed in float32 (float64 for float64) whatever the dtype is.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from crossent.arrays.exact_sum import ExactSum
from crossent.torch import _rows
from crossent.torch._rows import Settings

# A quarter of the budget holds the part of a half-precision weight that is being multiplied.
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
    def working(self) -> torch.dtype:
        """Return the dtype of logits and sums."""
        return torch.float64 if self.hidden.dtype == torch.float64 else torch.float32

    @property
    def exact(self) -> bool:
        """Say whether the products read the tensors as they are."""
        return bool(self.hidden.dtype == self.linear_weight.dtype == self.working)

    def rows_at_once(self) -> int:
        """Return how many rows of logits the budget holds, next to a part of the weight where it is converted."""
        held = self.budget_bytes if self.exact else self.budget_bytes - self.budget_bytes // _PARTS
        row_bytes: int = len(self.linear_weight) * self.working.itemsize
        return max(1, min(held // row_bytes, len(self.hidden)))

    def parts_of_weight(self) -> Iterator[tuple[slice, torch.Tensor]]:
        """Yield the weight in the working dtype: whole, or a part of its classes after the other."""
        classes, features = self.linear_weight.shape
        step = classes
        if self.linear_weight.dtype != self.working:
            step = max(1, self.budget_bytes // _PARTS // (features * self.working.itemsize))
        for start in range(0, classes, step):
            part = slice(start, min(start + step, classes))
            yield part, self.linear_weight[part].to(self.working)


@dataclass(slots=True)
class Gradients:
    """The gradients that are wanted, in the working dtype; None for the others."""

    hidden: torch.Tensor | None
    linear_weight: torch.Tensor | None
    linear_bias: torch.Tensor | None


def solve(
    head: Head, wanted: tuple[bool, bool, bool], scale: float, scales: np.ndarray | None
) -> tuple[np.ndarray, ExactSum, Gradients]:
    """Return the row losses, their exact sum, and the gradients times scale, and times each row's."""
    rows, classes = len(head.hidden), len(head.linear_weight)
    working, step = head.working, head.rows_at_once()
    room = torch.empty(step, classes, dtype=working)
    made = Gradients(
        torch.empty(rows, head.hidden.shape[1], dtype=working) if wanted[0] else None,
        torch.zeros(head.linear_weight.shape, dtype=working) if wanted[1] else None,
        torch.zeros(classes, dtype=working) if wanted[2] else None,
    )
    weights = _rows.class_weights(head.weight)
    losses = np.empty(rows, np.float64 if working == torch.float64 else np.float32)
    total = ExactSum()
    for start in range(0, rows, step):
        these = slice(start, min(start + step, rows))
        hidden, logits = head.hidden[these].to(working), room[: these.stop - start]
        for part, weight in head.parts_of_weight():
            if head.linear_bias is None:
                torch.mm(hidden, weight.t(), out=logits[:, part])
            else:
                torch.addmm(head.linear_bias[part].to(working), hidden, weight.t(), out=logits[:, part])
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
        first = True
        for part, weight in head.parts_of_weight():
            torch.addmm(
                made.hidden[these], of_logits[:, part], weight, beta=0.0 if first else 1.0, out=made.hidden[these]
            )
            first = False
    if made.linear_weight is not None:
        made.linear_weight.addmm_(of_logits.t(), hidden, beta=0.0 if these.start == 0 else 1.0)
    if made.linear_bias is not None:
        made.linear_bias += of_logits.sum(0)


class LinearCrossEntropy(torch.autograd.Function):
    """The reduced loss of a head: its gradients are made together with it, where a scalar is what is wanted."""

    @staticmethod
    def forward(
        ctx: Any, hidden: torch.Tensor, linear_weight: torch.Tensor, linear_bias: torch.Tensor | None, head: Head
    ) -> torch.Tensor:
        settings = head.settings
        ctx.save_for_backward(hidden, linear_weight, linear_bias)
        ctx.head, ctx.made = head, None
        wanted = tuple(ctx.needs_input_grad[:3]) if settings.reduction != "none" else (False, False, False)
        ctx.denominator = 1.0
        if settings.reduction == "mean":
            ctx.denominator = float(len(hidden))
            if head.weight is not None and not head.target.is_floating_point():
                ids = _rows.as_ids(head.target, settings, torch.Size((len(hidden), len(linear_weight)))).ids
                ctx.denominator = ExactSum().add(head.weight.double().numpy()[ids]).value()
        losses, total, made = solve(head, wanted, _rows.inverse(ctx.denominator), None)
        if any(wanted):
            ctx.made = made
        if settings.reduction == "none":
            return torch.from_numpy(losses).to(settings.loss_dtype)
        return torch.tensor(total.divided_by(ctx.denominator), dtype=settings.loss_dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        hidden, linear_weight, linear_bias = ctx.saved_tensors
        made, scale, scales = ctx.made, 1.0, None
        ctx.made = None  # handed on as they are: a second backward makes them anew
        if ctx.head.settings.reduction == "none":
            scale, scales = _rows.rows_of(upstream)
        else:
            scale = float(upstream)
        if made is None:
            made = solve(ctx.head, tuple(ctx.needs_input_grad[:3]), scale * _rows.inverse(ctx.denominator), scales)[2]
            scale = 1.0
        results = []
        for gradient, tensor in zip(
            (made.hidden, made.linear_weight, made.linear_bias), (hidden, linear_weight, linear_bias), strict=True
        ):
            if gradient is not None and scale != 1.0:
                gradient *= scale
            results.append(None if gradient is None else gradient.to(tensor.dtype))
        return (*results, None)
