"""The PyTorch door's losses of probabilities and of their logarithms: nll_loss and binary_cross_entropy."""

import torch
import torch.nn.functional as F  # noqa: N812  # as everybody who reads this writes it

from crossent.torch._arguments import reduction_of
from crossent.torch._autograd import total_weight
from crossent.torch._total import exactly


def nll_loss(
    input: torch.Tensor,  # torch's name
    target: torch.Tensor,
    weight: torch.Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> torch.Tensor:
    """Return the negative log-likelihood of class ids under log-probabilities, in nats: torch's, exactly summed.

    ::

        loss = -w_t log p_t

    Parameters
    ----------
    input : Tensor, shape (C), (N, C) or (N, C, d1, ...)
        Log-probabilities.
    target : Tensor of int64 or uint8, shape (), (N) or (N, d1, ...)
        Class ids.
    weight : Tensor, shape (C), optional
        Class weights w.
    size_average, reduce : bool, optional
        Deprecated in torch; see `reduction`.
    ignore_index : int
        Class id of rows that do not take part.
    reduction : {"mean", "sum", "none"}
        The mean divides by the weights of the rows that take part.

    Returns
    -------
    Tensor
        Of `input`'s dtype: a scalar, or with reduction="none" one loss for each row.

    Raises
    ------
    IndexError, RuntimeError, ValueError
        What torch raises, with its words.

    Notes
    -----
    Row losses are torch's own; a sum or mean of them is exact, then rounded once: the same bits in any order.

    References
    ----------
    PyTorch 2.13, torch.nn.functional.nll_loss.

    Examples
    --------
    >>> import torch
    >>> round(nll_loss(torch.tensor([[0.5, 0.25, 0.25]]).log(), torch.tensor([1])).item(), 6)
    1.386294
    """
    reduction = reduction_of(size_average, reduce, reduction)
    rows = F.nll_loss(input, target, weight, ignore_index=ignore_index, reduction="none")
    if reduction == "none":
        return rows
    return exactly(rows, reduction, total_weight(target.long(), weight, ignore_index))


def binary_cross_entropy(
    input: torch.Tensor,  # torch's name
    target: torch.Tensor,
    weight: torch.Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> torch.Tensor:
    """Return the cross-entropy of probabilities of class 1, in nats: torch's, exactly summed.

    ::

        loss = -w (t max(log q, -100) + (1 - t) max(log(1 - q), -100))

    Parameters
    ----------
    input : Tensor
        Probabilities q in [0, 1].
    target : Tensor, of `input`'s shape
        Truths t, mostly 0 or 1.
    weight : Tensor, optional
        Weights w, broadcast to `input`'s shape.
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
    As in torch, a logarithm of 0 counts as -100: an impossible row costs 100 nats. `crossent.binary_cross_entropy_from_probs`
    answers infinity. A sum or mean is exact, then rounded once.

    References
    ----------
    PyTorch 2.13, torch.nn.functional.binary_cross_entropy.

    Examples
    --------
    >>> import torch
    >>> round(binary_cross_entropy(torch.tensor([0.25]), torch.tensor([1.0])).item(), 6)
    1.386294
    """
    reduction = reduction_of(size_average, reduce, reduction)
    rows = F.binary_cross_entropy(input, target, weight, reduction="none")
    return rows if reduction == "none" else exactly(rows, reduction, rows.numel())
