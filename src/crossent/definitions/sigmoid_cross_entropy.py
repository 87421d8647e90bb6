"""Sigmoid cross-entropy: the loss of a yes-or-no answer that is given as one logit."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossent.definitions._interval import Interval

LOGIT = Interval(-np.inf, np.inf)
TARGET = Interval(0.0, 1.0)


def sigmoid(logits: ArrayLike) -> NDArray[np.float64]:
    r"""Return the probability of yes that a logit stands for: 1 / (1 + exp(-x)).

    Parameters
    ----------
    logits : array, any shape
        The logarithm of the odds, log(p / (1 - p)).

    Returns
    -------
    array, the shape of `logits`, float64
        Probabilities.

    Examples
    --------
    >>> sigmoid([0.0, float("inf")]).tolist()
    [0.5, 1.0]
    """
    x = np.asarray(logits, dtype=np.float64)
    # exp(-|x|) never overflows, and underflows to 0 where it no longer counts
    with np.errstate(under="ignore"):
        small = np.exp(-np.abs(x))
        return np.asarray(np.where(x < 0, small, 1.0) / (1.0 + small))


def softplus(values: ArrayLike) -> NDArray[np.float64]:
    r"""Return log(1 + exp(x)) = -log sigmoid(-x), in nats.

    Written as max(x, 0) + log1p(exp(-|x|)): two terms of 0 or more, so nothing overflows and nothing cancels.

    Parameters
    ----------
    values : array, any shape
        Any numbers, infinities included.

    Returns
    -------
    array, the shape of `values`, float64
        Nats.

    Examples
    --------
    >>> softplus([-40.0, 0.0, 1000.0]).tolist()
    [4.248354255291589e-18, 0.6931471805599453, 1000.0]
    """
    x = np.asarray(values, dtype=np.float64)
    with np.errstate(under="ignore"):  # as in sigmoid
        return np.asarray(np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x))))


def sigmoid_cross_entropy(logits: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
    r"""Return the cross-entropy of each target under sigmoid(logits), in nats.

    ::

        loss = -y log s(x) - (1 - y) log(1 - s(x)) = y softplus(-x) + (1 - y) softplus(x)

    Parameters
    ----------
    logits : array, any shape
        The logarithm of the odds of yes.
    target : array, the shape of `logits`
        The truth: 1 is yes, 0 is no, and anything between is the probability of yes.

    Returns
    -------
    array, the shape of `logits`, float64
        Loss in nats.

    Raises
    ------
    RangeError
        If a target lies outside [0, 1]; also a ValueError.

    Notes
    -----
    Zeros: a side that the truth rules out contributes 0, also at an infinite logit; a side that the truth allows and
    the prediction rules out makes the loss +inf. NaN in is NaN out.

    Examples
    --------
    >>> sigmoid_cross_entropy([0.0, 40.0], [1, 1]).tolist()
    [0.6931471805599453, 4.248354255291589e-18]
    """
    x, y = np.asarray(logits, dtype=np.float64), TARGET.checked("target", target)
    # 0 * inf is NaN, and is replaced by 0
    with np.errstate(invalid="ignore", under="ignore"):
        yes = np.where((y == 0) & (x == -np.inf), 0.0, y * softplus(-x))
        no = np.where((y == 1) & (x == np.inf), 0.0, (1.0 - y) * softplus(x))
    return np.asarray(yes + no)


def sigmoid_cross_entropy_gradient(logits: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
    r"""Return the gradient of each loss with respect to its logit: s(x) - y.

    Computed as (1 - y) s(x) - y s(-x): where y = 1 and the row is confident, s(x) - 1 would be 0.

    Parameters
    ----------
    logits : array, any shape
        The logarithm of the odds of yes.
    target : array, the shape of `logits`
        The truth, in [0, 1].

    Returns
    -------
    array, the shape of `logits`, float64
        Nats per unit of the logit.

    Raises
    ------
    RangeError
        If a target lies outside [0, 1]; also a ValueError.

    Examples
    --------
    >>> sigmoid_cross_entropy_gradient([0.0, 40.0], [1, 1]).tolist()
    [-0.5, -4.248354255291589e-18]
    """
    x, y = np.asarray(logits, dtype=np.float64), TARGET.checked("target", target)
    with np.errstate(under="ignore"):  # as in sigmoid
        return np.asarray((1.0 - y) * sigmoid(x) - y * sigmoid(-x))
