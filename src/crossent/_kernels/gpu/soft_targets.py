"""Launches soft_rows.py: every problem, without a copy, an allocation or a wait."""

import torch
import triton

from crossent._kernels.gpu._launch import launch
from crossent._kernels.gpu.effective_targets import Place, Targets
from crossent._kernels.gpu.layout import Layout, layout_of
from crossent._kernels.gpu.problem import DISTRIBUTIONS, Numbers, Problem, Upstream
from crossent._kernels.gpu.soft_rows import Outputs, Upstreams, solve_rows

# Numbers of a tile, and its warps: 4 numbers a thread, each with some ten float64 values that live at the same time: 113
# registers for distributions alone, 216 with everything asked for, none spilled (ptxas, sm_90).
TILE_NUMBERS, WARPS = 1024, 8
NO_PLACE = Place(1, 0, 0, 0)


def solve(problem: Problem, numbers: Numbers, upstream: Upstream | None, gradient: torch.Tensor | None) -> None:
    """Fill in the numbers of each row, and `gradient`, which may be the logits, with what `upstream` says."""
    layout = _layout(problem.logits, problem.class_axis, "logits")
    if layout.rows == 0:
        return
    up = upstream or Upstream()
    block = min(triton.next_power_of_2(layout.classes), TILE_NUMBERS)
    rows = max(1, min(TILE_NUMBERS // block, triton.next_power_of_2(layout.rows)))
    launch(
        solve_rows,
        (triton.cdiv(layout.rows, rows),),
        problem.logits,
        _place(layout),
        _targets(problem),
        Outputs(numbers.loss, numbers.lse, numbers.entropy, numbers.accuracy, numbers.target_logit),
        Upstreams(up.loss, up.factor, up.lse, up.entropy, up.target_logit),
        gradient,
        NO_PLACE if gradient is None else _place(_layout(gradient, problem.class_axis, "gradient")),
        layout.rows,
        layout.classes,
        problem.ignore_index,
        problem.label_smoothing,
        1.0 if problem.softcap is None else problem.softcap,
        problem.temperature,
        problem.z_loss,
        kind=problem.kind,
        uniform=problem.uniform_rest,
        ignores=0 <= problem.ignore_index < layout.classes,
        smooths=problem.label_smoothing != 0.0,
        capped=problem.softcap is not None,
        heated=problem.temperature != 1.0,
        penalized=problem.z_loss != 0.0,
        with_entropy=numbers.entropy is not None or up.entropy is not None,
        with_target_logit=numbers.target_logit is not None or up.target_logit is not None,
        with_accuracy=numbers.accuracy is not None,
        tile_rows=rows,
        tile_classes=block,
        num_warps=WARPS,
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
