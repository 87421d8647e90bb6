"""How far a rival is from the truth: losses and gradients in float64, computed from the bits of the inputs, a few rows at a time.

The target is left out of the sum, so that a confident row's truth has its digits: with d = log sum_{c != t} exp(x_c) - x_t the loss
is log(1 + exp(d)), and the target's gradient is -sigmoid(d).
"""

import math

import torch
import torch.nn.functional as F  # noqa: N812  # as everybody who reads this writes it

# Elements that are worked on at a time: 256 MB in float64, and a few times that for what is made of them.
MOST_ELEMENTS = 2**25
PRECISION_BITS = {torch.float16: 11, torch.bfloat16: 8, torch.float32: 24, torch.float64: 53}


def exact_rows(logits: torch.Tensor, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return each row's loss, (rows,) float64, and its gradient, (rows, classes) float64; at least two classes."""
    x = logits.to(torch.float64, copy=True)
    own = x.gather(1, ids[:, None])
    others = x.scatter_(1, ids[:, None], -math.inf)
    top = others.amax(1, keepdim=True)
    exponentials = others.sub_(top).exp_()
    rest = exponentials.sum(1, keepdim=True)
    odds_log = top + rest.log() - own
    against = torch.sigmoid(odds_log)
    gradient = exponentials.mul_(against / rest).scatter_(1, ids[:, None], -against)
    return torch.logaddexp(odds_log, torch.zeros_like(odds_log)).squeeze(1), gradient


def ulp(exact: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return the unit in the last place that `dtype` has at each value, float64.

    Below the smallest normal number it is that number's, so that flushing to zero there costs nothing.
    """
    exponent = torch.frexp(exact.abs().clamp_min(torch.finfo(dtype).tiny))[1]
    return torch.ldexp(torch.ones_like(exact), exponent - PRECISION_BITS[dtype])


def error_ulp(found: torch.Tensor, exact: torch.Tensor, dtype: torch.dtype) -> float:
    """Return the largest error in ulp of `dtype`; a NaN is infinitely wrong."""
    worst = float(((found.double() - exact).abs() / ulp(exact, dtype)).max())
    return math.inf if math.isnan(worst) else worst


def loss_errors(
    logits: torch.Tensor, ids: torch.Tensor, losses: torch.Tensor, gradient: torch.Tensor
) -> dict[str, float]:
    """Return the worst errors of the rows' losses and of the gradient of their sum, in ulp of the logits' dtype."""
    step = max(1, MOST_ELEMENTS // logits.shape[1])
    worst = {"loss_ulp": 0.0, "gradient_ulp": 0.0}
    for first in range(0, len(ids), step):
        part = slice(first, first + step)
        exact, exact_gradient = exact_rows(logits[part], ids[part])
        worst["loss_ulp"] = max(worst["loss_ulp"], error_ulp(losses[part], exact, logits.dtype))
        worst["gradient_ulp"] = max(worst["gradient_ulp"], error_ulp(gradient[part], exact_gradient, logits.dtype))
    return worst


def head_truth(
    hidden: torch.Tensor, weight: torch.Tensor, ids: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the mean loss, () float64, and its gradients with respect to hidden states and weight, float64."""
    wide = weight.double()
    total = torch.zeros((), dtype=torch.float64, device=hidden.device)
    hidden_gradient = torch.empty(hidden.shape, dtype=torch.float64, device=hidden.device)
    weight_gradient = torch.zeros_like(wide)
    step = max(1, MOST_ELEMENTS // len(weight))
    for first in range(0, len(ids), step):
        part = slice(first, first + step)
        rows = hidden[part].double()
        losses, gradient = exact_rows(F.linear(rows, wide), ids[part])
        gradient /= len(ids)
        total += losses.sum()
        torch.mm(gradient, wide, out=hidden_gradient[part])
        weight_gradient.addmm_(gradient.t(), rows)
    return total / len(ids), hidden_gradient, weight_gradient


def head_errors(
    truth: tuple[torch.Tensor, torch.Tensor, torch.Tensor], loss: torch.Tensor, gradients: tuple[torch.Tensor, ...]
) -> dict[str, float]:
    """Return the error of the mean loss in ulp of the hidden states' dtype, and the gradients' relative errors by norm."""
    exact, *exact_gradients = truth
    named = zip(("hidden_relative", "weight_relative"), gradients, exact_gradients, strict=True)
    errors = {name: float((found.double() - right).norm() / right.norm()) for name, found, right in named}
    errors = {name: math.inf if math.isnan(error) else error for name, error in errors.items()}
    return {"loss_ulp": error_ulp(loss.detach(), exact, gradients[0].dtype), **errors}
