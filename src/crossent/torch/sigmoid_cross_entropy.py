"""The PyTorch door's sigmoid cross-entropy: torch.nn.functional.binary_cross_entropy_with_logits without its cancellation."""

import torch
import torch.nn.functional as F  # noqa: N812  # as everybody who reads this writes it

from crossent.torch._arguments import reduction_of
from crossent.torch._total import exactly

# log(1 + e**x) is x from here on: e**-40 is 4e-18 of it at most, nothing to float64
_LINEAR_FROM = 40.0


def binary_cross_entropy_with_logits(
    input: torch.Tensor,  # torch's name
    target: torch.Tensor,
    weight: torch.Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return the cross-entropy of one logit for two classes, in nats: torch's, with every digit.

    For logits x, truths t, weights w and positive weights v::

        loss = w (v t log(1 + e**-x) + (1 - t) log(1 + e**x))

    Parameters
    ----------
    input : Tensor
        Logits of class 1 against class 0.
    target : Tensor, of `input`'s shape
        Truths t, mostly 0 or 1.
    weight, pos_weight : Tensor, optional
        Weights of elements, and of the positive part; broadcast to `input`'s shape.
    size_average, reduce : bool, optional
        Deprecated in torch; see `reduction`.
    reduction : {"mean", "sum", "none"}
        The mean divides by the number of elements.

    Returns
    -------
    Tensor
        Of `input`'s dtype: a scalar, or with reduction="none" one loss for each element.

    Raises
    ------
    RuntimeError, ValueError
        What torch raises, with its words.

    Notes
    -----
    Both terms are at least 0, so nothing cancels: torch's (1 - t) x + ... is 0 for x = -20 and t = 0, where 2e-9 is right.
    A sum or mean is exact, then rounded once. Every kind of derivative is torch's own.

    References
    ----------
    PyTorch 2.13, torch.nn.functional.binary_cross_entropy_with_logits.

    Examples
    --------
    >>> import torch
    >>> logits, truths = torch.tensor([-20.0]), torch.tensor([0.0])
    >>> binary_cross_entropy_with_logits(logits, truths).item()  # torch's own: 0.0
    2.06115369216775e-09
    """
    reduction = reduction_of(size_average, reduce, reduction)
    weights = [tensor for tensor in (weight, pos_weight) if tensor is not None]
    if (
        target.size() != input.size()
        or target.dtype != input.dtype
        or not input.is_floating_point()
        or any(torch.broadcast_shapes(tensor.shape, input.shape) != input.shape for tensor in weights)
    ):  # torch knows what to make of it, or has the words
        return F.binary_cross_entropy_with_logits(input, target, weight, reduction=reduction, pos_weight=pos_weight)
    half = input.dtype.itemsize == 2
    result = torch.float32 if half and torch.is_autocast_enabled(input.device.type) else input.dtype
    logits = input.float() if half else input  # halves are rounded once, at the end
    positive = target * F.softplus(-logits, threshold=_LINEAR_FROM)
    if pos_weight is not None:
        positive = positive * pos_weight
    losses = positive + (1 - target) * F.softplus(logits, threshold=_LINEAR_FROM)
    if weight is not None:
        losses = losses * weight
    losses = losses.to(result)
    return losses if reduction == "none" else exactly(losses, reduction, losses.numel())
