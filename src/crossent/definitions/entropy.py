"""Entropy: how many nats a draw from a distribution takes to write down, at best and on average."""

from collections import Counter
from collections.abc import Hashable, Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossent.definitions._interval import Interval
from crossent.errors import EmptyError

PROBABILITY = Interval(0.0, 1.0)
COUNT = Interval(0.0, np.inf, high_inclusive=False)


def entropy(p: ArrayLike) -> NDArray[np.float64]:
    r"""Return the entropy of each distribution, in nats.

    ::

        H(p) = -sum_k p_k log p_k

    Parameters
    ----------
    p : array, shape (..., classes)
        Probabilities in [0, 1].

    Returns
    -------
    array, shape (...), float64
        Entropy in nats: 0 when one class is certain, log(classes) when all are equally likely.

    Raises
    ------
    RangeError
        If a probability lies outside [0, 1]; also a ValueError.

    Notes
    -----
    Zeros: 0 log 0 counts as 0, its limit. NaN stays in its row.

    Examples
    --------
    Eight equally likely fruits take three bits:

    >>> from crossent.units import nats_to_bits
    >>> nats_to_bits(float(entropy([1 / 8] * 8)))
    3.0
    """
    p = PROBABILITY.checked("p", p)
    # log 0 is -inf, and is left out of the sum on the next line
    with np.errstate(divide="ignore"):
        log_p = np.log(p)
    terms = np.where(p == 0, 0.0, p * np.where(p == 0, 0.0, log_p))
    return np.asarray(0.0 - np.sum(terms, axis=-1))


def entropy_gradient(p: ArrayLike) -> NDArray[np.float64]:
    r"""Return the gradient of the entropy with respect to each probability: -log p_k - 1.

    Parameters
    ----------
    p : array, shape (..., classes)
        Probabilities in [0, 1], each taken as free: the sum is not held at 1.

    Returns
    -------
    array, shape (..., classes), float64
        Nats per unit of probability; +inf at p_k = 0.

    Examples
    --------
    >>> entropy_gradient([1.0, 0.0]).tolist()
    [-1.0, inf]
    """
    p = PROBABILITY.checked("p", p)
    # log 0 = -inf is the true slope there
    with np.errstate(divide="ignore"):
        return np.asarray(-np.log(p) - 1.0)


def entropy_of_counts(counts: ArrayLike) -> NDArray[np.float64]:
    """Return the entropy of the relative frequencies of counts, in nats.

    Parameters
    ----------
    counts : array, shape (..., classes)
        How often each class was seen; 0 or more, not all 0.

    Returns
    -------
    array, shape (...), float64
        Entropy in nats.

    Raises
    ------
    EmptyError
        If all counts of a row are 0; also a ValueError.
    RangeError
        If a count is negative or infinite; also a ValueError.

    Examples
    --------
    1024 classes seen equally often take ten bits:

    >>> from crossent.units import nats_to_bits
    >>> round(nats_to_bits(float(entropy_of_counts([7] * 1024))), 12)
    10.0
    """
    counts = COUNT.checked("counts", counts)
    total = np.sum(counts, axis=-1, keepdims=True)
    if np.any(total == 0):
        message = "`counts` must hold at least one count above 0 in each row; got a row of zeros."
        raise EmptyError(message)
    return entropy(counts / total)


def entropy_of_samples(samples: Iterable[Hashable]) -> NDArray[np.float64]:
    """Return the entropy of the frequencies of what was seen, in nats.

    Parameters
    ----------
    samples : iterable of hashable
        The letters of a text, a list of labels, or anything else that can be counted.

    Returns
    -------
    array, shape (), float64
        Entropy in nats per sample.

    Raises
    ------
    EmptyError
        If there are no samples; also a ValueError.

    Examples
    --------
    A text of one letter tells nothing, a text of eight different letters three bits per letter:

    >>> from crossent.units import nats_to_bits
    >>> [nats_to_bits(float(entropy_of_samples(text))) for text in ("aaaaaaaa", "jteikfqa")]
    [0.0, 3.0]
    """
    return entropy_of_counts(list(Counter(samples).values()))
