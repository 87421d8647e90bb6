"""Problems of class ids for the kernels, on whatever device there is, and what comes out of them as NumPy arrays."""

from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
import torch

from crossent._kernels.gpu import class_ids
from crossent._kernels.gpu.layout import layout_of
from crossent._kernels.gpu.problem import CLASS_IDS, Numbers, Problem, Upstream

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def tensor_of(array: np.ndarray) -> torch.Tensor:
    """Return an array as a tensor on the device, strides kept, bfloat16 too."""
    if array.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16).to(DEVICE)
    return torch.from_numpy(array).to(DEVICE)


def numbers_for(rows: int) -> Numbers:
    """Return room for every number of class ids, filled with what is no answer."""
    room = torch.full((4, rows), 12345.0, dtype=torch.float64, device=DEVICE)
    return Numbers(loss=room[0], lse=room[1], accuracy=room[2], target_logit=room[3])


@dataclass(frozen=True)
class Solved:
    """The numbers of rows, and the gradient in the shape and dtype of the logits."""

    numbers: Numbers
    gradient: torch.Tensor

    @property
    def losses(self) -> np.ndarray:
        """The losses in float64."""
        assert self.numbers.loss is not None
        return self.numbers.loss.cpu().numpy()

    @property
    def gradients(self) -> np.ndarray:
        """The gradients, halves as float64."""
        gradient = self.gradient.cpu()
        return (gradient.double() if gradient.element_size() == 2 else gradient).numpy()


def solve(
    logits: torch.Tensor,
    ids: Any,
    *,
    axis: int = 1,
    upstream: Upstream | None = None,
    out: torch.Tensor | None = None,
    route: class_ids.Launch | None = None,
    **options: Any,
) -> Solved:
    """Solve class ids by a route, or by the one that is chosen; upstream gradients of 1 unless given."""
    ids = torch.as_tensor(ids, dtype=torch.int64).to(DEVICE).contiguous()
    problem = Problem(logits, axis, CLASS_IDS, ids=ids, **options)
    numbers = numbers_for(ids.numel())
    upstream = upstream or Upstream(factor=torch.ones((), dtype=torch.float64, device=DEVICE))
    gradient = torch.full_like(logits, 12345.0) if out is None else out
    assert class_ids.serves(problem, numbers, upstream)
    if route is None:
        class_ids.solve(problem, numbers, upstream, gradient)
    else:
        layout, own = layout_of(logits, axis), layout_of(gradient, axis)
        assert layout is not None
        assert own is not None
        class_ids.run(problem, numbers, upstream, gradient, layout, own, route)
    return Solved(numbers, gradient)
