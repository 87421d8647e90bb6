"""Compiles the launches of soft_targets.py for sm_90 where there is no GPU, and says what came of each. TRITON_INTERPRET=0."""

import contextlib
from typing import Any

import torch
from triton.backends.compiler import GPUTarget
from triton.runtime import driver

from crossent._kernels.gpu import soft_targets
from crossent._kernels.gpu.problem import CLASS_IDS, DISTRIBUTIONS, TOP_K, Numbers, Problem, Upstream

F64 = torch.float64
ALL = {"label_smoothing": 0.1, "softcap": 30.0, "temperature": 0.7, "z_loss": 1e-4}


class NoDevice:
    """What a launch asks of a driver before it compiles."""

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return 0

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", 90, 32)


def room(*shape: int, dtype: torch.dtype = F64) -> torch.Tensor:
    return torch.empty(shape, dtype=dtype)


def main() -> None:
    driver.set_active(NoDevice())
    kernel = soft_targets.solve_rows
    compile_and_run, made = type(kernel).run, []

    def compile_only(self: Any, *arguments: Any, grid: Any, warmup: bool, **options: Any) -> None:
        made.append((options["STAGE"].value, compile_and_run(self, *arguments, grid=grid, warmup=True, **options)))

    type(kernel).run = compile_only
    soft_targets.launching = lambda tensor: contextlib.nullcontext()  # type: ignore[assignment,misc]
    every, loss = Numbers(*(room(4) for _ in range(5))), Numbers(loss=room(4))
    up, one = Upstream(room(4), room(), room(4), room(4), room(4)), Upstream(factor=room())
    ids, weight = torch.zeros(4, dtype=torch.int64), room(20000, dtype=torch.float32)

    def solve(
        dtype: torch.dtype, classes: int, kind: int, numbers: Numbers, upstream: Upstream, **options: Any
    ) -> None:
        logits = room(4, classes, dtype=dtype)
        soft_targets.solve(Problem(logits, 1, kind, **options), numbers, upstream, torch.empty_like(logits))

    solve(torch.bfloat16, 300, DISTRIBUTIONS, loss, one, probs=room(4, 300, dtype=torch.float32))
    solve(torch.float16, 1, CLASS_IDS, loss, one, ids=ids, label_smoothing=0.1, ignore_index=1)
    top = {"ids": torch.zeros(4, 3, dtype=torch.int64), "probs": room(4, 3), "uniform_rest": True}
    solve(F64, 20, TOP_K, every, up, class_weight=weight[:20], **top, **ALL)
    soft_targets.processors = lambda device: 132  # a row in parts
    dense = room(4, 20000, dtype=torch.float32)
    solve(torch.float32, 20000, DISTRIBUTIONS, every, up, probs=dense, class_weight=weight, ignore_index=3, **ALL)
    for stage, binary in made:
        print(stage, binary.metadata.target.arch, len(binary.asm["cubin"]))  # noqa: T201


if __name__ == "__main__":
    main()
