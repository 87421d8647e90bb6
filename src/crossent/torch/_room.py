"""Memory for large gradients that outlives them: the next one of about that size finds its pages there already.

The system clears every page of a new array before it is written, which takes longer than the loss and its gradient
together: forward and backward of 512 x 128256 float32 took 117 ms with torch's small pages, 38 to 93 with NumPy's large ones,
as the system had some, and 27 without new pages (Zen 4, two threads, 2026-11-24). torch's allocator and NumPy's both give such memory back at once, and a training loop asks for it again at
every step. One room is kept, of at most 1/16 of the machine's memory.
"""

import os
import threading
from typing import Any

import numpy as np
import torch

# Below it the C library keeps freed memory itself.
_LARGE_BYTES = 4 * 2**20
# A kept room serves what fills at least this part of it.
_FILLED = 0.75
_STORED = {torch.float16: np.int16, torch.bfloat16: np.int16, torch.float32: np.float32, torch.float64: np.float64}

# reentrant: a lender may die, and want the lock, wherever Python allocates
_lock = threading.RLock()
_kept: "np.ndarray[Any, np.dtype[np.uint8]] | None" = None


def _most_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 16
    except (AttributeError, ValueError, OSError):  # a system that does not say
        return 256 * 2**20


_MOST_BYTES = _most_bytes()


class _Lender:
    """Whoever reads or writes a part of a room holds its lender; when nobody does, the room is free again."""

    __slots__ = ("__array_interface__", "_room")

    def __init__(self, room: np.ndarray) -> None:
        self._room = room
        self.__array_interface__ = room.__array_interface__

    def __del__(self) -> None:
        global _kept  # one room per process
        if self._room.nbytes <= _MOST_BYTES:
            with _lock:
                _kept = self._room


def _lent(size_bytes: int) -> np.ndarray:
    """Return so many bytes, of the kept room if it fits, else new ones."""
    global _kept  # see above
    with _lock:
        room, _kept = (
            _kept,
            None,
        )  # one that does not fit is given back to the system: nobody asks for its size any more
    if room is None or not _FILLED * room.nbytes <= size_bytes <= room.nbytes:
        room = np.empty(size_bytes, np.uint8)
    return np.asarray(_Lender(room))[:size_bytes]


def empty_like(tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor to fill, laid out as another one."""
    if tensor.device.type != "cpu" or tensor.nbytes < _LARGE_BYTES or not tensor.is_contiguous():
        return torch.empty_like(tensor)
    room = _lent(tensor.nbytes).view(_STORED[tensor.dtype]).reshape(tuple(tensor.shape))
    return torch.from_numpy(room).view(tensor.dtype)


def _after_fork() -> None:
    global _lock, _kept  # another thread of the parent may have held the lock
    _lock, _kept = threading.RLock(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
