"""The linear head on the GPU, chunk by chunk: a product gives the logits of some rows, the row kernel turns them into their gradient
where they lie, two more take it on. Nobody waits for the device.

6 N D V operations, by torch's own products. A chunk is as many rows as the budget holds: the fewer chunks, the less the
weight's gradient, which every chunk is added to, is read and written. At N = 8192, D = 2304, V = 256000 in bfloat16, beyond
inputs and their gradients: 0.72 GB for the logits of 1408 rows, 1.18 GB for the sums of the weight's gradient (_gpu_sums.py).
To make each class's gradient at once, without sums over chunks, would take the logits a second time, a third more operations.
"""

from dataclasses import replace
from typing import Any

import torch

from crossent._kernels.gpu.problem import Numbers, Upstream
from crossent._kernels.gpu.tile_products import Kept, times
from crossent.arrays.targets import TopKTargets
from crossent.torch import _extended, _gpu, _shards, _tiles, tensor_parallel
from crossent.torch._arguments import is_batched, is_differentiated
from crossent.torch._extras import DIFFERENTIABLE, with_returns
from crossent.torch._gpu_autograd import inverse_of
from crossent.torch._gpu_filter import TileFilter, sizes_of
from crossent.torch._gpu_head import Head, denominator_of, head_of, row_weights
from crossent.torch._gpu_rows import upstream_of_losses
from crossent.torch._gpu_sums import Sums, wide_dtype
from crossent.torch._linear import Wish, composed
from crossent.torch._total import exactly


class Gradients:
    """The gradients that are wanted of hidden states, weight and bias, while rows are added."""

    def __init__(self, head: Head, wanted: tuple[bool, bool, bool]) -> None:
        hidden, weight = head.hidden, head.linear_weight
        wide = wide_dtype(hidden.dtype)
        self.hidden = torch.empty_like(hidden, memory_format=torch.contiguous_format) if wanted[0] else None
        self.linear_weight = Sums(weight) if wanted[1] else None
        self.linear_bias = torch.zeros(len(weight), dtype=wide, device=weight.device) if wanted[2] else None

    def add(self, head: Head, these: slice, of_logits: torch.Tensor, kept: Kept | None) -> None:
        """Take the gradient of some rows' logits, or some tiles of it, to hidden states and weight, and all of it to the bias."""
        if self.hidden is not None:
            if kept is None:
                torch.mm(of_logits, head.linear_weight, out=self.hidden[these])
            else:
                times(of_logits, kept, head.linear_weight, self.hidden[these])
        if self.linear_weight is not None:
            hidden = head.hidden[these]
            if head.counted is not None:  # 0 times what an ignored row holds need not be 0
                hidden = torch.where(head.counted[these, None], hidden, 0.0)
            if kept is None:
                self.linear_weight.add(of_logits, hidden)
            else:
                self.linear_weight.add_tiles(of_logits, kept, hidden)
        if self.linear_bias is not None:
            self.linear_bias += of_logits.sum(0, dtype=self.linear_bias.dtype)

    def finish(self, scale: torch.Tensor | None, dtype: torch.dtype) -> list[torch.Tensor | None]:
        """Return the gradients times a scale, () on the device."""
        hidden, bias = self.hidden, self.linear_bias
        if scale is not None and hidden is not None:
            _gpu.scale(hidden, scale)
        if bias is not None:
            bias = (bias if scale is None else bias * scale).to(dtype)
        return [hidden, None if self.linear_weight is None else self.linear_weight.finish(scale), bias]


def solve(
    head: Head, names: tuple[str, ...], wanted: tuple[bool, bool, bool], upstream: Upstream | None
) -> tuple[dict[str, torch.Tensor], Gradients]:
    """Return numbers of each row, (rows,) float64, and the gradients of what `upstream` says."""
    rows, classes, device = len(head.hidden), len(head.linear_weight), head.hidden.device
    room, group = head.logits_room(), head.wish.group
    numbers = {name: torch.zeros(rows, dtype=torch.float64, device=device) for name in names}
    made = Gradients(head, wanted)
    filtering = None
    if head.wish.grad_filter is not None and classes and (any(wanted) or "dropped_mass" in names):
        ranks = 1 if group is None else _shards.count_of(group)
        filtering = TileFilter(head.wish.grad_filter, rows, classes, device, ranks)
    for start in range(0, rows, len(room)):
        these = slice(start, min(start + len(room), rows))
        hidden, logits = head.hidden[these], room[: these.stop - start]
        if head.linear_bias is None:
            torch.mm(hidden, head.linear_weight.t(), out=logits)
        else:
            torch.addmm(head.linear_bias, hidden, head.linear_weight.t(), out=logits)
        own = {name: of_rows[these] for name, of_rows in numbers.items() if name != "dropped_mass"}
        up = None if upstream is None else _rows_of(upstream, these)
        out = logits if any(wanted) or filtering is not None else None
        solve_rows = _solve_rows if group is None else _solve_rows_of_ranks
        sizes = solve_rows(head, these, logits, own, up, out, with_sizes=filtering is not None)
        kept = None if filtering is None else filtering.take(logits, these, sizes)
        if any(wanted):
            made.add(head, these, logits, kept)
    if filtering is not None:
        if "dropped_mass" in names:
            numbers["dropped_mass"] = filtering.dropped
        filtering.finish(made, head.hidden, head.linear_weight)
    if group is not None:
        if made.hidden is not None:  # every rank has the part that comes through its own classes
            made.hidden.copy_(head.shard.summed(made.hidden.to(wide_dtype(made.hidden.dtype))))
        if "dropped_mass" in numbers:
            numbers["dropped_mass"] = head.shard.summed(numbers["dropped_mass"])
    return numbers, made


def _solve_rows(
    head: Head,
    these: slice,
    logits: torch.Tensor,
    numbers: dict[str, torch.Tensor],
    upstream: Upstream | None,
    out: torch.Tensor | None,
    *,
    with_sizes: bool,
) -> torch.Tensor | None:
    """Fill in the numbers of some rows and, in `out`, their gradient; return what each row's softmax is multiplied by in it."""
    problem = head.problem(logits, these)
    if with_sizes and problem.z_loss and "lse" not in numbers:
        numbers["lse"] = torch.empty(len(logits), dtype=torch.float64, device=logits.device)
    _gpu.solve(problem, Numbers(**numbers), upstream, out)
    if not with_sizes:
        return None
    assert upstream is not None  # it is given wherever a filter is
    return sizes_of(problem, upstream, numbers.get("lse"), None if head.counted is None else head.counted[these])


def _solve_rows_of_ranks(
    head: Head,
    these: slice,
    logits: torch.Tensor,
    numbers: dict[str, torch.Tensor],
    upstream: Upstream | None,
    out: torch.Tensor | None,
    *,
    with_sizes: bool,
) -> torch.Tensor | None:
    """Do the same for classes that are split over ranks, by torch's operations."""
    targets = head.targets.rows(these)
    target = targets.probs if targets.ids is None else targets.ids
    if targets.top_k is not None:
        target = _extended.taken(targets.top_k, these)
    rows = tensor_parallel.Rows(logits, target, head.weight, head.wish.settings, head.wish.extras)
    found, shard, whole = tensor_parallel.solve(rows, head.shard)
    for name, of_rows in numbers.items():
        of_rows.copy_(found[name])
    if upstream is None or out is None:
        return None
    of_loss = upstream_of_losses(upstream, len(logits), logits.device)
    own = _tiles.Upstream(of_loss, *(getattr(upstream, name) for name in DIFFERENTIABLE))
    tensor_parallel.fill(rows, shard, whole, own, out)
    return tensor_parallel.scale_of(rows, whole, own) if with_sizes else None


def _rows_of(upstream: Upstream, these: slice) -> Upstream:
    names = ("loss", "lse", "entropy", "target_logit")
    own = {name: None if getattr(upstream, name) is None else getattr(upstream, name)[these] for name in names}
    return Upstream(factor=upstream.factor, **own)


class GpuLinearCrossEntropy(torch.autograd.Function):
    """The reduced loss of a head, then the numbers of each row; gradients are made with the loss where it is a scalar."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        linear_weight: torch.Tensor,
        linear_bias: torch.Tensor | None,
        ids: torch.Tensor | None,
        probs: torch.Tensor | None,
        weight: torch.Tensor | None,
        sample_weight: torch.Tensor | None,
        target: TopKTargets | None,
        wish: Wish,
    ) -> tuple[torch.Tensor, ...]:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(hidden, linear_weight, linear_bias, ids, probs, weight, sample_weight)
        ctx.wish, ctx.top_k, ctx.made, ctx.names = wish, target, None, wish.extras.returns
        settings, scalar = wish.settings, wish.settings.reduction != "none"
        head = head_of(hidden, linear_weight, linear_bias, ids, probs, weight, target, wish)
        ctx.own = None if sample_weight is None else sample_weight.double()
        denominator = denominator_of(head, ctx.own) if settings.reduction == "mean" else None
        one = torch.ones((), dtype=torch.float64, device=hidden.device)
        ctx.inverse = one if denominator is None else inverse_of(denominator, hidden.device)
        # numbers that are differentiated bring upstream gradients of their own: then all is made in backward
        wanted = (False, False, False)
        if wish.with_gradients and scalar and not any(name in DIFFERENTIABLE for name in ctx.names):
            wanted = tuple(ctx.needs_input_grad[:3])
        # float16 is divided where the upstream gradient is known: a scaled loss is to keep it from vanishing
        ctx.later = ctx.inverse if hidden.dtype == torch.float16 else None
        upstream = None
        if any(wanted) or wish.grad_filter is not None:
            upstream = Upstream(loss=ctx.own, factor=one if ctx.later is not None else ctx.inverse)
        numbers, made = solve(head, ("loss", *ctx.names), wanted, upstream)
        ctx.made = made if any(wanted) else None
        losses = numbers["loss"] if ctx.own is None else _extended.weighted(numbers["loss"], ctx.own)
        if scalar:
            losses = _gpu.total(losses, 1.0 if denominator is None else denominator, settings.loss_dtype)
        ctx.mark_non_differentiable(*(numbers[name] for name in ctx.names if name not in DIFFERENTIABLE))
        return losses.to(settings.loss_dtype), *(numbers[name] for name in ctx.names)

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor | None, *of_numbers: torch.Tensor | None) -> tuple[Any, ...]:
        hidden, linear_weight, linear_bias, ids, probs, weight, sample_weight = ctx.saved_tensors
        made, ctx.made = ctx.made, None  # handed on as they are: a second backward makes them anew
        given = {name: of_row for name, of_row in zip(ctx.names, of_numbers, strict=True) if of_row is not None}
        if torch.is_grad_enabled() or any(map(is_batched, (upstream, *given.values()))):
            tensors = (hidden, linear_weight, linear_bias)
            target = ctx.top_k if ctx.top_k is not None else probs if ids is None else ids
            return (*composed(tensors, target, weight, sample_weight, ctx, upstream, given), *(None,) * 6)
        upstream = hidden.new_zeros((), dtype=torch.float64) if upstream is None else upstream.double()
        if made is not None:
            scale = upstream if ctx.later is None else upstream * ctx.later
            return (*made.finish(scale, hidden.dtype), *(None,) * 6)
        factor, of_loss = ctx.inverse, ctx.own
        if upstream.dim():
            of_loss = upstream if of_loss is None else upstream * of_loss
        else:
            factor = factor * upstream
        of_others = {name: of_row.double().contiguous() for name, of_row in given.items()}
        own = Upstream(None if of_loss is None else of_loss.contiguous(), factor, **of_others)
        head = head_of(hidden, linear_weight, linear_bias, ids, probs, weight, ctx.top_k, ctx.wish)
        made = solve(head, (), tuple(ctx.needs_input_grad[:3]), own)[1]
        return (*made.finish(None, hidden.dtype), *(None,) * 6)


def linear_loss(
    hidden: torch.Tensor,
    linear_weight: torch.Tensor,
    linear_bias: torch.Tensor | None,
    target: torch.Tensor | TopKTargets,
    weight: torch.Tensor | None,
    sample_weight: torch.Tensor | None,
    wish: Wish,
) -> Any:
    """Return the loss of checked tensors of one device."""
    leading, device, settings = hidden.shape[:-1], hidden.device, wish.settings
    rows = hidden.reshape(-1, hidden.shape[-1])
    ids = probs = top_k = None
    if isinstance(target, TopKTargets):
        shape = torch.Size((*leading, len(linear_weight)))
        _extended.check_top_k(target, shape, replace(settings, class_axis=len(leading)), ids=wish.group is None)
        top_k = _extended.flat_rows(target)
        ids, probs = _gpu.moved(top_k.ids.astype("int64"), device), _gpu.moved(top_k.probs, device)
    elif target.is_floating_point():
        probs = target.detach().reshape(len(rows), len(linear_weight))
    else:
        ids = target.reshape(-1).contiguous()
    weights = None if sample_weight is None else sample_weight.reshape(-1)
    weight = None if weight is None else weight.detach().contiguous()
    # weights that are differentiated multiply outside: the rows' losses are their gradient
    outside = is_differentiated(weights)
    single = replace(settings, reduction="none", loss_dtype=torch.float64)
    inner = replace(wish, settings=single, denominator=None) if outside else wish
    loss, *found = GpuLinearCrossEntropy.apply(
        rows, linear_weight, linear_bias, ids, probs, weight, None if outside else weights, top_k, inner
    )
    if outside:
        denominator: Any = wish.denominator
        if denominator is None and settings.reduction == "mean":
            head = head_of(rows, linear_weight, None, ids, probs, weight, top_k, wish)
            denominator = exactly(row_weights(head, weights), "sum", 1.0)
        loss = _extended.reduced(loss, weights, denominator, settings)
    dtype = torch.promote_types(settings.loss_dtype, torch.float32)
    numbers = {name: value.to(dtype).reshape(leading) for name, value in zip(wish.extras.returns, found, strict=True)}
    return with_returns(loss.reshape(leading) if settings.reduction == "none" else loss, numbers, wish.extras)
