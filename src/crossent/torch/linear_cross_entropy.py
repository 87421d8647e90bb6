"""The PyTorch door's linear head: torch.nn.functional.linear_cross_entropy's signature, a budget instead of the logits."""

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  # as everybody who reads this writes it
from torch.autograd import forward_ad

from crossent._checks import check_count
from crossent.arrays.machine import memory_budget_bytes
from crossent.errors import DtypeError, OptionError, ShapeError
from crossent.torch._arguments import FLOATS, is_differentiated, is_plain, is_traced, reduction_of
from crossent.torch._linear import LinearCrossEntropy, Wish
from crossent.torch._rows import Settings
from crossent.torch.softmax_cross_entropy import cross_entropy


def linear_cross_entropy(
    input: torch.Tensor,  # torch's name
    linear_weight: torch.Tensor,
    target: torch.Tensor,
    *,
    linear_bias: torch.Tensor | None = None,
    weight: torch.Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    shift: int = 0,
    memory_budget: int | None = None,
) -> torch.Tensor:
    """Return the cross-entropy of a linear head, in nats, without ever holding its logits.

    ::

        loss = cross_entropy(input @ linear_weight.T + linear_bias, target)

    Parameters
    ----------
    input : Tensor, shape (D) or (..., D)
        Hidden states, of any leading dimensions.
    linear_weight : Tensor, shape (C, D)
        The head, of `input`'s dtype.
    target : Tensor
        Class ids, shape (...); or distributions, floating point, shape (..., C).
    linear_bias : Tensor, shape (C), optional
        The head's bias.
    weight : Tensor, shape (C), optional
        Class weights; they are not differentiated.
    reduction : {"mean", "sum", "none"}
        The mean divides by the weights of the rows that take part, for distributions by the number of rows.
    ignore_index : int, optional
        Class id of rows that do not take part, -100 if None: they are left out before anything is multiplied.
    label_smoothing : float
        Share of the targets that is spread over all classes, in [0, 1].
    shift : int
        For causal models: hidden state i predicts target i + shift of the last leading dimension.
    memory_budget : int, optional
        Bytes for logits; by default what `crossent.show_config()` says. At least one row is held.

    Returns
    -------
    Tensor
        Of `input`'s dtype: a scalar, or with reduction="none" one loss for each row, 0 where it does not take part.

    Raises
    ------
    ShapeError
        If the shapes do not fit each other; also a ValueError.
    DtypeError
        If the dtypes or devices differ or are no floating-point ones; also a TypeError.
    OptionError
        If `shift` or `memory_budget` is no count; also a ValueError.
    IndexError
        If a class id is neither in [0, C) nor `ignore_index`.

    Notes
    -----
    Peak memory beyond inputs and gradients: the budget; for float16 and bfloat16 also the weight's gradient in float32, in
    which the chunks are added. Gradients are made with the loss.
    Accuracy: that of torch's matrix product, then of `crossent.torch.cross_entropy`. Losses and the gradient of `input` have the
    same bits for any budget as far as the matrix product gives a row the same bits among other rows; sums over chunks, the
    gradients of weight and bias, are rounded once more for each chunk.
    Once differentiable. With other tensors than strided ones on the CPU, or a head of more dimensions, it is
    `crossent.torch.cross_entropy` of `torch.nn.functional.linear`, which has every kind of derivative.

    References
    ----------
    PyTorch 2.13, torch.nn.functional.linear_cross_entropy.

    Examples
    --------
    >>> import torch
    >>> hidden, head = torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    >>> round(linear_cross_entropy(hidden, head, torch.tensor([2])).item(), 6)
    0.407606
    """
    reduction = reduction_of(None, None, reduction)
    ignore_index = -100 if ignore_index is None else ignore_index  # torch's word for it
    hidden, target = _shifted(input, target, shift)
    if target.dtype in (torch.uint8, torch.int8, torch.int16, torch.int32, torch.uint16, torch.uint32, torch.uint64):
        target = target.long()
    if not _readable(hidden, linear_weight, target, linear_bias, weight):
        return _through_logits(
            hidden, linear_weight, linear_bias, target, weight, reduction, ignore_index, label_smoothing
        )
    loss_dtype = hidden.dtype
    if torch.is_autocast_enabled("cpu") and hidden.dtype != torch.float64:
        # what torch.nn.functional.linear does there, and its loss is float32
        dtype, loss_dtype = torch.get_autocast_dtype("cpu"), torch.float32
        hidden, linear_weight = hidden.to(dtype), linear_weight.to(dtype)
        linear_bias = None if linear_bias is None else linear_bias.to(dtype)
    _check(hidden, linear_weight, target, linear_bias, weight)
    if not 0.0 <= label_smoothing <= 1.0:
        message = f"`label_smoothing` must lie in [0, 1]; got {label_smoothing!r}."
        raise OptionError(message)
    settings = Settings(1, reduction, ignore_index, float(label_smoothing), loss_dtype)
    budget = memory_budget_bytes() if memory_budget is None else check_count("memory_budget", memory_budget)
    leading = hidden.shape[:-1]
    rows = hidden.reshape(-1, hidden.shape[-1])
    soft = target.is_floating_point()
    targets = target.reshape(-1, len(linear_weight)) if soft else target.reshape(-1)
    counted = None
    if not soft:
        kept = targets != ignore_index
        if not bool(kept.all()):
            counted = kept.nonzero().squeeze(1)
            rows, targets = rows.index_select(0, counted), targets.index_select(0, counted)
    wish = Wish(settings, budget, with_gradients=torch.is_grad_enabled())
    loss: torch.Tensor = LinearCrossEntropy.apply(rows, linear_weight, linear_bias, targets, weight, wish)
    if reduction != "none":
        return loss
    if counted is not None:
        loss = torch.zeros(leading.numel(), dtype=loss.dtype, device="cpu").index_copy(0, counted, loss)
    return loss.reshape(leading)


def _through_logits(
    hidden: torch.Tensor,
    linear_weight: torch.Tensor,
    linear_bias: torch.Tensor | None,
    target: torch.Tensor,
    weight: torch.Tensor | None,
    reduction: str,
    ignore_index: int,
    label_smoothing: float,
) -> torch.Tensor:
    """Return the loss of logits that are held, for what the chunks cannot do; a head of more dimensions is torch's."""
    options: dict[str, Any] = {"reduction": reduction, "ignore_index": ignore_index, "label_smoothing": label_smoothing}
    if linear_weight.dim() != 2:
        return F.linear_cross_entropy(hidden, linear_weight, target, linear_bias=linear_bias, weight=weight, **options)
    logits = F.linear(hidden, linear_weight, linear_bias)
    if logits.dim() > 2:
        logits = logits.movedim(-1, 1)
        target = target.movedim(-1, 1) if target.is_floating_point() else target
    return cross_entropy(logits, target, weight, **options)


def _shifted(hidden: torch.Tensor, target: torch.Tensor, shift: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return hidden states and the targets that lie `shift` further on."""
    if isinstance(shift, bool) or not isinstance(shift, int) or shift < 0:
        message = f"`shift` must be an integer of at least 0; got {shift!r}."
        raise OptionError(message)
    if not shift:
        return hidden, target
    if hidden.dim() < 2:
        message = f"`shift` needs `input` of shape (..., tokens, D); got {tuple(hidden.shape)}."
        raise ShapeError(message)
    tokens = hidden.shape[-2]
    axis = hidden.dim() - 2
    return hidden.narrow(-2, 0, max(tokens - shift, 0)), target.narrow(axis, min(shift, tokens), max(tokens - shift, 0))


def _readable(
    hidden: torch.Tensor,
    linear_weight: torch.Tensor,
    target: torch.Tensor,
    linear_bias: torch.Tensor | None,
    weight: torch.Tensor | None,
) -> bool:
    """Say whether the chunks can do it: strided tensors on the CPU, a head of two dimensions, one backward at most."""
    if is_traced() or torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0:
        return False
    if linear_weight.dim() != 2 or not (hidden.numel() and linear_weight.numel()):
        return False
    if is_differentiated(target) or is_differentiated(weight):
        return False
    tensors = (hidden, linear_weight, target, linear_bias, weight)
    return all(is_plain(tensor) for tensor in tensors if tensor is not None)


def _check(
    hidden: torch.Tensor,
    linear_weight: torch.Tensor,
    target: torch.Tensor,
    linear_bias: torch.Tensor | None,
    weight: torch.Tensor | None,
) -> None:
    classes, features = linear_weight.shape
    for name, tensor in (("input", hidden), ("linear_weight", linear_weight)):
        if tensor.dtype not in FLOATS:
            message = f"`{name}` must be float16, bfloat16, float32 or float64; got {tensor.dtype}."
            raise DtypeError(message)
    if hidden.dtype != linear_weight.dtype:
        message = f"`input` and `linear_weight` must have one dtype; got {hidden.dtype} and {linear_weight.dtype}."
        raise DtypeError(message)
    if not hidden.dim() or hidden.shape[-1] != features:
        message = (
            f"`input` must have shape (..., {features}) to match `linear_weight` of shape {tuple(linear_weight.shape)}; "
            f"got {tuple(hidden.shape)}."
        )
        raise ShapeError(message)
    rows = tuple(hidden.shape[:-1])
    wanted = (*rows, classes) if target.is_floating_point() else rows
    if tuple(target.shape) != wanted:
        what = "distributions" if target.is_floating_point() else "class ids"
        message = f"`target` must have shape {wanted} for {what}, to match `input`; got {tuple(target.shape)}."
        raise ShapeError(message)
    if target.dtype == torch.bool or target.is_complex():
        message = f"`target` must be integer class ids or floating-point distributions; got {target.dtype}."
        raise DtypeError(message)
    for name, vector in (("linear_bias", linear_bias), ("weight", weight)):
        if vector is not None and tuple(vector.shape) != (classes,):
            message = f"`{name}` must have shape ({classes},), one for each class; got {tuple(vector.shape)}."
            raise ShapeError(message)
    if linear_bias is not None and linear_bias.dtype != hidden.dtype:
        message = f"`input` and `linear_bias` must have one dtype; got {hidden.dtype} and {linear_bias.dtype}."
        raise DtypeError(message)
