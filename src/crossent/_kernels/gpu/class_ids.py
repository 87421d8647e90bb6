"""Softmax cross-entropy of class ids on the GPU: what is served, and how rows are spread over programs."""

from dataclasses import dataclass
from typing import Any

import torch
import triton

from crossent._kernels.gpu._launch import launching, processors
from crossent._kernels.gpu.class_id_columns import class_id_columns
from crossent._kernels.gpu.class_id_numbers import number_rows
from crossent._kernels.gpu.class_id_parts import join_parts, see_parts, write_parts
from crossent._kernels.gpu.class_id_rows import class_id_rows
from crossent._kernels.gpu.layout import Layout, layout_of
from crossent._kernels.gpu.problem import CLASS_IDS, Numbers, Problem, Upstream

ROWS_NUMBERED = 128  # a thread to a row, in four warps
COLUMNS, WHOLE, BLOCKS, PARTS = "a thread to a row", "a row in registers", "a row in blocks", "a row in parts"


@dataclass(frozen=True, slots=True)
class Launch:
    """How rows are spread: a route, and tiles of (rows, block)."""

    route: str
    rows: int
    block: int
    warps: int
    parts: int = 1


def serves(problem: Problem, numbers: Numbers, upstream: Upstream | None) -> bool:
    """Say whether a problem is one of certain classes whose logits nothing bends."""
    plain = problem.kind == CLASS_IDS and problem.label_smoothing == 0.0
    plain = plain and problem.softcap is None and problem.temperature == 1.0
    return plain and numbers.entropy is None and (upstream is None or upstream.entropy is None)


def choose(layout: Layout, element_bytes: int, at_once: int) -> Launch:
    """Return how rows of a layout are spread on a device that works on so many programs at once.

    Not measured on a GPU yet. The sizes leave each thread 4 to 32 logits: loads enough in flight to fill the memory's
    pipeline, and registers for two programs a processor, so that one computes while the other waits.
    """
    beside = (layout.inner_stride if layout.inner > 1 else layout.outer_stride) == 1
    if layout.classes <= 16 or (beside and layout.class_stride != 1):
        # fewer rows, such as those of short texts whose classes are no last axis, go to more programs
        warps = 4 if layout.rows >= 256 * at_once else 1
        return Launch(COLUMNS, rows=32 * warps, block=1, warps=warps)
    classes = triton.next_power_of_2(layout.classes)
    longest = 8192 if element_bytes < 8 else 2048
    if classes <= longest:
        numbers = 512 if classes <= 256 else 2048  # a thread of more rows than four runs out of registers
        return Launch(WHOLE, rows=max(1, numbers // classes), block=classes, warps=max(4, min(8, classes // 512)))
    block = longest // 2
    if layout.rows < 2 * at_once:
        parts = min(triton.cdiv(4 * at_once, layout.rows), triton.cdiv(layout.classes, block))
        return Launch(PARTS, rows=1, block=block, warps=8, parts=parts)
    # rows in flight stay few, so that the gradient's pass finds more of them in the L2 cache
    return Launch(BLOCKS, rows=1, block=longest, warps=16)


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
    sizes = rows, classes, ignored
    asked = numbers.loss, numbers.lse, numbers.accuracy, numbers.target_logit
    order = {"ORDER": numbers.accuracy is not None}
    penalty = float(problem.z_loss)
    form = {"HALF": logits.element_size() == 2, "WIDE": logits.dtype == torch.float64}
    whole = {"PENALIZED": penalty != 0.0, **form}
    # device assertions, but none for every sum of integers
    options: dict[str, Any] = {"debug": True, "sanitize_overflow": False}
    wide = {"num_warps": chosen.warps, **options}

    def room(*shape: int) -> torch.Tensor:
        return torch.empty(shape, dtype=torch.float64, device=logits.device)

    upstreams = upstream.loss, upstream.factor, upstream.lse, upstream.target_logit
    weight = problem.class_weight
    grid = (triton.cdiv(rows, chosen.rows),)
    if chosen.route == COLUMNS:
        given = weight, *asked, *upstreams
        with launching(logits):
            class_id_columns[grid](
                logits, ids, *given, gradient, *sizes, *read, *written, penalty, ROWS=chosen.rows, **whole, **wide
            )
        return
    states = None if all(number is None for number in asked) else room(rows, 4)
    wanted = weight, states, *upstreams
    with launching(logits):
        if chosen.route == PARTS:
            length = triton.cdiv(triton.cdiv(classes, chosen.parts), chosen.block) * chosen.block
            parts = triton.cdiv(classes, length)
            partial, joined = room(rows, parts, 3), None if gradient is None else room(rows, 4)
            tile = {"BLOCK": chosen.block, **form}
            grid = (rows * parts,)
            see_parts[grid](logits, ids, partial, *sizes, parts, length, *read, **tile, **order, **wide)
            own = {"PARTS": triton.next_power_of_2(parts), "num_warps": 1}
            join_parts[(rows,)](
                logits, ids, *wanted, partial, joined, *sizes, parts, *read, penalty, **own, **whole, **options
            )
            if gradient is not None:
                write_parts[grid](logits, ids, joined, gradient, *sizes, parts, length, *read, *written, **tile, **wide)
        else:
            tile = {"ROWS": chosen.rows, "BLOCK": chosen.block, "SINGLE": chosen.route == WHOLE, **whole}
            if chosen.route == BLOCKS and torch.version.hip is None:  # an option of NVIDIA's compiler alone
                # two programs to a processor of 65 536 registers: a penalty's logarithms took 93 each
                wide["maxnreg"] = 64
            class_id_rows[grid](
                logits, ids, *wanted, gradient, *sizes, *read, *written, penalty, **tile, **order, **wide
            )
        if states is not None:
            number_rows[(triton.cdiv(rows, ROWS_NUMBERED),)](
                ids, weight, states, *asked, *sizes, penalty, ROWS=ROWS_NUMBERED, **whole, **options
            )
