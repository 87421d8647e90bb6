"""The forms that targets come in, read once: class ids, distributions, top-k."""

import operator
from dataclasses import dataclass
from typing import Any

import numpy as np

from crossent import conventions
from crossent._checks import check_choice
from crossent._kernels.cpu import _threads, target_rows
from crossent._kernels.cpu.targets import CLASS_IDS, DISTRIBUTIONS, TOP_K, any_outside
from crossent.arrays._input import Numbers, address_of, as_array, as_numbers, as_real, is_floating
from crossent.arrays._layout import blocks_of_rows
from crossent.arrays._words import class_at, hint_for_label, where_is
from crossent.conventions import Rest
from crossent.errors import ArrayKindError, DtypeError, LabelError, OptionError, RangeError, ShapeError

_SUM_TOLERANCE = 1e-6  # shares come as float32 or better: 1 + k roundings of 2**-24, for k up to 16

_INT64 = np.dtype(np.int64)  # comparing a dtype with a type takes 0.2 us


class TopKTargets:
    """Soft targets of which only k classes a row are listed, with probabilities that sum to at most 1.

    Row r gives class ``ids[r, i]`` the probability ``probs[r, i]``; the other classes get nothing, or share what is
    missing from 1::

        y_j = (1 - sum_i probs_i) / (classes - k)    for j not listed, with rest="uniform"

    Parameters
    ----------
    ids : array of integers, shape (rows, k)
        Class ids, no two alike in a row; any leading dimensions.
    probs : array of floats or integers, shape (rows, k)
        At least 0.
    rest : {"zero", "uniform"}
        What the classes that are not listed get.

    Raises
    ------
    ShapeError
        If `ids` and `probs` differ in shape or have no last dimension of at least 1.
    DtypeError
        If `ids` are not integers or `probs` not real numbers.
    RangeError
        If a probability is negative or not finite, a row lists a class twice, or with rest="uniform" a row sums to more
        than 1.

    Examples
    --------
    >>> teacher = TopKTargets([[2, 0]], [[0.7, 0.2]], rest="uniform")
    >>> round(cross_entropy([[1.0, 0.0, 2.0, 0.0]], teacher), 6)
    0.893812
    """

    __slots__ = ("ids", "probs", "rest")

    def __init__(self, ids: Any, probs: Any, rest: Rest = "zero") -> None:
        check_choice("rest", rest, conventions.RESTS)
        id_array, share_array = as_array(ids, "ids"), as_real(as_array(probs, "probs"))
        if id_array.dtype.kind not in "iu":
            message = f"`ids` must be integers; got {id_array.dtype.name}."
            raise DtypeError(message)
        if not is_floating(share_array) and share_array.dtype.kind not in "iu":
            message = f"`probs` must be real numbers; got {share_array.dtype.name}."
            raise DtypeError(message)
        if id_array.shape != share_array.shape or not id_array.shape or id_array.shape[-1] == 0:
            message = (
                "`ids` and `probs` must have one shape (rows, k) with k at least 1; "
                f"got {id_array.shape} and {share_array.shape}."
            )
            raise ShapeError(message)
        # copies: what is checked here must not change later, under the caller's hands or under `out=`
        self.ids = np.array(id_array, order="C")
        self.probs = np.array(share_array, dtype=np.float64, order="C")
        self.rest = rest
        self._check()

    def _check(self) -> None:
        bad = ~((self.probs >= 0.0) & (self.probs < np.inf))
        if bad.any():
            place = tuple(int(i) for i in np.argwhere(bad)[0])
            message = (
                f"`probs` must be finite and at least 0; {where_is(place[:-1])}entry {place[-1]} is "
                f"{self.probs[place]}."
            )
            raise RangeError(message)
        ordered = np.sort(self.ids, axis=-1)
        twice = (ordered[..., 1:] == ordered[..., :-1]).any(axis=-1)
        if twice.any():
            place = tuple(int(i) for i in np.argwhere(twice)[0])
            message = f"`ids` must list a class once in a row; {where_is(place)}has {self.ids[place].tolist()}."
            raise RangeError(message)
        if self.rest == "uniform":
            sums = self.probs.sum(axis=-1)
            if (sums > 1.0 + _SUM_TOLERANCE).any():
                place = tuple(int(i) for i in np.argwhere(sums > 1.0 + _SUM_TOLERANCE)[0])
                message = f'`probs` must sum to at most 1 with rest="uniform"; {where_is(place)}sums to {sums[place]}.'
                raise RangeError(message)

    def __repr__(self) -> str:
        return f"TopKTargets(ids of shape {self.ids.shape}, rest={self.rest!r})"


@dataclass(slots=True)
class TargetRows:
    """Targets in the order of the rows, as the kernels take them.

    `ids` names the class of every row that is certain of one: -1 for any other. `counted` is False where a row does not
    take part.
    """

    kind: int
    ids: np.ndarray
    counted: np.ndarray | None
    dense: Numbers | None = None
    top_ids: np.ndarray | None = None
    shares: np.ndarray | None = None
    uniform: bool = False

    @property
    def width(self) -> int:
        """Return k of top-k targets."""
        return int(self.top_ids.shape[-1]) if self.top_ids is not None else 0

    @property
    def soft(self) -> bool:
        """Say whether a row that takes part has anything but one certain class."""
        if self.kind == CLASS_IDS:
            return False
        uncertain = self.ids < 0
        return bool((uncertain if self.counted is None else uncertain & self.counted).any())


def read_targets(
    targets: Any, shape: tuple[int, ...], axis: int, ignore_index: int | None, counted: np.ndarray | None, name: str
) -> TargetRows:
    """Tell class ids, distributions and top-k apart by type and shape, check them, and put them into row order."""
    rows_shape = shape[:axis] + shape[axis + 1 :]
    if isinstance(targets, TopKTargets):
        _refuse_ignore_index(ignore_index)
        return _read_top_k(targets, rows_shape, shape[axis], counted)
    array = as_array(targets, "targets")
    if isinstance(targets, (list, tuple)) and array.size == 0 and array.shape == rows_shape:
        array = array.astype(np.int64)  # an empty list has no dtype of its own; NumPy calls it float64
    if is_floating(array):
        _refuse_ignore_index(ignore_index)
        return _read_distributions(array, shape, rows_shape, axis, counted, name)
    if array.dtype.kind not in "iu" or (array.shape == shape and array.shape != rows_shape):
        raise _wrong_kind(array, shape, rows_shape, name)
    if array.shape != rows_shape:
        message = (
            f"`targets` must have shape {rows_shape} for class ids or {shape} for distributions, "
            f"to match `{name}` of shape {shape}; got {array.dtype.name} of shape {array.shape}."
        )
        raise ShapeError(message)
    return _read_ids(array, shape[axis], ignore_index, counted)


def _refuse_ignore_index(ignore_index: int | None) -> None:
    if ignore_index is not None:
        message = "`ignore_index` needs class ids as `targets`; got distributions: skip rows with where=."
        raise OptionError(message)


def check_ignore_index(value: Any) -> int:
    """Return `ignore_index` as an integer."""
    try:
        return operator.index(value)
    except TypeError:
        message = f"`ignore_index` must be an integer or None; got {value!r}."
        raise OptionError(message) from None


def _wrong_kind(
    array: np.ndarray, shape: tuple[int, ...], rows_shape: tuple[int, ...], name: str
) -> DtypeError | ArrayKindError:
    if array.dtype.kind in "biu" and array.shape == shape:
        return DtypeError(
            f"`targets` of dtype {array.dtype.name} has the shape {shape} of `{name}`: "
            f"pass distributions as floats, np.asarray(targets, dtype=float), or class ids of shape {rows_shape}."
        )
    return DtypeError(f"`targets` must be integer class ids or floating-point distributions; got {array.dtype.name}.")


def _read_ids(array: np.ndarray, classes: int, ignore_index: int | None, counted: np.ndarray | None) -> TargetRows:
    flat = array.reshape(-1)
    if ignore_index is not None:
        ignore_index = check_ignore_index(ignore_index)
        kept = flat != ignore_index
        if not kept.all():
            counted = kept if counted is None else counted & kept
    considered = flat if counted is None else flat[counted]
    if _outside(considered, classes):
        raise _label_error(array, classes, ignore_index, counted)
    if counted is None:
        ready = flat.dtype == _INT64 and flat.flags.c_contiguous
        return TargetRows(CLASS_IDS, flat if ready else np.ascontiguousarray(flat, dtype=np.int64), None)
    ids = np.full(flat.shape, -1, np.int64)
    np.copyto(ids, flat, where=counted, casting="unsafe")  # checked above: what is copied fits
    return TargetRows(CLASS_IDS, ids, counted)


def _outside(ids: np.ndarray, classes: int) -> bool:
    """Say whether an id lies outside [0, classes)."""
    if not ids.size:
        return False
    if ids.dtype == _INT64 and ids.flags.c_contiguous:
        # on this thread: a million ids take it 0.13 ms, and two threads 0.2 with reaching the second (Zen 4)
        return bool(any_outside(address_of(ids), ids.size, classes))
    return int(ids.min()) < 0 or int(ids.max()) >= classes


def _label_error(array: np.ndarray, classes: int, ignore_index: int | None, counted: np.ndarray | None) -> LabelError:
    bad = (array < 0) | (array >= classes)
    if counted is not None:
        bad &= counted.reshape(array.shape)
    place = tuple(int(i) for i in np.argwhere(bad)[0])
    label = int(array[place])
    allowed = f"[0, {classes})" if ignore_index is None else f"[0, {classes}) or equal `ignore_index`={ignore_index}"
    hint = hint_for_label(label, classes, int(array.min()), int(array.max()), ignore_index)
    return LabelError(f"`targets` must lie in {allowed}; {where_is(place) or 'it '}has {label}.{hint}")


def _read_distributions(
    array: np.ndarray,
    shape: tuple[int, ...],
    rows_shape: tuple[int, ...],
    axis: int,
    counted: np.ndarray | None,
    name: str,
) -> TargetRows:
    if array.shape != shape:
        hint = " Class ids must be integers." if array.shape == rows_shape else ""
        message = (
            f"`targets` of dtype {array.dtype.name} are distributions and must have the shape {shape} of `{name}`; "
            f"got {array.shape}.{hint}"
        )
        raise ShapeError(message)
    dense = as_numbers(array, "targets")
    ids = np.full(rows_shape, -1, np.int64).reshape(-1)
    for block in blocks_of_rows([dense.array], axis):
        (view,) = block.views
        own = ids[block.first_row : block.first_row + block.rows]

        def task(first: int, last: int, view: Any = view, block: Any = block, own: np.ndarray = own) -> None:
            target_rows.one_hot_ids(
                view.address,
                block.inner,
                view.outer_stride,
                view.inner_stride,
                view.class_stride,
                shape[axis],
                address_of(own),
                first,
                last,
                dense.tag,
                0,
            )

        _threads.spread(task, block.rows, block.rows * shape[axis] * dense.array.itemsize)
    if counted is not None:
        ids[~counted] = -1
    if (ids == -2).any():
        row = np.unravel_index(int(np.argmax(ids == -2)), rows_shape)
        place = tuple(int(i) for i in row)
        values = dense.as_doubles(np.moveaxis(dense.array, axis, -1)[place])
        c = int(np.argmax((values < 0) | (values == np.inf)))
        message = f"`targets` must be finite and at least 0; {class_at(place, c)} has {values[c]}."
        raise RangeError(message)
    return TargetRows(DISTRIBUTIONS, ids, counted, dense=dense)


def _read_top_k(
    targets: TopKTargets, rows_shape: tuple[int, ...], classes: int, counted: np.ndarray | None
) -> TargetRows:
    if targets.ids.shape[:-1] != rows_shape:
        message = f"`targets.ids` must have shape {(*rows_shape, 'k')}; got {targets.ids.shape}.".replace("'k'", "k")
        raise ShapeError(message)
    width = targets.ids.shape[-1]
    flat = targets.ids.reshape(-1, width)
    bad = (flat < 0) | (flat >= classes)
    if counted is not None:
        bad &= counted[:, None]
    if bad.any():
        r, i = (int(n) for n in np.argwhere(bad)[0])
        place = tuple(int(n) for n in np.unravel_index(r, rows_shape))
        message = f"`targets.ids` must lie in [0, {classes}); {where_is(place) or 'it '}has {int(flat[r, i])}."
        raise LabelError(message)
    top_ids = np.ascontiguousarray(flat, dtype=np.int64)
    if counted is not None:
        top_ids = np.where(counted[:, None], top_ids, 0)
    shares = targets.probs.reshape(-1, width)
    # a row with all of its probability on one class is a class id in other words
    certain = (shares == 1.0).any(axis=1) & ((shares != 0.0).sum(axis=1) == 1)
    ids = np.where(certain, top_ids[np.arange(len(top_ids)), np.argmax(shares, axis=1)], -1)
    if counted is not None:
        ids[~counted] = -1
    return TargetRows(TOP_K, ids, counted, top_ids=top_ids, shares=shares, uniform=targets.rest == "uniform")
