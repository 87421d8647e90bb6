"""The head of ranks.py on the GPU's route, interpreted: ``python -m tests.torch.gpu_ranks RANK WORLD STORE``."""

import datetime
import os
import sys
import warnings
from typing import Any

import torch
import torch.distributed as dist

from crossent.torch import _gpu, linear_cross_entropy
from tests.torch import ranks


def check(group: Any) -> int:
    """Compare a head split over ranks, on the GPU's route, with the CPU's whole head; return how many."""
    own = ranks.shards(dist.get_world_size(group))[dist.get_rank(group)]
    generator = torch.Generator().manual_seed(0)
    places: list[Any] = [slice(None), own, own]
    problems = [problem for i, problem in enumerate(ranks.problems(3)) if (i + i // 6) % 3 == 0]  # some of each
    for target, options in problems:
        if isinstance(target, torch.Tensor) and target.is_floating_point():
            target = target.double()
        options = {name: v.double() if isinstance(v, torch.Tensor) else v for name, v in options.items()}
        part, mine = ranks.parts_of(target, options, own)
        shapes = (12, 5), (ranks.CLASSES, 5), (ranks.CLASSES,)
        whole = [torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_() for shape in shapes]
        leaves = [t.detach()[place].clone().requires_grad_() for t, place in zip(whole, places, strict=True)]
        expected = linear_cross_entropy(*whole[:2], target, linear_bias=whole[2], **options)
        _gpu.DEVICES = frozenset({"cpu"})
        budget = 5 * 64 * 8
        found = linear_cross_entropy(
            *leaves[:2], part, linear_bias=leaves[2], memory_budget=budget, process_group=group, **mine
        )
        _gpu.DEVICES = frozenset({"cuda"})
        ranks.compare(found, expected, leaves, whole, places)
    _gpu.DEVICES = frozenset({"cpu"})
    ranks.check_filter(group)
    return len(problems)


def main(rank: int, world: int, store: str) -> None:
    """Be one of the processes."""
    warnings.simplefilter("error")
    torch.set_num_threads(1)
    files = dist.FileStore(store, world)
    dist.init_process_group("gloo", store=files, rank=rank, world_size=world, timeout=datetime.timedelta(seconds=60))
    count = check(dist.group.WORLD)
    dist.barrier()
    dist.destroy_process_group()
    sys.stdout.write(f"{count} problems agree\n")
    sys.stdout.flush()
    os._exit(0)  # as in ranks.py


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
