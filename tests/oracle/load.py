"""Read the oracle's tables as NumPy arrays, and measure a result against them in ulp."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pyarrow.parquet as pq
from numpy.typing import ArrayLike, DTypeLike, NDArray

TABLES = Path(__file__).parent / "tables"
NUMBERS = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16, "float32": np.float32, "float64": np.float64}
INPUTS = ("logits", "target", "probs", "p", "q", "class_weight", "top_k_probs")
RAGGED = ("grad_hi", "grad_lo", "grad_scale", "grad_index", "top_k_ids")


@dataclass(frozen=True)
class Row:
    """One row of a table: each column by its name as an attribute; bytes are decoded to arrays of the table's dtype.

    ``grad_index``, ``grad_hi``, ``grad_lo`` (0 where the table has none) and ``grad_scale`` are aligned arrays.
    """

    table: str
    number: int
    columns: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        try:
            return self.columns[name]
        except KeyError:
            raise AttributeError(name) from None

    def __str__(self) -> str:
        return f"{self.table}[{self.number}] ({self.columns['family']}, {self.columns.get('classes', 1)} classes)"


@dataclass(frozen=True)
class Batch:
    """Rows of one number of classes, stacked; ``rows[i]`` is the row behind ``logits[i]``.

    The listed gradient entries of all rows stand in flat arrays: ``got[grad_row, grad_index]`` is compared with
    ``grad_hi + grad_lo``, and ``grad_allowed`` and ``grad_scale`` (None where the table has none) belong to them.
    """

    rows: list[Row]
    classes: int
    inputs: NDArray[Any]  # (rows, classes): logits, or probabilities
    target: NDArray[Any]  # (rows,) class ids, or (rows, classes)
    loss_hi: NDArray[np.float64]
    loss_lo: NDArray[np.float64]
    allowed_ulp_loss: NDArray[np.float64]
    grad_row: NDArray[np.int64]
    grad_index: NDArray[np.int64]
    grad_hi: NDArray[np.float64]
    grad_lo: NDArray[np.float64]
    grad_scale: NDArray[np.float64] | None
    grad_allowed: NDArray[np.float64]


def dtype_of(name: str) -> np.dtype[Any]:
    """Return the dtype of a table's inputs."""
    return np.dtype(NUMBERS[name.rpartition("_")[2]])


def load(name: str) -> list[Row]:
    """Return the rows of one table, such as "hard_float32"."""
    table, dtype = pq.read_table(TABLES / f"{name}.parquet"), dtype_of(name)
    columns: dict[str, list[Any]] = {}
    for field in table.schema:
        column = table[field.name].combine_chunks()
        if field.name in RAGGED and hasattr(column, "offsets"):
            offsets, values = column.offsets.to_numpy(), column.values.to_numpy(zero_copy_only=False)
            columns[field.name] = [values[start:stop] for start, stop in pairwise(offsets)]
            continue
        values = column.to_pylist()
        if field.name in INPUTS and any(isinstance(value, bytes) for value in values):
            values = [None if value is None else np.frombuffer(value, dtype) for value in values]
        columns[field.name] = values
    if "grad_lo" not in columns and "grad_hi" in columns:
        columns["grad_lo"] = [np.zeros_like(high) for high in columns["grad_hi"]]
    return [
        Row(name, number, dict(zip(columns, values, strict=True)))
        for number, values in enumerate(zip(*columns.values(), strict=True))
    ]


def batches(rows: list[Row]) -> Iterator[Batch]:
    """Yield the rows of a hard, soft or probs table stacked by their number of classes, smallest first."""
    groups: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.classes].append(row)
    for classes, group in sorted(groups.items()):
        sizes = [len(row.grad_index) for row in group]
        scales = [row.columns["grad_scale"] for row in group if "grad_scale" in row.columns]
        yield Batch(
            rows=group,
            classes=classes,
            inputs=np.stack([row.columns["logits" if "logits" in row.columns else "probs"] for row in group]),
            target=np.stack([row.target for row in group]),
            loss_hi=np.array([row.loss_hi for row in group]),
            loss_lo=np.array([row.loss_lo for row in group]),
            allowed_ulp_loss=np.array([row.allowed_ulp_loss for row in group]),
            grad_row=np.repeat(np.arange(len(group)), sizes),
            grad_index=np.concatenate([row.grad_index for row in group]).astype(np.int64),
            grad_hi=np.concatenate([row.grad_hi for row in group]),
            grad_lo=np.concatenate([row.grad_lo for row in group]),
            grad_scale=np.concatenate(scales) if scales else None,
            grad_allowed=np.repeat([row.allowed_ulp_grad for row in group], sizes),
        )


def ulp_error(
    got: ArrayLike, exact_hi: ArrayLike, exact_lo: ArrayLike, dtype: DTypeLike, scale: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Return |got - (exact_hi + exact_lo)| in units of the spacing of `dtype` at the correctly rounded exact value.

    With `scale` the unit is the spacing at that magnitude instead.  Below the normal numbers the unit is the smallest
    subnormal.  An infinity or NaN that is expected and found is an error of 0 and any other an error of +inf; an exact
    value that rounds to infinity is met by infinity.
    """
    got64, high, low = (np.asarray(value, dtype=np.float64) for value in (got, exact_hi, exact_lo))
    number = np.dtype(dtype).type
    limit = np.finfo(number).max
    # inf - inf, NaN and overflow are expected here: each is settled by one of the cases below
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        unit_at = np.abs((high if scale is None else np.asarray(scale, dtype=np.float64)).astype(number))
        # np.spacing is inf at the largest number of all, so that binade is measured from the one below
        unit = np.spacing(np.minimum(unit_at, limit / 2)).astype(np.float64) * np.where(unit_at > limit / 2, 2.0, 1.0)
        # high / unit may be huge, but the difference comes first: it is exact where the two are close
        error = np.abs((got64 - high) - low) / unit
        rounded = high.astype(number).astype(np.float64)
        met = (np.isnan(got64) & np.isnan(high)) | (np.isinf(got64) & (got64 == rounded))
        lost = np.isnan(error) | ~np.isfinite(got64)
    return np.where(met, 0.0, np.where(lost, np.inf, error))
