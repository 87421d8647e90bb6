"""Entropy and perplexity: how much a distribution, or a sequence of samples, is worth."""

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from crossent._checks import check_real, unit_of_base
from crossent._kernels.cpu import _threads
from crossent._kernels.cpu import divergence as kernels
from crossent.arrays._distributions import as_result, read_distribution, refuse_text
from crossent.arrays._input import address_of, as_array, as_real
from crossent.errors import DtypeError, EmptyError


def entropy(p: Any, /, *, axis: int = -1, base: float | None = None) -> float | np.ndarray:
    r"""Return the entropy of each distribution, in nats.

    The least average surprise of a code or a model for outcomes that follow p::

        H(p) = -sum_j p_j log p_j

    Parameters
    ----------
    p : array, shape (rows, classes), in [0, 1], each row summing to 1
        Any leading dimensions.
    axis : int
        The class axis.
    base : float above 1, or None
        The base of the logarithm; None is e, so nats; 2 gives bits.

    Returns
    -------
    float for one distribution, or array of shape (rows,), float32, or float64 for float64
        Entropy in nats, or in the unit of `base`.

    Raises
    ------
    RangeError
        If a probability is negative or above 1; also a ValueError.
    DtypeError, ArrayKindError, ShapeError, OptionError
        As for `cross_entropy`.

    Warns
    -----
    NormalizationWarning
        If rows do not sum to 1; they are taken as they are.

    Notes
    -----
    Zeros: 0 log 0 is 0; a certain outcome has entropy 0.0, never -0.0. NaN stays in its row.
    Accuracy: within 2 ulp of float64.

    References
    ----------
    Shannon, "A mathematical theory of communication", Bell System Technical Journal 27:379-423, 1948, section 6.

    Examples
    --------
    >>> entropy([0.125] * 8, base=2)
    3.0
    >>> entropy([1.0, 0.0])
    0.0
    """
    refuse_text(p, "p")
    unit_of_base(base)
    rows, dtype = read_distribution(p, "p", axis, stacklevel=2)
    values = np.empty(rows.shape[:-1])
    classes = rows.shape[-1]

    def task(first: int, last: int) -> None:
        kernels.entropy(address_of(rows), classes, 1.0, address_of(values), first, last)

    _threads.spread(task, values.size, rows.nbytes * 4)
    return as_result(_in_base(values, base), dtype)


def entropy_of(samples: Any, /, *, base: float | None = None) -> float:
    r"""Return the entropy of the observed frequencies of samples, in nats.

    With n_s occurrences of symbol s among n::

        H = log n - (1 / n) sum_s n_s log n_s

    Parameters
    ----------
    samples : str, bytes, array, or iterable of hashable objects
        The symbols: the letters of a text, the elements of an array, the items of a list.
    base : float above 1, or None
        The base of the logarithm; None is e, so nats; 2 gives bits.

    Returns
    -------
    float
        Entropy per symbol in nats, or in the unit of `base`.

    Raises
    ------
    EmptyError
        If there are no samples; also a ValueError.
    DtypeError
        If `samples` is neither an array nor iterable, or holds something that cannot be counted; also a TypeError.
    OptionError
        If `base` is not a finite number above 1; also a ValueError.

    Notes
    -----
    Zeros: samples that are all alike have entropy 0.0.
    Accuracy: within 2 ulp of float64.

    References
    ----------
    Shannon, "A mathematical theory of communication", Bell System Technical Journal 27:379-423, 1948, section 7.

    Examples
    --------
    >>> entropy_of("aaaaaaaa", base=2), entropy_of("jteikfqa", base=2)
    (0.0, 3.0)
    >>> entropy_of(range(1024), base=2)
    10.0
    """
    unit_of_base(base)
    counts = _counts(samples)
    if counts.size == 0:
        message = "`samples` must hold at least one symbol; got none."
        raise EmptyError(message)
    p = np.ascontiguousarray(counts / counts.sum())
    value = np.empty(1)
    kernels.entropy(address_of(p), p.size, 1.0, address_of(value), 0, 1)
    return float(_in_base(value, base)[0])


def _in_base(nats: np.ndarray, base: float | None) -> np.ndarray:
    """Divide by ln(base): times 1 / ln(2), log 8 would be 2.9999999999999996 bits."""
    return nats if base is None else nats / math.log(base)


def _counts(samples: Any) -> np.ndarray:
    if isinstance(samples, (str, bytes)) or (isinstance(samples, Iterable) and not hasattr(samples, "__array__")):
        try:
            return np.array(list(Counter(samples).values()), dtype=np.float64)
        except TypeError as error:
            message = f"`samples` must hold symbols that can be counted: {error}."
            raise DtypeError(message) from None
    if not hasattr(samples, "__array__") and not hasattr(samples, "__dlpack__"):
        message = f"`samples` must be a text, an array or an iterable; got {type(samples).__name__}."
        raise DtypeError(message)
    return np.unique(as_array(samples, "samples"), return_counts=True)[1].astype(np.float64)


def perplexity(loss: Any, /, *, base: float | None = None) -> float | np.ndarray:
    r"""Return the perplexity of a cross-entropy: the number of equally likely choices that are as surprising.

    For a loss in nats, or in the unit of `base`::

        perplexity = e**loss,    base**loss

    Parameters
    ----------
    loss : float or array
        A cross-entropy or an entropy, in nats, or in the unit of `base`: the mean, not the sum, over rows.
    base : float above 1, or None
        The base that the loss was computed with; None is e.

    Returns
    -------
    float, or array of the shape of `loss`, float64
        At least 1 for a loss of at least 0; inf for an infinite loss and where the power overflows.

    Raises
    ------
    OptionError
        If `base` is not a finite number above 1, or `loss` is a word; also a ValueError.
    DtypeError
        If `loss` is an array of anything but real numbers; also a TypeError.

    Notes
    -----
    Zeros: a loss of 0 gives 1, one of inf gives inf, NaN gives NaN.
    Accuracy: within 1 ulp for nats; e**loss magnifies the error of the loss loss-fold.

    References
    ----------
    Jelinek, Mercer, Bahl and Baker, "Perplexity - a measure of the difficulty of speech recognition tasks", Journal of
    the Acoustical Society of America 62:S63, 1977.

    Examples
    --------
    >>> perplexity(3.0, base=2)
    8.0
    >>> round(perplexity(cross_entropy([[0.0, 0.0, 0.0]], [1])), 12)
    3.0
    """
    unit_of_base(base)
    if isinstance(loss, (int, float, str, bytes)):
        values = np.asarray(check_real("loss", loss, "a number or an array of numbers"))
    else:
        array = as_real(as_array(loss, "loss"))
        if array.dtype.kind not in "fiu" and array.dtype.name != "bfloat16":
            message = f"`loss` must be a number or an array of numbers; got {array.dtype.name}."
            raise DtypeError(message)
        values = array.astype(np.float64)
    with np.errstate(over="ignore"):  # inf is the answer where the power overflows
        result = np.exp(values) if base is None else float(base) ** values
    return float(result) if np.ndim(result) == 0 else result
