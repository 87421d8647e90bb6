"""A linear head on the GPU: its tensors, its targets, how many rows of its logits are held, and what its mean divides by."""

from dataclasses import dataclass
from typing import cast

import torch

from crossent._kernels.gpu.problem import CLASS_IDS, DISTRIBUTIONS, TOP_K, Problem
from crossent.arrays.targets import TopKTargets
from crossent.torch import _gpu, _rows, _shards
from crossent.torch._linear import Wish

# Logits, unless the caller says otherwise: six chunks of the head above. Less on small devices, 1/64 of their memory.
_MOST_BYTES, _OF_MEMORY = 704 * 2**20, 64
# Rows of a chunk and strides of logits are multiples of these where that costs nothing: products of matrices go by such tiles,
# and leave their fast paths where a row does not begin at 16 bytes.
_TILE_ROWS, _ALIGNED = 128, 64
# Entries of distributions that are looked at together.
_SEEN = 2**25
# The part of the budget that the filter's sums of tiles take: of halves 8 bytes for 128 entries, and twice 8 for 64.
_FOR_TILES = 6


def budget_bytes(device: torch.device) -> int:
    """Return how many bytes of logits are held unless the caller says."""
    if device.type != "cuda":
        return _MOST_BYTES
    return min(_MOST_BYTES, int(torch.cuda.get_device_properties(device).total_memory) // _OF_MEMORY)


@dataclass(frozen=True, slots=True)
class Targets:
    """Targets of rows, on the device."""

    kind: int
    ids: torch.Tensor | None  # (rows,) or (rows, k)
    probs: torch.Tensor | None  # (rows, classes) or (rows, k)
    top_k: TopKTargets | None = None  # of all rows, as they came

    def rows(self, these: slice) -> "Targets":
        """Return those of some rows."""
        ids, probs = (None if tensor is None else tensor[these] for tensor in (self.ids, self.probs))
        return Targets(self.kind, ids, probs, self.top_k)

    def counted(self, settings: _rows.Settings, shard: _shards.Shard | None) -> torch.Tensor | None:
        """Return which rows take part, or None for all; `shard` where distributions are split over ranks."""
        if self.kind == CLASS_IDS:
            return _rows.counted_rows(self.ids, settings)
        assert self.probs is not None  # as the kind says
        if self.kind == TOP_K:
            certain = ((self.ids == settings.ignore_index) & (self.probs == 1.0)).any(1)
            return ~(certain & ((self.probs != 0.0).sum(1) == 1))
        if shard is None and not 0 <= settings.ignore_index < self.probs.shape[1]:
            return None
        some = self.probs.split(max(1, _SEEN // max(1, self.probs.shape[1])))
        if shard is None:
            return torch.cat([cast("torch.Tensor", _rows.counted_rows(rows, settings)) for rows in some])
        return torch.cat([_shards.counted_of(shard, rows, settings.ignore_index) for rows in some])


@dataclass(frozen=True, slots=True)
class Head:
    """What a linear head is given."""

    hidden: torch.Tensor  # (rows, features)
    linear_weight: torch.Tensor  # (classes, features)
    linear_bias: torch.Tensor | None  # (classes,)
    targets: Targets
    counted: torch.Tensor | None  # (rows,) which rows take part; None for all
    weight: torch.Tensor | None  # (classes,)
    wish: Wish

    @property
    def shard(self) -> _shards.Shard:
        """Return this rank's part of the classes."""
        return _shards.shard_of(self.wish.group, len(self.linear_weight), self.hidden.device)

    def logits_room(self) -> torch.Tensor:
        """Return memory for the logits of as many rows as the budget holds, in chunks of about one size."""
        rows, classes = len(self.hidden), len(self.linear_weight)
        stride = -(-classes // _ALIGNED) * _ALIGNED
        held = self.wish.budget_bytes
        if self.wish.grad_filter is not None:
            held -= held // _FOR_TILES
        most = max(1, min(held // max(1, stride * self.hidden.dtype.itemsize), rows))
        even = -(-rows // max(1, -(-rows // most)))
        whole_tiles = -(-even // _TILE_ROWS) * _TILE_ROWS
        step = max(1, whole_tiles if whole_tiles <= most else even)
        if self.wish.group is not None:  # every rank takes as many rows at a time as the one with the most classes
            step = _shards.agreed(self.shard, step)
        return torch.empty(step, stride, dtype=self.hidden.dtype, device=self.hidden.device)[:, :classes]

    def problem(self, logits: torch.Tensor, these: slice) -> Problem:
        """Return what the row kernel is asked for some rows."""
        targets, settings, extras = self.targets.rows(these), self.wish.settings, self.wish.extras
        return Problem(
            logits,
            1,
            targets.kind,
            targets.ids,
            targets.probs,
            uniform_rest=targets.top_k is not None and targets.top_k.rest == "uniform",
            class_weight=self.weight,
            ignore_index=settings.ignore_index,
            label_smoothing=settings.label_smoothing,
            softcap=extras.softcap,
            temperature=extras.temperature,
            z_loss=extras.z_loss,
        )


def head_of(
    hidden: torch.Tensor,
    linear_weight: torch.Tensor,
    linear_bias: torch.Tensor | None,
    ids: torch.Tensor | None,
    probs: torch.Tensor | None,
    weight: torch.Tensor | None,
    top_k: TopKTargets | None,
    wish: Wish,
) -> Head:
    """Return a head of tensors as autograd keeps them."""
    kind = DISTRIBUTIONS if ids is None else CLASS_IDS if probs is None else TOP_K
    targets = Targets(kind, ids, probs, top_k)
    shard = None if wish.group is None else _shards.shard_of(wish.group, len(linear_weight), hidden.device)
    return Head(hidden, linear_weight, linear_bias, targets, targets.counted(wish.settings, shard), weight, wish)


def denominator_of(head: Head, sample_weight: torch.Tensor | None) -> torch.Tensor:
    """Return what a mean divides by, () float64."""
    device, given = head.hidden.device, head.wish.denominator
    if given is not None:
        if isinstance(given, torch.Tensor):
            return given.to(device, torch.float64, non_blocking=True)
        return torch.full((), given, dtype=torch.float64, device=device)
    return _gpu.total(row_weights(head, sample_weight))


def row_weights(head: Head, sample_weight: torch.Tensor | None) -> torch.Tensor:
    """Return what each row adds to what a mean divides by, (rows,) float64."""
    weights = torch.ones(len(head.hidden), dtype=torch.float64, device=head.hidden.device)
    if head.weight is not None and head.targets.kind == CLASS_IDS:
        ids = head.targets.ids
        assert ids is not None  # as the kind says
        if head.wish.group is not None:
            weights = _shards.weights_of(head.shard, ids, head.weight)
        else:
            weights = head.weight.double().index_select(0, ids.clamp(0, len(head.weight) - 1))
    if sample_weight is not None:
        weights = weights * sample_weight.double()
    return weights if head.counted is None else torch.where(head.counted, weights, 0.0)
