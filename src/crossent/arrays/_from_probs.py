"""Check predictions that are probabilities or their logarithms, call their kernel, say what is wrong with the rows."""

import warnings
from typing import Any

import numpy as np

from crossent import conventions
from crossent._checks import check_choice, check_real
from crossent._kernels.cpu import _threads
from crossent._kernels.cpu import cross_entropy as kernels
from crossent._kernels.cpu.targets import CLASS_IDS
from crossent.arrays._input import Numbers
from crossent.arrays._layout import blocks_of_rows
from crossent.arrays._problem import Problem, read_problem
from crossent.arrays._rows import read_options
from crossent.arrays._softmax import at_row, general_blocks, general_tags, place_of_rows, with_scratch
from crossent.arrays._words import class_at, where_is
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
    problem = read_problem(
        predictions,
        targets,
        name,
        checked,
        axis=axis,
        sample_weight=sample_weight,
        class_weight=class_weight,
        where=where,
        ignore_index=ignore_index,
        with_gradient=with_gradient,
        out=out,
    )
    numbers, axis, losses = problem.numbers, problem.axis, problem.losses
    sums = np.empty(losses.size)
    tolerance = SUM_TOLERANCE[numbers.dtype_name]
    logarithms, rescale = name == "log_probs", normalized == "rescale"
    plain = problem.rows.kind == CLASS_IDS and checked.smoothing == 0.0 and problem.class_weight is None
    plain = plain and problem.mask is None and problem.gradient is None and not logarithms and not rescale
    if plain:
        doubtful = _fill_plainly(problem, sums, floor, tolerance)
    else:
        doubtful = True
        _fill(problem, sums, logarithms=logarithms, rescale=rescale, floor=floor)
    if doubtful:
        _check_entries(numbers, axis, sums, name)
    if doubtful and normalized in ("warn", "raise"):
        _check_sums(sums, losses.shape, tolerance, normalized)
    if zero == "raise":
        _check_possible(losses)
    return problem.finish(stacklevel=4)


def _fill(problem: Problem, sums: np.ndarray, *, logarithms: bool, rescale: bool, floor: float) -> None:
    """Fill in losses, sums, and gradients where asked for."""
    rows, numbers = problem.rows, problem.numbers
    todo = rows.ids if rows.kind == CLASS_IDS else np.zeros(rows.ids.shape, np.int64)
    if rows.kind != CLASS_IDS and rows.counted is not None:
        todo[~rows.counted] = -1
    tags = general_tags(problem)
    scratch_bytes = kernels.scratch_bytes(problem.classes)
    for block in general_blocks(problem, numbers):
        predictions, out = place_of_rows(problem, block, todo)
        before = (
            *predictions,
            logarithms,
            rescale,
            floor,
            at_row(problem.scales, block.first_row),
            problem.scale,
            problem.options.unit,
            at_row(problem.losses, block.first_row),
            at_row(sums, block.first_row),
            *out,
        )

        def task(first: int, last: int, scratch: int, before: Any = before) -> None:
            kernels.rows(*before, scratch, first, last, *tags)

        _threads.spread(with_scratch(scratch_bytes, task), block.rows, numbers.array.nbytes * 4)


def _fill_plainly(problem: Problem, sums: np.ndarray, floor: float, tolerance: float) -> bool:
    """Do the same for what most calls ask for, class ids and no gradient; say whether the sums need a look."""
    numbers, classes = problem.numbers, problem.classes
    doubtful: list[int] = []
    tags = (numbers.tag, problem.loss_tag)
    for block in blocks_of_rows([numbers.array], problem.axis):
        (x,) = block.views
        ids, losses, own_sums = (at_row(array, block.first_row) for array in (problem.rows.ids, problem.losses, sums))
        before = (x.address, block.inner, x.outer_stride, x.inner_stride, x.class_stride, classes)
        options = (ids, floor, problem.options.unit, losses, own_sums, tolerance)

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
    # the first of those that are farthest: sums that differ by their rounding only are equally far
    farthest = np.where(off, deviations, 0.0)
    row = int(np.argmax(farthest >= farthest.max() * (1.0 - 1e-9)))
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
