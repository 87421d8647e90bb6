"""Softmax cross-entropy on the GPU: the kernel that a problem is solved with."""

import torch

from crossent._kernels.gpu import class_ids, soft_targets
from crossent._kernels.gpu.problem import Numbers, Problem, Upstream


def solve(
    problem: Problem, numbers: Numbers, upstream: Upstream | None = None, gradient: torch.Tensor | None = None
) -> None:
    """Fill in the numbers of each row, and in `gradient`, which may be the logits themselves, what `upstream` makes of them."""
    served = class_ids.serves(problem, numbers, upstream)
    (class_ids if served else soft_targets).solve(problem, numbers, upstream, gradient)
