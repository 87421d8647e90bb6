"""A histogram of the losses with bins of equal ratio: the quantiles of any number of rows from a fixed size."""

from typing import Self

import numpy as np
from numpy.typing import NDArray

from crossent.scoring.state.encoding import Field, Fields, dense, sparse
from crossent.scoring.state.exact_vector import ExactVector
from crossent.scoring.state.scored_rows import ScoredRows

# A bin is a power of two and the first six bits of the mantissa: 64 bins to a factor of two, each at most 1.6 % wide.
_BITS = 6
_LOWEST_EXPONENT, _HIGHEST_EXPONENT = -64, 40
_FIRST = (1023 + _LOWEST_EXPONENT) << _BITS
BINS = ((_HIGHEST_EXPONENT - _LOWEST_EXPONENT) << _BITS) + 2  # the first holds 0 and all below 2**-64, the last inf


def bin_of(losses: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the bin of each loss: the upper bits of a positive double are its exponent and mantissa."""
    upper: NDArray[np.int64] = losses.view(np.int64) >> (52 - _BITS)
    places = np.clip(upper - _FIRST + 1, 0, BINS - 2)
    places[np.isposinf(losses)] = BINS - 1
    return places


def edges() -> NDArray[np.float64]:
    """Return the lower edge of every bin, and inf."""
    whole = np.arange(BINS - 1, dtype=np.int64) - 1 + _FIRST
    lower = (whole << (52 - _BITS)).view(np.float64)
    lower[0] = 0.0
    return np.append(lower, np.inf)


class LossHistogram:
    """Rows, weight and loss of every bin."""

    def __init__(self, *, is_weighted: bool) -> None:
        self.rows = np.zeros(BINS, np.int64)
        self.losses = ExactVector(BINS)
        self.weights = ExactVector(BINS) if is_weighted else None

    def update(self, rows: ScoredRows) -> None:
        places = bin_of(rows.losses)
        self.rows += np.bincount(places, minlength=BINS)
        if self.weights is not None and rows.weights is not None:
            self.weights.add(places, rows.weights)
        finite = np.isfinite(rows.losses)
        self.losses.add(places[finite], rows.weighted(rows.losses)[finite])

    def merge(self, other: Self) -> None:
        self.rows += other.rows
        self.losses.merge(other.losses)
        if self.weights is not None and other.weights is not None:
            self.weights.merge(other.weights)

    def weight(self) -> NDArray[np.float64]:
        """Return the weight in every bin."""
        return self.rows.astype(np.float64) if self.weights is None else self.weights.values()

    def fields(self) -> Fields:
        fields = sparse("histogram.rows", self.rows) | sparse("histogram.losses", self.losses.canonical())
        return fields if self.weights is None else fields | sparse("histogram.weights", self.weights.canonical())

    def load(self, fields: dict[str, Field]) -> None:
        self.rows = dense("histogram.rows", fields, self.rows.shape)
        self.losses.limbs = dense("histogram.losses", fields, self.losses.limbs.shape)
        if self.weights is not None:
            self.weights.limbs = dense("histogram.weights", fields, self.weights.limbs.shape)
