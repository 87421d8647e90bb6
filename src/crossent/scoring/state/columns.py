"""Predictions of a batch as the kernels read them: one contiguous piece of memory per class, as files store them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from crossent._kernels.cpu import score_rows as kernels

Floats = NDArray[np.float64]
Stored = NDArray[Any]  # float32 or float64


@runtime_checkable
class HasAddresses(Protocol):
    """A sequence of columns that lie in somebody else's memory."""

    def addresses(self) -> NDArray[np.int64]: ...


@dataclass(frozen=True)
class Columns:
    """Shape (classes, rows), or one array per class; all float32 or all float64."""

    values: Stored | Sequence[Stored]
    shifts: Floats  # (rows,): what is taken from a stored logarithm to make it that of a probability
    is_logarithm: bool

    def __len__(self) -> int:
        return len(self.shifts)

    @property
    def classes(self) -> int:
        return len(self.values)

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        return self.values[0].dtype

    def taken(self, chosen: NDArray[np.bool_]) -> "Columns":
        """Return some of the rows."""
        if isinstance(self.values, np.ndarray):
            return Columns(np.ascontiguousarray(self.values[:, chosen]), self.shifts[chosen], self.is_logarithm)
        return Columns([column[chosen] for column in self.values], self.shifts[chosen], self.is_logarithm)

    def matrix(self) -> Floats:
        """Return float64 of shape (classes, rows)."""
        if isinstance(self.values, np.ndarray):
            return np.ascontiguousarray(self.values, np.float64)
        matrix = np.empty((self.classes, len(self)))
        for c, column in enumerate(self.values):
            matrix[c] = column
        return matrix

    def at(self, labels: NDArray[np.int64]) -> Floats:
        """Return what is stored for one class of each row, less the shift."""
        labels = np.ascontiguousarray(labels, np.int64)
        found = np.empty(len(self))
        columns, shifts = self._addresses.ctypes.data, self.shifts.ctypes.data
        arguments = (columns, self.dtype.itemsize, shifts, labels.ctypes.data, found.ctypes.data, len(self))
        kernels.pick(*arguments, self._tag)
        return found

    def probabilities(self, c: int) -> Floats:
        """Return the predictions for one class, (rows,)."""
        stored = np.ascontiguousarray(self.values[c], np.float64)
        return exponentials(stored - self.shifts) if self.is_logarithm else stored

    def statistics(self) -> Floats:
        """Return shape (STATISTICS, rows)."""
        out = np.empty((kernels.STATISTICS, len(self)))
        scratch = np.empty(kernels.SCRATCH_BYTES // 8)
        kernels.row_statistics(*self._where, out.ctypes.data, len(self), scratch.ctypes.data, self._tag)
        return out

    def tempered(self, beta: float) -> Floats:
        """Return the sums of p**beta l**k, shape (MOMENTS, rows)."""
        out = np.empty((kernels.MOMENTS, len(self)))
        scratch = np.empty(kernels.SCRATCH_BYTES // 8)
        kernels.tempered_moments(*self._where, float(beta), out.ctypes.data, len(self), scratch.ctypes.data, self._tag)
        return out

    def bin_into(self, bins: NDArray[np.int64], first: int, last: int) -> None:
        """Count the predictions of some rows for every class in packed bins (classes, BINS)."""
        scratch = np.empty(kernels.SCRATCH_BYTES // 8)
        where = (*self._where[:-2], first, last)
        kernels.bin_columns(*where, bins.ctypes.data, scratch.ctypes.data, self._tag)

    @cached_property
    def _addresses(self) -> NDArray[np.int64]:
        if isinstance(self.values, np.ndarray):
            return self.values.ctypes.data + self.values.strides[0] * np.arange(self.classes, dtype=np.int64)
        if isinstance(self.values, HasAddresses):
            return self.values.addresses()
        return np.array([column.ctypes.data for column in self.values], np.int64)

    @cached_property
    def _where(self) -> tuple[int, ...]:
        mode = kernels.LOGARITHM if self.is_logarithm else kernels.PROBABILITY
        places = (self._addresses.ctypes.data, self.classes, self.dtype.itemsize, mode, self.shifts.ctypes.data)
        return (*places, 0, len(self))

    @property
    def _tag(self) -> np.float32 | np.float64:
        return np.float32(0) if self.dtype == np.float32 else np.float64(0)


def logarithms(values: Floats) -> Floats:
    """Return log(x), the same bits on every machine."""
    values = np.ascontiguousarray(values)
    out = np.empty(len(values))
    kernels.logarithms(values.ctypes.data, out.ctypes.data, len(values))
    return out


def exponentials(values: Floats) -> Floats:
    """Return e**x for x <= 700, the same bits as the kernels' own."""
    values = np.ascontiguousarray(values)
    out = np.empty(len(values))
    kernels.exponentials(values.ctypes.data, out.ctypes.data, len(values))
    return out


def tempered_derivatives(moments: Floats, truths: Floats, beta: float) -> Floats:
    """Return a tempered loss and its first four derivatives by 1 / temperature, (MOMENTS, rows)."""
    moments, truths = np.ascontiguousarray(moments), np.ascontiguousarray(truths)
    out = np.empty(moments.shape)
    kernels.tempered_derivatives(moments.ctypes.data, truths.ctypes.data, len(truths), float(beta), out.ctypes.data)
    return out
