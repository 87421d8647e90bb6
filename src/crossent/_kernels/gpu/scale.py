"""A gradient times a number, in place: what a backward does with a gradient that was made with its loss.

Traffic in bytes: none where the number is 1, as a plain backward has it; else each entry read and written once.
"""

import torch
import triton
import triton.language as tl

from crossent._kernels.gpu._launch import launching, processors
from crossent._kernels.gpu.rounding import rounded

# Programs per processor: enough to keep memory busy, few enough that leaving at once costs a launch and no more.
_SHARE = 8
_BLOCK = 2048


@triton.jit
def _scale(
    entries,  # (size,) float16, bfloat16, float32 or float64
    factor,  # () float
    size,
    WIDE: tl.constexpr,
    BLOCK: tl.constexpr,
):
    number = tl.load(factor).to(WIDE)
    if number != 1.0:
        for start in range(tl.program_id(0).to(tl.int64) * BLOCK, size, tl.num_programs(0).to(tl.int64) * BLOCK):
            places = start + tl.arange(0, BLOCK)
            value = tl.load(entries + places, mask=places < size, other=0.0).to(WIDE)
            # rows that do not take part stay 0 whatever comes from above, and 0 makes 0 of everything
            value = tl.where(number == 0.0, 0.0, value)
            value = value * tl.where(value == 0.0, 1.0, number)
            tl.store(entries + places, rounded(value, entries.dtype.element_ty), mask=places < size)


def scale(gradient: torch.Tensor, factor: torch.Tensor) -> None:
    """Multiply the entries of a tensor without gaps, in any order of its axes, by a number on its device.

    Entries of 0 stay 0, also where the number is infinite or NaN; a number of 0 makes 0 of NaN.
    """
    size = gradient.numel()
    if not size:
        return
    programs = min(triton.cdiv(size, _BLOCK), _SHARE * processors(gradient.device))
    wide = tl.float64 if gradient.dtype == torch.float64 else tl.float32
    with launching(gradient):
        _scale[(programs,)](gradient, factor, size, WIDE=wide, BLOCK=_BLOCK)
