"""What ranks that share a vocabulary know of each other, and what has to hold before anything is sent."""

from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist

from crossent.arrays.targets import TopKTargets
from crossent.errors import DtypeError, OptionError, ShapeError
from crossent.torch._arguments import FLOATS, is_differentiated


@dataclass(frozen=True, slots=True)
class Shard:
    """This rank's part of the classes; what others tell stays on the device, so that nobody waits for it."""

    group: Any
    sizes: torch.Tensor  # (ranks,) int64: the classes of every rank, 0 as long as it has not told

    @property
    def rank(self) -> int:
        """Return this rank's place in the group."""
        return int(dist.get_rank(self.group))

    @property
    def classes(self) -> torch.Tensor:
        """Return how many classes there are on all ranks."""
        return self.sizes.sum()

    @property
    def offset(self) -> torch.Tensor:
        """Return the first class of this rank."""
        return self.sizes[: self.rank].sum()

    def reduced(self, tensor: torch.Tensor, operation: Any) -> torch.Tensor:
        """Return what all ranks hold together."""
        dist.all_reduce(tensor, operation, group=self.group)
        return tensor

    def summed(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return the sum over all ranks."""
        return self.reduced(tensor.contiguous(), dist.ReduceOp.SUM)


def count_of(group: Any) -> int:
    """Return how many ranks there are."""
    return int(dist.get_world_size(group))


def shard_of(group: Any, classes: int, device: torch.device) -> Shard:
    """Return a shard that does not know of the others yet."""
    sizes = torch.zeros(count_of(group), dtype=torch.int64, device=device)
    sizes[dist.get_rank(group)] = classes
    return Shard(group, sizes)


def told(shard: Shard) -> Shard:
    """Return the shard with everybody's sizes."""
    return Shard(shard.group, shard.reduced(shard.sizes.clone(), dist.ReduceOp.MAX))


def agreed(shard: Shard, own: int) -> int:
    """Return the least of everybody's numbers; waits for it."""
    least = torch.full((), -own, dtype=torch.int64, device=shard.sizes.device)
    return -int(shard.reduced(least, dist.ReduceOp.MAX))


def weights_of(shard: Shard, ids: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return, float64, the class weights of ids among all classes."""
    own = ids.long() - told(shard).offset
    padded = torch.nn.functional.pad(weight.detach().double(), (0, 1))  # the last is what lies on other ranks
    inside = (own >= 0) & (own < len(weight))
    return shard.summed(padded[torch.where(inside, own, len(weight))])


def counted_of(shard: Shard, target: torch.Tensor, ignore_index: int) -> torch.Tensor:
    """Return which rows of distributions (rows, classes here) take part: not those that are one-hot of `ignore_index`."""
    sums = torch.stack([at_ignored(target, ignore_index - told(shard).offset), (target != 0.0).sum(1).double()])
    return ~(shard.summed(sums) == 1.0).all(0)


def at_ignored(plain: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    """Return 1.0 where targets are 1 at a class that this rank may have, 0.0 elsewhere."""
    here = torch.arange(plain.shape[1], device=plain.device) == own
    return ((plain == 1.0) & here).any(1).double()


def check_group(group: Any) -> None:
    """Raise unless it is a process group."""
    if not (dist.is_available() and isinstance(group, dist.ProcessGroup)):
        message = f"`process_group` must be a group of torch.distributed; got {type(group).__name__}."
        raise OptionError(message)


def check(
    logits: torch.Tensor, target: Any, weight: torch.Tensor | None, shape: torch.Size, axis: int, group: Any
) -> None:
    """Raise unless the tensors fit each other; before anything is sent, or the other ranks would wait forever."""
    check_group(group)
    if logits.dtype not in FLOATS or not logits.dim():
        message = f"`input` must be float16, bfloat16, float32 or float64, with a class axis; got {logits.dtype}."
        raise DtypeError(message)
    check_differentiable(weight, target)
    for name, tensor in (("target", target), ("weight", weight)):
        if not isinstance(tensor, torch.Tensor):
            continue
        if tensor.device != logits.device:
            message = f"`{name}` must be on `input`'s device, {logits.device}; got {tensor.device}."
            raise DtypeError(message)
        if tensor.is_complex() or tensor.dtype == torch.bool or (name == "weight" and tensor.dtype not in FLOATS):
            kinds = "integers or floating point" if name == "target" else "floating point"
            message = f"`{name}` must be {kinds}; got {tensor.dtype}."
            raise DtypeError(message)
    if isinstance(target, TopKTargets):
        own, wanted, what = target.ids.shape[:-1], tuple(shape), "top-k targets without their last axis"
    elif target.is_floating_point():
        own, wanted, what = tuple(target.shape), tuple(logits.shape), "distributions over this rank's classes"
    else:
        own, wanted, what = tuple(target.shape), tuple(shape), "class ids"
    if tuple(own) != wanted:
        message = f"`target` must have shape {wanted} for {what}, to match `input`; got {tuple(own)}."
        raise ShapeError(message)
    classes = logits.shape[axis]
    if weight is not None and tuple(weight.shape) != (classes,):
        message = f"`weight` must have shape ({classes},), one for each class of this rank; got {tuple(weight.shape)}."
        raise ShapeError(message)


def check_differentiable(weight: torch.Tensor | None, target: Any) -> None:
    """Raise where a derivative is wanted that ranks do not exchange."""
    if torch._C._are_functorch_transforms_active():
        message = "`process_group` does not go with torch.func."
        raise OptionError(message)
    for name, tensor in (("weight", weight), ("target", None if isinstance(target, TopKTargets) else target)):
        if is_differentiated(tensor):
            message = f"`{name}` cannot be differentiated with `process_group`: pass {name}.detach()."
            raise OptionError(message)
