"""A training loop as people write it, and what is left of it when they ask what is wrong."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

ROWS = 128
CE = "torch.nn.CrossEntropyLoss"


@dataclass
class Run:
    """What the person has: the last batch as it went into the loss, what came out, the curve, the function's name."""

    outputs: Tensor
    targets: Tensor
    function: Any  # its name, or the module itself
    history: Any = field(default_factory=list)
    loss: float | None = None
    weight: Tensor | None = None


def blobs(seed: int, classes: int, *, rows: int = ROWS, shares: list[float] | None = None) -> tuple[Tensor, Tensor]:
    """Return points around one centre per class, and the class ids."""
    generator = torch.Generator().manual_seed(seed)
    weights = torch.tensor(shares if shares is not None else [1.0] * classes)
    labels = torch.multinomial(weights, rows, replacement=True, generator=generator)
    centres = 2.0 * torch.randn(classes, 8, generator=generator)
    return centres[labels] + torch.randn(rows, 8, generator=generator), labels


def network(outputs: int, *, inputs: int = 8, seed: int = 0) -> nn.Sequential:
    """Return two layers."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(inputs, 32), nn.ReLU(), nn.Linear(32, outputs))


def train(
    model: nn.Module,
    x: Tensor,
    targets: Tensor,
    loss_of: Callable[[Tensor, Tensor], Tensor],
    function: Any,
    *,
    steps: int = 40,
    rate: float = 0.02,
    optimizer: torch.optim.Optimizer | None = None,
) -> Run:
    """Train; an exception of the loss function ends the run, as it would for a person."""
    optimizer = torch.optim.Adam(model.parameters(), lr=rate) if optimizer is None else optimizer
    history: list[float] = []
    outputs = model(x)
    for _ in range(steps):
        outputs = model(x)
        try:
            loss = loss_of(outputs, targets)
        except (RuntimeError, IndexError, ValueError):
            return Run(outputs.detach(), targets, function, history)
        history.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return Run(outputs.detach(), targets, function, history, history[-1])


BROKEN: dict[str, tuple[str, Callable[[int], Run]]] = {}


def planted(code: str) -> Callable[[Callable[[int], Run]], Callable[[int], Run]]:
    """Register a loop under the code of its fault."""

    def register(loop: Callable[[int], Run]) -> Callable[[int], Run]:
        BROKEN[loop.__name__] = (code, loop)
        return loop

    return register
