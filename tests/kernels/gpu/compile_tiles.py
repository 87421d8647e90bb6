"""Compiles the launches of the head's filter for sm_90 where there is no GPU, and says what came of each. TRITON_INTERPRET=0."""

import contextlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.runtime import driver

from crossent._kernels.gpu import tile_products, tile_sums


class NoDevice:
    """What a launch asks of a driver before it compiles."""

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return 0

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", 90, 32)


def stack_bytes(cubin: bytes) -> int:
    """Return what a thread keeps outside of its registers."""
    tool = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        said = subprocess.run([tool, "-res-usage", file.name], capture_output=True, text=True, check=True).stdout
    return int(said.split("STACK:")[1].split()[0])


def main() -> None:
    driver.set_active(NoDevice())
    made: list[Any] = []

    def compile_only(kernel: Any) -> None:
        compile_and_run = kernel.run

        def run(*arguments: Any, grid: Any, warmup: bool, **options: Any) -> None:
            made.append(compile_and_run(*arguments, grid=grid, warmup=True, **options))

        kernel.run = run

    for module, names in ((tile_sums, ["_tile_sums"]), (tile_products, ["_times", "_add_transposed_times"])):
        module.launching = lambda tensor: contextlib.nullcontext()  # type: ignore[attr-defined]
        for name in names:
            compile_only(getattr(module, name))
    kept = tile_products.kept_of(torch.zeros(2, 4, dtype=torch.bool))
    for dtype in (torch.bfloat16, torch.float32):
        of_logits, hidden, weight = (torch.empty(shape, dtype=dtype) for shape in ((80, 512), (80, 64), (512, 64)))
        tile_sums.tile_sums(of_logits, torch.empty(80, dtype=torch.float64))
        tile_products.times(of_logits, kept, weight, hidden)
        for begun in (False, True):
            sums = torch.empty(256, 64), torch.empty(256, 64)
            tile_products.add_transposed_times(of_logits, kept, hidden, *sums, begun=begun)
    report = [
        {
            "kernel": binary.metadata.name,
            "architecture": binary.metadata.target.arch,
            "tensor_cores": "wgmma.mma_async" in binary.asm["ptx"] or "mma.sync" in binary.asm["ptx"],
            "asynchronous": "cp.async" in binary.asm["ptx"],
            "stack_bytes": stack_bytes(binary.asm["cubin"]),
            "shared_bytes": binary.metadata.shared,
        }
        for binary in made
    ]
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main()
