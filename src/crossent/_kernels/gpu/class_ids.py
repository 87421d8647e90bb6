"""Softmax cross-entropy of class ids on the GPU: what is served, and how rows are spread over programs."""

from dataclasses import dataclass

import torch
import triton

from crossent._kernels.gpu._launch import launching
from crossent._kernels.gpu.class_id_rows import class_id_rows
from crossent._kernels.gpu.layout import Layout, layout_of
from crossent._kernels.gpu.problem import CLASS_IDS, Numbers, Problem, Upstream


@dataclass(frozen=True, slots=True)
class Launch:
    """How rows are spread: tiles of (rows, block), one tile or several to a row."""

    rows: int
    block: int
    single: bool
    warps: int


def serves(problem: Problem, numbers: Numbers, upstream: Upstream | None) -> bool:
    """Say whether a problem is one of certain classes whose logits nothing bends."""
    plain = problem.kind == CLASS_IDS and problem.label_smoothing == 0.0
    plain = plain and problem.softcap is None and problem.temperature == 1.0
    return plain and numbers.entropy is None and (upstream is None or upstream.entropy is None)


def choose(layout: Layout, element_bytes: int) -> Launch:
    """Return how rows of a layout are spread.

    A thread holds 16 to 64 logits: enough loads at once to fill the memory, few enough for the registers. Rows side by side
    in memory are read side by side.
    """
    classes = triton.next_power_of_2(max(1, layout.classes))
    if layout.class_stride != 1 and layout.classes > 1:
        block = min(classes, 32)
        return Launch(rows=max(1, 2048 // block), block=block, single=layout.classes <= block, warps=4)
    longest = 16384 if element_bytes < 8 else 4096
    if classes <= longest:
        rows = max(1, 2048 // classes)
        return Launch(rows=rows, block=classes, single=True, warps=max(4, min(16, classes // 1024)))
    return Launch(rows=1, block=longest // 2, single=False, warps=8)


def solve(problem: Problem, numbers: Numbers, upstream: Upstream | None, gradient: torch.Tensor | None) -> None:
    """Fill in the numbers of each row, and the gradient of the logits where there is one to fill."""
    logits = problem.logits
    layout = layout_of(logits, problem.class_axis)
    out = layout if gradient is None else layout_of(gradient, problem.class_axis)
    if layout is None or out is None:
        msg = "the kernels read rows at no more than two strides: copy the tensor first"
        raise ValueError(msg)
    if layout.rows == 0:
        return
    run(problem, numbers, upstream, gradient, layout, out, choose(layout, logits.element_size()))


def run(
    problem: Problem,
    numbers: Numbers,
    upstream: Upstream | None,
    gradient: torch.Tensor | None,
    layout: Layout,
    out: Layout,
    chosen: Launch,
) -> None:
    """Launch what was chosen."""
    asked = upstream or Upstream()
    with launching(problem.logits):
        class_id_rows[(triton.cdiv(layout.rows, chosen.rows),)](
            problem.logits,
            problem.ids,
            problem.class_weight,
            numbers.loss,
            numbers.lse,
            numbers.accuracy,
            numbers.target_logit,
            asked.loss,
            asked.factor,
            asked.lse,
            asked.target_logit,
            gradient,
            layout.rows,
            layout.classes,
            problem.ignore_index,
            layout.inner,
            layout.outer_stride,
            layout.inner_stride,
            layout.class_stride,
            out.inner,
            out.outer_stride,
            out.inner_stride,
            out.class_stride,
            Z_LOSS=float(problem.z_loss),
            ROWS=chosen.rows,
            BLOCK=chosen.block,
            SINGLE=chosen.single,
            HALF=problem.logits.element_size() == 2,
            WIDE=problem.logits.dtype == torch.float64,
            num_warps=chosen.warps,
            debug=True,  # device assertions, but not one for each sum of integers
            sanitize_overflow=False,
        )
