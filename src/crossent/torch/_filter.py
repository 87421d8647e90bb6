"""The element-sparse backward of a linear head: large entries of the logits' gradient are multiplied, the rest is averaged.

An entry is left out where it is below eps times what its row's gradient is multiplied by, that is, where the softmax is below
eps. What is left out of row r and class c, D_rc, is known by its row sums d_r and column sums q_c, and is taken as their
product, d_r q_c / sum(d): every row and every class keeps its whole mass, and a rare class, whose entries are all small, moves
with the mean of the hidden states instead of not at all. Where entries of both signs are left out (smoothing, soft targets)
the two have a product each. A row that would lose much of its mass lists smaller entries too, and where that is not enough
it is multiplied whole.
"""

from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch

from crossent._kernels.cpu import _threads, sparse_gradient
from crossent.arrays._input import address_of, as_array, as_numbers
from crossent.arrays._softmax import with_scratch

# A row that would have more than the first share of its softmax averaged lists smaller entries too, as far as there is room;
# one that still has more than the second is multiplied whole. Measured on 1024 x 768 x 50304, loss 2: see dev/LOG.md.
LITTLE, FLAT = 0.01, 0.05
# The least part of eps that a row lists down to.
_LOWEST = 2.0**-6
# A row lists at most one class in so many; where there are more large entries, a product of the whole row is as fast.
_LISTED = 32


@dataclass(slots=True)
class Filter:
    """Entries kept so far, of rows numbered as the head's, and the sums of the others."""

    eps: float
    classes: int
    rows: int
    most_entries: int  # that are kept before they are added to the gradients
    ranks: int = 1  # that a row's mass is left out on
    of_rows: list[torch.Tensor] = field(default_factory=list)
    ids: list[torch.Tensor] = field(default_factory=list)
    values: list[torch.Tensor] = field(default_factory=list)
    row_sums: torch.Tensor = field(init=False)  # (rows, 2) float64: of what is left out above 0, and below
    column_sums: torch.Tensor = field(init=False)  # (2, classes)
    dropped: torch.Tensor = field(init=False)  # (rows,) the mass left out, as a share of the row's

    def __post_init__(self) -> None:
        self.row_sums = torch.zeros(self.rows, 2, dtype=torch.float64, device="cpu")
        self.column_sums = torch.zeros(2, self.classes, dtype=torch.float64, device="cpu")
        self.dropped = torch.zeros(self.rows, dtype=torch.float64, device="cpu")

    def take(self, gradient: torch.Tensor, these: slice, sizes: torch.Tensor) -> torch.Tensor:
        """List a chunk's large entries, add up the others, and return which rows have to be multiplied whole instead.

        `sizes` is what each row's gradient is multiplied by.
        """
        sizes = sizes.abs()
        # a row of gradient 0 has nothing to list, though nothing of it is below 0
        thresholds = torch.where(sizes == 0.0, torch.inf, self.eps * sizes)
        ids, values, counts, left_out = _large_entries(gradient, thresholds, LITTLE / self.ranks * sizes)
        mass = left_out[:, 0] - left_out[:, 1]
        dropped = torch.where(mass == 0.0, 0.0, mass / sizes)
        whole = (counts > ids.shape[1]) | ~(dropped <= FLAT / self.ranks)
        if 2 * int(whole.sum()) > len(whole):
            return torch.ones_like(whole)  # one product of the chunk is faster than two ways
        listed = torch.arange(ids.shape[1], device="cpu") < torch.where(whole, 0, counts)[:, None]
        own_rows = torch.arange(len(gradient), device="cpu")[:, None].expand_as(ids)[listed]
        self.of_rows.append(own_rows + these.start)
        self.ids.append(ids[listed])
        self.values.append(values[listed])
        self.dropped[these] = torch.where(whole, 0.0, dropped)
        self.row_sums[these] = torch.where(whole[:, None], 0.0, left_out)
        _add_columns(gradient, torch.where(whole, 0.0, thresholds), self.column_sums)
        return whole

    @property
    def full(self) -> bool:
        """Say whether the entries have to be added to the gradients before more are taken."""
        return sum(len(some) for some in self.ids) > self.most_entries

    def _taken(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return rows, classes and values of all entries, and forget them."""
        taken = torch.cat(self.of_rows), torch.cat(self.ids), torch.cat(self.values)
        self.of_rows, self.ids, self.values = [], [], []
        return taken

    def flush(
        self,
        hidden: torch.Tensor,
        linear_weight: torch.Tensor,
        of_hidden: torch.Tensor | None,
        of_weight: torch.Tensor | None,
        of_bias: torch.Tensor | None,
        *,
        begun: bool,
    ) -> None:
        """Add the entries taken so far to the gradients that are wanted; see `finish`."""
        none = torch.zeros(0, hidden.shape[1], dtype=torch.float64, device="cpu")
        wide = (of_hidden, of_weight, of_bias)
        self._add(hidden, linear_weight, *wide, self.row_sums[:, :0], self.column_sums[:0], none, none, begun=begun)
        empty = torch.zeros(0, dtype=torch.int64, device="cpu")
        self.of_rows, self.ids, self.values = [empty], [empty], [empty.double()]

    def finish(
        self,
        hidden: torch.Tensor,
        linear_weight: torch.Tensor,
        of_hidden: torch.Tensor | None,
        of_weight: torch.Tensor | None,
        of_bias: torch.Tensor | None,
        *,
        begun: bool,
    ) -> bool:
        """Add all that was taken to the gradients that are wanted, and say whether there was anything.

        Unless it has `begun`, the weight's gradient holds nothing yet.
        """
        if not self.ids:
            return False
        masses = self.row_sums.sum(0)
        shares = torch.where(masses.abs() < 1e-290, 0.0, 1.0 / masses)  # one for each sign
        mean_weight = mean_hidden = torch.zeros(0, hidden.shape[1], dtype=torch.float64, device="cpu")
        if of_hidden is not None:
            mean_weight = ((self.column_sums * shares[:, None]).to(linear_weight.dtype) @ linear_weight).double()
        if of_weight is not None:
            mean_hidden = (self.row_sums * shares).t() @ hidden.double()
        means = (self.row_sums, self.column_sums, mean_weight, mean_hidden)
        self._add(hidden, linear_weight, of_hidden, of_weight, of_bias, *means, begun=begun)
        return True

    def _add(
        self,
        hidden: torch.Tensor,
        linear_weight: torch.Tensor,
        of_hidden: torch.Tensor | None,
        of_weight: torch.Tensor | None,
        of_bias: torch.Tensor | None,
        row_sums: torch.Tensor,  # (rows, terms)
        column_sums: torch.Tensor,  # (terms, classes)
        mean_weight: torch.Tensor,  # (terms, features)
        mean_hidden: torch.Tensor,  # (terms, features)
        *,
        begun: bool,
    ) -> None:
        """Add the entries taken, and the products of sums and means, to the gradients that are wanted."""
        of_rows, ids, values = self._taken()
        if of_hidden is not None:
            _add_rows(of_rows, ids, values, linear_weight, row_sums, mean_weight, of_hidden, adding=True)
        if of_weight is not None:
            _add_rows(ids, of_rows, values, hidden, column_sums.t(), mean_hidden, of_weight, adding=begun)
        if of_bias is not None:
            kept = torch.zeros(self.classes, dtype=torch.float64, device="cpu").index_add_(0, ids, values)
            of_bias += kept + column_sums.sum(0)


def _large_entries(
    gradient: torch.Tensor, thresholds: torch.Tensor, most: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return (ids, values), each (rows, capacity), how many of them there are, and the sums of the others.

    Thresholds are lowered where more than `most` would be left out, as far as there is room.
    """
    rows, classes = gradient.shape
    numbers = as_numbers(as_array(gradient, "gradient"), "gradient")
    capacity = max(1, classes // _LISTED)
    ids, values = np.empty((rows, capacity), np.int64), np.empty((rows, capacity))
    counts, left_out = np.empty(rows, np.int64), np.empty((rows, 2))
    like = np.float64(0) if numbers.dtype_name == "float64" else np.float32(0)
    filled = [address_of(array) for array in (ids, values, counts, left_out)]
    limits = thresholds.data_ptr(), most.data_ptr(), _LOWEST
    place = address_of(numbers.array), numbers.array.itemsize, classes, *limits, capacity, *filled

    def task(first: int, last: int) -> None:
        sparse_gradient.gather_large(*place, first, last, numbers.tag, like)

    _threads.spread(task, rows, numbers.array.nbytes)
    return torch.from_numpy(ids), torch.from_numpy(values), torch.from_numpy(counts), torch.from_numpy(left_out)


def _add_columns(gradient: torch.Tensor, thresholds: torch.Tensor, sums: torch.Tensor) -> None:
    """Add to sums, (2, classes), what is below the thresholds, above 0 and below."""
    rows, classes = gradient.shape
    numbers = as_numbers(as_array(gradient, "gradient"), "gradient")
    place = address_of(numbers.array), rows, classes, thresholds.data_ptr(), sums[0].data_ptr(), sums[1].data_ptr()

    def task(first: int, last: int) -> None:
        sparse_gradient.add_columns(*place, first, last, numbers.tag)

    _threads.spread(task, classes, numbers.array.nbytes, 64)


def _add_rows(
    of_rows: torch.Tensor,
    ids: torch.Tensor,
    values: torch.Tensor,
    dense: torch.Tensor,
    factors: torch.Tensor,
    directions: torch.Tensor,
    out: torch.Tensor,
    *,
    adding: bool,
) -> None:
    """Fill in, or add to, each row r of `out` sum_k values[k] dense[ids[k]] over the k of row r, and factors[r] @ directions."""
    rows, features = out.shape
    order = torch.argsort(of_rows, stable=True)
    starts = np.zeros(rows + 1, np.int64)
    np.cumsum(np.bincount(of_rows.numpy(), minlength=rows), out=starts[1:])
    sorted_ids, sorted_values = ids[order].numpy(), values[order].numpy()
    factors, directions = factors.contiguous().numpy(), directions.contiguous().numpy()
    source, result = (as_numbers(as_array(t.detach(), "tensor"), "tensor") for t in (dense.contiguous(), out))
    before = (
        *(address_of(array) for array in (starts, sorted_ids, sorted_values, source.array)),
        features,
        factors.shape[1],
        *(address_of(array) for array in (factors, directions)),
        adding,
        address_of(result.array),
    )
    kernel = partial(sparse_gradient.sums_of_rows, *before)

    def task(first: int, last: int, scratch: int) -> None:
        kernel(scratch, first, last, source.tag, result.tag)

    traffic_bytes = result.array.nbytes * 2 + len(sorted_ids) * features * source.array.itemsize
    _threads.spread(with_scratch(features * 8, task), rows, traffic_bytes)
