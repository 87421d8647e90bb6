"""Compiles each kernel for sm_90 with sizes of 1, which Triton makes constants of Python, not tensors. TRITON_INTERPRET=0."""

import contextlib
from typing import Any

import torch
from compile_soft_targets import NoDevice, room  # a script beside this one
from triton.runtime import driver
from triton.runtime.jit import JITFunction

from crossent._kernels.gpu import class_ids, count, exact_sum, scale, soft_targets, tile_products, tile_sums
from crossent._kernels.gpu.class_id_columns import class_id_columns
from crossent._kernels.gpu.problem import CLASS_IDS, Numbers, Problem, Upstream


def main() -> None:
    driver.set_active(NoDevice())
    compile_and_run, made = JITFunction.run, []

    def compile_only(self: Any, *arguments: Any, grid: Any, warmup: bool, **options: Any) -> None:
        compile_and_run(self, *arguments, grid=grid, warmup=True, **options)
        made.append(self.__name__)

    JITFunction.run = compile_only
    for module in (class_ids, count, exact_sum, scale, soft_targets, tile_products, tile_sums):
        module.launching = lambda tensor: contextlib.nullcontext()  # type: ignore[attr-defined]
    for sized in (class_ids, scale, soft_targets):
        sized.processors = lambda device: 132  # type: ignore[attr-defined]

    numbers, up = Numbers(loss=room(1), accuracy=room(1)), Upstream(factor=room())
    for classes in (1, 20000):
        logits, ids = room(1, classes, dtype=torch.float32), torch.zeros(1, dtype=torch.int64)
        problem = Problem(logits, 1, CLASS_IDS, ids=ids, ignore_index=1)
        for module in (class_ids, soft_targets):
            module.solve(problem, numbers, up, logits)
    exact_sum.total(room(1))
    exact_sum.total(room(1), room(), torch.bfloat16)
    count.counted(torch.zeros(1, dtype=torch.int64), 1)
    scale.scale(room(1), room())
    matrix = room(1, 1, dtype=torch.float16)
    tile_sums.tile_sums(matrix, room(1))
    kept = tile_products.kept_of(torch.zeros(1, 1, dtype=torch.bool))
    tile_products.times(matrix, kept, matrix, matrix)
    wide = room(1, 1, dtype=torch.float32)
    tile_products.add_transposed_times(matrix, kept, matrix, wide, wide, begun=True)
    print(*made)  # noqa: T201
    for z_loss in (0.1, 0.2):
        problem = Problem(room(1, 2), 1, CLASS_IDS, ids=torch.zeros(1, dtype=torch.int64), z_loss=z_loss)
        class_ids.solve(problem, Numbers(loss=room(1)), None, None)
    print(len(class_id_columns.device_caches[0][0]))  # noqa: T201


if __name__ == "__main__":
    main()
