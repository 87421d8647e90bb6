"""The rows with the highest losses, in a total order, so that ties at inf leave the same rows whatever the engine."""

import heapq
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np

from crossent._kernels.cpu import score_rows as kernels
from crossent.scoring.state.encoding import Field, Fields
from crossent.scoring.state.scored_rows import ScoredRows


@dataclass(frozen=True)
class KeptRow:
    """One row of the list; classes are indices, -1 where only losses are known."""

    loss_nats: float
    source: str
    row: int
    id: str | None
    truth: int
    truth_prediction: float
    top: int
    top_prediction: float

    @property
    def order(self) -> tuple[float, str, int, str, int, float, int, float]:
        # Down to the last field: two days may have rows of one name, and still leave the same rows in any order.
        rest = (self.truth, -self.truth_prediction, self.top, -self.top_prediction)
        return -self.loss_nats, self.source, self.row, self.id or "", *rest


class WorstRows:
    """At most `limit` rows: the loss falls, then the file and the row's number rise."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.rows: list[KeptRow] = []

    def update(self, rows: ScoredRows) -> None:
        if not self.limit or not len(rows):
            return
        floor = self.rows[-1].loss_nats if len(self.rows) == self.limit else -math.inf
        losses = rows.losses
        if len(losses) > self.limit and floor == -math.inf:
            floor = max(floor, float(np.partition(losses, -self.limit)[-self.limit]))
        candidates = np.flatnonzero(losses >= floor)
        if len(candidates) > self.limit:
            # Rows come in order, so that a stable sort by loss leaves ties in the order of their keys.
            candidates = candidates[np.argsort(-rows.losses[candidates], kind="stable")[: self.limit]]
        self._keep([*self.rows, *(_kept(rows, i) for i in candidates.tolist())])

    def merge(self, other: Self) -> None:
        self._keep([*self.rows, *other.rows])

    def _keep(self, rows: Iterable[KeptRow]) -> None:
        self.rows = heapq.nsmallest(self.limit, rows, key=lambda each: each.order)

    def fields(self) -> Fields:
        return {
            "worst.losses": np.array([each.loss_nats for each in self.rows], np.float64),
            "worst.sources": [each.source for each in self.rows],
            "worst.rows": np.array([each.row for each in self.rows], np.int64),
            "worst.ids": [each.id for each in self.rows],  # type: ignore[misc]  # None is a null
            "worst.classes": np.array([(each.truth, each.top) for each in self.rows], np.int64).reshape(-1),
            "worst.predictions": np.array([(r.truth_prediction, r.top_prediction) for r in self.rows]).reshape(-1),
        }

    def load(self, fields: dict[str, Field]) -> None:
        losses, rows = np.asarray(fields["worst.losses"]), np.asarray(fields["worst.rows"])
        classes = np.asarray(fields["worst.classes"]).reshape(-1, 2)
        predictions = np.asarray(fields["worst.predictions"]).reshape(-1, 2)
        sources, ids = fields["worst.sources"], fields["worst.ids"]
        self.rows = [
            KeptRow(
                *(float(losses[i]), str(sources[i]), int(rows[i]), ids[i]),  # type: ignore[arg-type]
                *(int(classes[i, 0]), float(predictions[i, 0]), int(classes[i, 1]), float(predictions[i, 1])),
            )
            for i in range(len(losses))
        ]


def _kept(rows: ScoredRows, i: int) -> KeptRow:
    truth, top, top_prediction = -1, -1, math.nan
    if rows.statistics is not None:
        truth, top = int(rows.labels[i]), int(rows.statistics[kernels.TOP_CLASS, i])
        top_prediction = float(rows.statistics[kernels.TOP, i])
    where = (rows.keys.source, int(rows.keys.rows[i]), rows.keys.id(i))
    return KeptRow(float(rows.losses[i]), *where, truth, float(rows.truths[i]), top, top_prediction)
