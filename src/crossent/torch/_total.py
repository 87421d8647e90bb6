"""The exact sum of a tensor, rounded once to float64: the same bits in any order. Linear, so its derivatives are plain."""

from typing import Any

import torch

from crossent.arrays.exact_sum import ExactSum
from crossent.torch import _gpu
from crossent.torch._arguments import is_traced


class Total(torch.autograd.Function):
    """sum(rows) as a scalar."""

    @staticmethod
    def forward(rows: torch.Tensor) -> torch.Tensor:
        if _gpu.serves(rows.device):
            return _gpu.total(rows)
        wide = rows.float() if rows.dtype.itemsize == 2 else rows
        total = ExactSum().add(wide.detach().contiguous().resolve_neg().numpy()).value()
        return torch.tensor(total, dtype=torch.float64, device="cpu")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        ctx.shape, ctx.dtype = inputs[0].shape, inputs[0].dtype

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> torch.Tensor:
        return upstream.to(ctx.dtype).expand(ctx.shape)

    @staticmethod
    def jvp(ctx: Any, rows_t: torch.Tensor) -> torch.Tensor:
        return rows_t.double().sum()

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None], rows: torch.Tensor) -> tuple[torch.Tensor, int | None]:
        if in_dims[0] is None:
            return Total.apply(rows), None
        return torch.stack([Total.apply(own) for own in rows.movedim(in_dims[0], 0)]), 0


def exactly(rows: torch.Tensor, reduction: str, denominator: torch.Tensor | float) -> torch.Tensor:
    """Return the sum of rows, or their mean over a denominator, rounded to their dtype at the end."""
    own = rows.device.type == "cpu" or _gpu.serves(rows.device)
    if type(rows) is not torch.Tensor or not own or is_traced():
        total = rows.sum()  # torch's own order: exact sums are made by the kernels, outside of graphs
        return total if reduction == "sum" else _over(total, denominator)
    total = Total.apply(rows)
    if reduction == "mean":
        total = _over(total, denominator)
    return total.to(rows.dtype)


def _over(total: torch.Tensor, denominator: torch.Tensor | float) -> torch.Tensor:
    """Return a mean: over a denominator of 0, which nobody takes part in, it is no number, and a constant."""
    if not isinstance(denominator, torch.Tensor):
        return total / denominator
    nobody = denominator == 0.0
    return torch.where(nobody, (total / denominator).detach(), total / torch.where(nobody, 1.0, denominator))
