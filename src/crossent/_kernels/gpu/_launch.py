"""What a launch needs to know of the machine: whether kernels are interpreted, and how much runs at once."""

import contextlib
import functools
import warnings
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
    """Launch on a tensor's device; interpreted, NumPy is not to warn of what the arithmetic expects, and assertions raise."""
    if INTERPRETED:
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.filterwarnings("ignore", "All-NaN", RuntimeWarning)  # the largest number of a row of NaN
                yield
        except triton.runtime.errors.InterpreterError as error:
            cause: BaseException | None = error
            while isinstance(cause, triton.runtime.errors.InterpreterError):  # one for each function within functions
                cause = cause.__cause__
            if isinstance(cause, AssertionError):
                raise cause from None
            raise
    else:
        with torch.cuda.device(tensor.device):
            yield
