"""What the device can do at all: read the logits, copy them, multiply the head's matrices. No exact loss is faster than its floor.

The floors take turns with the rivals, in the same run. Where there are several ways to do it, the floor is the fastest.
"""

from collections.abc import Callable

import torch
import triton
import triton.language as tl

Call = Callable[[], object]
READ, COPY, PRODUCT, PRODUCTS = "read", "copy", "one product", "three products"
BLOCK = 4096  # int32 words of a step: four loads of 16 bytes for each thread of eight warps
PROGRAMS = 132 * 8  # fills an H200; more programs than a smaller device has room for do no harm


@triton.jit
def _read(
    words,  # (count,) int32
    kept,  # (programs,) int32: written so that no compiler leaves the loads out
    count,
    BLOCK: tl.constexpr,  # noqa: N803  # Triton's constants are written so
):
    """Read all words once: 4 count bytes."""
    lane = tl.arange(0, BLOCK).to(tl.int64)
    mixed = tl.zeros([BLOCK], tl.int32)
    first = tl.program_id(0).to(tl.int64) * BLOCK
    while first < count:
        mixed ^= tl.load(words + first + lane, mask=first + lane < count, other=0)
        first += tl.num_programs(0).to(tl.int64) * BLOCK
    tl.store(kept + tl.program_id(0), tl.max(mixed, 0))


def reading(tensor: torch.Tensor) -> dict[str, Call]:
    """Return the ways to read a contiguous tensor of a multiple of four bytes."""
    # one program where kernels are interpreted: each costs milliseconds there
    programs = PROGRAMS if tensor.is_cuda else 1
    words = tensor.detach().view(-1).view(torch.int32)
    kept = torch.empty(programs, dtype=torch.int32, device=tensor.device)
    numbers = words.view(torch.float32)
    return {
        f"{READ}, Triton": lambda: _read[(programs,)](words, kept, words.numel(), BLOCK=BLOCK, num_warps=8),
        f"{READ}, torch.sum": lambda: torch.sum(numbers),
    }


def copying(source: torch.Tensor) -> dict[str, Call]:
    """Return the call that copies a tensor into one that is there already."""
    there, target = source.detach(), torch.empty_like(source)
    return {f"{COPY}, torch": lambda: target.copy_(there)}


def multiplying(hidden: torch.Tensor, weight: torch.Tensor) -> tuple[dict[str, Call], dict[str, Call]]:
    """Return the product that makes the logits, and it with the two that make the gradients, all into tensors that are there.

    A method that makes the logits once does these three at least; one that makes them again in the backward does a fourth.
    """
    hidden, weight = hidden.detach(), weight.detach()
    logits = torch.empty(len(hidden), len(weight), dtype=hidden.dtype, device=hidden.device)
    hidden_gradient, weight_gradient = torch.empty_like(hidden), torch.empty_like(weight)

    def product() -> None:
        torch.mm(hidden, weight.t(), out=logits)

    def products() -> None:
        product()
        torch.mm(logits, weight, out=hidden_gradient)
        torch.mm(logits.t(), hidden, out=weight_gradient)

    return {f"{PRODUCT}, torch.mm": product}, {f"{PRODUCTS}, torch.mm": products}
