"""Softmax cross-entropy: the loss of a classifier that answers with one logit per class."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossent.definitions._interval import Interval
from crossent.errors import DtypeError, LabelError, ShapeError

LOGIT = Interval(-np.inf, np.inf)  # -inf rules a class out, +inf makes it certain
TARGET = Interval(0.0, np.inf, high_inclusive=False)
SMOOTHING = Interval(0.0, 1.0)


def softmax(logits: ArrayLike) -> NDArray[np.float64]:
    r"""Return the probabilities that logits stand for.

    ::

        p_j = exp(x_j) / sum_k exp(x_k)

    Parameters
    ----------
    logits : array, shape (..., classes)
        Log-probabilities up to a constant per row.

    Returns
    -------
    array, shape (..., classes), float64
        Probabilities; each row sums to 1.

    Raises
    ------
    ShapeError
        If there is no class; also a ValueError.

    Notes
    -----
    -inf is probability 0; one +inf is probability 1; two of them, a NaN, or nothing but -inf make the row NaN.

    Examples
    --------
    >>> softmax([2.0, 0.0, -float("inf")]).round(6).tolist()
    [0.880797, 0.119203, 0.0]
    """
    distance, _, rest = _parts(_checked_logits(logits))
    # exp of a large distance underflows to 0: that probability is too small for float64
    with np.errstate(under="ignore"):
        return np.asarray(np.exp(-distance) / (1.0 + rest))


def log_softmax(logits: ArrayLike) -> NDArray[np.float64]:
    r"""Return the logarithms of the probabilities that logits stand for, in nats.

    ::

        log p_j = x_j - log sum_k exp(x_k) = -((M - x_j) + log(1 + sum of exp(x_k - M) over the rest))

    with M the largest logit and "the rest" every class but one that has it.
    The second form adds two numbers that are 0 or more, so nothing cancels, however confident the row is.

    Parameters
    ----------
    logits : array, shape (..., classes)
        Log-probabilities up to a constant per row.

    Returns
    -------
    array, shape (..., classes), float64
        Log-probabilities in nats, 0 or less.

    Raises
    ------
    ShapeError
        If there is no class; also a ValueError.

    References
    ----------
    Blanchard, Higham and Higham 2021, IMA J. Numer. Anal. 41(4):2311-2330.

    Examples
    --------
    >>> log_softmax([40.0, 0.0]).tolist()
    [-4.248354255291589e-18, -40.0]
    """
    return np.asarray(0.0 - _surprise(_checked_logits(logits)))


def softmax_cross_entropy(logits: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
    r"""Return the cross-entropy of each row's target under softmax(logits), in nats.

    ::

        loss = -sum_j y_j log p_j,    p = softmax(x)

    Parameters
    ----------
    logits : array, shape (..., classes)
        Log-probabilities up to a constant per row.
    target : array of integers, shape (...), or of floats, shape (..., classes)
        The class of each row, or its distribution over the classes (0 or more, of any sum).

    Returns
    -------
    array, shape (...), float64
        Loss in nats.

    Raises
    ------
    ShapeError
        If `target` does not fit `logits`, or there is no class; also a ValueError.
    LabelError
        If a class lies outside [0, classes); also an IndexError.
    RangeError
        If an entry of a distribution is negative or infinite; also a ValueError.
    DtypeError
        If `target` holds neither integers nor floats; also a TypeError.

    Notes
    -----
    Zeros: y_j = 0 contributes 0, also where x_j = -inf; y_j > 0 there makes the row +inf.

    Examples
    --------
    The truth is the first of five classes, and the prediction gives it 0.1:

    >>> logits = np.log([0.1, 0.5, 0.1, 0.1, 0.2])
    >>> round(float(softmax_cross_entropy(logits, 0)), 6)
    2.302585
    >>> round(float(softmax_cross_entropy(logits, [1.0, 0.0, 0.0, 0.0, 0.0])), 6)
    2.302585
    """
    x = _checked_logits(logits)
    y = as_distribution(target, x.shape)
    surprise = _surprise(x)
    # 0 * inf is NaN, and is replaced by 0: an impossible event that never happens costs nothing
    with np.errstate(invalid="ignore"):
        terms = np.where((y == 0) & (surprise == np.inf), 0.0, y * surprise)
    return np.asarray(np.sum(terms, axis=-1))


def softmax_cross_entropy_gradient(logits: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
    r"""Return the gradient of each row's loss with respect to its logits: p_j sum(y) - y_j.

    For a class label, and any target that sums to 1, that is p - y.
    Computed as p_j (sum(y) - y_j) - y_j (1 - p_j), where 1 - p_j is the sum of the other probabilities: p_t - 1
    would be 0 for a confident row.

    Parameters
    ----------
    logits : array, shape (..., classes)
        Log-probabilities up to a constant per row.
    target : array of integers, shape (...), or of floats, shape (..., classes)
        The class of each row, or its distribution over the classes (0 or more, of any sum).

    Returns
    -------
    array, shape (..., classes), float64
        Nats per unit of each logit; each row sums to 0.

    Raises
    ------
    ShapeError, LabelError, RangeError, DtypeError
        As `softmax_cross_entropy`.

    Examples
    --------
    The loss ignores how the rest is spread over the wrong classes; its gradient does not:

    >>> logits = np.log([0.1, 0.5, 0.1, 0.1, 0.2])
    >>> softmax_cross_entropy_gradient(logits, 0).round(6).tolist()
    [-0.9, 0.5, 0.1, 0.1, 0.2]
    """
    x = _checked_logits(logits)
    y = as_distribution(target, x.shape)
    distance, largest, rest = _parts(x)
    with np.errstate(under="ignore"):  # as in softmax
        p = np.exp(-distance) / (1.0 + rest)
        complement = np.where(largest, rest / (1.0 + rest), 1.0 - p)
        gradient = p * (np.sum(y, axis=-1, keepdims=True) - y) - y * complement
    return np.asarray(gradient)


def as_distribution(target: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the distribution of each row's target: one-hot for class labels, and distributions as they are.

    Parameters
    ----------
    target : array of integers, shape (...), or of floats, shape (..., classes)
        The class of each row, or its distribution over the classes.
    shape : tuple of int
        The shape of the logits, (..., classes).

    Returns
    -------
    array, shape (..., classes), float64
        What each class weighs in the row's loss.

    Examples
    --------
    >>> as_distribution([2, 0], (2, 3)).tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    given = np.asarray(target)
    if given.size == 0 and given.dtype == np.float64 and given.shape == shape[:-1]:
        given = given.astype(np.int64)  # an empty list has no dtype of its own; NumPy calls it float64
    if given.dtype.kind == "f":
        if given.shape != shape:
            message = f"`target` must have the shape of `logits`, {shape}, as it holds floats; got {given.shape}."
            raise ShapeError(message)
        return TARGET.checked("target", given)
    if given.dtype.kind not in "iu":
        message = f"`target` must hold integers (classes) or floats (distributions); got dtype {given.dtype}."
        raise DtypeError(message)
    if given.shape != shape[:-1]:
        message = f"`target` must have shape {shape[:-1]}, as it holds integers (classes); got {given.shape}."
        raise ShapeError(message)
    classes = shape[-1]
    outside = np.argwhere((given < 0) | (given >= classes))
    if len(outside):
        place = tuple(int(index) for index in outside[0])
        where = f" at {list(place)}" if place else ""
        message = f"`target` must lie in [0, {classes}); got {int(given[place])}{where}."
        raise LabelError(message)
    return np.asarray(given[..., np.newaxis] == np.arange(classes), dtype=np.float64)


def smoothed(distribution: ArrayLike, smoothing: float) -> NDArray[np.float64]:
    """Return y (1 - e) + e / C: the target with a share e spread evenly over all C classes.

    Parameters
    ----------
    distribution : array, shape (..., classes)
        What each class weighs.
    smoothing : float
        The share e, in [0, 1].

    Returns
    -------
    array, shape (..., classes), float64
        The smoothed target, with the sum 1 of a distribution kept.

    Raises
    ------
    RangeError
        If e lies outside [0, 1]; also a ValueError.

    References
    ----------
    Szegedy et al. 2016, "Rethinking the Inception architecture for computer vision", section 7.

    Examples
    --------
    >>> smoothed([1.0, 0.0], 0.5).tolist()
    [0.75, 0.25]
    """
    y = TARGET.checked("distribution", distribution)
    share = SMOOTHING.checked("smoothing", smoothing)
    return np.asarray(y * (1.0 - share) + share / y.shape[-1])


def _checked_logits(logits: ArrayLike) -> NDArray[np.float64]:
    x = np.asarray(logits, dtype=np.float64)
    if x.ndim == 0 or x.shape[-1] == 0:
        message = f"`logits` must have at least one class on its last axis; got shape {x.shape}."
        raise ShapeError(message)
    return x


def _surprise(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return -log softmax(x), 0 or more."""
    distance, _, rest = _parts(x)
    return np.asarray(distance + np.log1p(rest))


def _parts(x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
    """Return each logit's distance below the row's maximum M, where M stands first, and the sum of the others' exp.

    A row that stands for no distribution has NaN distances: two +inf, a NaN, or nothing but -inf.
    """
    maximum = np.max(x, axis=-1, keepdims=True)
    largest = np.argmax(x, axis=-1)[..., np.newaxis] == np.arange(x.shape[-1])
    # inf - inf, and its NaN, is replaced by the distance 0; a distance beyond float64 is rightly +inf; exp underflows
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        distance = np.where(x == maximum, 0.0, maximum - x)
        undefined = (maximum == -np.inf) | (np.sum(x == np.inf, axis=-1, keepdims=True) > 1)
        distance = np.where(undefined, np.nan, distance)
        rest = np.sum(np.where(largest, 0.0, np.exp(-distance)), axis=-1, keepdims=True)
    return distance, largest, rest
