"""The PyTorch door's softmax cross-entropy: torch.nn.functional.cross_entropy's signature over the kernels."""

from dataclasses import replace

import torch
import torch.nn.functional as F  # noqa: N812  # as everybody who reads this writes it
from torch.autograd import forward_ad

from crossent.torch._arguments import FLOATS, is_differentiated, is_plain, is_traced, reduction_of
from crossent.torch._autograd import CrossEntropy, EagerCrossEntropy, loss, total_weight
from crossent.torch._closed_form import effective_targets
from crossent.torch._library import compiled_cross_entropy
from crossent.torch._rows import Settings

_HALVES = frozenset({torch.float16, torch.bfloat16})
_INTEGERS = frozenset(
    {torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16, torch.uint32, torch.uint64}
)


def cross_entropy(
    input: torch.Tensor,  # torch's name
    target: torch.Tensor,
    weight: torch.Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> torch.Tensor:
    """Return the cross-entropy of logits against class ids or distributions, in nats: torch's, with every digit.

    For a row of logits x with effective targets y_c = w_c ((1 - label_smoothing) t_c + label_smoothing / C)::

        loss = -sum_c y_c log softmax(x)_c

    Parameters
    ----------
    input : Tensor, shape (C), (N, C) or (N, C, d1, ...)
        Logits: float16, bfloat16, float32 or float64, of any strides.
    target : Tensor
        Class ids of any integer dtype, shape (), (N) or (N, d1, ...); or distributions, floating point, of `input`'s shape.
    weight : Tensor, shape (C), optional
        Class weights w.
    size_average, reduce : bool, optional
        Deprecated in torch; see `reduction`.
    ignore_index : int
        Class id of rows that do not take part; not for distributions.
    reduction : {"mean", "sum", "none"}
        The mean divides by the weights of the rows that take part, for distributions by the number of rows.
    label_smoothing : float
        Share of the targets that is spread over all classes, in [0, 1].

    Returns
    -------
    Tensor
        Of `input`'s dtype: a scalar, or with reduction="none" one loss for each row.

    Raises
    ------
    IndexError, RuntimeError, TypeError, ValueError
        What torch raises, with its words; a class id that is neither in [0, C) nor `ignore_index` always raises.

    Notes
    -----
    A truth of 0 times a logit of -inf contributes 0 (torch: NaN for distributions). The mean over no rows is NaN.
    Accuracy: as `crossent.cross_entropy`; a float32 loss is within 2 ulp and its gradient within 3 at every margin, where
    log_softmax's are 0 from 17 nats on. Sums and means are exact, then rounded to the dtype once.
    Derivatives: backward, double backward, forward mode, and `torch.func`'s transforms; with respect to logits,
    distributions and weights. The gradient is made with the loss and kept where it is smaller than the memory budget of
    `crossent.show_config()`, else in backward, from the inputs.
    Tensors that the kernels do not read (on other devices, of subclasses, while compiling) go to torch's own function.

    References
    ----------
    PyTorch 2.13, torch.nn.functional.cross_entropy.

    Examples
    --------
    >>> import torch
    >>> logits = torch.tensor([[20.0, 0.0]], requires_grad=True)
    >>> loss = cross_entropy(logits, torch.tensor([0]))
    >>> loss.backward()
    >>> loss.item(), logits.grad[0, 1].item()  # torch's own loss is 0.0
    (2.06115369216775e-09, 2.06115369216775e-09)
    """
    reduction = reduction_of(size_average, reduce, reduction)
    if not _readable(input, target, weight, ignore_index, label_smoothing):
        return F.cross_entropy(
            input,
            target,
            weight=weight,
            ignore_index=ignore_index,
            reduction=reduction,
            label_smoothing=label_smoothing,
        )
    # autocast: torch's own takes float32 logits there; here the loss alone need be float32
    loss_dtype = torch.float32 if torch.is_autocast_enabled("cpu") and input.dtype in _HALVES else input.dtype
    settings = Settings(min(1, input.dim() - 1), reduction, ignore_index, float(label_smoothing), loss_dtype)
    if target.dtype not in FLOATS and target.dtype != torch.int64:
        target = target.long()  # compared with -100, a uint8 of 156 is equal
    if is_differentiated(weight):
        return _with_weight_gradient(input, target, weight, settings)
    if is_traced():
        return compiled_cross_entropy(
            input,
            target,
            weight,
            settings.class_axis,
            settings.reduction,
            settings.ignore_index,
            settings.label_smoothing,
            settings.loss_dtype,
        )
    if torch._C._are_functorch_transforms_active():
        return CrossEntropy.apply(input, target, weight, settings)
    if not torch.is_grad_enabled() and forward_ad._current_level < 0:
        return loss(input, target, weight, settings)
    return EagerCrossEntropy.apply(input, target, weight, settings)


def _with_weight_gradient(
    logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor, settings: Settings
) -> torch.Tensor:
    """Return the loss where class weights are differentiated too: they become a part of the targets."""
    plain = replace(settings, label_smoothing=0.0)
    y = effective_targets(logits, target, weight, settings)
    if target.is_floating_point() or settings.reduction != "mean":
        return CrossEntropy.apply(logits, y, None, plain)
    total = CrossEntropy.apply(logits, y, None, replace(plain, reduction="sum", loss_dtype=torch.float64))
    return (total / total_weight(target, weight, settings.ignore_index)).to(settings.loss_dtype)


def _readable(
    logits: torch.Tensor,
    target: torch.Tensor,
    weight: torch.Tensor | None,
    ignore_index: int,
    label_smoothing: float,
) -> bool:
    """Say whether this is a call that torch accepts and the kernels can answer; torch has the words for all else."""
    if not all(is_plain(tensor) for tensor in ((logits, target) if weight is None else (logits, target, weight))):
        return False
    if logits.dtype not in FLOATS or not logits.dim() or not logits.numel():
        return False
    axis = min(1, logits.dim() - 1)
    classes = logits.shape[axis]
    autocast = torch.is_autocast_enabled("cpu")
    if target.dtype in FLOATS:
        fits = target.shape == logits.shape and (target.dtype == logits.dtype or autocast) and ignore_index < 0
    else:
        fits = target.dtype in _INTEGERS and target.shape == logits.shape[:axis] + logits.shape[axis + 1 :]
    if weight is not None and (weight.shape != (classes,) or not (weight.dtype == logits.dtype or autocast)):
        return False
    return fits and 0.0 <= label_smoothing <= 1.0
