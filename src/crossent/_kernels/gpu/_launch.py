"""What a launch needs to know of the machine: whether kernels are interpreted, and how much runs at once."""

import contextlib
import functools
from collections.abc import Iterator

import numpy as np
import torch
import triton

INTERPRETED: bool = triton.knobs.runtime.interpret


@functools.cache
def processors(device: torch.device) -> int:
    """Return how many programs of a kernel a device works on at the same time, at least."""
    if device.type == "cpu":
        return 2
    return int(torch.cuda.get_device_properties(device).multi_processor_count)


@contextlib.contextmanager
def launching(tensor: torch.Tensor) -> Iterator[None]:
    """Launch on a tensor's device; interpreted, NumPy is not to warn of what the arithmetic expects."""
    if INTERPRETED:
        with np.errstate(all="ignore"):
            yield
    else:
        with torch.cuda.device(tensor.device):
            yield
