"""Launches soft_rows.py: every problem, without a copy, an allocation or a wait."""

import torch
import triton

from crossent._kernels.gpu._launch import quiet
from crossent._kernels.gpu.effective_targets import Matrix, Targets
from crossent._kernels.gpu.layout import Layout, layout_of
from crossent._kernels.gpu.problem import DISTRIBUTIONS, Numbers, Problem, Upstream
from crossent._kernels.gpu.soft_rows import Outputs, Upstreams, solve_rows

# Numbers of a tile, and its warps: 8 numbers a thread, of which some ten float64 values each live at the same time.
TILE_NUMBERS, WARPS = 1024, 4


def solve(problem: Problem, numbers: Numbers, upstream: Upstream | None, gradient: torch.Tensor | None) -> None:
    """Fill in the numbers of each row, and `gradient`, which may be the logits, with what `upstream` says."""
    logits = _matrix(problem.logits, problem.class_axis, "logits")
    place = _layout(problem.logits, problem.class_axis, "logits")
    if place.rows == 0:
        return
    dense, of_logits = Matrix(None, 1, 0, 0, 0), Matrix(None, 1, 0, 0, 0)
    if problem.kind == DISTRIBUTIONS:
        assert problem.probs is not None  # it is what the kind says
        dense = _matrix(problem.probs, problem.class_axis, "probs")
    if gradient is not None:
        of_logits = _matrix(gradient, problem.class_axis, "gradient")
    up = upstream or Upstream()
    block = min(triton.next_power_of_2(place.classes), TILE_NUMBERS)
    rows = max(1, min(TILE_NUMBERS // block, triton.next_power_of_2(place.rows)))
    with quiet():
        solve_rows[(triton.cdiv(place.rows, rows),)](
            logits,
            Targets(
                dense,
                problem.ids,
                None if problem.kind == DISTRIBUTIONS else problem.probs,
                1 if problem.ids is None else problem.ids.shape[-1],
                problem.class_weight,
            ),
            Outputs(numbers.loss, numbers.lse, numbers.entropy, numbers.accuracy, numbers.target_logit),
            Upstreams(up.loss, up.factor, up.lse, up.entropy, up.target_logit),
            of_logits,
            place.rows,
            place.classes,
            problem.ignore_index,
            problem.label_smoothing,
            1.0 if problem.softcap is None else problem.softcap,
            problem.temperature,
            problem.z_loss,
            kind=problem.kind,
            uniform=problem.uniform_rest,
            ignores=0 <= problem.ignore_index < place.classes,
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
            debug=True,
            sanitize_overflow=False,
        )


def _layout(tensor: torch.Tensor, class_axis: int, name: str) -> Layout:
    layout = layout_of(tensor, class_axis)
    if layout is None:
        message = f"No two strides say where the rows of `{name}` lie: shape {tuple(tensor.shape)}, {tensor.stride()}."
        raise ValueError(message)
    return layout


def _matrix(tensor: torch.Tensor, class_axis: int, name: str) -> Matrix:
    layout = _layout(tensor, class_axis, name)
    return Matrix(tensor, layout.inner, layout.outer_stride, layout.inner_stride, layout.class_stride)
