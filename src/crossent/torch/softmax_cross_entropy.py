"""The PyTorch door's softmax cross-entropy: torch.nn.functional.cross_entropy's signature over the kernels."""

from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  # as everybody who reads this writes it

from crossent._checks import check_smoothing
from crossent.arrays.targets import TopKTargets, check_ignore_index
from crossent.torch import _extended, _gpu, _gpu_autograd, tensor_parallel
from crossent.torch._arguments import FLOATS, SMALL_INTEGERS, check_tensors, is_plain, reduction_of
from crossent.torch._composed import wide_dtype
from crossent.torch._dispatch import softmax_loss, torchs_loss
from crossent.torch._extras import Extras, read_denominator, read_extras, read_sample_weight, with_returns
from crossent.torch._rows import Settings
from crossent.torch._total import exactly

_HALVES = frozenset({torch.float16, torch.bfloat16})


def cross_entropy(
    input: torch.Tensor,  # torch's name
    target: torch.Tensor | TopKTargets,
    weight: torch.Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    *,
    z_loss: float = 0.0,
    softcap: float | None = None,
    temperature: float = 1.0,
    sample_weight: torch.Tensor | None = None,
    denominator: float | torch.Tensor | None = None,
    returns: tuple[str, ...] = (),
    process_group: Any = None,
) -> Any:
    """Return the cross-entropy of logits against class ids or distributions, in nats: torch's, with every digit.

    For a row of logits x with effective targets y_c = w_c ((1 - label_smoothing) t_c + label_smoothing / C), whose sum is m
    (1 without class weights)::

        z    = softcap tanh(x / softcap) / temperature          lse = log sum_c exp(z_c)
        loss = sum_c y_c (lse - z_c) + z_loss m lse**2

    Parameters
    ----------
    input : Tensor, shape (C), (N, C) or (N, C, d1, ...)
        Logits: float16, bfloat16, float32 or float64, of any strides.
    target : Tensor or crossent.TopKTargets
        Class ids of any integer dtype, shape (), (N) or (N, d1, ...); or distributions, floating point, of `input`'s shape;
        or the k classes of each row that are not 0, ids and probabilities of shape (k), (N, k) or (N, d1, ..., k).
    weight : Tensor, shape (C), optional
        Class weights w.
    size_average, reduce : bool, optional
        Deprecated in torch; see `reduction`.
    ignore_index : int
        Class id of rows that do not take part; with distributions, those that are one-hot of it do not.
    reduction : {"mean", "sum", "none"}
        The mean divides by the weights of the rows that take part, for distributions by the number of rows.
    label_smoothing : float
        Share of the targets that is spread over all classes, in [0, 1].
    z_loss : float
        Weight of the penalty lse**2, which keeps logits from drifting; at least 0.
    softcap : float, optional
        Largest size that logits can have, approached smoothly.
    temperature : float
        What logits are divided by, after the cap.
    sample_weight : Tensor, of the shape of class ids, optional
        What each row's loss is multiplied by, any finite numbers; the mean divides by their sum, times the class weights.
    denominator : float or Tensor of one number, optional
        What the mean divides by instead: the rows of all accumulated batches, or of all processes.
    returns : tuple of {"lse", "entropy", "accuracy", "target_logit", "dropped_mass"}
        Numbers of each row to return with the loss, 0 where a row does not take part: lse; the entropy of softmax(z) in nats;
        1.0 where the likeliest class is the target's; sum_c t_c z_c; and what `linear_cross_entropy` left out, here 0.
    process_group : torch.distributed.ProcessGroup, optional
        The classes are split over its ranks, in their order: `input`, `weight` and distributions hold this rank's classes,
        as many as it likes, class ids and top-k targets count all of them. Every rank gets the same loss, and the gradient of
        its own logits.

    Returns
    -------
    Tensor
        Of `input`'s dtype: a scalar, or with reduction="none" one loss for each row. With `returns`, a named tuple of it and
        the tensors asked for, of float32 at least; gradients flow through all but accuracy and dropped_mass.

    Raises
    ------
    IndexError, RuntimeError, TypeError, ValueError
        What torch raises, with its words; a class id that is neither in [0, C) nor `ignore_index` always raises on the CPU.
    OptionError
        If `z_loss`, `softcap`, `temperature`, `denominator` or `returns` is none of the above; also a ValueError.
    ShapeError, DtypeError
        If `sample_weight` or top-k targets do not fit `input`; also a ValueError or a TypeError.

    Notes
    -----
    A truth of 0 times a logit of -inf contributes 0 (torch: NaN for distributions). The mean over no rows is NaN.
    Accuracy: as `crossent.cross_entropy`; a float32 loss is within 2 ulp and its gradient within 3 at every margin, where
    log_softmax's are 0 from 17 nats on. Sums and means are exact, then rounded to the dtype once.
    Derivatives: backward, double backward, forward mode, and `torch.func`'s transforms; with respect to logits,
    distributions and weights. The gradient is made with the loss and kept where it is smaller than the memory budget of
    `crossent.show_config()`, else in backward, from the inputs.
    With `process_group` two reductions make a row whole; once differentiable, and not for compilers. Every rank has to call with
    the same rows and options.
    With a cap, a temperature, smoothing or entropy every logit is taken through float64. The gradient is then made with the loss,
    whatever its size, for the upstream gradient that a plain backward brings, and once more for any other.
    CUDA tensors have kernels of their own, where Triton is installed, and nothing waits for the device: there a class id that
    is none, or a weight that is not finite, is an assertion of the device. The gradient of a sum or a mean is made with the loss
    there, whatever its size, and that of float16 in backward. They have not been measured on a GPU yet.
    Tensors that the kernels do not read (on further devices, of subclasses) go to torch's own function.

    References
    ----------
    PyTorch 2.13, torch.nn.functional.cross_entropy. z_loss: Chowdhery et al. 2022, "PaLM", section 5. softcap: Gemma Team
    2024, "Gemma 2", section 2.

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
    readable = _readable(input, target, weight, label_smoothing)
    extended = (
        not _is(z_loss, 0.0)
        or not _is(temperature, 1.0)
        or (softcap is not None or returns != ())
        or (sample_weight is not None or denominator is not None)
        or (isinstance(target, TopKTargets) or process_group is not None)
        or (isinstance(ignore_index, int) and ignore_index >= 0 and getattr(target, "dtype", None) in FLOATS)
    )
    if isinstance(target, torch.Tensor) and target.dtype in SMALL_INTEGERS:
        target = target.long()  # compared with -100, a uint8 of 156 is equal
    if not extended and not (readable and isinstance(ignore_index, int)):
        return F.cross_entropy(
            input,
            target,
            weight=weight,
            ignore_index=ignore_index,
            reduction=reduction,
            label_smoothing=label_smoothing,
        )
    # autocast: torch's own takes float32 logits there; here the loss alone need be float32
    loss_dtype = torch.float32 if _is_autocast(input) and input.dtype in _HALVES else input.dtype
    smoothing = check_smoothing(label_smoothing) if extended else float(label_smoothing)
    settings = Settings(min(1, max(input.dim() - 1, 0)), reduction, ignore_index, smoothing, loss_dtype)
    if not extended:
        return softmax_loss(input, target, weight, settings)
    check_tensors(input, target)
    settings = replace(settings, ignore_index=check_ignore_index(ignore_index))
    extras = read_extras(z_loss, softcap, temperature, returns)
    if process_group is not None:
        return _parallel_loss(input, target, weight, settings, extras, sample_weight, denominator, process_group)
    return _extended_loss(input, target, weight, settings, extras, sample_weight, denominator, readable=readable)


def _is(value: Any, number: float) -> bool:
    """Say whether an option is a plain number with a value."""
    return isinstance(value, (int, float)) and value == number


def _is_autocast(tensor: Any) -> bool:
    """Say whether torch widens and narrows the tensors of a device by itself."""
    kind = tensor.device.type if isinstance(tensor, torch.Tensor) and _gpu.serves(tensor.device) else "cpu"
    return bool(torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind))


def _fits(target: torch.Tensor, logits: torch.Tensor, settings: Settings) -> bool:
    """Say whether targets have a shape and a dtype that mean something."""
    if target.is_floating_point():
        return bool(target.shape == logits.shape)
    return bool(target.dtype == torch.int64 and target.shape == settings.rows_shape(logits.shape))


def _extended_loss(
    logits: torch.Tensor,
    target: torch.Tensor | TopKTargets,
    weight: torch.Tensor | None,
    settings: Settings,
    extras: Extras,
    sample_weight: torch.Tensor | None,
    denominator: float | torch.Tensor | None,
    *,
    readable: bool,
) -> Any:
    """Return the loss with what torch's own does not have."""
    own_denominator = read_denominator(denominator, settings.reduction, logits.device)
    if isinstance(target, TopKTargets):
        _extended.check_top_k(target, logits.shape, settings)
    elif not readable and not _fits(target, logits, settings):
        return torchs_loss(logits, target, weight, replace(settings, ignore_index=-100))  # which has the words for it
    weights = read_sample_weight(sample_weight, settings.rows_shape(logits.shape), logits.device)
    if not (readable and _gpu_autograd.serves(logits, target, weight, weights, settings, extras)):
        return _loss_of_rows(logits, target, weight, settings, extras, weights, own_denominator, readable=readable)

    def again(x: torch.Tensor, t: Any, w: torch.Tensor | None, s: torch.Tensor | None) -> torch.Tensor:
        return _loss_of_rows(x, t, w, settings, replace(extras, returns=()), s, own_denominator, readable=True)

    wish = _gpu_autograd.Wish(settings, extras, own_denominator, again)
    return _gpu_autograd.reduced_loss(logits, target, weight, weights, wish)


def _loss_of_rows(
    logits: torch.Tensor,
    target: torch.Tensor | TopKTargets,
    weight: torch.Tensor | None,
    settings: Settings,
    extras: Extras,
    sample_weight: torch.Tensor | None,
    denominator: float | torch.Tensor | None,
    *,
    readable: bool,
) -> Any:
    """Return the loss by way of the losses of rows: all of it can be differentiated, any number of times."""
    row_loss = softmax_loss if readable else torchs_loss
    wide = replace(settings, reduction="none", loss_dtype=wide_dtype(logits))
    plain = not (
        extras.some or isinstance(target, TopKTargets) or (settings.ignore_index >= 0 and target.dtype in FLOATS)
    )
    if plain and sample_weight is None and denominator is not None:
        total = row_loss(logits, target, weight, replace(wide, reduction="sum"))
        return (total / denominator).to(settings.loss_dtype)
    if denominator is None and settings.reduction == "mean":
        denominator = exactly(_extended.weights_of_rows(logits, target, weight, sample_weight, settings), "sum", 1.0)
    denominator = 1.0 if denominator is None else denominator
    if plain:
        numbers = {"loss": row_loss(logits, target, weight, wide)}
    else:
        expected = _extended.expected_upstream(logits, sample_weight, denominator, settings, extras)
        numbers = _extended.rows(logits, target, weight, wide, extras, row_loss, readable=readable, expected=expected)
    return _finished(numbers, sample_weight, denominator, settings, extras)


def _parallel_loss(
    logits: torch.Tensor,
    target: torch.Tensor | TopKTargets,
    weight: torch.Tensor | None,
    settings: Settings,
    extras: Extras,
    sample_weight: torch.Tensor | None,
    denominator: float | torch.Tensor | None,
    group: Any,
) -> Any:
    """Return the loss of logits whose classes are split over ranks."""
    own_denominator = read_denominator(denominator, settings.reduction, logits.device)
    weights = read_sample_weight(sample_weight, settings.rows_shape(logits.shape), logits.device)
    numbers = tensor_parallel.rows_of(logits, target, weight, settings, extras, group)
    own = numbers.pop("own_weight")
    if own_denominator is None:
        own_denominator = exactly(own if weights is None else own * weights.to(own.dtype), "sum", 1.0)
    return _finished(numbers, weights, own_denominator, settings, extras)


def _finished(
    numbers: dict[str, torch.Tensor],
    sample_weight: torch.Tensor | None,
    denominator: torch.Tensor | float,
    settings: Settings,
    extras: Extras,
) -> Any:
    """Return the reduced loss, with the numbers that were asked for."""
    losses = numbers["loss"]
    loss = _extended.reduced(losses, sample_weight, denominator, settings)
    dtype = torch.promote_types(settings.loss_dtype, torch.float32)
    numbers = {name: value.to(dtype) for name, value in numbers.items()}
    numbers["dropped_mass"] = torch.zeros_like(losses, dtype=dtype)
    return with_returns(loss, numbers, extras)


def _readable(
    logits: torch.Tensor,
    target: torch.Tensor | TopKTargets,
    weight: torch.Tensor | None,
    label_smoothing: float,
) -> bool:
    """Say whether this is a call that torch accepts and the kernels can answer; torch has the words for all else."""
    # of no tensor torch has to say what is wrong
    place = logits.device.type if isinstance(logits, torch.Tensor) and _gpu.serves(logits.device) else "cpu"
    tensors = [logits, *([] if isinstance(target, TopKTargets) else [target]), *([] if weight is None else [weight])]
    if not all(is_plain(tensor, place) for tensor in tensors):
        return False
    if place != "cpu" and any(tensor.device != logits.device for tensor in tensors):
        return False
    if not isinstance(label_smoothing, (int, float)):
        return False
    if logits.dtype not in FLOATS or not logits.dim() or not logits.numel():
        return False
    axis = min(1, logits.dim() - 1)
    classes = logits.shape[axis]
    autocast = _is_autocast(logits)
    if isinstance(target, TopKTargets):
        fits = True  # it says itself what does not
    elif target.dtype in FLOATS:
        fits = target.shape == logits.shape and (target.dtype == logits.dtype or autocast)
    else:
        fits = (target.dtype in SMALL_INTEGERS or target.dtype == torch.int64) and target.shape == logits.shape[
            :axis
        ] + logits.shape[axis + 1 :]
    if weight is not None and (weight.shape != (classes,) or not (weight.dtype == logits.dtype or autocast)):
        return False
    return fits and 0.0 <= label_smoothing <= 1.0
