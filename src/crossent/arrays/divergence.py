"""Divergences: how far one distribution is from another, in nats."""

from typing import Any

import numpy as np

from crossent._checks import unit_of_base
from crossent._kernels.cpu import _threads
from crossent._kernels.cpu import divergence as kernels
from crossent.arrays._distributions import as_result, read_pair, refuse_text
from crossent.arrays._input import address_of


def kl_divergence(p: Any, q: Any, /, *, axis: int = -1, base: float | None = None) -> float | np.ndarray:
    r"""Return the Kullback-Leibler divergence of q from p, in nats.

    What the prediction q costs beyond the entropy of the truth p::

        KL(p, q) = sum_j p_j log(p_j / q_j) = H(p, q) - H(p)

    Parameters
    ----------
    p, q : arrays, shape (rows, classes), in [0, 1], each row summing to 1
        Truth and prediction; leading dimensions broadcast.
    axis : int
        The class axis of both.
    base : float above 1, or None
        The base of the logarithm; None is e, so nats; 2 gives bits.

    Returns
    -------
    float for one pair, or array of shape (rows,), float32, or float64 if either is
        Divergence in nats, or in the unit of `base`.

    Raises
    ------
    RangeError
        If a probability is negative or above 1; also a ValueError.
    ShapeError
        If the classes differ or the leading dimensions do not broadcast; also a ValueError.
    DtypeError, ArrayKindError, OptionError
        As for `cross_entropy`.

    Warns
    -----
    NormalizationWarning
        If rows do not sum to 1; they are taken as they are, and the sum above may then be negative.

    Notes
    -----
    Zeros: p_j = 0 contributes 0 whatever q_j is; p_j > 0 with q_j = 0 gives inf. NaN stays in its row.
    Accuracy: no two terms cancel, so that close distributions keep their digits: within 6 ulp of float64 of the sum of
    the terms' sizes.

    References
    ----------
    Kullback and Leibler, "On information and sufficiency", Annals of Mathematical Statistics 22(1):79-86, 1951,
    equation 2.4.

    Examples
    --------
    >>> round(kl_divergence([0.5, 0.5], [0.25, 0.75]), 6)
    0.143841
    >>> kl_divergence([1.0, 0.0], [0.0, 1.0])
    inf
    """
    return _divergence(kernels.kullback_leibler, p, q, axis, base)


def js_divergence(p: Any, q: Any, /, *, axis: int = -1, base: float | None = None) -> float | np.ndarray:
    r"""Return the Jensen-Shannon divergence of two distributions, in nats.

    Symmetric, and at most log 2; with m = (p + q) / 2::

        JS(p, q) = (KL(p, m) + KL(q, m)) / 2

    Parameters
    ----------
    p, q : arrays, shape (rows, classes), in [0, 1], each row summing to 1
        Leading dimensions broadcast.
    axis : int
        The class axis of both.
    base : float above 1, or None
        The base of the logarithm; None is e, so nats; 2 gives bits.

    Returns
    -------
    float for one pair, or array of shape (rows,), float32, or float64 if either is
        Divergence in nats, or in the unit of `base`.

    Raises
    ------
    RangeError, ShapeError, DtypeError, ArrayKindError, OptionError
        As for `kl_divergence`.

    Warns
    -----
    NormalizationWarning
        If rows do not sum to 1; they are taken as they are.

    Notes
    -----
    Zeros: never infinite; distributions with no class in common give log 2.
    Accuracy: as for `kl_divergence`.

    References
    ----------
    Lin, "Divergence measures based on the Shannon entropy", IEEE Transactions on Information Theory 37(1):145-151,
    1991, equation 4.1.

    Examples
    --------
    >>> js_divergence([1.0, 0.0], [0.0, 1.0], base=2)
    1.0
    """
    return _divergence(kernels.jensen_shannon, p, q, axis, base)


def _divergence(kernel: Any, p: Any, q: Any, axis: int, base: float | None) -> float | np.ndarray:
    refuse_text(p, "p")
    refuse_text(q, "q")
    unit = unit_of_base(base)
    left, right, dtype = read_pair(p, q, axis, stacklevel=3)
    values = np.empty(left.shape[:-1])
    classes = left.shape[-1]

    def task(first: int, last: int) -> None:
        kernel(address_of(left), address_of(right), classes, unit, address_of(values), first, last)

    _threads.spread(task, values.size, left.nbytes * 8)
    return as_result(values, dtype)
