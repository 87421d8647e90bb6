"""Binary cross-entropy: each element is a yes-or-no question of its own."""

from typing import Any

import numpy as np

from crossent.arrays._binary import evaluate
from crossent.arrays.results import ValueAndGrad
from crossent.conventions import Denominator, Empty, Reduction, Zero


def binary_cross_entropy(
    logits: Any,
    targets: Any,
    /,
    *,
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
    r"""Return the binary cross-entropy of each element's target under sigmoid(logits), in nats.

    For an element x with target y in [0, 1]::

        loss = y log(1 + exp(-x)) + (1 - y) log(1 + exp(x))

    Parameters
    ----------
    logits : array, any shape, float16, bfloat16, float32 or float64
        Log-odds of class 1.
    targets : array of the same shape
        Integers or booleans in {0, 1}, or floats in [0, 1].
    sample_weight : array of the same shape, at least 0
        Multiplies each element's loss. An element of weight 0 contributes exactly 0.
    class_weight : array, shape (2,), at least 0
        Weights of class 0 and class 1, after smoothing.
    where : array of bool, of the same shape
        False leaves an element out.
    ignore_index : int or None
        Elements with this integer target are left out.
    label_smoothing : float in [0, 1]
        Replaces y by (1 - e) y + e / 2.
    reduction, denominator, base, empty
        As for `cross_entropy`, with elements for rows.

    Returns
    -------
    float, or array of the same shape under ``reduction="none"``; that is float32, or float64 for float64 logits
        Loss in nats, or in the unit of `base`.

    Raises
    ------
    RangeError
        If a target is neither in [0, 1] nor `ignore_index`, or a weight is negative or infinite; also a ValueError.
    DtypeError, ArrayKindError, ShapeError, OptionError, EmptyError
        As for `cross_entropy`.

    Warns
    -----
    ImpossibleEventWarning
        If elements have an infinite loss; once, with their number.

    Notes
    -----
    Zeros: a logit of -inf costs 0 at y = 0 and inf at any y above it; NaN stays in its element.
    Accuracy: computed in float64; float32 within 1 ulp, float64 within 4.

    References
    ----------
    Maechler, "Accurately computing log(1 - exp(-|a|))", 2012, CRAN package Rmpfr (log1pexp).

    Examples
    --------
    >>> binary_cross_entropy([2.0, -1.0], [1, 0], reduction="none").round(6)
    array([0.126928, 0.313262])
    """
    value, _ = evaluate(
        "logits",
        logits,
        targets,
        zero="inf",
        eps=None,
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


def binary_cross_entropy_and_grad(
    logits: Any,
    targets: Any,
    /,
    *,
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
    r"""Return the binary cross-entropy of logits, in nats, and its gradient with respect to them.

    For an element x with target y::

        d loss / dx = (1 - y) sigmoid(x) - y sigmoid(-x)

    Parameters
    ----------
    logits, targets, sample_weight, class_weight, where, ignore_index, label_smoothing, reduction, denominator, base, \
empty
        As for `binary_cross_entropy`.
    out : array of the logits' shape, C-contiguous, writeable
        As for `cross_entropy_and_grad`.

    Returns
    -------
    ValueAndGrad
        `value` as from `binary_cross_entropy`; `grad` of the logits' shape.

    Raises
    ------
    RangeError, DtypeError, ArrayKindError, ShapeError, OptionError, EmptyError
        As for `binary_cross_entropy`, and if `out` does not fit.

    Notes
    -----
    Zeros: an element that does not take part has a gradient of exactly 0; an impossible one has a finite gradient.
    Accuracy: float32 within 1 ulp, float64 within 4 for targets 0 and 1, whose gradient never cancels.

    References
    ----------
    Maechler, "Accurately computing log(1 - exp(-|a|))", 2012, CRAN package Rmpfr.

    Examples
    --------
    >>> binary_cross_entropy_and_grad([2.0, -1.0], [1, 0], reduction="sum").grad.round(6).tolist()
    [-0.119203, 0.268941]
    """
    value, grad = evaluate(
        "logits",
        logits,
        targets,
        zero="inf",
        eps=None,
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


def binary_cross_entropy_from_probs(
    probs: Any,
    targets: Any,
    /,
    *,
    zero: Zero = "inf",
    eps: float | None = None,
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
    r"""Return the binary cross-entropy of each element's target under predicted probabilities of class 1, in nats.

    For an element q with target y in [0, 1]::

        loss = -y log(q) - (1 - y) log(1 - q)

    Parameters
    ----------
    probs : array, any shape, float16, bfloat16, float32 or float64
        Probabilities of class 1, in [0, 1].
    targets : array of the same shape
        Integers or booleans in {0, 1}, or floats in [0, 1].
    zero : {"inf", "clip", "raise"}
        What an element costs whose truth has probability 0: infinity, -log(eps), or an error.
    eps : float in (0, 1)
        With ``zero="clip"``: the smallest q and 1 - q.
    sample_weight, class_weight, where, ignore_index, label_smoothing, reduction, denominator, base, empty
        As for `binary_cross_entropy`.

    Returns
    -------
    float, or array of the same shape under ``reduction="none"``; that is float32, or float64 for float64 probabilities
        Loss in nats, or in the unit of `base`.

    Raises
    ------
    RangeError
        If a probability or a target lies outside [0, 1]; also a ValueError.
    ImpossibleEventError
        If an element is impossible and ``zero="raise"``; also a ValueError.
    DtypeError, ArrayKindError, ShapeError, OptionError, EmptyError
        As for `cross_entropy`.

    Warns
    -----
    ImpossibleEventWarning
        If elements have an infinite loss; once, with their number.

    Notes
    -----
    Zeros: 0 log 0 is 0, also in the gradient. NaN stays in its element.
    Accuracy: computed in float64; float32 within 1 ulp, float64 within 4.

    References
    ----------
    Good, "Rational decisions", Journal of the Royal Statistical Society B 14(1):107-114, 1952.

    Examples
    --------
    >>> binary_cross_entropy_from_probs([0.9, 0.2], [1, 0], reduction="none").round(6)
    array([0.105361, 0.223144])
    """
    value, _ = evaluate(
        "probs",
        probs,
        targets,
        zero=zero,
        eps=eps,
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


def binary_cross_entropy_from_probs_and_grad(
    probs: Any,
    targets: Any,
    /,
    *,
    zero: Zero = "inf",
    eps: float | None = None,
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
    r"""Return the binary cross-entropy of probabilities, in nats, and its gradient with respect to them.

    For an element q with target y::

        d loss / dq = (1 - y) / (1 - q) - y / q

    Parameters
    ----------
    probs, targets, zero, eps, sample_weight, class_weight, where, ignore_index, label_smoothing, reduction, \
denominator, base, empty
        As for `binary_cross_entropy_from_probs`.
    out : array of the shape of `probs`, C-contiguous, writeable
        As for `cross_entropy_and_grad`.

    Returns
    -------
    ValueAndGrad
        `value` as from `binary_cross_entropy_from_probs`; `grad` of the shape of `probs`.

    Raises
    ------
    RangeError, ImpossibleEventError, DtypeError, ArrayKindError, ShapeError, OptionError, EmptyError
        As for `binary_cross_entropy_from_probs`, and if `out` does not fit.

    Notes
    -----
    Zeros: a target of 0 contributes no 0 / 0; y > 0 at q = 0 gives -inf, or 0 where `eps` clips.
    Accuracy: float32 within 1 ulp, float64 within 4 for targets 0 and 1.

    References
    ----------
    Good, "Rational decisions", Journal of the Royal Statistical Society B 14(1):107-114, 1952.

    Examples
    --------
    >>> binary_cross_entropy_from_probs_and_grad([0.5, 0.2], [1, 0], reduction="sum").grad.tolist()
    [-2.0, 1.25]
    """
    value, grad = evaluate(
        "probs",
        probs,
        targets,
        zero=zero,
        eps=eps,
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
