"""Launches soft_rows.py: every problem, without a copy, an allocation or a wait."""

from dataclasses import dataclass

import torch
import triton
import triton.language as tl

from crossent._kernels.gpu._launch import launching, processors
from crossent._kernels.gpu.effective_targets import Place, Targets
from crossent._kernels.gpu.layout import Layout, layout_of
from crossent._kernels.gpu.online import Sums
from crossent._kernels.gpu.problem import DISTRIBUTIONS, Numbers, Problem, Upstream
from crossent._kernels.gpu.soft_gradient import Upstreams
from crossent._kernels.gpu.soft_numbers import Outputs
from crossent._kernels.gpu.soft_rows import FINISH, SEE, WHOLE, solve_rows

# Numbers of a tile, and its warps: 4 numbers a thread, each with some ten float64 values that live at the same time: 113
# registers for distributions alone, 216 with everything asked for, none spilled (ptxas, sm_90).
TILE_NUMBERS, WARPS = 1024, 8
# Tiles of a part of a row at least, and parts at most: what a part leaves behind is read by every other one.
PART_TILES, PARTS = 4, 128
NO_PLACE = Place(1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Split:
    """How rows fall into programs: `rows` at a time, `classes` at a time, each row in `parts` of `part_classes`."""

    rows: int
    classes: int
    parts: int
    part_classes: int


def split_of(layout: Layout, programs: int) -> Split:
    """Return how rows are split for a device that works on so many programs at the same time."""
    block = min(triton.next_power_of_2(layout.classes), TILE_NUMBERS)
    rows = max(1, min(TILE_NUMBERS // block, triton.next_power_of_2(layout.rows)))
    tiles = triton.cdiv(layout.classes, block)
    parts = min(programs // triton.cdiv(layout.rows, rows), tiles // PART_TILES, PARTS)
    if parts < 2:
        return Split(rows, block, 1, layout.classes)
    part_classes = triton.cdiv(tiles, parts) * block
    return Split(rows, block, triton.cdiv(layout.classes, part_classes), part_classes)


def solve(problem: Problem, numbers: Numbers, upstream: Upstream | None, gradient: torch.Tensor | None) -> None:
    """Fill in the numbers of each row, and `gradient`, which may be the logits, with what `upstream` says."""
    layout = _layout(problem.logits, problem.class_axis, "logits")
    if layout.rows == 0:
        return
    # two programs of a kernel of 113 registers and 256 threads fit on a processor
    split = split_of(layout, 2 * processors(problem.logits.device))
    programs = triton.cdiv(layout.rows, split.rows)
    with launching(problem.logits):
        if split.parts == 1:
            _launch((programs,), problem, numbers, upstream, gradient, split, None, WHOLE)
            return
        room = (len(Sums._fields), layout.rows, split.parts)
        scratch = torch.empty(room, dtype=torch.float64, device=problem.logits.device)
        _launch((programs, split.parts), problem, numbers, upstream, gradient, split, scratch, SEE)
        finishing = 1 if gradient is None else split.parts
        _launch((programs, finishing), problem, numbers, upstream, gradient, split, scratch, FINISH)


def _launch(
    grid: tuple[int, ...],
    problem: Problem,
    numbers: Numbers,
    upstream: Upstream | None,
    gradient: torch.Tensor | None,
    split: Split,
    scratch: torch.Tensor | None,
    stage: tl.constexpr,
) -> None:
    layout, targets = _layout(problem.logits, problem.class_axis, "logits"), _targets(problem)
    up = upstream or Upstream()
    solve_rows[grid](
        problem.logits,
        _place(layout),
        targets,
        Outputs(numbers.loss, numbers.lse, numbers.entropy, numbers.accuracy, numbers.target_logit),
        Upstreams(up.loss, up.factor, up.lse, up.entropy, up.target_logit),
        gradient,
        NO_PLACE if gradient is None else _place(_layout(gradient, problem.class_axis, "gradient")),
        scratch,
        layout.rows,
        layout.classes,
        split.parts,
        split.part_classes,
        problem.ignore_index,
        float(layout.classes - targets.width),
        problem.label_smoothing,
        problem.label_smoothing / layout.classes,
        1.0 if problem.softcap is None else problem.softcap,
        problem.temperature,
        problem.z_loss,
        KIND=problem.kind,
        UNIFORM=problem.uniform_rest and targets.width < layout.classes,
        IGNORES=0 <= problem.ignore_index < layout.classes,
        SMOOTHS=problem.label_smoothing != 0.0,
        LISTED=triton.next_power_of_2(targets.width),
        CAPPED=problem.softcap is not None,
        HEATED=problem.temperature != 1.0,
        PENALIZED=problem.z_loss != 0.0,
        WITH_ENTROPY=numbers.entropy is not None or up.entropy is not None,
        WITH_TARGET_LOGIT=numbers.target_logit is not None or up.target_logit is not None,
        WITH_ACCURACY=numbers.accuracy is not None,
        ROWS=split.rows,
        CLASSES=split.classes,
        PARTS=triton.next_power_of_2(split.parts),
        STAGE=stage,
        num_warps=WARPS,
        debug=True,  # a target that is no class is the device's to report, later
        sanitize_overflow=False,
    )


def _targets(problem: Problem) -> Targets:
    weight = problem.class_weight
    if problem.kind == DISTRIBUTIONS:
        assert problem.probs is not None  # it is what the kind says
        place = _place(_layout(problem.probs, problem.class_axis, "probs"))
        return Targets(problem.probs, place, None, None, 1, weight)
    assert problem.ids is not None
    return Targets(None, NO_PLACE, problem.ids, problem.probs, problem.ids.shape[-1], weight)


def _place(layout: Layout) -> Place:
    return Place(layout.inner, layout.outer_stride, layout.inner_stride, layout.class_stride)


def _layout(tensor: torch.Tensor, class_axis: int, name: str) -> Layout:
    layout = layout_of(tensor, class_axis)
    if layout is None:
        message = f"No two strides say where the rows of `{name}` lie: shape {tuple(tensor.shape)}, {tensor.stride()}."
        raise ValueError(message)
    return layout
