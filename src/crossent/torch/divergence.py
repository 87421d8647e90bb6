"""The PyTorch door's Kullback-Leibler divergence: torch.nn.functional.kl_div's signature, exactly summed."""

import warnings

import torch
import torch.nn.functional as F  # noqa: N812  # as everybody who reads this writes it

from crossent.torch._arguments import reduction_of
from crossent.torch._total import exactly

# torch's own words
_MEAN_IS_NOT_THE_DIVERGENCE = (
    "reduction: 'mean' divides the total loss by both the batch size and the support size."
    "'batchmean' divides only by the batch size, and aligns with the KL div math definition."
    "'mean' will be changed to behave the same as 'batchmean' in the next major release."
)


def kl_div(
    input: torch.Tensor,  # torch's name
    target: torch.Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> torch.Tensor:
    """Return the Kullback-Leibler divergence of log-probabilities from targets, in nats: torch's, exactly summed.

    ::

        loss = t (log t - log q)

    Parameters
    ----------
    input : Tensor
        Log-probabilities log q.
    target : Tensor, broadcast with `input`
        Probabilities t, or their logarithms with log_target=True.
    size_average, reduce : bool, optional
        Deprecated in torch; see `reduction`.
    reduction : {"mean", "batchmean", "sum", "none"}
        "mean" divides by the number of elements, "batchmean", the divergence of distributions, by `input`'s first length.
    log_target : bool
        Whether `target` holds logarithms.

    Returns
    -------
    Tensor
        A scalar, or with reduction="none" one term for each element.

    Raises
    ------
    RuntimeError, ValueError
        What torch raises, with its words.

    Warns
    -----
    UserWarning
        As torch does, if reduction="mean".

    Notes
    -----
    Terms are torch's own: 0 where the target is 0. A sum or mean of them is exact, then rounded once.

    References
    ----------
    PyTorch 2.13, torch.nn.functional.kl_div.

    Examples
    --------
    >>> import torch
    >>> q, p = torch.tensor([[0.5, 0.5]]), torch.tensor([[1.0, 0.0]])
    >>> round(kl_div(q.log(), p, reduction="batchmean").item(), 6)
    0.693147
    """
    if size_average is not None or reduce is not None or reduction != "batchmean":
        if reduction == "mean" and size_average is None and reduce is None:
            warnings.warn(_MEAN_IS_NOT_THE_DIVERGENCE, stacklevel=2)
        reduction = reduction_of(size_average, reduce, reduction)
    terms = F.kl_div(input, target, reduction="none", log_target=log_target)
    if reduction == "none":
        return terms
    if reduction == "batchmean":
        return exactly(terms, "mean", input.shape[0] if input.dim() else 1)
    return exactly(terms, reduction, terms.numel())
