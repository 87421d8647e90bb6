"""Many exact sums side by side, small enough for one per class, per bin or per group."""

from typing import Self

import numpy as np
from numpy.typing import NDArray

from crossent._kernels.cpu import exact_vector as kernels

# For sums of losses and weights: bits from 2**-288, far below the last bit of a loss of 1e-60, up to 2**95. 96 bytes a sum.
LOWEST, LIMBS = 288, 12
# For bins: 2**-60 to 2**67, and 24 bytes each, as there are 4096 for every class.
BIN_LOWEST, BIN_LIMBS = 60, 4


class ExactVector:
    """Sums that no order of adding and no tree of merging changes by a bit; see crossent.ExactSum for a single one."""

    def __init__(self, sums: int, lowest: int = LOWEST, limbs: int = LIMBS) -> None:
        # Two limbs more than are used: a number's third part may lie one beyond.
        self.lowest, self.limbs = lowest, np.zeros((sums, limbs), np.int64)
        self._pending = 0

    def __len__(self) -> int:
        return len(self.limbs)

    def add(self, indices: NDArray[np.int64], values: NDArray[np.float64]) -> None:
        """Add each finite value to the sum that its index names."""
        indices, values = np.ascontiguousarray(indices, np.int64), np.ascontiguousarray(values, np.float64)
        kernels.add_at(*self.room_for(len(values)), indices.ctypes.data, values.ctypes.data, len(values))

    def room_for(self, terms: int) -> tuple[int, int, int]:
        """Return where a kernel may add so many numbers: the address of the limbs, how many a sum has, the lowest bit."""
        self._make_room(terms)
        return self.limbs.ctypes.data, self.limbs.shape[1], self.lowest

    def merge(self, other: Self) -> None:
        """Add sum by sum; the other stays as it is."""
        self._make_room(kernels.TERMS_BETWEEN_CARRIES)
        other._carry()
        self.limbs += other.limbs

    def grow(self, sums: int) -> None:
        """Have at least so many sums; new ones are 0."""
        if sums > len(self.limbs):
            more = np.zeros((max(sums, 2 * len(self.limbs)), self.limbs.shape[1]), np.int64)
            more[: len(self.limbs)] = self.limbs
            self.limbs = more

    def integers(self) -> list[int]:
        """Return every sum in units of 2**-lowest."""
        self._carry()
        used = np.asarray(self.limbs.any(axis=1)).tolist()
        rows = self.limbs.tolist()
        return [
            sum(limb << (32 * k) for k, limb in enumerate(row)) if is_used else 0
            for row, is_used in zip(rows, used, strict=True)
        ]

    def values(self) -> NDArray[np.float64]:
        """Return every sum, rounded once."""
        unit = 1 << self.lowest
        return np.array([integer / unit if integer else 0.0 for integer in self.integers()], np.float64)

    def canonical(self) -> NDArray[np.int64]:
        """Return the limbs, the same for the same sums: all but the highest lie in [0, 2**32)."""
        self._carry()
        return self.limbs

    def _make_room(self, terms: int) -> None:
        if self._pending + terms > kernels.TERMS_BETWEEN_CARRIES:
            self._carry()
        self._pending += terms

    def _carry(self) -> None:
        for k in range(self.limbs.shape[1] - 1):
            carry = self.limbs[:, k] >> 32
            self.limbs[:, k] -= carry << 32
            self.limbs[:, k + 1] += carry
        self._pending = 0
