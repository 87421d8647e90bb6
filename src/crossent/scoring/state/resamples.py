"""The Poisson bootstrap in one pass: every replicate takes a row as often as the row's key and its own number say.

Reference: H. Najmi and others, and the usual form: N. Chamandy et al., "Estimating uncertainty for massive data streams",
Google 2012. A row drawn Poisson(1) times is, for many rows, the bootstrap's multinomial draw.
"""

import hashlib
import math
from typing import Self

import numpy as np
from numpy.typing import NDArray

from crossent._kernels.cpu import exact_vector as kernels
from crossent.scoring.state.encoding import Field, Fields
from crossent.scoring.state.exact_vector import ExactVector
from crossent.scoring.state.scored_rows import Keys, ScoredRows

# P(more than k events) for k = 0 to 17; below 2**-53 from there on.
_TAIL = np.array([1.0 - math.fsum(math.exp(-1.0) / math.factorial(k) for k in range(m + 1)) for m in range(18)])


# An odd number of 64 bits spreads those of a loss.
_ODD = -0x61C8864680B583EB


class Resamples:
    """Weight and loss of every replicate, over the rows with a finite loss."""

    def __init__(self, replicates: int) -> None:
        self.replicates = replicates
        self.sums = ExactVector(2 * replicates)

    def update(self, rows: ScoredRows) -> None:
        finite = np.isfinite(rows.losses)
        losses = rows.losses[finite]
        # With what the row holds: rows of two days may have one name, and must not be drawn together.
        keys = _hashes(rows.keys)[finite] ^ (losses.view(np.int64) * np.int64(_ODD))
        weights = np.ones(len(losses)) if rows.weights is None else rows.weights[finite]
        weighted = weights * losses
        # A row adds to a limb at most 18 times, so that a batch stays far below the number after which carries move.
        self.sums._make_room(18 * len(losses))
        limbs = self.sums.limbs
        kernels.add_resampled(
            *(limbs.ctypes.data, limbs.shape[1], self.sums.lowest, self.replicates, keys.ctypes.data),
            *(weights.ctypes.data, weighted.ctypes.data, len(losses), _TAIL.ctypes.data),
        )

    def merge(self, other: Self) -> None:
        self.sums.merge(other.sums)

    def means(self) -> NDArray[np.float64]:
        """Return the mean loss of every replicate that has rows."""
        values = self.sums.values()
        weights, losses = values[: self.replicates], values[self.replicates :]
        return losses[weights > 0.0] / weights[weights > 0.0]

    def fields(self) -> Fields:
        return {"resamples": self.sums.canonical().reshape(-1)}

    def load(self, fields: dict[str, Field]) -> None:
        self.sums.limbs = np.asarray(fields["resamples"], np.int64).reshape(self.sums.limbs.shape).copy()


def _hashes(keys: Keys) -> NDArray[np.int64]:
    """Return 64 bits for each row: of its id where it has one, else of its file and number."""
    by_place = keys.rows * np.int64(-7046029254386353131) ^ np.int64(_hash(keys.source))
    if keys.ids is None:
        return by_place
    ids = keys.ids.to_pylist()
    return np.array([place if each is None else _hash(str(each)) for each, place in zip(ids, by_place, strict=True)])


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little", signed=True)
