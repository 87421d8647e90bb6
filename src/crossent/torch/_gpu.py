"""Which devices the GPU kernels serve, and how they are called there: on torch's current stream.

Nothing here waits for the device. Triton is imported by the first call that needs it.
"""

import importlib.util
from typing import Any

import numpy as np
import torch

# Device types whose tensors the kernels read, where there is Triton; the tests add the CPU, where they are interpreted.
DEVICES = frozenset({"cuda"})


def _finds_triton() -> bool:
    """Say whether Triton is installed, without loading it."""
    try:
        return importlib.util.find_spec("triton") is not None
    except (ImportError, ValueError):  # a stub in its place, which has no specification, or a finder that refuses it
        return False


_HAS_TRITON = _finds_triton()


def serves(device: torch.device) -> bool:
    """Say whether the kernels read the tensors of a device."""
    return device.type in DEVICES and _HAS_TRITON


def solve(problem: Any, numbers: Any, upstream: Any, gradient: torch.Tensor | None) -> None:
    """Fill in numbers of rows and the gradient: see _kernels/gpu/problem.py."""
    from crossent._kernels.gpu import softmax_cross_entropy

    softmax_cross_entropy.solve(problem, numbers, upstream, gradient)


def total(
    values: torch.Tensor, denominator: torch.Tensor | float = 1.0, dtype: torch.dtype = torch.float64
) -> torch.Tensor:
    """Return the exact sum of numbers, rounded once to float64, over a denominator, on their device."""
    from crossent._kernels.gpu import exact_sum

    return exact_sum.total(values.detach().double().resolve_neg().reshape(-1), denominator, dtype)


def counted(ids: torch.Tensor, ignore_index: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return how many class ids are not `ignore_index`, and its inverse, () float64 each, on their device."""
    from crossent._kernels.gpu import count

    return count.counted(ids.reshape(-1), ignore_index)


def scale(gradient: torch.Tensor, factor: torch.Tensor) -> None:
    """Multiply a gradient in place by a number that lies on its device."""
    from crossent._kernels.gpu import scale as kernel

    kernel.scale(gradient, factor)


def moved(array: np.ndarray, device: torch.device) -> torch.Tensor:
    """Return an array of the host as a tensor of a device, without waiting for it to arrive."""
    return torch.as_tensor(array, device="cpu").to(device, non_blocking=True)
