"""Check binary predictions and targets, call their kernel, reduce."""

from typing import Any

import numpy as np

from crossent._checks import check_shape
from crossent._kernels.cpu import _threads
from crossent._kernels.cpu import sigmoid_cross_entropy as kernels
from crossent.arrays._from_probs import read_floor
from crossent.arrays._gradient import clear_rows, gradient_array
from crossent.arrays._input import address_of, as_array, as_numbers, is_floating, tag_of
from crossent.arrays._rows import gradient_scales, read_options, read_weights, reduce_losses, total_weight
from crossent.arrays._words import where_is
from crossent.arrays.targets import check_ignore_index
from crossent.errors import DtypeError, ImpossibleEventError, OptionError, RangeError, ShapeError

# what an element costs more than a row's: the logarithm and two divisions, about as long as reading this many bytes
_BYTES_OF_WORK = 64


def read_binary_targets(
    targets: Any, shape: tuple[int, ...], ignore_index: int | None, counted: np.ndarray | None, name: str
) -> tuple[np.ndarray, Any, np.ndarray | None]:
    """Return (targets as stored, contiguous; their tag; which elements take part, or None for all)."""
    array = as_array(targets, "targets")
    check_shape("targets", array.shape, shape, f"that of `{name}`")
    if array.dtype.kind in "biu" and not is_floating(array):
        if ignore_index is not None:
            ignore_index = check_ignore_index(ignore_index)
            kept = array != ignore_index
            if not kept.all():
                counted = kept if counted is None else counted & kept
        _check_targets(array, counted, "{0, 1}" if ignore_index is None else f"{{0, 1, {ignore_index}}}")
        clean = array if counted is None else np.where(counted, array, 0)
        stored = np.ascontiguousarray(clean, dtype=np.float32)
        return stored, np.float32(0), counted
    if not is_floating(array):
        message = f"`targets` must be integers or booleans in {{0, 1}}, or floats in [0, 1]; got {array.dtype.name}."
        raise DtypeError(message)
    if ignore_index is not None:
        message = "`ignore_index` needs integer `targets`; got floats: leave elements out with where=."
        raise OptionError(message)
    numbers = as_numbers(array, "targets")
    values = numbers.as_doubles(numbers.array) if numbers.dtype_name != "float64" else numbers.array
    _check_targets(values, counted, "[0, 1]")
    return np.ascontiguousarray(values), np.float64(0), counted


def _check_targets(values: np.ndarray, counted: np.ndarray | None, allowed: str) -> None:
    bad = (values < 0) | (values > 1)
    if counted is not None:
        bad &= counted
    if bad.any():
        place = tuple(int(i) for i in np.argwhere(bad)[0])
        where = f"element {place[0] if len(place) == 1 else place} " if place else "it "
        message = f"`targets` must lie in {allowed}; {where}has {values[place]}."
        raise RangeError(message)


def evaluate(
    name: str,
    predictions: Any,
    targets: Any,
    *,
    zero: str,
    eps: float | None,
    sample_weight: Any,
    class_weight: Any,
    where: Any,
    ignore_index: int | None,
    options: dict[str, Any],
    with_gradient: bool,
    out: Any,
) -> tuple[float | np.ndarray, np.ndarray | None]:
    """Check, call the kernel, reduce; `name` is "logits" or "probs"."""
    checked = read_options(**options)
    floor = read_floor(zero, eps)
    numbers = as_numbers(as_array(predictions, name), name)
    shape = numbers.array.shape
    counted = None
    if where is not None:
        counted = as_array(where, "where")
        if counted.dtype != np.bool_:
            message = f"`where` must be boolean; got {counted.dtype.name}."
            raise DtypeError(message)
        check_shape("where", counted.shape, shape, f"that of `{name}`")
    stored, target_tag, counted = read_binary_targets(targets, shape, ignore_index, counted, name)
    own_weight = read_weights(sample_weight, "sample_weight", shape, "one for each element")
    pair = read_weights(class_weight, "class_weight", (2,), "one for each class")
    per_element = None
    if pair is not None:
        y = stored.reshape(-1).astype(np.float64)
        with np.errstate(invalid="ignore"):  # 0 * inf, of an element that does not take part
            per_element = pair[0] * (1.0 - y) + pair[1] * y
    flat_counted = counted.reshape(-1) if counted is not None else None
    denominator = total_weight(checked, stored.size, flat_counted, own_weight, per_element)
    values = np.ascontiguousarray(numbers.array)
    if name == "probs":
        _check_probabilities(numbers.as_doubles(values).reshape(shape), counted)

    result, gradient = None, None
    if with_gradient:
        result, gradient = gradient_array(out, numbers, [stored, counted, own_weight], name, order="C")
        if not gradient.array.flags.c_contiguous:
            message = "`out` must be C-contiguous; got strides " + str(gradient.array.strides) + "."
            raise ShapeError(message)
    scale, scales = gradient_scales(checked, denominator, own_weight, stored.size)
    losses = np.empty(shape, numbers.result)
    taking_part = np.ascontiguousarray(counted) if counted is not None else None
    arguments = (
        address_of(values),
        address_of(stored),
        address_of(taking_part) if taking_part is not None else 0,
        name == "probs",
        floor,
        float(pair[0]) if pair is not None else 1.0,
        float(pair[1]) if pair is not None else 1.0,
        checked.smoothing,
        address_of(scales) if scales is not None else 0,
        scale,
        checked.unit,
        address_of(losses),
        address_of(gradient.array) if gradient is not None else 0,
    )
    out_tag = gradient.tag if gradient is not None else tag_of(losses)
    tags = (numbers.tag, target_tag, tag_of(losses), out_tag, np.int8(0))

    def task(first: int, last: int) -> None:
        kernels.elements(*arguments, first, last, *tags)

    _threads.spread(task, losses.size, losses.size * _BYTES_OF_WORK)
    if gradient is not None:
        clear_rows(gradient, None, own_weight)
    if zero == "raise":
        _check_possible(losses)
    return reduce_losses(losses, checked, denominator, own_weight, stacklevel=4, unit_name="element"), result


def _check_probabilities(values: np.ndarray, counted: np.ndarray | None) -> None:
    bad = (values < 0.0) | (values > 1.0)
    if counted is not None:
        bad &= counted
    if bad.any():
        place = tuple(int(i) for i in np.argwhere(bad)[0])
        where = f"element {place[0] if len(place) == 1 else place} " if place else "it "
        message = f"`probs` must lie in [0, 1]; {where}has {values[place]}."
        raise RangeError(message)


def _check_possible(losses: np.ndarray) -> None:
    impossible = losses == np.inf
    if impossible.any():
        place = tuple(int(i) for i in np.argwhere(impossible)[0])
        message = (
            f"{int(np.count_nonzero(impossible))} of {losses.size} elements are impossible, with prediction 0 where the "
            f"truth is not; the first is {where_is(place).replace('row', 'element').rstrip() or 'the only one'}."
        )
        raise ImpossibleEventError(message)
