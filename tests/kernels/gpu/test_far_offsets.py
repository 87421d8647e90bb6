"""Logits and gradients that lie more than 2**31 elements from where their tensor begins: 32 bits do not count so far.

The memory is 9 GB that nobody touches but for a few rows, so that a processor has it for the asking. The tensors begin in its
middle: an offset that has gone round lies in it too, and is wrong without a crash.
"""

from collections.abc import Callable

import pytest
import torch

from crossent._kernels.gpu import softmax_cross_entropy
from crossent._kernels.gpu.problem import CLASS_IDS, DISTRIBUTIONS, Numbers, Problem, Upstream
from tests.kernels.gpu.problems import DEVICE

FAR = 2**31
# shape, strides, class axis
LAYOUTS: dict[str, tuple[tuple[int, ...], tuple[int, ...], int]] = {
    "few classes": ((2, 10), (FAR + 64, 1), 1),
    "a row in registers": ((2, 40), (FAR + 64, 1), 1),
    "a row in parts": ((2, 9000), (FAR + 64, 1), 1),
    "rows in blocks": ((9, 9000), (2**28, 1), 1),
    "rows side by side": ((3, 33), (1, 2**26), 1),
    "classes far apart": ((3, 33), (2**5, 2**26), 1),
    "images": ((2, 33, 2), (2**30 + 2**26, 2**25, 2**3), 1),
}


@pytest.fixture(scope="module")
def room() -> Callable[[tuple[int, ...], tuple[int, ...]], torch.Tensor]:
    """Return what gives out views of a large memory."""
    try:
        memory = torch.empty(2 * FAR + 2**28, dtype=torch.float16, device=DEVICE)
    except (RuntimeError, MemoryError) as error:
        pytest.skip(f"has no 9 GB to give: {error}")
    return lambda shape, strides: memory.as_strided(shape, strides, FAR + 2**27)


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("kind", ["ids", "smoothed ids", "distributions"])
def test_what_lies_far_out_is_read_and_written_there(
    name: str, kind: str, room: Callable[[tuple[int, ...], tuple[int, ...]], torch.Tensor]
) -> None:
    shape, strides, axis = LAYOUTS[name]
    values = torch.randn(shape).half()
    classes = shape[axis]
    rows = values.numel() // classes
    logits = room(shape, strides).copy_(values)
    ids, smoothing = torch.arange(rows) * 7 % classes, 0.1 if kind == "smoothed ids" else 0.0
    wide = values.double().movedim(axis, -1).reshape(rows, classes).requires_grad_()
    if kind == "distributions":
        dense = torch.softmax(torch.randn(shape), axis).half()
        target = dense.double().movedim(axis, -1).reshape(rows, classes)
        problem = Problem(logits, axis, DISTRIBUTIONS, probs=dense.to(DEVICE))
        expected = torch.nn.functional.cross_entropy(wide, target, reduction="none")
    else:
        problem = Problem(logits, axis, CLASS_IDS, ids.to(DEVICE), label_smoothing=smoothing)
        expected = torch.nn.functional.cross_entropy(wide, ids, reduction="none", label_smoothing=smoothing)
    (slope,) = torch.autograd.grad(expected.sum(), wide)
    losses = torch.empty(rows, dtype=torch.float64, device=DEVICE)
    one = torch.ones((), dtype=torch.float64, device=DEVICE)
    softmax_cross_entropy.solve(problem, Numbers(loss=losses), Upstream(factor=one), logits)
    torch.testing.assert_close(losses.cpu(), expected.detach(), rtol=1e-6, atol=1e-7)
    found = logits.cpu().double().movedim(axis, -1).reshape(rows, classes)
    torch.testing.assert_close(found, slope, rtol=2e-3, atol=1e-7)
