"""The PyTorch door's linear head: torch.nn.functional.linear_cross_entropy's signature, a budget instead of the logits."""

from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  # as everybody who reads this writes it
from torch.autograd import forward_ad

from crossent._checks import check_count, check_real, check_smoothing
from crossent.arrays.machine import memory_budget_bytes
from crossent.arrays.targets import TopKTargets, check_ignore_index
from crossent.errors import DtypeError, OptionError, ShapeError
from crossent.torch import _extended, _gpu, _shards
from crossent.torch._arguments import (
    FLOATS,
    SMALL_INTEGERS,
    check_tensors,
    is_differentiated,
    is_plain,
    is_traced,
    reduction_of,
)
from crossent.torch._extras import read_denominator, read_extras, read_sample_weight, with_returns
from crossent.torch._linear import LinearCrossEntropy, Wish
from crossent.torch._rows import Settings, counted_rows
from crossent.torch._total import exactly
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
    z_loss: float = 0.0,
    softcap: float | None = None,
    temperature: float = 1.0,
    sample_weight: torch.Tensor | None = None,
    denominator: float | torch.Tensor | None = None,
    shift: int = 0,
    memory_budget: int | None = None,
    grad_filter: float | None = None,
    returns: tuple[str, ...] = (),
    process_group: Any = None,
) -> Any:
    """Return the cross-entropy of a linear head, in nats, without ever holding its logits.

    ::

        loss = cross_entropy(input @ linear_weight.T + linear_bias, target, ...)

    Parameters
    ----------
    input : Tensor, shape (D) or (..., D)
        Hidden states, of any leading dimensions.
    linear_weight : Tensor, shape (C, D)
        The head, of `input`'s dtype.
    target : Tensor or crossent.TopKTargets
        Class ids, shape (...); or distributions, floating point, shape (..., C); or k classes of each row, shape (..., k).
    linear_bias : Tensor, shape (C), optional
        The head's bias.
    weight : Tensor, shape (C), optional
        Class weights; they are not differentiated.
    reduction : {"mean", "sum", "none"}
        The mean divides by the weights of the rows that take part, for distributions by the number of rows.
    ignore_index : int, optional
        Class id of rows that do not take part, -100 if None: on the CPU they are left out before anything is multiplied.
    label_smoothing : float
        Share of the targets that is spread over all classes, in [0, 1].
    z_loss, softcap, temperature, sample_weight, denominator, returns : optional
        See `crossent.torch.cross_entropy`; rows have the shape (...).
    shift : int
        For causal models: hidden state i predicts target i + shift of the last leading dimension.
    memory_budget : int, optional
        Bytes for logits; by default what `crossent.show_config()` says, on a GPU 704 MB or 1/64 of its memory. At least one
        row is held.
    grad_filter : float, optional
        Leave out of the backward products what is below `grad_filter` times its row's weight in the gradient of the logits,
        2**-12 for example, and put means in its place. See the notes.
    process_group : torch.distributed.ProcessGroup, optional
        The head is split over its ranks by classes, see `crossent.torch.cross_entropy`: `linear_weight`, `linear_bias`, `weight`
        and distributions hold this rank's classes; `input` is the same on every rank, and so is its gradient, the sum over all.

    Returns
    -------
    Tensor
        Of `input`'s dtype: a scalar, or with reduction="none" one loss for each row, 0 where it does not take part. With
        `returns`, a named tuple as `crossent.torch.cross_entropy`'s.

    Raises
    ------
    ShapeError
        If the shapes do not fit each other; also a ValueError.
    DtypeError
        If the dtypes or devices differ or are no floating-point ones; also a TypeError.
    OptionError
        If `shift` or `memory_budget` is no count, `grad_filter` does not lie in (0, 1), or an option of
        `crossent.torch.cross_entropy` is none; also a ValueError.
    IndexError
        If a class id is neither in [0, C) nor `ignore_index`; on a GPU an assertion fails on the device, later.

    Notes
    -----
    Peak memory beyond inputs and gradients: the budget; for float16 and bfloat16 also the weight's gradient in float32, in
    which the chunks are added; on a GPU half of that, as the gradient's own memory holds the rest.
    Gradients are made with the loss. On a GPU nothing waits for the device, unless ranks have to agree on a number of rows. So
    rows that do not take part are multiplied there, as zeros, whatever they hold; `grad_filter` goes by tiles of 64 x 128. Nothing
    has been measured on one yet.
    Accuracy: that of torch's matrix product, then of `crossent.torch.cross_entropy`. Losses and the gradient of `input` have the
    same bits for any budget (without `grad_filter`) as far as the matrix product gives a row the same bits among other rows; sums over chunks, the
    gradients of weight and bias, are rounded once more for each chunk.
    `grad_filter`: the loss stays exact, its gradient does not. Of what is left out, the sums of each row and of each class are
    kept and spread over rows and classes by their product, so that no class stands still. Rows that would lose more than a
    twentieth of their mass are multiplied whole; the others' loss of mass comes back as ``returns=("dropped_mass",)``, the part
    of the softmax that was averaged. It pays where predictions are peaked; at the start of a training nearly every row is
    multiplied whole.
    With create_graph=True, `torch.func`, compilers, other tensors than strided ones on the CPU or a CUDA device, or a head of
    more dimensions, it is `crossent.torch.cross_entropy` of `torch.nn.functional.linear`, which has every kind of derivative, no
    budget and no filter.
    With `process_group` every rank has to call with the same rows, options and wishes for gradients.

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
    check_tensors(input, target)
    ignore_index = -100 if ignore_index is None else check_ignore_index(ignore_index)  # torch's word for it
    _check_devices(input, linear_weight, target, linear_bias, weight)
    hidden, target = _shifted(input, target, shift)
    if isinstance(target, torch.Tensor) and target.dtype in SMALL_INTEGERS:
        target = target.long()
    extras = read_extras(z_loss, softcap, temperature, returns)
    own_denominator = read_denominator(denominator, reduction, input.device)
    eps = None if grad_filter is None else read_filter(grad_filter)
    weights = read_sample_weight(sample_weight, input.shape[:-1], input.device)
    if weights is not None and shift:
        weights = weights.narrow(-1, min(shift, input.shape[-2]), hidden.shape[-2])
    if process_group is not None:
        _shards.check_group(process_group)
        _check_split(hidden.device)
        _shards.check_differentiable(weight, target)
    elif not _readable(hidden, linear_weight, target, linear_bias, weight):
        options: dict[str, Any] = {
            "reduction": reduction,
            "ignore_index": ignore_index,
            "label_smoothing": label_smoothing,
        }
        if linear_weight.dim() != 2:
            if extras.some or weights is not None or own_denominator is not None:
                message = (
                    f"`linear_weight` must have shape (C, D) with these options; got {tuple(linear_weight.shape)}."
                )
                raise ShapeError(message)
            return F.linear_cross_entropy(
                hidden, linear_weight, target, linear_bias=linear_bias, weight=weight, **options
            )
        options |= {"z_loss": z_loss, "softcap": softcap, "temperature": temperature, "returns": extras.returns}
        options |= {"sample_weight": weights, "denominator": denominator}
        return _through_logits(hidden, linear_weight, linear_bias, target, weight, options)
    loss_dtype, device = hidden.dtype, hidden.device
    if torch.is_autocast_enabled(device.type) and hidden.dtype != torch.float64:
        # what torch.nn.functional.linear does there, and its loss is float32
        dtype, loss_dtype = torch.get_autocast_dtype(device.type), torch.float32
        hidden, linear_weight = hidden.to(dtype), linear_weight.to(dtype)
        linear_bias = None if linear_bias is None else linear_bias.to(dtype)
    _check(hidden, linear_weight, target, linear_bias, weight)
    settings = Settings(1, reduction, ignore_index, check_smoothing(label_smoothing), loss_dtype)
    budget = None if memory_budget is None else check_count("memory_budget", memory_budget)
    wish = Wish(settings, extras, budget or 0, own_denominator, eps, torch.is_grad_enabled(), process_group)
    if _gpu.serves(device):
        from crossent.torch import _gpu_head, _gpu_linear  # here, as Triton takes its time to load

        wish = replace(wish, budget_bytes=budget or _gpu_head.budget_bytes(device))
        return _gpu_linear.linear_loss(hidden, linear_weight, linear_bias, target, weight, weights, wish)
    wish = replace(wish, budget_bytes=budget or memory_budget_bytes())
    return _solve(hidden, linear_weight, linear_bias, target, weight, weights, wish)


def check_shift(shift: Any) -> None:
    """Raise unless it is a count."""
    if isinstance(shift, bool) or not isinstance(shift, int) or shift < 0:
        message = f"`shift` must be an integer of at least 0; got {shift!r}."
        raise OptionError(message)


def read_filter(value: Any) -> float:
    """Return `grad_filter` as a number in (0, 1)."""
    number = check_real("grad_filter", value, "a number in (0, 1), or None for exact gradients")
    if not 0.0 < number < 1.0:
        message = f"`grad_filter` must lie in (0, 1), or be None for exact gradients; got {value!r}."
        raise OptionError(message)
    return number


def _solve(
    hidden: torch.Tensor,
    linear_weight: torch.Tensor,
    linear_bias: torch.Tensor | None,
    target: Any,
    weight: torch.Tensor | None,
    sample_weight: torch.Tensor | None,
    wish: Wish,
) -> Any:
    """Leave out the rows that do not take part, solve the others, and put everything back into its place."""
    leading, settings = hidden.shape[:-1], wish.settings
    rows = hidden.reshape(-1, hidden.shape[-1])
    if isinstance(target, TopKTargets):
        shape = torch.Size((*leading, len(linear_weight)))
        _extended.check_top_k(target, shape, replace(settings, class_axis=len(leading)), ids=wish.group is None)
        target = _extended.flat_rows(target)
        of_top_k = _extended.counted_top_k(target, settings.ignore_index)
        kept = None if of_top_k is None else torch.from_numpy(of_top_k)
    else:
        soft = target.is_floating_point()
        target = target.reshape(len(rows), len(linear_weight)) if soft else target.reshape(-1)
        kept = counted_rows(target, settings)
        if wish.group is not None and soft:  # nobody sees a whole row
            shard = _shards.shard_of(wish.group, len(linear_weight), rows.device)
            kept = _shards.counted_of(shard, target, settings.ignore_index)
    weights = None if sample_weight is None else sample_weight.reshape(-1)
    counted = None
    if kept is not None and not bool(kept.all()):
        counted = kept.nonzero().squeeze(1)
        rows, target = rows.index_select(0, counted), _extended.taken(target, counted)
        weights = None if weights is None else weights.index_select(0, counted)
    # weights that are differentiated multiply outside: the rows' losses are their gradient
    outside = is_differentiated(weights)
    single = replace(settings, reduction="none", loss_dtype=torch.float64)
    inner = replace(wish, settings=single, denominator=None) if outside else wish
    loss, *found = LinearCrossEntropy.apply(
        rows, linear_weight, linear_bias, target, weight, None if outside else weights, inner
    )
    if outside:
        denominator: Any = wish.denominator
        if denominator is None and settings.reduction == "mean":
            assert weights is not None  # they are what is differentiated
            of_rows = weights.double()
            if weight is not None and isinstance(target, torch.Tensor) and not target.is_floating_point():
                if wish.group is None:
                    of_rows = of_rows * weight.double()[target]
                else:
                    shard = _shards.shard_of(wish.group, len(weight), weight.device)
                    of_rows = of_rows * _shards.weights_of(shard, target, weight)
            denominator = exactly(of_rows, "sum", 1.0)
        loss = _extended.reduced(loss, weights, denominator, settings)
    dtype = torch.promote_types(settings.loss_dtype, torch.float32)

    def placed(of_rows: torch.Tensor) -> torch.Tensor:
        if counted is not None:
            everywhere = torch.zeros(leading.numel(), dtype=of_rows.dtype, device="cpu")
            of_rows = everywhere.index_copy(0, counted, of_rows)
        return of_rows.reshape(leading)

    numbers = {name: placed(value.to(dtype)) for name, value in zip(wish.extras.returns, found, strict=True)}
    return with_returns(placed(loss) if settings.reduction == "none" else loss, numbers, wish.extras)


def _through_logits(
    hidden: torch.Tensor,
    linear_weight: torch.Tensor,
    linear_bias: torch.Tensor | None,
    target: Any,
    weight: torch.Tensor | None,
    options: dict[str, Any],
) -> Any:
    """Return the loss of logits that are held, for what the chunks cannot do."""
    logits = F.linear(hidden, linear_weight, linear_bias)
    if logits.dim() > 2:
        logits = logits.movedim(-1, 1)
        if isinstance(target, torch.Tensor) and target.is_floating_point():
            target = target.movedim(-1, 1)
    return cross_entropy(logits, target, weight, **options)


def _shifted(hidden: torch.Tensor, target: Any, shift: int) -> tuple[torch.Tensor, Any]:
    """Return hidden states and the targets that lie `shift` further on."""
    check_shift(shift)
    if not shift:
        return hidden, target
    if hidden.dim() < 2:
        message = f"`shift` needs `input` of shape (..., tokens, D); got {tuple(hidden.shape)}."
        raise ShapeError(message)
    tokens, axis = hidden.shape[-2], hidden.dim() - 2
    left = max(tokens - shift, 0)
    if isinstance(target, TopKTargets):
        own = target.ids.shape[axis] if target.ids.ndim > axis + 1 else None
        if own != tokens:
            message = f"`target.ids` must have {tokens} tokens on axis {axis} to be shifted; got {target.ids.shape}."
            raise ShapeError(message)
        return hidden.narrow(-2, 0, left), _extended.taken(
            target, (*[slice(None)] * axis, slice(min(shift, tokens), None))
        )
    if target.dim() <= axis or target.shape[axis] != tokens:
        message = f"`target` must have {tokens} tokens on axis {axis}, as `input` has, to be shifted; got {tuple(target.shape)}."
        raise ShapeError(message)
    return hidden.narrow(-2, 0, left), target.narrow(axis, min(shift, tokens), left)


def _readable(
    hidden: torch.Tensor,
    linear_weight: torch.Tensor,
    target: Any,
    linear_bias: torch.Tensor | None,
    weight: torch.Tensor | None,
) -> bool:
    """Say whether the chunks can do it: strided tensors on the CPU or a GPU, a head of two dimensions, one backward at most."""
    if is_traced() or torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0:
        return False
    if linear_weight.dim() != 2 or not (hidden.numel() and linear_weight.numel()):
        return False
    top_k = isinstance(target, TopKTargets)
    if is_differentiated(weight) or (not top_k and is_differentiated(target)):
        return False
    tensors = (hidden, linear_weight, None if top_k else target, linear_bias, weight)
    kind = hidden.device.type if _gpu.serves(hidden.device) else "cpu"
    return all(is_plain(tensor, kind) for tensor in tensors if tensor is not None)


def _check_devices(
    hidden: torch.Tensor,
    linear_weight: torch.Tensor,
    target: Any,
    linear_bias: torch.Tensor | None,
    weight: torch.Tensor | None,
) -> None:
    named = {"linear_weight": linear_weight, "target": target, "linear_bias": linear_bias, "weight": weight}
    for name, tensor in named.items():
        if isinstance(tensor, torch.Tensor) and tensor.device != hidden.device:
            message = f"`{name}` must be on `input`'s device, {hidden.device}; got {tensor.device}."
            raise DtypeError(message)


def _check_split(device: torch.device) -> None:
    if device.type != "cpu" and not _gpu.serves(device):
        message = (
            f"`process_group` needs tensors on the CPU, or on a CUDA device where Triton is installed; got {device}."
        )
        raise OptionError(message)


def _check(
    hidden: torch.Tensor,
    linear_weight: torch.Tensor,
    target: Any,
    linear_bias: torch.Tensor | None,
    weight: torch.Tensor | None,
) -> None:
    if linear_weight.dim() != 2:
        message = f"`linear_weight` must have shape (C, D); got {tuple(linear_weight.shape)}."
        raise ShapeError(message)
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
    if isinstance(target, torch.Tensor):
        _check_target(target, tuple(hidden.shape[:-1]), classes)
    for name, vector in (("linear_bias", linear_bias), ("weight", weight)):
        if vector is not None and tuple(vector.shape) != (classes,):
            message = f"`{name}` must have shape ({classes},), one for each class; got {tuple(vector.shape)}."
            raise ShapeError(message)
    if linear_bias is not None and linear_bias.dtype != hidden.dtype:
        message = f"`input` and `linear_bias` must have one dtype; got {hidden.dtype} and {linear_bias.dtype}."
        raise DtypeError(message)


def _check_target(target: torch.Tensor, rows: tuple[int, ...], classes: int) -> None:
    wanted = (*rows, classes) if target.is_floating_point() else rows
    if tuple(target.shape) != wanted:
        what = "distributions" if target.is_floating_point() else "class ids"
        message = f"`target` must have shape {wanted} for {what}, to match `input`; got {tuple(target.shape)}."
        raise ShapeError(message)
    if target.dtype == torch.bool or target.is_complex():
        message = f"`target` must be integer class ids or floating-point distributions; got {target.dtype}."
        raise DtypeError(message)
