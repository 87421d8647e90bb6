"""Check predictions that are probabilities or their logarithms, call their kernel, say what is wrong with the rows."""

import warnings
from typing import Any

import numpy as np

from crossent import conventions
from crossent._checks import check_axis, check_choice, check_real
from crossent._kernels.cpu import _threads
from crossent._kernels.cpu import cross_entropy as kernels
from crossent._kernels.cpu.targets import CLASS_IDS
from crossent.arrays._class_weights import class_weight_of_rows
from crossent.arrays._gradient import clear_rows, gradient_array
from crossent.arrays._input import Numbers, as_array, as_numbers, tag_of
from crossent.arrays._layout import blocks_of_rows
from crossent.arrays._rows import (
    gradient_scales,
    read_options,
    read_weights,
    read_where,
    reduce_losses,
    total_weight,
)
from crossent.arrays._softmax import at_row, target_arguments, with_scratch
from crossent.arrays._words import class_at, where_is
from crossent.arrays.targets import TargetRows, read_targets
from crossent.errors import (
    ImpossibleEventError,
    NormalizationError,
    NormalizationWarning,
    OptionError,
    RangeError,
)

# How far a row's sum may be from 1 before it is said: the square root of the dtype's precision, as in scikit-learn.
SUM_TOLERANCE = {"float16": 2.0**-5, "bfloat16": 2.0**-3.5, "float32": 2.0**-11.5, "float64": 2.0**-26}


def read_floor(zero: object, eps: object) -> float:
    """Return the probability to clip at, or 0."""
    check_choice("zero", zero, conventions.ZEROS)
    if zero != "clip":
        if eps is not None:
            message = f'`eps` is only used with zero="clip"; got eps={eps!r} with zero={zero!r}.'
            raise OptionError(message)
        return 0.0
    wanted = 'a number in (0, 1) with zero="clip"'
    floor = check_real("eps", eps, wanted) if eps is not None else 0.0
    if not 0.0 < floor < 1.0:
        message = f"`eps` must be {wanted}; got {eps!r}."
        raise OptionError(message)
    return floor


def evaluate(
    name: str,
    predictions: Any,
    targets: Any,
    *,
    zero: str,
    eps: float | None,
    normalized: str,
    axis: int,
    sample_weight: Any,
    class_weight: Any,
    where: Any,
    ignore_index: int | None,
    options: dict[str, Any],
    with_gradient: bool,
    out: Any,
) -> tuple[float | np.ndarray, np.ndarray | None]:
    """Check, arrange, call the kernel, reduce; `name` is "probs" or "log_probs"."""
    checked = read_options(**options)
    floor = read_floor(zero, eps)
    check_choice("normalized", normalized, conventions.NORMALIZED)
    numbers = as_numbers(as_array(predictions, name), name)
    shape = numbers.array.shape
    axis = check_axis(axis, name, shape)
    rows_shape = shape[:axis] + shape[axis + 1 :]
    counted, mask = read_where(where, shape, axis, name)
    rows = read_targets(targets, shape, axis, ignore_index, counted, name)
    own_weight = read_weights(sample_weight, "sample_weight", rows_shape, "one for each row")
    per_class = read_weights(class_weight, "class_weight", (shape[axis],), "one for each class")
    row_weight = class_weight_of_rows(per_class, rows, axis)
    denominator = total_weight(checked, rows.ids.size, rows.counted, own_weight, row_weight)

    result, gradient = None, None
    if with_gradient:
        others = [rows.dense.array if rows.dense is not None else rows.ids, mask, own_weight, per_class]
        result, gradient = gradient_array(out, numbers, others, name)
    scale, scales = gradient_scales(checked, denominator, own_weight, rows.ids.size)
    losses = np.empty(rows_shape, numbers.result)
    sums = np.empty(rows.ids.size)
    tolerance = SUM_TOLERANCE[numbers.dtype_name]
    doubtful = _fill(
        numbers,
        axis,
        rows,
        losses,
        sums,
        gradient,
        mask=mask,
        class_weight=per_class,
        smoothing=checked.smoothing,
        logarithms=name == "log_probs",
        rescale=normalized == "rescale",
        floor=floor,
        tolerance=tolerance,
        scales=scales,
        scale=scale,
        unit=checked.unit,
    )
    if gradient is not None:
        clear_rows(gradient, axis, own_weight)
    if doubtful:
        _check_entries(numbers, axis, sums, name)
    if doubtful and normalized in ("warn", "raise"):
        _check_sums(sums, rows_shape, tolerance, normalized)
    if zero == "raise":
        _check_possible(losses)
    return reduce_losses(losses, checked, denominator, own_weight, stacklevel=4), result


def _fill(
    numbers: Numbers,
    axis: int,
    rows: TargetRows,
    losses: np.ndarray,
    sums: np.ndarray,
    gradient: Numbers | None,
    *,
    mask: np.ndarray | None,
    class_weight: np.ndarray | None,
    smoothing: float,
    logarithms: bool,
    rescale: bool,
    floor: float,
    tolerance: float,
    scales: np.ndarray | None,
    scale: float,
    unit: float,
) -> bool:
    """Fill in losses, sums, and gradients where asked for; say whether the sums need a look."""
    classes = numbers.array.shape[axis]
    dense = rows.dense
    todo = rows.ids if rows.kind == CLASS_IDS else np.zeros(rows.ids.shape, np.int64)
    if rows.kind != CLASS_IDS and rows.counted is not None:
        todo[~rows.counted] = -1
    out_tag = gradient.tag if gradient is not None else tag_of(losses)
    size = gradient.array.itemsize if gradient is not None else 0
    certain = rows.kind == CLASS_IDS and smoothing == 0.0 and class_weight is None and mask is None
    if certain and not logarithms and not rescale and gradient is None:
        return _fill_plainly(numbers, axis, todo, losses, sums, floor, unit, tolerance)
    arrays = [numbers.array, dense.array if dense else None, mask, gradient.array if gradient is not None else None]
    for block in blocks_of_rows(arrays, axis):
        x, y, allowed, out = block.views
        before = (
            x.address,
            block.inner,
            x.outer_stride,
            x.inner_stride,
            x.class_stride,
            classes,
            at_row(todo, block.first_row),
            *target_arguments(rows, y, block, allowed, class_weight, smoothing),
            logarithms,
            rescale,
            floor,
            at_row(scales, block.first_row),
            scale,
            unit,
            at_row(losses, block.first_row),
            at_row(sums, block.first_row),
            out.address,
            out.outer_stride,
            out.inner_stride,
            out.class_stride,
            size,
        )
        tags = (numbers.tag, dense.tag if dense else 0.0, tag_of(losses), out_tag)

        def task(first: int, last: int, scratch: int, before: Any = before, tags: Any = tags) -> None:
            kernels.rows(*before, scratch, first, last, *tags)

        run = with_scratch(kernels.scratch_bytes(classes), task)
        _threads.spread(run, block.rows, numbers.array.nbytes * 4)
    return True


def _fill_plainly(
    numbers: Numbers,
    axis: int,
    ids: np.ndarray,
    losses: np.ndarray,
    sums: np.ndarray,
    floor: float,
    unit: float,
    tolerance: float,
) -> bool:
    """Do the same for what most calls ask for: class ids, no weights, no gradient."""
    classes = numbers.array.shape[axis]
    doubtful: list[int] = []
    tags = (numbers.tag, tag_of(losses))
    for block in blocks_of_rows([numbers.array], axis):
        (x,) = block.views
        own = [at_row(array, block.first_row) for array in (ids, losses, sums)]
        before = (x.address, block.inner, x.outer_stride, x.inner_stride, x.class_stride, classes)
        options = (own[0], floor, unit, own[1], own[2], tolerance)

        def task(first: int, last: int, scratch: int, before: Any = before, options: Any = options) -> None:
            doubtful.append(kernels.plain_rows(*before, *options, scratch, first, last, *tags))

        run = with_scratch(kernels.plain_scratch_bytes(classes), task)
        _threads.spread(run, block.rows, numbers.array.nbytes * 4)
    return any(doubtful)


def _check_entries(numbers: Numbers, axis: int, sums: np.ndarray, name: str) -> None:
    invalid = sums == kernels.INVALID
    if not invalid.any():
        return
    moved = np.moveaxis(numbers.array, axis, -1)
    place = tuple(int(i) for i in np.unravel_index(int(np.argmax(invalid)), moved.shape[:-1]))
    values = numbers.as_doubles(moved[place])
    if name == "log_probs":
        c = int(np.argmax(values > 0.0))
        message = (
            f"`log_probs` must be at most 0; {class_at(place, c)} has {values[c]}. "
            "Are these logits? Then call cross_entropy."
        )
    else:
        c = int(np.argmax((values < 0.0) | (values > 1.0)))
        message = f"`probs` must lie in [0, 1]; {class_at(place, c)} has {values[c]}."
    raise RangeError(message)


def _check_sums(sums: np.ndarray, rows_shape: tuple[int, ...], tolerance: float, normalized: str) -> None:
    deviations = np.abs(sums - 1.0)
    off = deviations > tolerance
    count = int(np.count_nonzero(off))
    if not count:
        return
    row = int(np.argmax(np.where(off, deviations, 0.0)))
    place = where_is(tuple(int(i) for i in np.unravel_index(row, rows_shape))) or "it "
    if normalized == "raise":
        message = f'`probs` must sum to 1 in each row with normalized="raise"; {place}sums to {sums[row]:.9g}.'
        raise NormalizationError(message)
    message = (
        f"{count} of {sums.size} rows of `probs` do not sum to 1; the farthest, {place.rstrip()}, sums to "
        f'{sums[row]:.9g}. Pass normalized="rescale" to divide by the sum, or "ignore".'
    )
    # warn <- _check_sums <- evaluate <- the public function <- its caller
    warnings.warn(message, NormalizationWarning, stacklevel=4)


def _check_possible(losses: np.ndarray) -> None:
    impossible = losses == np.inf
    if impossible.any():
        place = tuple(int(i) for i in np.argwhere(impossible)[0])
        message = (
            f"{int(np.count_nonzero(impossible))} of {losses.size} rows are impossible, with prediction 0 where the truth "
            f"is not; the first is {where_is(place).rstrip() or 'the only one'}."
        )
        raise ImpossibleEventError(message)
