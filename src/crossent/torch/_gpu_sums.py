"""The weight's gradient of a head on the GPU while it is added up: in float32, for halves in the room of the result and half as much again.

Chunks of rows are added in float32, or the sum of a thousand chunks would have the eight bits of one. A float32 array beside
the result would be twice the result (2.4 GB for 256000 x 2304 bfloat16). But the result's own room is idle until all is
added, and holds float32 sums of half of the classes; only the other half needs new memory, as much as the result.
"""

import torch

from crossent._kernels.gpu.tile_products import Kept, add_transposed_times
from crossent._kernels.gpu.tile_sums import TILE_CLASSES
from crossent.torch import _gpu

# Classes whose results overlap their own sums, and so go through new memory at the end.
_FIRST = 256


def wide_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype that chunks are added in."""
    return torch.float64 if dtype == torch.float64 else torch.float32


class Sums:
    """A matrix (classes, features), as the sum of products added one after the other."""

    def __init__(self, like: torch.Tensor) -> None:
        classes, features = like.shape
        self._result = torch.empty(classes, features, dtype=like.dtype, device=like.device)
        self._begun = False
        wide = wide_dtype(like.dtype)
        self._inside = classes
        self._own = self._result  # sums of the first classes, where their results and others' will lie
        if like.dtype != wide:
            self._inside = classes // 2 // TILE_CLASSES * TILE_CLASSES
            room = self._result.view(-1)[: 2 * self._inside * features]
            self._own = room.view(wide).view(self._inside, features)
        self._beyond = torch.empty(classes - self._inside, features, dtype=wide, device=like.device)

    def add(self, of_logits: torch.Tensor, hidden: torch.Tensor) -> None:
        """Add of_logits^T hidden, of (rows, classes) and (rows, features)."""
        for sums, part in ((self._own, of_logits[:, : self._inside]), (self._beyond, of_logits[:, self._inside :])):
            if len(sums):
                _add_product(sums, part.t(), hidden, begun=self._begun)
        self._begun = True

    def add_tiles(self, of_logits: torch.Tensor, kept: Kept, hidden: torch.Tensor) -> None:
        """Add of_logits^T hidden of some of its tiles."""
        add_transposed_times(of_logits, kept, hidden, self._own, self._beyond, begun=self._begun)
        self._begun = True

    def finish(self, scale: torch.Tensor | None) -> torch.Tensor:
        """Return the sums times a scale, () on the device, in the dtype of the result; nothing can be added any more."""
        result, inside = self._result, self._inside
        if not self._begun:
            return result.zero_()
        if self._own is result:
            if scale is not None:
                _gpu.scale(result, scale)
            return result
        factor = (
            torch.ones((), dtype=self._own.dtype, device=result.device) if scale is None else scale.to(self._own.dtype)
        )
        # The results of classes [n, 2n) lie where the sums of classes [n/2, n) lay: those have gone by then.
        done = min(inside, _FIRST)
        result[:done].copy_(self._own[:done] * factor)
        while done < inside:
            here = slice(done, min(2 * done, inside))
            torch.mul(self._own[here], factor, out=result[here])
            done = here.stop
        torch.mul(self._beyond, factor, out=result[inside:])
        return result


def _add_product(sums: torch.Tensor, left: torch.Tensor, right: torch.Tensor, *, begun: bool) -> None:
    """Add left @ right to sums of their dtype or a wider one."""
    beta = 1.0 if begun else 0.0
    if left.dtype == sums.dtype:
        sums.addmm_(left, right, beta=beta)
    elif sums.device.type == "cpu":  # has no product of halves with float32 sums
        sums.addmm_(left.to(sums.dtype), right.to(sums.dtype), beta=beta)
    else:  # in place, as sums of the result's dtype may be since PyTorch 2.10 (pull request 167931)
        torch.addmm(sums, left, right, sums.dtype, beta=beta, out=sums)
