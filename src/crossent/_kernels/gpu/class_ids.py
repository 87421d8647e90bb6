"""Softmax cross-entropy of class ids on the GPU: what is served, and how rows are spread over programs."""

from dataclasses import dataclass
from typing import Any

import torch
import triton

from crossent._kernels.gpu._launch import launching, processors
from crossent._kernels.gpu.class_id_parts import join_parts, see_parts, write_parts
from crossent._kernels.gpu.class_id_rows import class_id_rows
from crossent._kernels.gpu.layout import Layout, layout_of
from crossent._kernels.gpu.problem import CLASS_IDS, Numbers, Problem, Upstream


@dataclass(frozen=True, slots=True)
class Launch:
    """How rows are spread: tiles of (rows, block); a row is one tile (single), or several, or several in each of its parts."""

    rows: int
    block: int
    single: bool
    warps: int
    parts: int = 1


def serves(problem: Problem, numbers: Numbers, upstream: Upstream | None) -> bool:
    """Say whether a problem is one of certain classes whose logits nothing bends."""
    plain = problem.kind == CLASS_IDS and problem.label_smoothing == 0.0
    plain = plain and problem.softcap is None and problem.temperature == 1.0
    return plain and numbers.entropy is None and (upstream is None or upstream.entropy is None)


def choose(layout: Layout, element_bytes: int, at_once: int) -> Launch:
    """Return how rows of a layout are spread on a device that works on so many programs at once.

    Not measured on a GPU yet. The sizes leave each thread 16 to 32 logits: loads enough in flight to fill the memory's
    pipeline, and registers for two programs a processor, so that one computes while the other waits.
    """
    classes = triton.next_power_of_2(max(1, layout.classes))
    if layout.class_stride != 1 and layout.classes > 1:  # neighbouring rows are read together, if anything is
        block = min(classes, 16)
        return Launch(rows=1024 // block, block=block, single=layout.classes <= block, warps=4)
    longest = 8192 if element_bytes < 8 else 4096
    if classes <= longest:
        return Launch(rows=max(1, 2048 // classes), block=classes, single=True, warps=max(4, classes // 512))
    block = longest // 2
    if layout.rows < 2 * at_once:
        parts = min(triton.cdiv(4 * at_once, layout.rows), triton.cdiv(layout.classes, block))
        if parts > 1:
            return Launch(rows=1, block=block, single=False, warps=8, parts=parts)
    # rows in flight stay few, so that the gradient's pass finds them in the L2 cache
    return Launch(rows=1, block=longest, single=False, warps=16)


def solve(problem: Problem, numbers: Numbers, upstream: Upstream | None, gradient: torch.Tensor | None) -> None:
    """Fill in the numbers of each row, and the gradient of the logits where there is one to fill."""
    logits = problem.logits
    layout = layout_of(logits, problem.class_axis)
    out = layout if gradient is None else layout_of(gradient, problem.class_axis)
    if layout is None or out is None:
        msg = "the kernels read rows at no more than two strides: copy the tensor first"
        raise ValueError(msg)
    if layout.rows and layout.classes:
        chosen = choose(layout, logits.element_size(), processors(logits.device))
        run(problem, numbers, upstream or Upstream(), gradient, layout, out, chosen)


def run(
    problem: Problem,
    numbers: Numbers,
    upstream: Upstream,
    gradient: torch.Tensor | None,
    layout: Layout,
    out: Layout,
    chosen: Launch,
) -> None:
    """Launch what was chosen. `out` is the gradient's layout."""
    logits, ids, ignored = problem.logits, problem.ids, problem.ignore_index
    rows, classes = layout.rows, layout.classes
    read = layout.inner, layout.outer_stride, layout.inner_stride, layout.class_stride
    written = out.inner, out.outer_stride, out.inner_stride, out.class_stride
    asked = (
        *(problem.class_weight, numbers.loss, numbers.lse, numbers.accuracy, numbers.target_logit),
        *(upstream.loss, upstream.factor, upstream.lse, upstream.target_logit),
    )
    form = {"HALF": logits.element_size() == 2, "WIDE": logits.dtype == torch.float64}
    # device assertions, but none for every sum of integers
    options: dict[str, Any] = {"num_warps": chosen.warps, "debug": True, "sanitize_overflow": False}
    tile = {"BLOCK": chosen.block, **form}
    penalty = {"Z_LOSS": float(problem.z_loss)}
    with launching(logits):
        if chosen.parts == 1:
            tile |= {"ROWS": chosen.rows, "SINGLE": chosen.single, **penalty}
            grid = (triton.cdiv(rows, chosen.rows),)
            class_id_rows[grid](
                logits, ids, *asked, gradient, rows, classes, ignored, *read, *written, **tile, **options
            )
            return
        length = triton.cdiv(triton.cdiv(classes, chosen.parts), chosen.block) * chosen.block
        parts = triton.cdiv(classes, length)
        room = torch.empty(rows * (3 * parts + 4), dtype=torch.float64, device=logits.device)
        partial, joined = room[: 3 * rows * parts], room[3 * rows * parts :]
        grid = (rows * parts,)
        order = numbers.accuracy is not None
        see_parts[grid](
            logits, ids, partial, rows, classes, ignored, parts, length, *read, ORDER=order, **tile, **options
        )
        join_parts[(rows,)](
            logits,
            ids,
            *asked,
            partial,
            joined,
            rows,
            classes,
            ignored,
            parts,
            *read,
            PARTS=triton.next_power_of_2(parts),
            **penalty,
            **form,
            **(options | {"num_warps": 1}),
        )
        if gradient is not None:
            write_parts[grid](
                logits,
                ids,
                joined,
                gradient,
                rows,
                classes,
                ignored,
                parts,
                length,
                *read,
                *written,
                **tile,
                **options,
            )
