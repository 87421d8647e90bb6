"""The machine below: threads, compiled kernels, and what is in use."""

import os
import platform
from typing import Any

import numpy as np

from crossent._checks import check_count
from crossent._kernels.cpu import _jit, _threads
from crossent.errors import DtypeError


def set_num_threads(count: int, /) -> None:
    """Let the kernels use this many threads, the caller's among them; results do not depend on it.

    Parameters
    ----------
    count : int
        At least 1.

    Raises
    ------
    OptionError
        If `count` is no integer of at least 1; also a ValueError.

    Examples
    --------
    >>> before = get_num_threads()
    >>> set_num_threads(2)
    >>> get_num_threads()
    2
    >>> set_num_threads(before)
    """
    _threads.use_threads(check_count("count", count))


def get_num_threads() -> int:
    """Return how many threads the kernels use: every core that this process may run on, unless it was set.

    Returns
    -------
    int
        At least 1.

    Examples
    --------
    >>> get_num_threads() >= 1
    True
    """
    return _threads.num_threads()


def warm_up(dtype: Any = np.float32, /) -> None:
    """Compile the kernels of one logit dtype, or load them from disk, so that the first real call need not wait.

    Parameters
    ----------
    dtype : dtype
        float16, float32, float64, or ml_dtypes' bfloat16.

    Raises
    ------
    DtypeError
        If the dtype is not floating point; also a TypeError.

    Examples
    --------
    >>> warm_up()
    """
    # here, as setting threads need not load the kernels
    from crossent._kernels.cpu.few_classes import MOST_CLASSES
    from crossent.arrays._input import FLOATS, as_numbers
    from crossent.arrays.softmax_cross_entropy import cross_entropy, cross_entropy_and_grad

    try:
        if dtype is None:  # NumPy's word for float64, but nobody's for logits
            raise TypeError
        wanted = np.dtype(dtype)
    except TypeError:
        message = f"`dtype` must be a floating-point dtype ({FLOATS}); got {dtype!r}."
        raise DtypeError(message) from None
    for classes in (2, 4, 2 * MOST_CLASSES):  # the three kernels
        logits = np.zeros((2, classes), wanted)
        logits[1] = 2000.0  # beyond the few classes' fast range
        as_numbers(logits, "dtype")
        cross_entropy(logits, np.zeros(2, np.int64))
        cross_entropy_and_grad(logits, np.zeros(2, np.int64))
        cross_entropy_and_grad(logits, np.full(logits.shape, 1.0 / classes))


def memory_budget_bytes() -> int:
    """Return how many bytes of logits a linear head holds unless it is told: 1/256 of the memory, 32 to 256 MB.

    Enough rows for a matrix product to be as fast as with all of them (a few hundred; 64 MB are 333 rows of 50 304 classes),
    and little beside the head itself.
    """
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # a system that does not say
        total = 0
    return min(max(total // 256, 32 * 2**20), 256 * 2**20)


def show_config() -> dict[str, Any]:
    """Return what crossent runs on: versions, processor, threads, and where compiled kernels are kept.

    Returns
    -------
    dict
        Of plain strings, numbers and None, for a bug report; "kernel_cache" is None where no folder can be written.

    Examples
    --------
    >>> sorted(show_config())
    ['available_threads', 'kernel_cache', 'linear_memory_budget', 'llvmlite', 'machine', 'num_threads', 'numba', 'numpy',
    'platform', 'process', 'python']
    """
    folder = _jit.cache_folder()
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        **_jit.versions(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "process": os.getpid(),
        "num_threads": _threads.num_threads(),
        "available_threads": _threads.available_threads(),
        "kernel_cache": str(folder) if folder is not None else None,
        "linear_memory_budget": memory_budget_bytes(),
    }
