"""Rows of a batch after their losses are known: what every part of the state reads."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossent._kernels.cpu import score_rows as kernels
from crossent.scoring.arrow import pa
from crossent.scoring.state.columns import Columns, exponentials, logarithms
from crossent.scoring.state.judging import Judged, judged, top_shares

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Keys:
    """What names each row: the file, the row's number in it, and its id where there is one."""

    source: str
    rows: Integers
    ids: Any = None  # a PyArrow array: few of them are ever looked at

    def taken(self, chosen: NDArray[np.bool_]) -> "Keys":
        """Return some of them."""
        ids = None if self.ids is None else self.ids.filter(pa.array(chosen))
        return Keys(self.source, self.rows[chosen], ids)

    def id(self, i: int) -> str | None:
        """Return the id of one row."""
        value = None if self.ids is None else self.ids[i].as_py()
        return None if value is None else str(value)


@dataclass(frozen=True)
class ScoredRows:
    """Rows with a label, a weight above 0 and no NaN, their losses in nats and what the kernels say of them.

    Soft labels are kept as `targets`; `labels` then holds the class with the largest share.
    """

    keys: Keys
    labels: Integers  # (rows,); -1 where only losses are stored
    losses: Floats  # (rows,): inf where the truth was given 0
    truths: Floats  # (rows,): the prediction for the truth, as a probability
    weights: Floats | None  # (rows,)
    columns: Columns | None
    statistics: Floats | None  # (STATISTICS, rows)
    targets: Floats | None = None  # (rows, classes)
    target_entropies: Floats | None = None  # (rows,)
    unclipped: Floats | None = None  # (rows,): the losses before any was clipped, where one was
    highest: float = math.inf  # what clipped ones cost
    missed: Floats | None = None  # (rows,): by how much they missed a sum of 1 before a rule rescaled them

    def __len__(self) -> int:
        return len(self.losses)

    def weighted(self, values: Floats) -> Floats:
        """Return weight times value of each row, rounded once."""
        return values if self.weights is None else self.weights * values

    def statistic(self, which: int) -> Floats:
        """Return one of the kernels' statistics, (rows,)."""
        assert self.statistics is not None
        values: Floats = self.statistics[which]
        return values

    @property
    def moments(self) -> Floats:
        """Sums of p l**k, (MOMENTS, rows)."""
        assert self.statistics is not None
        moments: Floats = self.statistics[kernels.TOTAL : kernels.TOTAL + kernels.MOMENTS]
        return moments

    @cached_property
    def finite(self) -> NDArray[np.bool_] | None:
        """Which losses are finite; None where all are, as nearly always."""
        finite: NDArray[np.bool_] = np.isfinite(self.losses)
        return None if finite.all() else finite

    @cached_property
    def judged(self) -> Judged:
        return judged(self)

    @cached_property
    def is_tied(self) -> NDArray[np.bool_]:
        tied: NDArray[np.bool_] = self.statistic(kernels.TIES) > 1.0
        return tied

    @cached_property
    def hits(self) -> NDArray[np.bool_]:
        return self.judged.hits.astype(np.bool_)

    @cached_property
    def top_shares(self) -> Floats:
        """How much of the truth lies on the class with the highest prediction: 0 or 1 but for soft labels."""
        if self.targets is None:
            return self.judged.hits.astype(np.float64)
        return top_shares(self.targets, self.judged.tops, self.is_tied)


def measured(
    keys: Keys,
    labels: Integers,
    columns: Columns,
    *,
    weights: Floats | None = None,
    targets: Floats | None = None,
    losses: Floats | None = None,
    target_entropies: Floats | None = None,
    statistics: Floats | None = None,
) -> ScoredRows:
    """Return the rows with what the kernels say of them, and their losses unless the door has given them."""
    stored = columns.at(labels)
    if losses is None:
        # 0 - x, as the loss of p = 1 is 0.0 and not -0.0
        losses = 0.0 - (stored if columns.is_logarithm else logarithms(stored))
    truths = exponentials(stored) if columns.is_logarithm else stored
    if statistics is None:
        statistics = columns.statistics()
    return ScoredRows(keys, labels, losses, truths, weights, columns, statistics, targets, target_entropies)
