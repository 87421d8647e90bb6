"""Arrange checked logits and targets for the softmax kernels: few classes, long rows, soft targets."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from crossent._kernels.cpu import (
    _threads,
    blocks,
    few_classes,
    half_exp,
    soft_targets,
    softmax_cross_entropy,
    two_classes,
    wide_range,
)
from crossent._kernels.cpu.targets import CLASS_IDS, DISTRIBUTIONS
from crossent.arrays._input import Numbers, address_of
from crossent.arrays._layout import Block, RowView, blocks_of_rows
from crossent.arrays._problem import Problem
from crossent.arrays.targets import TargetRows


def at_row(array: np.ndarray | None, row: int, width: int = 1) -> int:
    """Return the address of a row of a contiguous array, or 0 for none."""
    return address_of(array) + row * width * array.itemsize if array is not None else 0


_own = threading.local()
# Working memory up to this size stays with its thread; getting it anew would cost small arrays 3 us.
_KEPT_BYTES = 128 * 1024


def scratch_of_thread(size_bytes: int) -> tuple[np.ndarray, int]:
    """Return working memory of this thread, and the address of its first 64-byte boundary."""
    kept = getattr(_own, "memory", None)
    if size_bytes > _KEPT_BYTES or kept is None:
        memory = np.empty(max(size_bytes, _KEPT_BYTES) + 64, np.uint8)
        kept = memory, -(-address_of(memory) // 64) * 64
        if size_bytes <= _KEPT_BYTES:
            _own.memory = kept
    return kept


def with_scratch(size_bytes: int, task: Callable[[int, int, int], None]) -> Callable[[int, int], None]:
    """Give each call of a task its own working memory, on a 64-byte boundary."""

    def run(first: int, last: int) -> None:
        memory, address = scratch_of_thread(size_bytes)
        task(first, last, address)
        del memory  # until here it has to live

    return run


def hard_losses(problem: Problem, *, stream: bool) -> None:
    """Fill in losses, and gradients where asked for, of rows with one certain class; id -1 gives zeros.

    `stream` sends gradients past the caches.
    """
    logits, gradient, classes = problem.numbers, problem.gradient, problem.classes
    traffic_bytes = logits.array.nbytes * (2 if gradient is not None else 1)
    for block in blocks_of_rows([logits.array, gradient.array if gradient is not None else None], problem.axis):
        x, out = block.views
        along = classes > few_classes.MOST_CLASSES and x.class_stride == 1 and out.class_stride in (0, 1)
        rows = (
            at_row(problem.rows.ids, block.first_row),
            at_row(problem.weight_of_rows, block.first_row),
            at_row(problem.scales, block.first_row),
            problem.scale,
            problem.options.unit,
            at_row(problem.losses, block.first_row),
        )
        # the kernels take their arguments by position only
        step = 1
        if classes == 2 and logits.dtype_name != "float64":
            task, scratch_bytes, step = (
                _of_two(problem, block, rows, stream),
                two_classes.SCRATCH_BYTES,
                two_classes.TILE_ROWS,
            )
        elif along:
            task = _along(problem, block, rows, stream)
            scratch_bytes = blocks.scratch_bytes(classes if gradient is not None else 0, logits.working.itemsize)
        else:
            step = few_classes.tile_rows(classes)
            task = _across(problem, block, rows, stream, step)
            scratch_bytes = max(few_classes.scratch_bytes(classes, step), wide_range.scratch_bytes(classes))
        own = with_scratch(scratch_bytes, task)

        def run(first: int, last: int, own: Callable[[int, int], None] = own, before: int = block.first_row) -> None:
            own(first, last)
            problem.add_up(before + first, before + last)

        _threads.spread(run, block.rows, traffic_bytes, step)


def _along(problem: Problem, block: Block, rows: tuple[Any, ...], stream: bool) -> Callable[[int, int, int], None]:
    logits, classes, size = problem.numbers, problem.classes, problem.gradient_size
    x, out = block.views
    before = (x.address, block.inner, x.outer_stride, x.inner_stride, logits.array.itemsize, classes, *rows)
    table = half_exp.table_of(logits.array.dtype).ctypes.data if logits.array.itemsize == 2 else 0
    result = (out.address, out.outer_stride, out.inner_stride, size, stream, table)
    kept_row_bytes = blocks.kept_bytes(classes if size else 0, logits.working.itemsize)
    kept_tag = logits.working if size else np.int8(0)
    tags = (logits.tag, logits.working, kept_tag, problem.loss_tag, problem.out_tag)

    def task(first: int, last: int, scratch: int) -> None:
        softmax_cross_entropy.rows(*before, *result, kept_row_bytes, scratch, first, last, *tags)

    return task


def _of_two(problem: Problem, block: Block, rows: tuple[Any, ...], stream: bool) -> Callable[[int, int, int], None]:
    x, out = block.views
    place = (x.address, block.inner, x.outer_stride, x.inner_stride, x.class_stride)
    result = (out.address, out.outer_stride, out.inner_stride, out.class_stride, problem.gradient_size)
    tags = (problem.numbers.tag, problem.loss_tag, problem.out_tag)

    def task(first: int, last: int, scratch: int) -> None:
        two_classes.rows(*place, *rows, *result, stream, scratch, first, last, *tags)

    return task


def _across(
    problem: Problem, block: Block, rows: tuple[Any, ...], stream: bool, most_rows: int
) -> Callable[[int, int, int], None]:
    logits, classes = problem.numbers, problem.classes
    x, out = block.views
    place = (x.address, block.inner, x.outer_stride, x.inner_stride, x.class_stride)
    result = (out.address, out.outer_stride, out.inner_stride, out.class_stride, problem.gradient_size)
    tags = (logits.tag, problem.loss_tag, problem.out_tag)
    doubles = logits.dtype_name == "float64"
    doubles_out = problem.out_tag.itemsize == 8

    def task(first: int, last: int, scratch: int) -> None:
        if not doubles:
            missing = few_classes.rows(
                *place, logits.array.itemsize, classes, *rows, *result, stream, scratch, most_rows, first, last, *tags
            )
            if not missing:
                return
        wide_range.rows(*place, classes, *rows, not doubles, *result, doubles_out, scratch, first, last, *tags)

    return task


def target_arguments(
    targets: TargetRows,
    view: RowView,
    block: Block,
    mask: RowView,
    class_weight: np.ndarray | None,
    smoothing: float,
) -> tuple[Any, ...]:
    """Return the thirteen arguments by which kernels know targets, masks and class weights (see targets.fill_targets)."""
    width = targets.width
    if targets.kind == DISTRIBUTIONS:
        place = (view.address, view.outer_stride, view.inner_stride, view.class_stride)
    elif targets.kind == CLASS_IDS:
        place = (at_row(targets.ids, block.first_row), 0, 0, 0)
    else:
        place = (at_row(targets.top_ids, block.first_row, width), 0, 0, width)
    return (
        targets.kind,
        *place,
        at_row(targets.shares, block.first_row, width),
        targets.uniform,
        mask.address,
        mask.outer_stride,
        mask.inner_stride,
        mask.class_stride,
        address_of(class_weight) if class_weight is not None else 0,
        smoothing,
    )


def place_of_rows(problem: Problem, block: Block, todo: np.ndarray) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Return how kernels know where predictions and targets lie, with what is to be done; and where gradients go."""
    x, y, allowed, out = block.views
    predictions = (
        x.address,
        block.inner,
        x.outer_stride,
        x.inner_stride,
        x.class_stride,
        problem.classes,
        at_row(todo, block.first_row),
        *target_arguments(problem.rows, y, block, allowed, problem.class_weight, problem.options.smoothing),
    )
    return predictions, (out.address, out.outer_stride, out.inner_stride, out.class_stride, problem.gradient_size)


def general_blocks(problem: Problem, numbers: Numbers) -> Iterator[Block]:
    """Yield the blocks of predictions, targets, class mask and gradient."""
    dense, gradient = problem.rows.dense, problem.gradient
    arrays = [
        numbers.array,
        dense.array if dense else None,
        problem.mask,
        gradient.array if gradient is not None else None,
    ]
    return blocks_of_rows(arrays, problem.axis)


def general_tags(problem: Problem) -> tuple[Any, ...]:
    """Return the tags of predictions, targets, losses and gradient."""
    dense = problem.rows.dense
    return problem.numbers.tag, dense.tag if dense else 0.0, problem.loss_tag, problem.out_tag


def soft_losses(problem: Problem, logits: Numbers, todo: np.ndarray) -> None:
    """Fill in losses, and gradients where asked for, of the rows that `todo` marks 0; -1 gives zeros, -2 nothing."""
    tags = general_tags(problem)
    scratch_bytes = soft_targets.scratch_bytes(problem.classes)
    for block in general_blocks(problem, logits):
        predictions, out = place_of_rows(problem, block, todo)
        before = (
            *predictions,
            at_row(problem.scales, block.first_row),
            problem.scale,
            problem.options.unit,
            at_row(problem.losses, block.first_row),
            *out,
        )

        def task(first: int, last: int, scratch: int, before: Any = before) -> None:
            soft_targets.rows(*before, scratch, first, last, *tags)

        _threads.spread(with_scratch(scratch_bytes, task), block.rows, logits.array.nbytes * 4)


def fill(problem: Problem, *, stream: bool) -> None:
    """Fill in the losses of every row, and the gradients where asked for; `stream` sends these past the caches."""
    rows, numbers, gradient = problem.rows, problem.numbers, problem.gradient
    todo = None
    if problem.mask is not None or problem.options.smoothing > 0.0:
        todo = np.zeros(rows.ids.shape, np.int64)
    else:
        soft = rows.soft
        some_certain = not soft or bool((rows.ids >= 0).any())
        if some_certain and soft and gradient is not None and np.may_share_memory(numbers.array, gradient.array):
            # in place: the hard rows' kernel writes zeros over the logits of the soft rows, which are read after it
            numbers = Numbers(numbers.array.copy("K"), numbers.dtype_name)
        if not soft:
            problem.add_up_while_hot()
        if some_certain:
            hard_losses(problem, stream=stream)
        if soft:
            todo = np.where(rows.ids >= 0, -2, 0)
    if todo is not None:
        if rows.counted is not None:
            todo[~rows.counted] = -1
        soft_losses(problem, numbers, todo)
