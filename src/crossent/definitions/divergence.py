"""Divergences: by how many nats the prediction q misses the truth p (Kullback-Leibler, Jensen-Shannon)."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossent.definitions._interval import Interval

PROBABILITY = Interval(0.0, 1.0)
SMALLEST_NORMAL = float(np.finfo(np.float64).tiny)


def kl_divergence(p: ArrayLike, q: ArrayLike) -> NDArray[np.float64]:
    r"""Return the Kullback-Leibler divergence of q from p, in nats.

    ::

        KL(p, q) = sum_k p_k log(p_k / q_k) = H(p, q) - H(p)

    Parameters
    ----------
    p, q : array, shape (..., classes)
        Probabilities in [0, 1].

    Returns
    -------
    array, shape (...), float64
        Divergence in nats: 0 if and only if the distributions are equal, else above 0.

    Raises
    ------
    RangeError
        If a probability lies outside [0, 1]; also a ValueError.

    Notes
    -----
    Zeros: p = 0 contributes 0; p > 0 where q = 0 makes the row +inf. NaN stays in its row.
    Where p and q do not have exactly the same sum, the result is at least sum(p) - sum(q), which may be below 0.
    Accuracy: each term has a small relative error, so the error is a few ulp of the sum of the terms' magnitudes.

    References
    ----------
    Kullback and Leibler 1951, Ann. Math. Statist. 22(1):79-86.

    Examples
    --------
    >>> round(float(kl_divergence([0.5, 0.5], [0.25, 0.75])), 6)
    0.143841
    """
    p, q = PROBABILITY.checked("p", p), PROBABILITY.checked("q", q)
    return np.asarray(np.sum(_relative_entropy(p, q, p - q), axis=-1))


def kl_divergence_gradient(p: ArrayLike, q: ArrayLike) -> NDArray[np.float64]:
    r"""Return the gradient of KL(p, q) with respect to q: -p_k / q_k, as for the cross-entropy.

    Parameters
    ----------
    p, q : array, shape (..., classes)
        Probabilities in [0, 1], each q taken as free.

    Returns
    -------
    array, shape (..., classes), float64
        Nats per unit of probability: 0 where p = 0, -inf where only q = 0.

    Examples
    --------
    >>> kl_divergence_gradient([0.5, 0.5], [0.25, 0.75]).round(4).tolist()
    [-2.0, -0.6667]
    """
    p, q = PROBABILITY.checked("p", p), PROBABILITY.checked("q", q)
    # p/0 = inf is the true slope, 0/0 is replaced by 0, and a subnormal q may make the slope overflow to inf
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.asarray(0.0 - np.where((p == 0) & (q == 0), 0.0, p / q))


def js_divergence(p: ArrayLike, q: ArrayLike) -> NDArray[np.float64]:
    r"""Return the Jensen-Shannon divergence, in nats: how far both distributions are from their middle.

    ::

        JS(p, q) = KL(p, m) / 2 + KL(q, m) / 2,    m = (p + q) / 2

    Parameters
    ----------
    p, q : array, shape (..., classes)
        Probabilities in [0, 1].

    Returns
    -------
    array, shape (...), float64
        Divergence in nats, from 0 (equal) to log 2 (nothing in common); symmetric, and always finite.

    Raises
    ------
    RangeError
        If a probability lies outside [0, 1]; also a ValueError.

    References
    ----------
    Lin 1991, IEEE Trans. Inf. Theory 37(1):145-151.

    Examples
    --------
    >>> round(float(js_divergence([1.0, 0.0], [0.0, 1.0])), 6)
    0.693147
    """
    p, q = PROBABILITY.checked("p", p), PROBABILITY.checked("q", q)
    # 2m = p + q: doubling both arguments of the logarithm keeps a subnormal middle exact.  p - 2m/2 = (p - q) / 2,
    # from p and q themselves: the rounded middle would lose it where they are close.
    from_p = _relative_entropy(2 * p, p + q, p - q)
    from_q = _relative_entropy(2 * q, p + q, q - p)
    return np.asarray(np.sum(from_p + from_q, axis=-1) / 4)


def js_divergence_gradient(p: ArrayLike, q: ArrayLike) -> NDArray[np.float64]:
    r"""Return the gradient of JS(p, q) with respect to q: log(q_k / m_k) / 2.

    Parameters
    ----------
    p, q : array, shape (..., classes)
        Probabilities in [0, 1], each q taken as free.

    Returns
    -------
    array, shape (..., classes), float64
        Nats per unit of probability: 0 where p = q, -inf where only q = 0.

    Examples
    --------
    >>> js_divergence_gradient([0.5, 0.5], [0.5, 0.0]).tolist()
    [0.0, -inf]
    """
    p, q = PROBABILITY.checked("p", p), PROBABILITY.checked("q", q)
    both_zero = (p == 0) & (q == 0)
    return np.where(both_zero, 0.0, _log_ratio(2 * q, np.where(both_zero, 1.0, p + q), q - p) / 2)


def _relative_entropy(
    p: NDArray[np.float64], q: NDArray[np.float64], difference: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return p log(p/q) for each entry: 0 where p = 0, +inf where only q = 0."""
    absent = p == 0
    ratio = _log_ratio(np.where(absent, 1.0, p), np.where(absent, 1.0, q), difference)
    return np.where(absent, 0.0 * q, p * ratio)  # 0 * q is 0, and NaN where q is


def _log_ratio(p: NDArray[np.float64], q: NDArray[np.float64], difference: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log(p/q) to a small relative error: as log1p((p - q)/q) where the two are close, given their difference."""
    # every branch is computed everywhere and only one is kept: x/0, log 0 and log1p(-1) arise where they are not, or
    # are the answer (q = 0: +inf; p = 0: -inf)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
        ratio = p / q
        close = np.abs(difference) < q / 2
        near = np.log1p(np.where(close, difference, 0.0) / q)
        # a ratio beyond float64, or below its normal numbers, is no longer accurate
        far = np.where((ratio > SMALLEST_NORMAL) & (ratio < np.inf), np.log(ratio), np.log(p) - np.log(q))
    return np.where(close, near, far)
