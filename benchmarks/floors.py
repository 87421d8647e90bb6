"""What the machine can do at all: read an array, copy an array, with two threads. No loss is faster than its floor."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
from numpy.typing import NDArray

THREADS = 2
_POOL = ThreadPoolExecutor(THREADS)


@numba.njit(nogil=True)
def _sum_words(words: NDArray[np.uint64]) -> int:
    total = np.uint64(0)
    for j in range(words.shape[0]):
        total += words[j]
    return total


@numba.njit(nogil=True)
def _copy_words(source: NDArray[np.uint64], target: NDArray[np.uint64]) -> None:
    for j in range(source.shape[0]):
        target[j] = source[j]


def _copy_numpy(source: NDArray[np.uint64], target: NDArray[np.uint64]) -> None:
    np.copyto(target, source)


def _halves(array: NDArray[np.generic]) -> list[NDArray[np.uint64]]:
    # as 8-byte integers: the same loop for every dtype, no widening, and addition in any order, so it vectorizes
    return np.array_split(array.reshape(-1).view(np.uint64), THREADS)


def reading(array: NDArray[np.generic]) -> Callable[[], object]:
    """Return a call that sums the array's words in a compiled loop per thread."""
    halves = _halves(array)
    return lambda: list(_POOL.map(_sum_words, halves))


def copying(source: NDArray[np.generic], target: NDArray[np.generic]) -> dict[str, Callable[[], object]]:
    """Return the two ways to copy; the floor is the faster, for a compiler may or may not use streaming stores."""
    pairs = (_halves(source), _halves(target))
    return {
        "copy, plain loop": lambda: list(_POOL.map(_copy_words, *pairs)),
        "copy, numpy.copyto": lambda: list(_POOL.map(_copy_numpy, *pairs)),
    }
