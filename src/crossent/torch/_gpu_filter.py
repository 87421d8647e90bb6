"""The filtered backward on the GPU: tiles of the logits' gradient that hold nothing large are left out, and averaged.

What _filter.py does by entry is done by tile here, as the GPU multiplies tiles: one is left out where each of its entries is below eps times
what its row's softmax is multiplied by. The sums of rows and classes in such tiles are spread by their product, for entries above 0
and below it apart, so that every row and every class keeps its whole mass. A row that would lose more than a twentieth of
its own is multiplied whole, and so are the other rows of its tiles.
"""

from typing import Any

import torch

from crossent._kernels.gpu.problem import Problem, Upstream
from crossent._kernels.gpu.tile_products import Kept, kept_of
from crossent._kernels.gpu.tile_sums import TILE_ROWS, tile_sums
from crossent.torch._filter import FLAT
from crossent.torch._gpu_rows import upstream_of_losses
from crossent.torch._gpu_sums import wide_dtype

# Row sums of a half matrix as a factor of a product lie around 1, far from where a float16 vanishes.
_LIFTED = 2.0**10


class TileFilter:
    """What has been left out so far, of rows numbered as the head's."""

    def __init__(self, eps: float, rows: int, classes: int, device: torch.device, ranks: int = 1) -> None:
        self.eps = eps
        self.most = FLAT / ranks  # of a row's mass: each rank leaves out some
        self.row_sums = torch.zeros(2, rows, dtype=torch.float64, device=device)  # above 0, and below
        self.class_sums = torch.zeros(2, classes, dtype=torch.float64, device=device)
        self.dropped = torch.zeros(rows, dtype=torch.float64, device=device)  # as a share of the row's mass

    def take(self, gradient: torch.Tensor, these: slice, sizes: torch.Tensor) -> Kept:
        """Find a chunk's light tiles, add up what they hold, and return the others.

        `sizes`, (rows,) float64, is what each row's softmax is multiplied by.
        """
        # a row of gradient 0 has nothing to multiply, though nothing of it is below 0
        found = tile_sums(gradient, torch.where(sizes == 0.0, torch.inf, self.eps * sizes))
        row_sums = found.of_rows.sum(1, dtype=torch.float64)
        mass = row_sums[0] - row_sums[1]
        dropped = torch.where(mass == 0.0, 0.0, mass / sizes)
        tiles = len(found.light)
        flat = torch.zeros(tiles * TILE_ROWS, dtype=torch.bool, device=gradient.device)
        flat[: len(dropped)] = ~(dropped <= self.most)
        whole = flat.view(tiles, TILE_ROWS).any(1)
        of_rows = whole[:, None].expand(tiles, TILE_ROWS).reshape(-1)[: len(dropped)]
        self.dropped[these] = torch.where(of_rows, 0.0, dropped)
        self.row_sums[:, these] = torch.where(of_rows, 0.0, row_sums)
        self.class_sums += found.of_classes.masked_fill_(whole[None, :, None], 0.0).sum(1, dtype=torch.float64)
        return kept_of(found.light & ~whole[:, None])

    def finish(self, made: Any, hidden: torch.Tensor, linear_weight: torch.Tensor) -> None:
        """Add what was left out, spread over rows and classes, to the gradients that are wanted of hidden states and weight."""
        masses = self.row_sums.sum(1)
        shares = torch.where(masses.abs() < 1e-290, 0.0, 1.0 / masses)[:, None]  # one for each sign
        if made.hidden is not None:
            mean_weight = _product(self.class_sums * shares, linear_weight)
            made.hidden.addmm_(self.row_sums.t().to(made.hidden.dtype), mean_weight.to(made.hidden.dtype))
        if made.linear_weight is not None:
            wide = wide_dtype(hidden.dtype)
            used = (self.row_sums != 0.0).any(0)  # 0 times what other rows hold need not be 0
            mean_hidden = _product(self.row_sums * shares, torch.where(used[:, None], hidden, 0.0))
            made.linear_weight.add(self.class_sums.to(wide), mean_hidden)


def sizes_of(
    problem: Problem, upstream: Upstream, lse: torch.Tensor | None, counted: torch.Tensor | None
) -> torch.Tensor:
    """Return what each row's softmax is multiplied by in its gradient, (rows,) float64; `lse` is needed with a z_loss."""
    of_loss = upstream_of_losses(upstream, len(problem.logits), problem.logits.device)
    sizes = of_loss * _mass(problem, problem.class_weight, problem.label_smoothing)
    if problem.z_loss:
        assert lse is not None  # as the door has it
        sizes = sizes + torch.where(sizes == 0.0, 0.0, 2.0 * problem.z_loss * sizes * lse)
    sizes = (sizes if upstream.lse is None else sizes + upstream.lse).abs()
    if upstream.target_logit is not None:
        sizes = sizes + (upstream.target_logit * _mass(problem, None, 0.0)).abs()
    if upstream.entropy is not None:
        sizes = sizes + upstream.entropy.abs()
    sizes = sizes / problem.temperature
    return sizes if counted is None else torch.where(counted, sizes, 0.0)


def _mass(problem: Problem, weight: torch.Tensor | None, smoothing: float) -> torch.Tensor | float:
    """Return the sum of each row's effective targets, to the digits of the targets' dtype."""
    classes, ids, probs = problem.logits.shape[1], problem.ids, problem.probs
    mean = 1.0 if weight is None else weight.double().mean()
    own: torch.Tensor | float = 1.0
    if probs is None:
        assert ids is not None  # as there are no distributions
        own = 1.0 if weight is None else weight.double()[ids.clamp(0, classes - 1)]
    elif ids is None:
        own = probs.sum(1, dtype=torch.float64) if weight is None else (probs @ weight.to(probs.dtype)).double()
    else:
        named = torch.ones_like(probs) if weight is None else weight[ids.clamp(0, classes - 1)]
        own = (probs * named).sum(1, dtype=torch.float64)
        if problem.uniform_rest and ids.shape[1] < classes:
            rest = (1.0 - probs.sum(1, dtype=torch.float64)).clamp(min=0.0) / (classes - ids.shape[1])
            own = own + rest * (classes * mean - named.sum(1, dtype=torch.float64))
    return own * (1.0 - smoothing) + smoothing * mean


def _product(shares: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """Return shares (2, n) times a matrix (n, features), in the dtype of sums."""
    wide = wide_dtype(matrix.dtype)
    if matrix.dtype == wide or matrix.device.type == "cpu":
        return shares.to(wide) @ matrix.to(wide)
    return torch.mm((shares * _LIFTED).to(matrix.dtype), matrix, wide) / _LIFTED
