"""One case of the race on the GPU: who takes part, with what errors and memory, and how long each takes, floors among them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks import gpu_floors
from benchmarks.gpu_cases import BOTH, FORWARD, HeadCase, LossCase, head_data, loss_data
from benchmarks.gpu_measure import Call, Clock, Variant, extra_bytes, interleaved
from benchmarks.gpu_rivals import HEADS, LOSSES, Function, Rival, attempt
from benchmarks.gpu_truth import head_errors, head_truth, loss_errors

Result = dict[str, Any]
BUDGET_S = 2.0  # of one variant's timings


@dataclass(frozen=True)
class Settings:
    """Where and how often; `only` names the rivals that take part, None for all."""

    device: torch.device
    clock: Clock
    runs: int
    only: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Entry:
    """One rival on one case's data."""

    forward: Call
    both: Callable[[], tuple[torch.Tensor, ...]]  # returns the gradients
    errors: Callable[[], dict[str, float]]
    inputs: tuple[torch.Tensor, ...]
    prepare: Call | None = None  # before each `both`, where it overwrites an input


def race(
    rivals: tuple[Rival, ...],
    enter: Callable[[Rival, Function], Entry],
    floors: Callable[[], tuple[dict[str, Call], dict[str, Call]]],
    settings: Settings,
) -> Result:
    """Run every rival once, for its errors and memory, then time those that did it, forward and both."""
    on_device = settings.device.type == "cuda"
    entries: dict[str, Entry] = {}
    errors, extra, failed = {}, {}, {}

    def first_run(rival: Rival) -> Entry:
        entry = enter(rival, rival.load())
        entry.forward()
        errors[rival.name] = entry.errors()
        if entry.prepare is not None:
            entry.prepare()
        entry.both()
        if on_device:
            extra[rival.name] = extra_bytes(entry.both, entry.inputs)
        return entry

    for rival in rivals:
        if settings.only is not None and rival.name not in settings.only:
            continue
        entry, reason = attempt(lambda rival=rival: first_run(rival))
        if entry is None:
            failed[rival.name] = reason
        else:
            entries[rival.name] = entry
        if on_device:
            _, broken = attempt(torch.cuda.synchronize)
            if broken is not None:
                message = f"{rival.name} broke the device's context: {broken}"
                raise RuntimeError(message)
            torch.cuda.empty_cache()
    forward_floors, both_floors = floors()
    variants = {
        FORWARD: {
            **{name: Variant(call) for name, call in forward_floors.items()},
            **{name: Variant(entry.forward) for name, entry in entries.items()},
        },
        BOTH: {
            **{name: Variant(call) for name, call in both_floors.items()},
            **{name: Variant(entry.both, entry.prepare) for name, entry in entries.items()},
        },
    }
    timings = {
        operation: interleaved(found, settings.clock, runs=settings.runs, budget_s=BUDGET_S)
        for operation, found in variants.items()
    }
    return {"timings": timings, "errors": errors, "extra_bytes": extra, "failed": failed}


def race_losses(case: LossCase, settings: Settings) -> Result:
    """Measure one shape of logits."""
    logits, ids = loss_data(case, settings.device)
    kept = logits.detach().requires_grad_()
    spare = torch.empty_like(logits).requires_grad_() if any(rival.overwrites for rival in LOSSES) else kept

    def enter(rival: Rival, function: Function) -> Entry:
        leaf = spare if rival.overwrites else kept

        def prepare() -> None:
            leaf.detach().copy_(logits)

        def forward() -> torch.Tensor:
            with torch.no_grad():
                return function(logits, ids, "mean")

        def both() -> tuple[torch.Tensor, ...]:
            return torch.autograd.grad(function(leaf, ids, "mean"), leaf)

        def errors() -> dict[str, float]:
            if rival.overwrites:
                prepare()
            losses = function(leaf, ids, "none")
            (gradient,) = torch.autograd.grad(losses, leaf, torch.ones_like(losses))
            return loss_errors(logits, ids, losses.detach(), gradient)

        return Entry(forward, both, errors, (leaf, ids), prepare if rival.overwrites else None)

    def floors() -> tuple[dict[str, Call], dict[str, Call]]:
        return gpu_floors.reading(logits), gpu_floors.copying(logits)

    sizes = {FORWARD: case.read_bytes, BOTH: case.copy_bytes}
    return {"name": case.name, "kind": "loss", "bytes": sizes, **race(LOSSES, enter, floors, settings)}


def race_heads(case: HeadCase, settings: Settings) -> Result:
    """Measure one linear head with its loss."""
    hidden, weight, ids = head_data(case, settings.device)
    truth = head_truth(hidden, weight, ids)
    leaves = hidden.detach().requires_grad_(), weight.detach().requires_grad_()

    def enter(_rival: Rival, function: Function) -> Entry:
        def forward() -> torch.Tensor:
            with torch.no_grad():
                return function(hidden, weight, ids)

        def both() -> tuple[torch.Tensor, ...]:
            return torch.autograd.grad(function(*leaves, ids), leaves)

        def errors() -> dict[str, float]:
            loss = function(*leaves, ids)
            return head_errors(truth, loss, torch.autograd.grad(loss, leaves))

        return Entry(forward, both, errors, (*leaves, ids))

    def floors() -> tuple[dict[str, Call], dict[str, Call]]:
        return gpu_floors.multiplying(hidden, weight)

    return {"name": case.name, "kind": "head", **race(HEADS, enter, floors, settings)}
