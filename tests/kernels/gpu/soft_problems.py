"""Problems of any targets and options for the kernels, on whatever device there is, and what comes out of them."""

from dataclasses import dataclass
from typing import Any

import torch

from crossent import TopKTargets
from crossent._kernels.gpu import soft_targets
from crossent._kernels.gpu.problem import CLASS_IDS, DISTRIBUTIONS, TOP_K, Numbers, Problem, Upstream

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
NO_ANSWER = 12345.0
ONE = Upstream(factor=torch.ones((), dtype=torch.float64, device=DEVICE))


@dataclass(frozen=True)
class Solved:
    """The numbers of rows, (rows,) float64, and the gradient of the logits' shape and dtype, on the CPU."""

    loss: torch.Tensor
    lse: torch.Tensor
    entropy: torch.Tensor
    accuracy: torch.Tensor
    target_logit: torch.Tensor
    gradient: torch.Tensor


def problem_of(logits: torch.Tensor, target: torch.Tensor | TopKTargets, axis: int = 1, **options: Any) -> Problem:
    """Return a problem on the device; targets tell their kind as they do at the door."""
    weight = options.pop("weight", None)
    options["class_weight"] = None if weight is None else weight.to(DEVICE)
    if isinstance(target, TopKTargets):
        ids, probs = (torch.from_numpy(part).to(DEVICE) for part in (target.ids, target.probs))
        width, rest = ids.shape[-1], target.rest == "uniform"
        ids, probs = ids.long().reshape(-1, width), probs.reshape(-1, width)
        return Problem(logits, axis, TOP_K, ids, probs, rest, **options)
    if target.is_floating_point():
        return Problem(logits, axis, DISTRIBUTIONS, probs=target.to(DEVICE), **options)
    return Problem(logits, axis, CLASS_IDS, ids=target.to(DEVICE).reshape(-1).contiguous(), **options)


def solve(
    logits: torch.Tensor,
    target: torch.Tensor | TopKTargets,
    *,
    axis: int = 1,
    upstream: Upstream = ONE,
    out: torch.Tensor | None = None,
    **options: Any,
) -> Solved:
    """Return every number and the gradient; the upstream gradient of the loss is 1 unless given."""
    logits = logits.to(DEVICE)
    classes = max(1, logits.shape[axis])
    room = torch.full((5, logits.numel() // classes), NO_ANSWER, dtype=torch.float64, device=DEVICE)
    gradient = torch.full_like(logits, NO_ANSWER) if out is None else out
    soft_targets.solve(problem_of(logits, target, axis, **options), Numbers(*room), upstream, gradient)
    return Solved(*room.cpu(), gradient.cpu())
