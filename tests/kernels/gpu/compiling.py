"""Compile what the kernels' launches compile, for sm_90 and without a GPU: `python -m tests.kernels.gpu.compiling` prints JSON.

A process of its own, since Triton either interprets or compiles. Its driver only names the target, its tensors have no memory.
"""

import contextlib
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import triton
from triton.backends import nvidia
from triton.backends.compiler import GPUTarget
from triton.runtime.jit import JITFunction

from crossent._kernels.gpu import class_ids
from crossent._kernels.gpu.layout import layout_of
from crossent._kernels.gpu.problem import CLASS_IDS, Numbers, Problem, Upstream

PROCESSORS = 132
# shape, class axis, dtype, with a gradient, everything asked for
CLASS_ID_CALLS: dict[str, tuple[tuple[int, ...], int, torch.dtype, bool, bool]] = {
    "few classes, float32": ((65536, 10), 1, torch.float32, True, False),
    "rows of a few classes, float32": ((65536, 40), 1, torch.float32, True, True),
    "rows of a few classes, float64": ((65536, 17), 1, torch.float64, True, False),
    "rows in registers, float32": ((16384, 1000), 1, torch.float32, True, False),
    "rows in registers, bfloat16": ((8192, 8192), 1, torch.bfloat16, True, False),
    "rows in registers, float64": ((8192, 4096), 1, torch.float64, True, False),
    "in blocks, bfloat16, losses": ((4096, 128256), 1, torch.bfloat16, False, False),
    "in blocks, bfloat16": ((4096, 128256), 1, torch.bfloat16, True, False),
    "in blocks, float32": ((4096, 128256), 1, torch.float32, True, True),
    "in blocks, float64": ((4096, 32000), 1, torch.float64, True, False),
    # sizes of 1 are constants of a compiled kernel
    "one row of one class": ((1, 1), 1, torch.float32, True, True),
    "one row in registers": ((1, 1000), 1, torch.float16, True, True),
    "images, float32": ((8, 21, 512, 512), 1, torch.float32, True, False),
    "in parts, float16": ((1, 262144), 1, torch.float16, True, True),
    "in parts, float32": ((64, 128256), 1, torch.float32, True, False),
}


class Target:
    """A driver that only says what to compile for."""

    def get_current_target(self) -> GPUTarget:
        """An H100's or H200's."""
        return GPUTarget("cuda", 90, 32)

    def get_current_device(self) -> int:
        """The only one."""
        return 0

    def get_current_stream(self, _device: int) -> int:
        """The only one."""
        return 0


def used(ptx: str) -> dict[str, int]:
    """Return what the assembler needs for a kernel: registers and bytes spilled of each thread."""
    assembler = Path(nvidia.__file__).parent / "bin" / "ptxas"
    with tempfile.NamedTemporaryFile("w", suffix=".ptx") as file:
        file.write(ptx)
        file.flush()
        command = [assembler, "-v", "--gpu-name=sm_90a", "-o", "/dev/null", file.name]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    found = [re.search(pattern, text) for pattern in (r"Used (\d+) registers", r"(\d+) bytes spill stores")]
    registers, spilled = (int(match.group(1)) if match else 0 for match in found)
    return {"registers": registers, "spilled": spilled}


def compiled(kernels: list[dict[str, Any]]) -> Any:
    """Return what stands for `kernel[grid]`: it compiles, and notes what it made."""

    def choose(kernel: Any, grid: Any) -> Any:
        def launch(*arguments: Any, **options: Any) -> None:
            made = kernel.run(*arguments, grid=grid, warmup=True, **options)
            note = {"kernel": kernel.__name__, "warps": made.metadata.num_warps, "shared": made.metadata.shared}
            kernels.append({**note, **used(made.asm["ptx"]), "ptx": made.asm["ptx"]})

        return launch

    return choose


def class_ids_of(
    shape: tuple[int, ...], axis: int, dtype: torch.dtype, *, with_gradient: bool, everything: bool
) -> None:
    """Solve class ids in tensors without memory."""
    logits = torch.empty(shape, dtype=dtype, device="meta")
    layout = layout_of(logits, axis)
    assert layout is not None

    def each(kind: torch.dtype = torch.float64) -> torch.Tensor:
        return torch.empty(layout.rows, dtype=kind, device="meta")

    weight = torch.empty(layout.classes, device="meta") if everything else None
    problem = Problem(
        logits, axis, CLASS_IDS, each(torch.int64), class_weight=weight, z_loss=1e-4 if everything else 0.0
    )
    numbers = Numbers(each(), each(), None, each(), each()) if everything else Numbers(each())
    factor = torch.empty((), dtype=torch.float64, device="meta")
    upstream = Upstream(each(), factor, each(), None, each()) if everything else Upstream(factor=factor)
    chosen = class_ids.choose(layout, logits.element_size(), PROCESSORS)
    class_ids.run(problem, numbers, upstream, logits if with_gradient else None, layout, layout, chosen)


def main() -> None:
    """Print {call: [kernel, ...]}."""
    triton.runtime.driver.set_active(Target())
    class_ids.launching = contextlib.nullcontext
    answers = {}
    for name, (shape, axis, dtype, with_gradient, everything) in CLASS_ID_CALLS.items():
        answers[name] = kernels = []
        JITFunction.__getitem__ = compiled(kernels)
        class_ids_of(shape, axis, dtype, with_gradient=with_gradient, everything=everything)
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
