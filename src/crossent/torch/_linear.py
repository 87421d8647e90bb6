"""The linear head, chunk by chunk: a matrix product gives the logits of some rows, the row kernel turns them into their
gradient where they lie, two more products take it on. Never more logits than the budget holds.

6 N D V operations, as torch's `linear` with its loss, by torch's own products in the dtype of the tensors: float16 and
bfloat16 have instructions of their own on many processors (in float32 a bfloat16 head took 1.64 s, torch's 0.76). What a
chunk adds to the gradients of weight and bias is added in float32, or in float64.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  # as everybody who reads this writes it

from crossent.arrays.exact_sum import ExactSum
from crossent.arrays.targets import TopKTargets
from crossent.torch import _extended, _room, _rows, _shards, tensor_parallel
from crossent.torch._arguments import is_batched
from crossent.torch._extras import DIFFERENTIABLE, Extras
from crossent.torch._filter import Filter
from crossent.torch._rows import Settings
from crossent.torch._tiles import TILE_BYTES, Upstream
from crossent.torch.softmax_cross_entropy import cross_entropy

# Halves are added to float32 sums a part of the classes at a time: their products lie in a quarter of the budget. So do the
# entries that the filter keeps; the rows that it sends back lie in an eighth.
_PARTS, _ASIDE = 4, 8
# What a kept entry takes: its row, class and value, and as much again where they are sorted.
_ENTRY_BYTES = 48


@dataclass(frozen=True, slots=True)
class Wish:
    """What a head is asked for besides its tensors."""

    settings: Settings
    extras: Extras
    budget_bytes: int
    denominator: float | None  # the caller's own
    grad_filter: float | None
    with_gradients: bool  # whether gradients may be asked for at all
    group: Any = None  # the ranks that the classes are split over


@dataclass(slots=True)
class Head:
    """What a linear head is given: rows that take part, and no others."""

    hidden: torch.Tensor  # (rows, features)
    linear_weight: torch.Tensor  # (classes, features)
    linear_bias: torch.Tensor | None  # (classes,)
    target: Any  # (rows,) class ids, (rows, classes) distributions, or top-k targets
    weight: torch.Tensor | None  # (classes,)
    wish: Wish

    @property
    def sums(self) -> torch.dtype:
        """Return the dtype that chunks are added in."""
        return torch.float64 if self.hidden.dtype == torch.float64 else torch.float32

    @property
    def shard(self) -> _shards.Shard:
        """Return this rank's part of the classes."""
        return _shards.shard_of(self.wish.group, len(self.linear_weight), self.hidden.device)

    @property
    def plain(self) -> bool:
        """Say whether the kernels make losses and gradients without help."""
        if self.wish.extras.some or isinstance(self.target, TopKTargets) or self.wish.group is not None:
            return False
        if self.wish.grad_filter is None:
            return True
        # the filter has to know what each row's softmax is multiplied by
        weighted = self.weight is not None or self.wish.settings.label_smoothing > 0.0
        return not (weighted or self.target.is_floating_point())

    def rows_at_once(self) -> int:
        """Return how many rows of logits the budget holds, next to what else lies there while they do."""
        budget = self.wish.budget_bytes
        held = budget if self.hidden.dtype == self.sums else budget - budget // _PARTS
        if not self.plain:
            held -= TILE_BYTES
        if (
            self.wish.grad_filter is not None
        ):  # rows set aside, lists of large entries, and a chunk's own lists, an eighth of it
            held = (held - budget // _ASIDE - budget // _PARTS) * 8 // 9
        row_bytes: int = max(1, len(self.linear_weight) * self.hidden.dtype.itemsize)
        most = max(1, min(held // row_bytes, len(self.hidden)))
        # chunks of one size: a product of the few rows that are left would read the whole weight for them
        chunks = max(1, -(-len(self.hidden) // most))
        return max(1, -(-len(self.hidden) // chunks))

    def rows_aside(self) -> int:
        """Return how many rows that the filter sends back to whole products wait for each other."""
        row_bytes: int = max(1, len(self.linear_weight) * self.hidden.dtype.itemsize)
        return max(1, min(self.wish.budget_bytes // _ASIDE // row_bytes, len(self.hidden)))

    def parts(self) -> list[slice]:
        """Return the classes whose products are converted and added together."""
        classes, features = self.linear_weight.shape
        step = max(1, self.wish.budget_bytes // _PARTS // (features * self.hidden.dtype.itemsize))
        return [slice(start, min(start + step, classes)) for start in range(0, classes, step)]

    def solve_rows(
        self, these: slice, logits: torch.Tensor, up: Upstream, out: torch.Tensor | None
    ) -> dict[str, torch.Tensor]:
        """Return the numbers of a chunk's rows, and fill `out` with the gradient of what `up` says."""
        settings, target = self.wish.settings, _extended.taken(self.target, these)
        if self.wish.group is not None:
            rows = tensor_parallel.Rows(logits, target, self.weight, settings, self.wish.extras)
            numbers, shard, whole = tensor_parallel.solve(rows, self.shard)
            if out is not None:
                tensor_parallel.fill(rows, shard, whole, up, out)
                numbers["scale"] = tensor_parallel.scale_of(rows, whole, up)
            return numbers
        if not self.plain:
            return _extended.tiled_rows(
                logits, target, self.weight, settings, self.wish.extras, None if out is None else up, out
            )
        known = _rows.as_targets(target, settings, logits.shape)
        weights = _rows.class_weights(self.weight)
        scales = None if up.loss is None else up.loss.numpy()
        problem = _rows.solve(logits, known, weights, settings, scales=scales, out=out)
        return {"loss": torch.from_numpy(problem.losses)}


@dataclass(slots=True)
class Gradients:
    """The gradients that are wanted, those of weight and bias in the dtype of sums; None for the others."""

    hidden: torch.Tensor | None
    linear_weight: torch.Tensor | None
    linear_bias: torch.Tensor | None
    begun: bool = False  # whether the weight's holds anything

    def take(self, head: Head, rows: Any, hidden: torch.Tensor, of_logits: torch.Tensor) -> None:
        """Add what the gradient of some rows' logits does to hidden states, weight and bias."""
        if self.hidden is not None and isinstance(rows, slice):
            torch.mm(of_logits, head.linear_weight, out=self.hidden[rows])
        elif self.hidden is not None:
            self.hidden[rows] = of_logits @ head.linear_weight
        if self.linear_weight is not None and hidden.dtype == head.sums:
            self.linear_weight.addmm_(of_logits.t(), hidden, beta=1.0 if self.begun else 0.0)
        elif self.linear_weight is not None:
            for part in head.parts():
                product = of_logits[:, part].t() @ hidden
                if self.begun:
                    self.linear_weight[part] += product
                else:
                    self.linear_weight[part] = product
        self.begun = True
        if self.linear_bias is not None:
            self.linear_bias += of_logits.sum(0, dtype=head.sums)


@dataclass(slots=True)
class Aside:
    """Rows that the filter does not serve, gathered: a product of a few rows reads the whole weight all the same."""

    room: torch.Tensor  # (rows, classes)
    rows: list[torch.Tensor] = field(default_factory=list)  # where they belong
    filled: int = 0

    def take(self, head: Head, made: Gradients, chosen: torch.Tensor, these: slice, of_logits: torch.Tensor) -> None:
        """Copy rows of a chunk."""
        for some in chosen.split(len(self.room)):
            if self.filled + len(some) > len(self.room):
                self.flush(head, made)
            torch.index_select(of_logits, 0, some, out=self.room[self.filled : self.filled + len(some)])
            self.filled += len(some)
            self.rows.append(some + these.start)

    def flush(self, head: Head, made: Gradients) -> None:
        """Multiply what has been gathered."""
        if self.filled:
            rows = torch.cat(self.rows)
            made.take(head, rows, head.hidden[rows], self.room[: self.filled])
            self.rows, self.filled = [], 0


def _room_of(head: Head) -> torch.Tensor:
    """Return memory for the weight's gradient, in the dtype of sums."""
    if head.linear_weight.dtype == head.sums:
        return _room.empty_like(head.linear_weight.detach())
    return torch.empty(head.linear_weight.shape, dtype=head.sums, device="cpu")


def solve(head: Head, wanted: tuple[bool, bool, bool], upstream: Upstream) -> tuple[dict[str, torch.Tensor], Gradients]:
    """Return the numbers of each row, and the gradients of what `upstream` says."""
    rows, classes, step = len(head.hidden), len(head.linear_weight), head.rows_at_once()
    if head.wish.group is not None:  # every rank takes as many rows at a time as the one with the most classes
        step = _shards.agreed(head.shard, step)
    extras, grad_filter = head.wish.extras, head.wish.grad_filter
    room = torch.empty(step, classes, dtype=head.hidden.dtype, device="cpu")
    made = Gradients(
        torch.zeros_like(head.hidden) if wanted[0] else None,
        _room_of(head) if wanted[1] else None,
        torch.zeros(classes, dtype=head.sums, device="cpu") if wanted[2] else None,
    )
    told = "dropped_mass" in extras.returns
    filtering = None
    if grad_filter is not None and classes and (any(wanted) or told):
        ranks = 1 if head.wish.group is None else _shards.count_of(head.wish.group)
        filtering = Filter(grad_filter, classes, rows, head.wish.budget_bytes // _PARTS // _ENTRY_BYTES, ranks)
    aside = None
    if filtering is not None and any(wanted):
        aside = Aside(torch.empty(head.rows_aside(), classes, dtype=head.hidden.dtype, device="cpu"))
    names = ("loss", *extras.returns)
    numbers = {name: torch.zeros(rows, dtype=torch.float64, device="cpu") for name in names}
    for start in range(0, rows, step):
        these = slice(start, min(start + step, rows))
        hidden, logits = head.hidden[these], room[: these.stop - start]
        if head.linear_bias is None:
            torch.mm(hidden, head.linear_weight.t(), out=logits)
        else:
            torch.addmm(head.linear_bias, hidden, head.linear_weight.t(), out=logits)
        up = upstream.rows(these)
        found = head.solve_rows(these, logits, up, logits if any(wanted) or filtering is not None else None)
        for name in numbers.keys() & found.keys():
            numbers[name][these] = found[name]
        whole = None
        if filtering is not None:
            assert up.loss is not None  # it is given wherever a filter is
            whole = filtering.take(logits, these, found.get("scale", up.loss))
        if not any(wanted):
            continue
        if whole is None or bool(whole.all()):
            made.take(head, these, hidden, logits)
        elif aside is not None and bool(whole.any()):
            aside.take(head, made, whole.nonzero().squeeze(1), these, logits)
        if filtering is not None and filtering.full:
            wide = (made.hidden, made.linear_weight, made.linear_bias)
            filtering.flush(head.hidden, head.linear_weight, *wide, begun=made.begun)
            made.begun = True
    if aside is not None:
        aside.flush(head, made)
    if filtering is not None:
        if told:
            numbers["dropped_mass"] = filtering.dropped
        if any(wanted):
            wide = (made.hidden, made.linear_weight, made.linear_bias)
            made.begun |= filtering.finish(head.hidden, head.linear_weight, *wide, begun=made.begun)
    if made.linear_weight is not None and not made.begun:
        made.linear_weight.zero_()
    if head.wish.group is not None:
        if made.hidden is not None:  # every rank has the part that comes through its own classes
            made.hidden.copy_(head.shard.summed(made.hidden.to(head.sums)))
        if "dropped_mass" in numbers:
            numbers["dropped_mass"] = head.shard.summed(numbers["dropped_mass"])
    return numbers, made


class LinearCrossEntropy(torch.autograd.Function):
    """The reduced loss of a head, then the numbers of each row; gradients are made with the loss where it is a scalar."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        linear_weight: torch.Tensor,
        linear_bias: torch.Tensor | None,
        target: Any,
        weight: torch.Tensor | None,
        sample_weight: torch.Tensor | None,
        wish: Wish,
    ) -> tuple[torch.Tensor, ...]:
        settings = wish.settings
        ctx.set_materialize_grads(False)
        kept = None if isinstance(target, TopKTargets) else target
        ctx.save_for_backward(hidden, linear_weight, linear_bias, kept, weight, sample_weight)
        ctx.wish, ctx.made, ctx.top_k = wish, None, target if kept is None else None
        head = Head(hidden, linear_weight, linear_bias, target, weight, wish)
        scalar = settings.reduction != "none"
        wanted = (False, False, False)
        # numbers that are differentiated bring upstream gradients of their own: then all is made in backward
        if wish.with_gradients and scalar and not any(name in DIFFERENTIABLE for name in wish.extras.returns):
            wanted = tuple(ctx.needs_input_grad[:3])
        own = None if sample_weight is None else sample_weight.double()
        denominator = _denominator(head, own) if settings.reduction == "mean" else 1.0
        ctx.inverse = _rows.inverse(denominator)
        ctx.own = torch.ones(len(hidden), dtype=torch.float64, device="cpu") if own is None else own
        # halves are divided where the upstream gradient is known: a scaled loss is to keep them from vanishing
        ctx.later = ctx.inverse if hidden.dtype != head.sums else 1.0
        numbers, made = solve(head, wanted, Upstream(ctx.own * (ctx.inverse if ctx.later == 1.0 else 1.0)))
        if any(wanted):
            ctx.made = made
        losses = numbers["loss"] if own is None else _extended.weighted(numbers["loss"], own)
        if scalar:
            total = ExactSum().add(losses.numpy())
            loss = torch.tensor(total.divided_by(denominator), dtype=settings.loss_dtype, device="cpu")
        else:
            loss = losses.to(settings.loss_dtype)
        ctx.names = wish.extras.returns
        still = [numbers[name] for name in ctx.names if name not in DIFFERENTIABLE]
        ctx.mark_non_differentiable(*still)
        return loss, *(numbers[name] for name in ctx.names)

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor | None, *of_numbers: torch.Tensor | None) -> tuple[Any, ...]:
        hidden, linear_weight, linear_bias, target, weight, sample_weight = ctx.saved_tensors
        target = ctx.top_k if target is None else target
        made, ctx.made = ctx.made, None  # handed on as they are: a second backward makes them anew
        given = {name: of_row for name, of_row in zip(ctx.names, of_numbers, strict=True) if of_row is not None}
        if torch.is_grad_enabled() or any(map(is_batched, (upstream, *given.values()))):
            tensors = (hidden, linear_weight, linear_bias)
            return (*composed(tensors, target, weight, sample_weight, ctx, upstream, given), None, None, None, None)
        scale = 1.0
        if made is not None:
            scale = 0.0 if upstream is None else float(upstream) * ctx.later
        else:
            of_loss = ctx.own * ctx.inverse * (0.0 if upstream is None else upstream.double())
            own = Upstream(of_loss, *(given.get(name) for name in DIFFERENTIABLE))
            head = Head(hidden, linear_weight, linear_bias, target, weight, ctx.wish)
            made = solve(head, tuple(ctx.needs_input_grad[:3]), own)[1]
        results = []
        for gradient, tensor in zip(
            (made.hidden, made.linear_weight, made.linear_bias), (hidden, linear_weight, linear_bias), strict=True
        ):
            if gradient is not None and scale != 1.0:
                gradient = gradient.float() * scale if gradient.dtype.itemsize == 2 else gradient.mul_(scale)
            results.append(None if gradient is None else gradient.to(tensor.dtype))
        return (*results, None, None, None, None)


def composed(
    tensors: tuple[torch.Tensor, torch.Tensor, torch.Tensor | None],
    target: Any,
    weight: torch.Tensor | None,
    sample_weight: torch.Tensor | None,
    ctx: Any,
    upstream: torch.Tensor | None,
    given: dict[str, torch.Tensor],
) -> list[torch.Tensor | None]:
    """Return the gradients that are wanted so that they can be differentiated again: through logits that are held."""
    wish: Wish = ctx.wish
    if wish.group is not None:
        message = "With `process_group` a loss can be differentiated once: backward without create_graph=True."
        raise RuntimeError(message)
    settings, extras = wish.settings, wish.extras
    with torch.enable_grad():
        found = cross_entropy(
            F.linear(*tensors),
            target,
            weight,
            reduction=settings.reduction,
            ignore_index=settings.ignore_index,
            label_smoothing=settings.label_smoothing,
            z_loss=extras.z_loss,
            softcap=extras.softcap,
            temperature=extras.temperature,
            sample_weight=sample_weight,
            denominator=wish.denominator,
            returns=extras.returns,
        )
        outputs = [] if upstream is None else [(found.loss if extras.returns else found).to(upstream.dtype)]
        outputs += [getattr(found, name).to(of_row.dtype) for name, of_row in given.items()]
        upstreams = [*([] if upstream is None else [upstream]), *given.values()]
        inputs = [t for t, needed in zip(tensors, ctx.needs_input_grad, strict=False) if needed]
        made = iter(torch.autograd.grad(outputs, inputs, upstreams, create_graph=torch.is_grad_enabled()))
    return [next(made) if needed else None for needed in ctx.needs_input_grad[:3]]


def _denominator(head: Head, sample_weight: torch.Tensor | None) -> float | ExactSum:
    """Return what a mean divides by."""
    if head.wish.denominator is not None:
        return head.wish.denominator
    by_class = head.weight is not None and not (isinstance(head.target, TopKTargets) or head.target.is_floating_point())
    if not by_class:
        rows = float(len(head.hidden))
        return rows if sample_weight is None else ExactSum().add(sample_weight.numpy())
    assert head.weight is not None  # as by_class says
    if head.wish.group is not None:
        weights = _shards.weights_of(head.shard, head.target, head.weight).numpy()
    else:
        shape = torch.Size((len(head.hidden), len(head.linear_weight)))
        weights = head.weight.double().numpy()[_rows.as_ids(head.target, head.wish.settings, shape).ids]
    return ExactSum().add(weights if sample_weight is None else weights * sample_weight.numpy())
