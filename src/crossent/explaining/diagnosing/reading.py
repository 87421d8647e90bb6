"""From what a person passes to a Case, or one sentence that says why not. No array library is imported but NumPy."""

import functools
import math
import operator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from crossent.errors import DtypeError, OptionError, RangeError, ShapeError
from crossent.explaining.diagnosing.case import Case, Outputs, Rows, Targets, log_sum_exp
from crossent.explaining.diagnosing.functions import Function, function_named, with_options
from crossent.explaining.diagnosing.history import read_history
from crossent.explaining.diagnosing.precision import written
from crossent.explaining.diagnosing.refusals import refusal

Said = Literal["logits", "probs"] | None

# a diagnosis inside a training loop looks at this many numbers at most: 2**20 took 42 to 84 ms on a busy core of a
# 2-core cloud machine, 64 rows of 10 classes 0.5 ms (2026-11-24)
MOST_NUMBERS = 1 << 20
# what a loss module of torch or Keras tells of itself
MODULE_OPTIONS = ("reduction", "label_smoothing", "ignore_index", "from_logits", "weight", "pos_weight", "log_target")


def read_case(
    *,
    loss: Any,
    classes: Any,
    outputs: Any,
    said: Said,
    targets: Any,
    history: Any,
    function: Any,
    class_counts: Any,
    class_weight: Any,
    ignore_index: Any,
) -> Case:
    """Return the case; `said` is the caller's word for the outputs."""
    known = None if function is None else read_function(function)
    number, unit = (None, 0.0) if loss is None else read_loss(loss)
    count = None if classes is None else read_classes(classes)
    counts = None if class_counts is None else _read_positive(class_counts, "class_counts", count)
    weight = None if class_weight is None else _read_positive(class_weight, "class_weight", count)
    if count is None and counts is not None:
        count = len(counts)
    if count == 1 and number is not None and number != 0.0 and math.isfinite(number):
        message = (
            f"`classes` is 1, and a loss over one class is always 0; got the loss {number:.6g}. "
            "Type 2 for one sigmoid output, which tells two classes apart."
        )
        raise OptionError(message)
    if class_weight is None and known is not None and known.weight:
        # `reduced` asks whether they are those of the classes
        weight = np.array(known.weight)
    given_ignored = known.ignore_index if known is not None else None
    ignored = given_ignored if ignore_index is None else _integer(ignore_index, "ignore_index")
    found, aims, note = _read_batch(outputs, said, targets, count, known, ignored)
    if known is not None and known.log_targets and aims is not None and aims.dense is not None:
        aims = Targets(None, np.exp(aims.dense))
    if found is not None:
        width = found.values.shape[1]
        if known is not None and len(known.positive_weight) not in (0, 1, width):
            known = replace(known, told_in_full=False)
        one_unit = width == 1 and (count == 2 or (known is not None and known.link == "sigmoid"))
        if count is not None and count != width and not one_unit and not note:
            note = f"outputs of shape {found.shape} have {width} classes on axis {found.class_axis}, where {count} were named"
        count = 2 if one_unit else width
        if weight is not None and class_weight is not None and not one_unit:
            weight = _read_positive(weight, "class_weight", count)
    return Case(
        function=known,
        loss=number,
        unit_in_last_place=unit,
        classes=count,
        outputs=found,
        targets=aims,
        history=None if history is None else read_history(history),
        counts=counts,
        class_weight=weight,
        ignore_index=ignored,
        shape_note=note,
        refusal=refusal(known, outputs, targets),
    )


def read_loss(loss: Any) -> tuple[float, float]:
    """Return a loss and one unit in the last place of it as written: 2.30 is known to 0.01."""
    try:
        return written(loss)
    except (TypeError, ValueError, RuntimeError):  # torch: a tensor with more than one element
        message = f'`loss` must be one number, such as 2.3026, or "inf" or "nan"; got {loss!r}.'
        raise OptionError(message) from None


def read_classes(classes: Any) -> int:
    """Return the class count; "10" and 10.0 are 10."""
    if isinstance(classes, str):
        try:
            classes = int(classes)
        except ValueError:
            message = f"`classes` must be the number of classes, such as 10; got {classes!r}."
            raise OptionError(message) from None
    if isinstance(classes, float | np.floating) and float(classes).is_integer():
        classes = int(classes)
    number = _integer(classes, "classes")
    if number < 1:
        message = f"`classes` must be the number of classes, at least 1; got {number}."
        raise OptionError(message)
    return number


def read_function(function: Any) -> Function:
    """Return what is known of a function, from its name or from the function or module itself."""
    if isinstance(function, Function):
        return function
    if isinstance(function, str):
        return function_named(function)
    if isinstance(function, functools.partial):
        return with_options(read_function(function.func), function.keywords)
    owner = type(function) if not hasattr(function, "__name__") else function
    module = str(getattr(owner, "__module__", ""))
    options = {name: getattr(function, name, None) for name in MODULE_OPTIONS}
    return with_options(function_named(f"{module}.{owner.__name__}"), options)


def to_numpy(values: Any, argument: str) -> tuple[NDArray[Any], str, bool]:
    """Return an array, the dtype it had and whether it is whole: of a large one only some rows are taken."""
    whole = True
    shape = tuple(getattr(values, "shape", ()))
    if shape and math.prod(shape) > MOST_NUMBERS:
        # before any copy: the array may be on another device
        step = -(-math.prod(shape) // MOST_NUMBERS)
        values, whole = values[::step], step <= 1
    dtype = str(getattr(values, "dtype", "")).removeprefix("torch.")
    if hasattr(values, "detach"):  # a tensor of torch, known by its methods: torch belongs to another floor
        values = values.detach().cpu()
        values = values.double() if values.is_floating_point() else values
        values = values.numpy()
    try:
        array = np.asarray(values)
    except ValueError:
        message = f"`{argument}` must be an array; got rows of different lengths."
        raise ShapeError(message) from None
    if array.dtype.kind not in "biuf" and not (array.dtype.kind == "V" and dtype == "bfloat16"):
        message = f"`{argument}` must hold real numbers; got dtype {array.dtype}."
        raise DtypeError(message)
    return array, dtype or str(array.dtype), whole


def read_array(value: Any, argument: str) -> Any:
    """Return an array, or the one in a .npy file."""
    if not isinstance(value, str | Path):
        return value
    try:
        return np.load(value, allow_pickle=False)
    except FileNotFoundError:
        message = f"`{argument}` names the file {value}, which does not exist."
        raise OptionError(message) from None
    except (ValueError, EOFError):
        message = f"`{argument}` must be a .npy file of numbers (numpy.save writes one); {value} is none."
        raise OptionError(message) from None


def _read_batch(
    outputs: Any, said: Said, targets: Any, classes: int | None, function: Function | None, ignored: int | None
) -> tuple[Outputs | None, Targets | None, str]:
    if outputs is None:
        return None, None if targets is None else _lone_targets(targets), ""
    array, dtype, whole = to_numpy(outputs, "outputs" if said is None else said)
    if array.dtype.kind not in "f":
        array = array.astype(np.float64)
    if not array.size:
        message = f"`{said or 'outputs'}` must have at least one row and one class; got shape {array.shape}."
        raise ShapeError(message)
    aims = None if targets is None else to_numpy(_same_rows(targets, outputs), "targets")[0]
    array = np.atleast_1d(array)
    if array.ndim == 1:
        # one probability per row, or one row
        array = array[None, :] if aims is not None and aims.ndim == 0 else array[:, None] if _binary(
            array, aims, function) else array[None, :]  # fmt: skip
    axis, note = _class_axis(array.shape, aims, classes, function)
    values = np.moveaxis(array, axis, -1).reshape(-1, array.shape[axis]).astype(np.float64)
    others = [other for other in range(array.ndim) if other != axis and array.shape[other] > 1]
    wide = array.astype(np.float64)
    with np.errstate(all="ignore"):
        found = Outputs(
            values=values,
            shape=array.shape,
            dtype=dtype,
            class_axis=axis,
            other_axes=tuple((other, wide.sum(axis=other).ravel()) for other in others),
            other_log_axes=tuple((other, log_sum_exp(wide, other).ravel()) for other in others),
            complete=whole,
            count=max(1, math.prod(tuple(getattr(outputs, "shape", ())) or array.shape) // array.shape[axis]),
            said=said,
        )
    return found, None if aims is None else _fit(aims, array.shape, axis, function), note


def _same_rows(targets: Any, outputs: Any) -> Any:
    """Return the targets of the rows that `to_numpy` takes of the outputs."""
    size = math.prod(tuple(getattr(outputs, "shape", ())) or (1,))
    shape = tuple(getattr(targets, "shape", ()))
    if size <= MOST_NUMBERS or not shape or shape[0] != outputs.shape[0]:
        return targets
    return targets[:: -(-size // MOST_NUMBERS)]


def _binary(array: NDArray[Any], aims: NDArray[Any] | None, function: Function | None) -> bool:
    if aims is not None:
        return aims.shape == array.shape
    return function is not None and function.link == "sigmoid"


def _class_axis(
    shape: tuple[int, ...], aims: NDArray[Any] | None, classes: int | None, function: Function | None
) -> tuple[int, str]:
    """Return the class axis, and a note where the one that the function takes does not fit the targets."""
    default = function.class_axis if function is not None and function.link == "softmax" else -1
    usual = default % len(shape) if -len(shape) <= default < len(shape) else len(shape) - 1
    if aims is None or aims.shape == shape or (len(shape) == 2 and shape[1] == 1):
        if classes is not None and shape[usual] != classes and shape.count(classes) == 1:
            return shape.index(classes), _axis_note(shape, usual, shape.index(classes), None)
        return usual, ""
    fitting = [axis for axis in range(len(shape)) if shape[:axis] + shape[axis + 1 :] == aims.shape]
    if classes is not None and len(fitting) > 1:
        fitting = [axis for axis in fitting if shape[axis] == classes] or fitting
    if usual in fitting:
        return usual, ""
    if fitting:
        return fitting[-1], _axis_note(shape, usual, fitting[-1], aims.shape)
    return usual, ""


def _axis_note(shape: tuple[int, ...], usual: int, found: int, aims: tuple[int, ...] | None) -> str:
    given = f" with targets {aims}" if aims is not None else ""
    return f"outputs of shape {shape}{given} have their {shape[found]} classes on axis {found}, not on axis {usual}"


def _fit(aims: NDArray[Any], shape: tuple[int, ...], axis: int, function: Function | None) -> Targets:
    """Return the targets row by row, as the outputs are; raise ShapeError if they cannot be."""
    classes = shape[axis]
    rows = math.prod(shape) // classes
    if aims.shape == shape:
        return Targets(None, np.moveaxis(aims, axis, -1).reshape(-1, classes).astype(np.float64))
    if aims.size == rows:
        flat = aims.reshape(-1)
        if classes == 1 and (function is None or function.link == "sigmoid"):
            return Targets(None, flat[:, None].astype(np.float64))
        if _are_ids(flat):
            return Targets(flat.astype(np.int64), None)
        message = (
            f"`targets` must be class ids, or distributions of shape {shape}; got fractions in shape {aims.shape}."
        )
        raise ShapeError(message)
    message = (
        f"`targets` must have one entry per row of outputs of shape {shape}, {rows} in all, or that shape; "
        f"got shape {aims.shape}."
    )
    raise ShapeError(message)


def _lone_targets(targets: Any) -> Targets:
    array = to_numpy(targets, "targets")[0]
    if array.ndim <= 1 and _are_ids(array):
        return Targets(np.atleast_1d(array).astype(np.int64), None)
    if array.ndim == 1:
        return Targets(None, array[:, None].astype(np.float64))
    return Targets(None, array.reshape(-1, array.shape[-1]).astype(np.float64))


def _are_ids(array: NDArray[Any]) -> bool:
    return array.dtype.kind != "f" or bool((np.isfinite(array) & (array == np.floor(array))).all())


def _read_positive(values: Any, argument: str, classes: int | None) -> Rows:
    array = to_numpy(values, argument)[0].astype(np.float64)
    if array.ndim != 1 or not len(array) or (classes is not None and len(array) != classes):
        wanted = "one number per class" if classes is None else f"{classes} numbers, one per class"
        message = f"`{argument}` must be {wanted}; got shape {array.shape}."
        raise ShapeError(message)
    bad = ~(np.isfinite(array) & (array >= 0.0))
    if bool(bad.any()) or not array.sum() > 0.0:
        place = int(np.argmax(bad))
        message = f"`{argument}` must be at least 0 and not all 0; class {place} has {array[place]:.6g}."
        raise RangeError(message)
    return array


def _integer(value: Any, argument: str) -> int:
    try:
        if isinstance(value, bool | np.bool_):
            raise TypeError
        return operator.index(value)
    except TypeError:
        message = f"`{argument}` must be an integer; got {value!r}."
        raise OptionError(message) from None
