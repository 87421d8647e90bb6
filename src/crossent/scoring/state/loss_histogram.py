"""A histogram of the losses with bins of equal ratio: the quantiles of any number of rows from a fixed size."""

from typing import Self

import numpy as np
from numpy.typing import NDArray

from crossent._kernels.cpu import judge_rows as kernels
from crossent.scoring.state.encoding import Field, Fields, dense, sparse
from crossent.scoring.state.exact_vector import ExactVector
from crossent.scoring.state.scored_rows import ScoredRows

BINS = kernels.LOSS_BINS


def edges() -> NDArray[np.float64]:
    """Return the lower edge of every bin, and inf."""
    whole = np.arange(BINS - 1, dtype=np.int64) - 1 + kernels.FIRST_LOSS_BIN
    lower = (whole << (52 - kernels.LOSS_BITS)).view(np.float64)
    lower[0] = 0.0
    return np.append(lower, np.inf)


class LossHistogram:
    """Rows, weight and loss of every bin."""

    def __init__(self, *, is_weighted: bool) -> None:
        self.rows = np.zeros(BINS, np.int64)
        self.losses = ExactVector(BINS)
        self.weights = ExactVector(BINS) if is_weighted else None

    def update(self, rows: ScoredRows) -> None:
        places = np.empty(len(rows), np.int64)
        losses = np.ascontiguousarray(rows.losses)
        weighted = np.ascontiguousarray(rows.weighted(losses))
        kernels.count_losses(
            *(losses.ctypes.data, weighted.ctypes.data, len(rows), places.ctypes.data, self.rows.ctypes.data),
            *self.losses.room_for(len(rows)),
        )
        if self.weights is not None and rows.weights is not None:
            self.weights.add(places, rows.weights)

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
