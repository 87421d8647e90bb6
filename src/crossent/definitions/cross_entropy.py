"""Cross-entropy of probabilities: what the truth p costs when it is written in the code of the prediction q."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossent.definitions._interval import Interval

TRUTH = Interval(0.0, np.inf, high_inclusive=False)  # weights of any sum, of which a distribution is the usual case
PREDICTION = Interval(0.0, 1.0)


def cross_entropy(p: ArrayLike, q: ArrayLike) -> NDArray[np.float64]:
    r"""Return the cross-entropy of each prediction under its truth, in nats.

    ::

        H(p, q) = -sum_k p_k log q_k

    Where the truth is one class t, p is one-hot and all but one term vanish: H = -log q_t.

    Parameters
    ----------
    p : array, shape (..., classes)
        The truth: 0 or more, usually summing to 1.
    q : array, shape (..., classes)
        The prediction: probabilities in [0, 1].

    Returns
    -------
    array, shape (...), float64
        Cross-entropy in nats.

    Raises
    ------
    RangeError
        If a p is negative or infinite, or a q lies outside [0, 1]; also a ValueError.

    Notes
    -----
    Zeros: p = 0 contributes 0, also where q = 0; p > 0 where q = 0 makes the row +inf. NaN stays in its row.

    Examples
    --------
    >>> truth, prediction = [1, 0, 0, 0, 0], [0.1, 0.5, 0.1, 0.1, 0.2]
    >>> round(float(cross_entropy(truth, prediction)), 6)
    2.302585

    It is least where both distributions are equal, and then it is the entropy of the truth:

    >>> [round(float(cross_entropy([0.5, 0.5], [q, 1 - q])), 4) for q in (0.1, 0.4, 0.5, 0.6, 0.9)]
    [1.204, 0.7136, 0.6931, 0.7136, 1.204]
    """
    p, q = TRUTH.checked("p", p), PREDICTION.checked("q", q)
    # log 0 = -inf is the answer where p > 0; where p = 0 the product with it is replaced by 0
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where((p == 0) & (q == 0), 0.0, p * np.log(q))
    return np.asarray(0.0 - np.sum(terms, axis=-1))


def cross_entropy_gradient(p: ArrayLike, q: ArrayLike) -> NDArray[np.float64]:
    r"""Return the gradient of H(p, q) with respect to the prediction: -p_k / q_k.

    By the chain rule, where q depends on some x: dH/dx = -sum_k (p_k / q_k) dq_k/dx.

    Parameters
    ----------
    p : array, shape (..., classes)
        The truth: 0 or more.
    q : array, shape (..., classes)
        The prediction: probabilities in [0, 1], each taken as free.

    Returns
    -------
    array, shape (..., classes), float64
        Nats per unit of probability: 0 where p = 0, -inf where only q = 0.

    Raises
    ------
    RangeError
        If a p is negative or infinite, or a q lies outside [0, 1]; also a ValueError.

    Examples
    --------
    >>> cross_entropy_gradient([1, 0, 0], [0.25, 0.75, 0.0]).tolist()
    [-4.0, 0.0, 0.0]
    """
    p, q = TRUTH.checked("p", p), PREDICTION.checked("q", q)
    # p/0 = inf is the true slope, 0/0 is replaced by 0, and a subnormal q may make the slope overflow to inf
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.asarray(0.0 - np.where((p == 0) & (q == 0), 0.0, p / q))
