"""Which rows take part and with what weight; and what becomes of their losses: sums, means, warnings."""

import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from crossent import conventions
from crossent._checks import check_choice, check_denominator, check_shape, check_smoothing, unit_of_base
from crossent.arrays._input import as_array, as_real
from crossent.arrays._words import where_is
from crossent.arrays.exact_sum import ExactSum
from crossent.errors import DtypeError, EmptyError, ImpossibleEventWarning, RangeError, ShapeError

_PLAIN = frozenset({str, int, float, bool, type(None)})


@dataclass(slots=True, frozen=True)
class Options:
    """The options that every loss of the door has, checked."""

    smoothing: float
    reduction: str
    denominator: str
    own_denominator: float | None
    unit: float
    empty: str


def read_options(*, label_smoothing: Any, reduction: Any, denominator: Any, base: Any, empty: Any) -> Options:
    """Check the options that are words or numbers."""
    words = (label_smoothing, reduction, denominator, base, empty)
    # what can change behind its back, such as a tensor, is not looked up but read anew
    if _PLAIN.issuperset(map(type, words)):
        return _options(*words)
    return _options.__wrapped__(*words)


@lru_cache(maxsize=64, typed=True)
def _options(label_smoothing: Any, reduction: Any, denominator: Any, base: Any, empty: Any) -> Options:
    check_choice("reduction", reduction, conventions.REDUCTIONS)
    check_choice("empty", empty, conventions.EMPTIES)
    own = check_denominator(denominator, conventions.DENOMINATORS)
    return Options(
        smoothing=check_smoothing(label_smoothing),
        reduction=reduction,
        denominator=denominator if own is None else "own",
        own_denominator=own,
        unit=unit_of_base(base),
        empty=empty,
    )


def read_where(where: Any, shape: tuple[int, ...], axis: int, name: str) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return (rows that take part, flat, or None for all; class mask of the predictions' shape, or None)."""
    if where is None:
        return None, None
    mask = as_array(where, "where")
    if mask.dtype != np.bool_:
        message = f"`where` must be boolean; got {mask.dtype.name}."
        raise DtypeError(message)
    rows_shape = shape[:axis] + shape[axis + 1 :]
    if mask.shape == rows_shape:
        return (None if mask.all() else mask.reshape(-1)), None
    if mask.ndim == len(shape):
        try:
            full = np.broadcast_to(mask, shape)
        except ValueError:
            full = None
        if full is not None:
            rows = np.broadcast_to(mask.any(axis=axis), rows_shape)
            return (None if rows.all() else rows.reshape(-1)), full
    message = (
        f"`where` must have shape {rows_shape} to choose rows or {shape} to choose classes, to match `{name}`; "
        f"got {mask.shape}."
    )
    raise ShapeError(message)


def read_weights(value: Any, name: str, wanted: tuple[int, ...], reason: str) -> np.ndarray | None:
    """Return weights as flat float64, or None for none given."""
    if value is None:
        return None
    array = as_real(as_array(value, name))
    if array.dtype.kind not in "fiub" and array.dtype.name != "bfloat16":
        message = f"`{name}` must hold real numbers; got {array.dtype.name}."
        raise DtypeError(message)
    check_shape(name, array.shape, wanted, reason)
    weights = np.ascontiguousarray(array, dtype=np.float64)
    bad = ~((weights >= 0.0) & (weights < np.inf))
    if bad.any():
        place = tuple(int(i) for i in np.argwhere(bad)[0])
        where = f"class {place[0]} " if name == "class_weight" else where_is(place) or "it "
        message = f"`{name}` must be finite and at least 0; {where}has {weights[place]}."
        raise RangeError(message)
    return weights.reshape(-1)


def total_weight(
    options: Options,
    rows: int,
    counted: np.ndarray | None,
    sample_weight: np.ndarray | None,
    class_weight_of_rows: np.ndarray | None,
) -> "float | int | ExactSum":
    """Return what a mean divides by."""
    if options.own_denominator is not None:
        return options.own_denominator
    if options.denominator == "count" or (sample_weight is None and class_weight_of_rows is None):
        return rows if counted is None else int(np.count_nonzero(counted))
    weights = sample_weight if sample_weight is not None else class_weight_of_rows
    other = class_weight_of_rows if sample_weight is not None else None
    assert weights is not None  # one of the two is, by the test above
    if counted is not None:
        weights = np.where(counted, weights, 0.0)
    return ExactSum().add(weights) if other is None else ExactSum().add_products(weights, other)


def is_nothing(denominator: "float | int | ExactSum") -> bool:
    """Say whether a mean has nothing to divide by."""
    return (denominator.value() if isinstance(denominator, ExactSum) else denominator) == 0


def gradient_scales(
    options: Options, denominator: "float | int | ExactSum", sample_weight: np.ndarray | None, rows: int
) -> tuple[float, np.ndarray | None]:
    """Return what every gradient is multiplied by, and what each row's is multiplied by besides."""
    if options.reduction != "mean" or is_nothing(denominator):
        return 1.0, sample_weight
    plain = denominator.value() if isinstance(denominator, ExactSum) else float(denominator)
    if 1e-200 < plain < 1e200:
        return 1.0 / plain, sample_weight
    # 1 / plain would overflow, or be 0 where plain overflowed: a power of two moves from the one factor to the other
    shift = 1000 if plain > 1.0 else -1000
    exact = denominator if isinstance(denominator, ExactSum) else ExactSum().add([plain])
    weights = sample_weight if sample_weight is not None else np.ones(rows)
    return 1.0 / exact.divided_by(2.0**shift), np.ldexp(weights, -shift)


def reduce_losses(
    losses: np.ndarray,
    options: Options,
    denominator: "float | int | ExactSum",
    sample_weight: np.ndarray | None,
    stacklevel: int,
    unit_name: str = "row",
    total: ExactSum | None = None,
) -> float | np.ndarray:
    """Return the rows' losses, their exact sum, or their exact mean, rounded once; warn where rows are impossible.

    `total` is the exact sum, if it is known; `stacklevel` counts from this function to the caller's own line.
    """
    if options.reduction == "none":
        if sample_weight is not None:
            weights = sample_weight.reshape(losses.shape)
            with np.errstate(invalid="ignore"):  # 0 * inf: a row of weight 0 does not take part
                losses = np.where(weights == 0.0, 0.0, losses * weights).astype(losses.dtype)
        _warn_of_impossible_rows(losses, unit_name, stacklevel + 1)
        return losses
    if total is not None:
        exact = total
    elif sample_weight is None:
        exact = ExactSum().add(losses)
    else:
        exact = ExactSum().add_products(sample_weight, losses.reshape(-1))
    value = exact.value() if options.reduction == "sum" else _mean(exact, options, denominator)
    if not exact.finite:
        taking_part = losses if sample_weight is None else losses[(sample_weight != 0.0).reshape(losses.shape)]
        _warn_of_impossible_rows(taking_part, unit_name, stacklevel + 1)
    return value


def _mean(exact: ExactSum, options: Options, denominator: "float | int | ExactSum") -> float:
    if not is_nothing(denominator):
        return exact.divided_by(denominator)
    if options.empty == "raise":
        message = "No row took part in the mean: every row is ignored, masked, of weight 0, or there is none."
        raise EmptyError(message)
    return 0.0 if options.empty == "zero" else float("nan")


def _warn_of_impossible_rows(losses: np.ndarray, unit_name: str, stacklevel: int) -> None:
    impossible = int(np.count_nonzero(losses == np.inf))
    if impossible:
        rows = unit_name if losses.size == 1 else f"{unit_name}s"
        verb = "has" if impossible == 1 else "have"
        message = (
            f"{impossible} of {losses.size} {rows} {verb} an infinite loss: the prediction is 0 where the truth is not."
        )
        warnings.warn(message, ImpossibleEventWarning, stacklevel=stacklevel)
