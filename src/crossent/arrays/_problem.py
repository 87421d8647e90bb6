"""What every softmax-like loss of the door is given, checked: predictions, targets, weights, where the results go."""

import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from crossent._checks import check_axis
from crossent.arrays._class_weights import class_weight_of_rows
from crossent.arrays._gradient import clear_rows, gradient_array
from crossent.arrays._input import Numbers, as_array, as_numbers, tag_of
from crossent.arrays._rows import (
    Options,
    gradient_scales,
    read_weights,
    read_where,
    reduce_losses,
    total_weight,
)
from crossent.arrays.exact_sum import ExactSum, sum_alone
from crossent.arrays.targets import TargetRows, read_targets


@dataclass(slots=True)
class Problem:
    """Rows of predictions and their targets, ready for a kernel, and the arrays that it fills."""

    options: Options
    numbers: Numbers
    axis: int
    mask: np.ndarray | None  # of the predictions' shape: False rules a class out
    rows: TargetRows
    sample_weight: np.ndarray | None
    class_weight: np.ndarray | None
    weight_of_rows: np.ndarray | None  # the class weight of each row's certain class
    denominator: float | int | ExactSum
    scale: float  # multiplies every gradient
    scales: np.ndarray | None  # multiplies each row's
    losses: np.ndarray
    result: np.ndarray | None  # what the caller gets as the gradient
    gradient: Numbers | None  # the same for a kernel
    total: ExactSum | None = None  # of the losses, where kernels' threads add them up
    _adding: threading.Lock = field(default_factory=threading.Lock)

    @property
    def classes(self) -> int:
        """Return the number of classes."""
        return int(self.numbers.array.shape[self.axis])

    @property
    def loss_tag(self) -> Any:
        """Return the tag of the losses."""
        return tag_of(self.losses)

    @property
    def out_tag(self) -> Any:
        """Return the tag of the gradient, or of the losses where none is asked for."""
        return self.gradient.tag if self.gradient is not None else self.loss_tag

    @property
    def gradient_size(self) -> int:
        """Return the bytes of one entry of the gradient, or 0 where none is asked for."""
        return self.gradient.array.itemsize if self.gradient is not None else 0

    def add_up_while_hot(self) -> None:
        """Let `add_up` make the total: each thread's losses while it has them in cache, without waking it once more."""
        if self.options.reduction != "none" and self.sample_weight is None:
            self.total = ExactSum()

    def add_up(self, first: int, last: int) -> None:
        """Add the losses of finished rows to the total, if one is made; from any thread."""
        if self.total is not None:
            part = sum_alone(self.losses.reshape(-1)[first:last])
            with self._adding:
                self.total.merge(part)

    def exact_total(self) -> ExactSum:
        """Return the exact sum of the losses, whoever has made it."""
        return self.total if self.total is not None else ExactSum().add(self.losses)

    def finish(self, stacklevel: int) -> tuple[float | np.ndarray, np.ndarray | None]:
        """Return what the caller gets; `stacklevel` counts from the calling function to the user's own line."""
        if self.gradient is not None:
            clear_rows(self.gradient, self.axis, self.sample_weight)
        value = reduce_losses(
            self.losses, self.options, self.denominator, self.sample_weight, stacklevel + 1, total=self.total
        )
        return value, self.result


def read_problem(
    predictions: Any,
    targets: Any,
    name: str,
    options: Options,
    *,
    axis: int,
    sample_weight: Any,
    class_weight: Any,
    where: Any,
    ignore_index: int | None,
    with_gradient: bool,
    out: Any,
) -> Problem:
    """Check everything that can be said before a kernel has run; `name` is the predictions' for messages."""
    numbers = as_numbers(as_array(predictions, name), name)
    shape = numbers.array.shape
    axis = check_axis(axis, name, shape)
    rows_shape = shape[:axis] + shape[axis + 1 :]
    counted, mask = read_where(where, shape, axis, name)
    rows = read_targets(targets, shape, axis, ignore_index, counted, name)
    own_weight = read_weights(sample_weight, "sample_weight", rows_shape, "one for each row")
    per_class = read_weights(class_weight, "class_weight", (shape[axis],), "one for each class")
    weight_of_rows = class_weight_of_rows(per_class, rows, axis)
    denominator = total_weight(options, rows.ids.size, rows.counted, own_weight, weight_of_rows)
    result, gradient = None, None
    if with_gradient:
        others = [rows.dense.array if rows.dense is not None else rows.ids, mask, own_weight, per_class]
        result, gradient = gradient_array(out, numbers, others, name)
    scale, scales = gradient_scales(options, denominator, own_weight, rows.ids.size)
    return Problem(
        options=options,
        numbers=numbers,
        axis=axis,
        mask=mask,
        rows=rows,
        sample_weight=own_weight,
        class_weight=per_class,
        weight_of_rows=weight_of_rows,
        denominator=denominator,
        scale=scale,
        scales=scales,
        losses=np.empty(rows_shape, numbers.result),
        result=result,
        gradient=gradient,
    )
