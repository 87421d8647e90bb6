"""Launches soft_rows.py: every problem, without a copy, an allocation or a wait."""

import torch
import triton

from crossent._kernels.gpu._launch import launching
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
    targets = _targets(problem)
    up = upstream or Upstream()
    block = min(triton.next_power_of_2(layout.classes), TILE_NUMBERS)
    rows = max(1, min(TILE_NUMBERS // block, triton.next_power_of_2(layout.rows)))
    with launching(problem.logits):
        solve_rows[(triton.cdiv(layout.rows, rows),)](
            problem.logits,
            _place(layout),
            targets,
            Outputs(numbers.loss, numbers.lse, numbers.entropy, numbers.accuracy, numbers.target_logit),
            Upstreams(up.loss, up.factor, up.lse, up.entropy, up.target_logit),
            gradient,
            NO_PLACE if gradient is None else _place(_layout(gradient, problem.class_axis, "gradient")),
            layout.rows,
            layout.classes,
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
            CAPPED=problem.softcap is not None,
            HEATED=problem.temperature != 1.0,
            PENALIZED=problem.z_loss != 0.0,
            WITH_ENTROPY=numbers.entropy is not None or up.entropy is not None,
            WITH_TARGET_LOGIT=numbers.target_logit is not None or up.target_logit is not None,
            WITH_ACCURACY=numbers.accuracy is not None,
            ROWS=rows,
            CLASSES=block,
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
