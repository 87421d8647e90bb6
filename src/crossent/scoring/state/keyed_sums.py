"""Counts and exact sums under names that come with the rows: the groups of a column, or its clusters."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from crossent.errors import SourceError
from crossent.scoring.state.encoding import Field, Fields
from crossent.scoring.state.exact_vector import LIMBS, ExactVector
from crossent.scoring.state.scored_rows import ScoredRows

COUNTS = ("rows", "correct", "impossible", "undefined")
SUMS = ("weight", "finite_weight", "loss", "weight_squared", "squared_loss", "squared_loss_squared")


class KeyedSums:
    """For each name: rows, and of its finite losses the sums that a mean and its standard error are made of."""

    def __init__(self, what: str, limit: int) -> None:
        self.what, self.limit = what, limit
        self.places: dict[str | None, int] = {}  # None: rows where the column is missing
        self.counts = {name: np.zeros(16, np.int64) for name in COUNTS}
        self.sums = {name: ExactVector(16) for name in SUMS}

    def update(self, names: Sequence[str | None], rows: ScoredRows) -> None:
        """Take in rows that have a loss."""
        places = self._places_of(names)
        infinite = np.isposinf(rows.losses)
        self._count("rows", places)
        self._count("impossible", places[infinite])
        if rows.statistics is not None:
            self._count("correct", places[rows.hits])
        weights = np.ones(len(rows)) if rows.weights is None else rows.weights
        self.sums["weight"].add(places, weights)
        places, weights, losses = places[~infinite], weights[~infinite], rows.losses[~infinite]
        weighted = weights * losses
        self.sums["finite_weight"].add(places, weights)
        self.sums["loss"].add(places, weighted)
        self.sums["weight_squared"].add(places, weights * weights)
        self.sums["squared_loss"].add(places, weights * weighted)
        self.sums["squared_loss_squared"].add(places, weighted * weighted)

    def update_undefined(self, names: Sequence[str | None], weights: NDArray[np.float64] | None) -> None:
        """Take in rows whose prediction is NaN."""
        places = self._places_of(names)
        self._count("rows", places)
        self._count("undefined", places)
        self.sums["weight"].add(places, np.ones(len(places)) if weights is None else weights)

    def merge(self, other: Self) -> None:
        names = list(other.places)
        places = self._places_of(names)
        for name, counts in other.counts.items():
            np.add.at(self.counts[name], places, counts[: len(names)])
        for name, sums in other.sums.items():
            moved = ExactVector(len(self.sums[name]))
            moved.limbs[places] = sums.canonical()[: len(names)]
            self.sums[name].merge(moved)

    def names(self) -> list[str | None]:
        """Return the names in their order, after the rows that have none."""
        return sorted(self.places, key=lambda name: (name is not None, name or ""))

    def order(self) -> NDArray[np.int64]:
        """Return the place of every name, in the order of `names`."""
        return np.array([self.places[name] for name in self.names()], np.int64)

    def fields(self) -> Fields:
        order = self.order()
        names: Any = self.names()  # Arrow's texts may be missing, too
        fields: Fields = {f"{self.what}.names": names}
        fields |= {f"{self.what}.{name}": counts[order] for name, counts in self.counts.items()}
        fields |= {f"{self.what}.{name}": sums.canonical()[order].reshape(-1) for name, sums in self.sums.items()}
        return fields

    def load(self, fields: dict[str, Field]) -> None:
        names = [None if name is None else str(name) for name in fields[f"{self.what}.names"]]
        self._places_of(names)
        for name in COUNTS:
            self.counts[name][: len(names)] = fields[f"{self.what}.{name}"]
        for name in SUMS:
            limbs = np.asarray(fields[f"{self.what}.{name}"], np.int64)
            self.sums[name].limbs[: len(names)] = limbs.reshape(len(names), LIMBS)

    def _places_of(self, names: Sequence[str | None]) -> NDArray[np.int64]:
        places = self.places
        found = np.array([places.setdefault(name, len(places)) for name in names], np.int64)
        if len(places) > self.limit:
            message = (
                f"`{self.what}` must name a column with at most {self.limit:,} different values, "
                f"there are more; name a coarser one"
            )
            raise SourceError(message)
        room = len(places)
        for name, counts in self.counts.items():
            if room > len(counts):
                self.counts[name] = np.append(counts, np.zeros(max(room, 2 * len(counts)) - len(counts), np.int64))
        for sums in self.sums.values():
            sums.grow(len(self.counts["rows"]))
        return found

    def _count(self, name: str, places: NDArray[np.int64]) -> None:
        self.counts[name] += np.bincount(places, minlength=len(self.counts[name]))
