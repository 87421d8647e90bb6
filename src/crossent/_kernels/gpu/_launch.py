"""What a launch needs to know of the machine: whether kernels are interpreted, and how much runs at once."""

import functools

import torch
import triton

INTERPRETED: bool = triton.knobs.runtime.interpret


@functools.cache
def processors(device: torch.device) -> int:
    """Return how many programs of a kernel a device works on at the same time, at least."""
    if device.type == "cpu":
        return 2
    return int(torch.cuda.get_device_properties(device).multi_processor_count)
