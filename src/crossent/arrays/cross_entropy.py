"""Cross-entropy of probabilities, and of their logarithms: predictions that have left the model."""

from typing import Any

import numpy as np

from crossent.arrays._from_probs import evaluate
from crossent.arrays.results import ValueAndGrad
from crossent.conventions import Denominator, Empty, Normalized, Reduction, Zero


def cross_entropy_from_probs(
    probs: Any,
    targets: Any,
    /,
    *,
    zero: Zero = "inf",
    eps: float | None = None,
    normalized: Normalized = "warn",
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
    r"""Return the cross-entropy of each row's target under the predicted probabilities, in nats.

    For a row q with target distribution y, or with target class t::

        loss = -sum_j y_j log q_j,    loss = -log q_t

    Parameters
    ----------
    probs : array, shape (rows, classes), float16, bfloat16, float32 or float64
        In [0, 1]; any leading dimensions, any strides.
    targets : array of integers, shape (rows,); or of floats, shape (rows, classes); or TopKTargets
        As for `cross_entropy`.
    zero : {"inf", "clip", "raise"}
        What a prediction of 0 costs where the truth is not 0: infinity, -log(eps), or an error.
    eps : float in (0, 1)
        With ``zero="clip"``: smaller probabilities are taken as this one. Probabilities near 1 stay as they are.
    normalized : {"warn", "rescale", "raise", "ignore"}
        What happens to rows whose sum is not 1: a warning with the largest deviation, division by the sum, an error,
        nothing. The tolerance is the square root of the dtype's precision.
    axis, sample_weight, class_weight, where, ignore_index, label_smoothing, reduction, denominator, base, empty
        As for `cross_entropy`.

    Returns
    -------
    float, or array of shape (rows,) under ``reduction="none"``; that is float32, or float64 for float64 probabilities
        Loss in nats, or in the unit of `base`.

    Raises
    ------
    RangeError
        If a probability is negative or above 1; also a ValueError.
    ImpossibleEventError
        If a row is impossible and ``zero="raise"``; also a ValueError.
    NormalizationError
        If a row does not sum to 1 and ``normalized="raise"``; also a ValueError.
    DtypeError, ArrayKindError, ShapeError, LabelError, OptionError, EmptyError
        As for `cross_entropy`.

    Warns
    -----
    ImpossibleEventWarning
        If rows have an infinite loss; once, with their number.
    NormalizationWarning
        If rows do not sum to 1 and ``normalized="warn"``; once, with their number and the largest deviation.

    Notes
    -----
    Zeros: 0 log 0 is 0, also in the gradient. NaN stays in its row. A prediction of 1 for the truth costs 0.0.
    Accuracy: computed in float64; within 1 ulp of the result's dtype, float64 soft targets within 4.

    References
    ----------
    Good, "Rational decisions", Journal of the Royal Statistical Society B 14(1):107-114, 1952 (the logarithmic score).

    Examples
    --------
    >>> round(cross_entropy_from_probs([[0.1, 0.5, 0.1, 0.1, 0.2]], [0]), 6)
    2.302585
    >>> round(cross_entropy_from_probs([[0.0, 1.0]], [0], zero="clip", eps=1e-15), 6)
    34.538776
    """
    value, _ = evaluate(
        "probs",
        probs,
        targets,
        zero=zero,
        eps=eps,
        normalized=normalized,
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


def cross_entropy_from_probs_and_grad(
    probs: Any,
    targets: Any,
    /,
    *,
    zero: Zero = "inf",
    eps: float | None = None,
    normalized: Normalized = "warn",
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
    r"""Return the cross-entropy of probabilities, in nats, and its gradient with respect to them.

    For a row q with effective target y::

        d loss / dq_j = -y_j / q_j,    and with normalized="rescale"    sum(y) / sum(q) - y_j / q_j

    Parameters
    ----------
    probs, targets, zero, eps, normalized, axis, sample_weight, class_weight, where, ignore_index, label_smoothing, \
reduction, denominator, base, empty
        As for `cross_entropy_from_probs`.
    out : array of the shape of `probs`, writeable
        As for `cross_entropy_and_grad`.

    Returns
    -------
    ValueAndGrad
        `value` as from `cross_entropy_from_probs`; `grad` of the shape of `probs`.

    Raises
    ------
    RangeError, ImpossibleEventError, NormalizationError
        As for `cross_entropy_from_probs`.
    DtypeError, ArrayKindError, ShapeError, LabelError, OptionError, EmptyError
        As for `cross_entropy_and_grad`.

    Notes
    -----
    Zeros: y_j = 0 gives 0, also where q_j = 0; y_j > 0 and q_j = 0 give -inf, or 0 where `eps` clips, as the clipped loss
    does not move there.
    Accuracy: within 1 ulp of float32; float64 within 2.

    References
    ----------
    Good, "Rational decisions", Journal of the Royal Statistical Society B 14(1):107-114, 1952.

    Examples
    --------
    >>> cross_entropy_from_probs_and_grad([[0.1, 0.5, 0.1, 0.1, 0.2]], [0]).grad.tolist()
    [[-10.0, 0.0, 0.0, 0.0, 0.0]]
    """
    value, grad = evaluate(
        "probs",
        probs,
        targets,
        zero=zero,
        eps=eps,
        normalized=normalized,
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


def cross_entropy_from_log_probs(
    log_probs: Any,
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
    r"""Return the cross-entropy of each row's target under predicted log-probabilities, in nats.

    For a row l = log q with target distribution y, or with target class t::

        loss = -sum_j y_j l_j,    loss = -l_t

    Parameters
    ----------
    log_probs : array, shape (rows, classes), float16, bfloat16, float32 or float64
        Natural logarithms of probabilities, at most 0; -inf is a probability of 0.
    targets : array of integers, shape (rows,); or of floats, shape (rows, classes); or TopKTargets
        As for `cross_entropy`.
    axis, sample_weight, class_weight, where, ignore_index, label_smoothing, reduction, denominator, base, empty
        As for `cross_entropy`.

    Returns
    -------
    float, or array of shape (rows,) under ``reduction="none"``; that is float32, or float64 for float64 input
        Loss in nats, or in the unit of `base`.

    Raises
    ------
    RangeError
        If a log-probability is above 0; also a ValueError. Logits belong to `cross_entropy`.
    DtypeError, ArrayKindError, ShapeError, LabelError, OptionError, EmptyError
        As for `cross_entropy`.

    Warns
    -----
    ImpossibleEventWarning
        If rows have an infinite loss; once, with their number.

    Notes
    -----
    Zeros: a log-probability of -inf costs nothing where its target is 0, inf where it is not. NaN stays in its row.
    Accuracy: exact for class ids; correctly rounded but for ties for soft targets.

    References
    ----------
    Good, "Rational decisions", Journal of the Royal Statistical Society B 14(1):107-114, 1952.

    Examples
    --------
    >>> cross_entropy_from_log_probs([[-0.5, -1.5], [-3.0, -0.25]], [0, 1], reduction="none").tolist()
    [0.5, 0.25]
    """
    value, _ = evaluate(
        "log_probs",
        log_probs,
        targets,
        zero="inf",
        eps=None,
        normalized="ignore",
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


def cross_entropy_from_log_probs_and_grad(
    log_probs: Any,
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
    r"""Return the cross-entropy of log-probabilities, in nats, and its gradient with respect to them.

    For a row with effective target y::

        d loss / dl_j = -y_j

    Parameters
    ----------
    log_probs, targets, axis, sample_weight, class_weight, where, ignore_index, label_smoothing, reduction, \
denominator, base, empty
        As for `cross_entropy_from_log_probs`.
    out : array of the shape of `log_probs`, writeable
        As for `cross_entropy_and_grad`.

    Returns
    -------
    ValueAndGrad
        `value` as from `cross_entropy_from_log_probs`; `grad` of the shape of `log_probs`.

    Raises
    ------
    RangeError
        As for `cross_entropy_from_log_probs`.
    DtypeError, ArrayKindError, ShapeError, LabelError, OptionError, EmptyError
        As for `cross_entropy_and_grad`.

    Notes
    -----
    Zeros: y_j = 0 gives 0. NaN in a row makes its gradient NaN.
    Accuracy: within 1 ulp.

    References
    ----------
    Good, "Rational decisions", Journal of the Royal Statistical Society B 14(1):107-114, 1952.

    Examples
    --------
    >>> cross_entropy_from_log_probs_and_grad([[-0.5, -1.5], [-3.0, -0.25]], [0, 1]).grad.tolist()
    [[-0.5, 0.0], [0.0, -0.5]]
    """
    value, grad = evaluate(
        "log_probs",
        log_probs,
        targets,
        zero="inf",
        eps=None,
        normalized="ignore",
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
