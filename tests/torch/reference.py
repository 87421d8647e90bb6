"""Every option of the PyTorch door at once, in float64, by torch's own operations and autograd: imports no loss of ours."""

from dataclasses import dataclass

import torch

from crossent import TopKTargets


@dataclass(frozen=True)
class Options:
    """What a loss is asked for."""

    weight: torch.Tensor | None = None
    ignore_index: int = -100
    reduction: str = "mean"
    label_smoothing: float = 0.0
    z_loss: float = 0.0
    softcap: float | None = None
    temperature: float = 1.0
    sample_weight: torch.Tensor | None = None
    denominator: float | None = None


def spread(target: torch.Tensor | TopKTargets, classes: int, ignore_index: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return targets as distributions (rows, classes), and which rows take part."""
    if isinstance(target, TopKTargets):
        width = target.ids.shape[-1]
        ids, shares = (torch.from_numpy(a.reshape(-1, width)) for a in (target.ids, target.probs))
        y, counted = torch.zeros(len(ids), classes, dtype=torch.float64), torch.ones(len(ids), dtype=torch.bool)
        for r in range(len(ids)):
            if target.rest == "uniform" and width < classes:
                y[r] = max(0.0, 1.0 - shares[r].sum().item()) / (classes - width)
            for c, share in zip(ids[r].tolist(), shares[r].tolist(), strict=True):
                if c == ignore_index and share == 1.0:
                    counted[r] = False
                elif 0 <= c < classes:
                    y[r, c] = share
        return y, counted
    if target.is_floating_point():
        y = target.double().reshape(-1, classes)
        one_hot = (y == 1.0).any(1) & ((y != 0.0).sum(1) == 1)
        return y, ~(one_hot & (y.argmax(1) == ignore_index))
    flat = target.reshape(-1).long()
    counted = flat != ignore_index
    return torch.nn.functional.one_hot(torch.where(counted, flat, 0), classes).double(), counted


def loss_of(
    logits: torch.Tensor, target: torch.Tensor | TopKTargets, options: Options
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Return the reduced loss of logits (..., classes), and the numbers of each row."""
    classes, shape = logits.shape[-1], logits.shape[:-1]
    z = logits.double().reshape(-1, classes)
    t, counted = spread(target, classes, options.ignore_index)
    if options.softcap is not None:
        z = options.softcap * torch.tanh(z / options.softcap)
    z = z / options.temperature
    y = t * (1.0 - options.label_smoothing) + options.label_smoothing / classes
    weight = torch.ones(classes, dtype=torch.float64) if options.weight is None else options.weight.double()
    y = y * weight
    log_p, lse = torch.log_softmax(z, 1), torch.logsumexp(z, 1)
    rows = -(y * log_p).sum(1) + options.z_loss * y.sum(1) * lse**2
    numbers = {
        "loss": rows,
        "lse": lse,
        "entropy": -(log_p.exp() * log_p).sum(1),
        "target_logit": (t * z).sum(1),
        "accuracy": (z.argmax(1) == t.argmax(1)).double(),
        "dropped_mass": torch.zeros_like(lse),
    }
    numbers = {name: torch.where(counted, value, 0.0) for name, value in numbers.items()}
    own = torch.ones(len(z), dtype=torch.float64)
    if options.sample_weight is not None:
        own = options.sample_weight.double().reshape(-1)
    rows = numbers.pop("loss") * own
    if isinstance(target, torch.Tensor) and not target.is_floating_point():
        own = own * (t * weight).sum(1)
    total = torch.where(counted, own, 0.0).sum() if options.denominator is None else options.denominator
    reduced = {"none": rows.reshape(shape), "sum": rows.sum(), "mean": rows.sum() / total}[options.reduction]
    return reduced, {name: value.reshape(shape) for name, value in numbers.items()}
