"""Cross-entropy of logits: the loss that trains classifiers and language models."""

from typing import Any

import numpy as np

from crossent.arrays import _softmax
from crossent.arrays._gradient import streams
from crossent.arrays._plain import mean_and_gradient
from crossent.arrays._problem import read_problem
from crossent.arrays._rows import read_options
from crossent.arrays.results import ValueAndGrad
from crossent.conventions import Denominator, Empty, Reduction


def cross_entropy(
    logits: Any,
    targets: Any,
    /,
    *,
    axis: int = -1,
    sample_weight: Any = None,
    class_weight: Any = None,
    where: Any = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
    denominator: Denominator | float = "weight",
    base: float | None = None,
    empty: Empty = "nan",
) -> float | np.ndarray:
    r"""Return the cross-entropy of each row's target under softmax(logits), in nats.

    For a row x with target distribution y, or with target class t::

        loss = -sum_j y_j log softmax(x)_j,    loss = log sum_k exp(x_k) - x_t

    Parameters
    ----------
    logits : array, shape (rows, classes), float16, bfloat16, float32 or float64
        Log-probabilities up to a constant per row; any leading dimensions, any strides. -inf rules a class out.
    targets : array of integers, shape (rows,); or of floats, shape (rows, classes); or TopKTargets
        Integers are class ids in [0, classes). Floats are distributions, at least 0; they need not sum to 1.
    axis : int
        The class axis of `logits`, and of `targets` and `where` of that shape.
    sample_weight : array, shape (rows,), at least 0
        Multiplies each row's loss. A row of weight 0 contributes exactly 0.
    class_weight : array, shape (classes,), at least 0
        Multiplies each class's share of the target, after smoothing.
    where : array of bool, shape (rows,) or (rows, classes)
        False leaves a row out, or rules a class out of that row.
    ignore_index : int or None
        Rows with this class id are left out.
    label_smoothing : float in [0, 1]
        Replaces y by (1 - e) y + e / classes, over the classes that `where` allows.
    reduction : {"mean", "sum", "none"}
        What becomes of the row losses.
    denominator : {"weight", "count"} or positive float
        What a mean divides by: the sum of the weights that took part (sample weight times the target's class weight),
        the number of rows that took part, or the caller's number (a global token count).
    base : float above 1, or None
        The base of the logarithm; None is e, so nats; 2 gives bits.
    empty : {"nan", "zero", "raise"}
        What the mean is if nothing took part.

    Returns
    -------
    float, or array of shape (rows,) under ``reduction="none"``; that is float32, or float64 for float64 logits
        Loss in nats, or in the unit of `base`.

    Raises
    ------
    DtypeError
        If `logits` are not floating point, or `targets` are booleans or integers of the logits' shape; also a TypeError.
    ArrayKindError
        If an array is a torch tensor that requires grad, lies on a GPU, or is masked; also a TypeError.
    ShapeError
        If shapes do not match, or there is no class; also a ValueError.
    LabelError
        If a class id is neither in [0, classes) nor `ignore_index`; also an IndexError.
    RangeError
        If a target or a weight is negative or infinite; also a ValueError.
    OptionError
        If an option has a value that it cannot have; also a ValueError.
    EmptyError
        If nothing took part and ``empty="raise"``; also a ValueError.

    Warns
    -----
    ImpossibleEventWarning
        If rows have an infinite loss; once, with their number.

    Notes
    -----
    Zeros: a class ruled out by -inf costs nothing where its target is 0, and inf where it is not. A row of only -inf, two
    +inf, or a NaN gives NaN, in that row only. One +inf takes all the probability. A certain row costs 0.0, never -0.0.

    Accuracy: float32 losses are within 2 ulp of the exact value of the given numbers at every margin (soft targets 4),
    float64 within 4 ulp, half-precision input correctly rounded to float32: the target is left out of the sum, and
    nothing cancels. A sum or a mean is the exact one of the row losses, rounded once to float64: the same bits for any
    order, split or number of threads.

    References
    ----------
    Blanchard, Higham and Higham, "Accurately computing the log-sum-exp and softmax functions", IMA Journal of Numerical
    Analysis 41(4):2311-2330, 2021, section 5 (the log1p form).

    Examples
    --------
    >>> cross_entropy([[2.0, 0.0], [0.0, 0.0]], [0, 1], reduction="none").round(6)
    array([0.126928, 0.693147])
    >>> round(cross_entropy([[2.0, 0.0], [0.0, 0.0]], [[0.5, 0.5], [0.0, 1.0]], base=2), 6)
    1.312907
    >>> f"{cross_entropy([[100.0, 0.0]], [0]):.6e}"  # exp(-100), where others answer 0
    '3.720076e-44'
    """
    value, _ = _evaluate(
        logits,
        targets,
        axis=axis,
        sample_weight=sample_weight,
        class_weight=class_weight,
        where=where,
        ignore_index=ignore_index,
        options={
            "label_smoothing": label_smoothing,
            "reduction": reduction,
            "denominator": denominator,
            "base": base,
            "empty": empty,
        },
        with_gradient=False,
        out=None,
    )
    return value


def cross_entropy_and_grad(
    logits: Any,
    targets: Any,
    /,
    *,
    axis: int = -1,
    sample_weight: Any = None,
    class_weight: Any = None,
    where: Any = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
    denominator: Denominator | float = "weight",
    base: float | None = None,
    empty: Empty = "nan",
    out: Any = None,
) -> ValueAndGrad:
    r"""Return the cross-entropy of logits, in nats, and its gradient with respect to them.

    For a row with probabilities p = softmax(x) and effective target y::

        d loss / dx_j = p_j sum(y) - y_j

    Parameters
    ----------
    logits, targets, axis, sample_weight, class_weight, where, ignore_index, label_smoothing, reduction, denominator, \
base, empty
        As for `cross_entropy`.
    out : array of the logits' shape, writeable
        Where the gradient goes: of the logits' dtype, or float32 for half-precision logits. It may be `logits` itself,
        which is then overwritten.

    Returns
    -------
    ValueAndGrad
        `value` as from `cross_entropy`; `grad` of the logits' shape, float32, or float64 for float64 logits, or `out`.

    Raises
    ------
    DtypeError, ArrayKindError, ShapeError, LabelError, RangeError, OptionError, EmptyError
        As for `cross_entropy`, and if `out` does not fit, is read-only, or overlaps another array.

    Notes
    -----
    Zeros: a row that does not take part has a gradient of exactly 0, and so has a class ruled out. An impossible row has
    a finite gradient.

    Accuracy: float32 entries are within 3 ulp, float64 within 4, for class ids: the target's entry is minus the sum of
    the others, not p_t - 1, and keeps its digits however confident the model is. For soft targets the bound is in ulp of
    the larger of p_j sum(y) and y_j, whose difference it is.

    References
    ----------
    Prieto et al., "Grokking at the edge of numerical stability", ICLR 2025, arXiv:2501.04697 (what p_t - 1 does to
    training).

    Examples
    --------
    >>> result = cross_entropy_and_grad([[2.0, 0.0], [0.0, 0.0]], [0, 1])
    >>> round(result.value, 6)
    0.410038
    >>> result.grad.round(6).tolist()
    [[-0.059601, 0.059601], [0.25, -0.25]]
    """
    value, grad = _evaluate(
        logits,
        targets,
        axis=axis,
        sample_weight=sample_weight,
        class_weight=class_weight,
        where=where,
        ignore_index=ignore_index,
        options={
            "label_smoothing": label_smoothing,
            "reduction": reduction,
            "denominator": denominator,
            "base": base,
            "empty": empty,
        },
        with_gradient=True,
        out=out,
    )
    assert grad is not None  # it was asked for
    return ValueAndGrad(value, grad)


def _evaluate(
    logits: Any,
    targets: Any,
    *,
    axis: int,
    sample_weight: Any,
    class_weight: Any,
    where: Any,
    ignore_index: int | None,
    options: dict[str, Any],
    with_gradient: bool,
    out: Any,
) -> tuple[float | np.ndarray, np.ndarray | None]:
    """Check, arrange, call kernels, reduce."""
    checked = read_options(**options)
    if sample_weight is None and class_weight is None and where is None and ignore_index is None and out is None:
        plain = mean_and_gradient(logits, targets, checked, axis, with_gradient=with_gradient)
        if plain is not None:
            return plain
    problem = read_problem(
        logits,
        targets,
        "logits",
        checked,
        axis=axis,
        sample_weight=sample_weight,
        class_weight=class_weight,
        where=where,
        ignore_index=ignore_index,
        with_gradient=with_gradient,
        out=out,
    )
    _softmax.fill(problem, stream=problem.gradient is not None and streams(out, problem.gradient.array))
    return problem.finish(stacklevel=4)
