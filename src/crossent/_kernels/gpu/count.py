"""How many rows take part, and its inverse: what a mean of class ids divides by, before its gradient is made.

Torch's own operations for it are seven launches of a few microseconds each, as long as the loss of 65536 x 10.
"""

import torch
import triton
import triton.language as tl

from crossent._kernels.gpu._launch import launching

# A program's block of ids: 65536 rows are 16 programs.
_BLOCK = 4096


def counted(ids: torch.Tensor, ignore_index: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (n, 1 / n), () float64 each, of the class ids (rows,) that are not `ignore_index`; (0, 0) where all are."""
    room = torch.zeros(2, dtype=torch.int64, device=ids.device)
    results = torch.empty(2, dtype=torch.float64, device=ids.device)
    programs = max(1, triton.cdiv(ids.numel(), _BLOCK))
    with launching(ids):
        _count[(programs,)](ids.contiguous(), ids.numel(), ignore_index, room, results, programs, BLOCK=_BLOCK)
    return results[0], results[1]


@triton.jit
def _count(
    ids,  # (rows,) int64
    rows,
    ignore_index,
    room,  # (2,) int64, zeros: the count so far, how many programs have finished
    results,  # (2,) float64
    programs,
    BLOCK: tl.constexpr,
):
    """Reads 8 bytes a row. Integers are added, in any order; the program that is last writes the results."""
    here = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = here < rows
    own = inside & (tl.load(ids + here, mask=inside, other=0) != ignore_index)
    tl.atomic_add(room, tl.sum(own.to(tl.int64)))
    finished = tl.atomic_add(room + 1, 1)  # one thread adds both, in this order
    if finished == programs - 1:
        count = tl.load(room, cache_modifier=".cg").to(tl.float64)
        tl.store(results, count)
        tl.store(results + 1, tl.where(count == 0.0, 0.0, 1.0 / tl.where(count == 0.0, 1.0, count)))
