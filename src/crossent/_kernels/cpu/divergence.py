"""Rows kernels of arrays.entropy and arrays.divergence: contiguous float64 rows of probabilities.

    entropy:  -sum p log p
    KL(p, q): sum p log(p / q) = sum q phi((p - q) / q) + (sum p - sum q),   phi(d) = (1 + d) log(1 + d) - d >= 0
    JS(p, q): half the sum of both to their mixture, where the sums of differences cancel by definition

The second form has no terms that cancel, so the divergence of two nearly equal distributions keeps its digits. Classes
with p < q / 2 are summed as p log(p / q): beside q their term could vanish.

Traffic in bytes: 8 * rows * classes read for each distribution.
"""

from typing import Any

import numpy as np

from crossent._kernels.cpu._jit import inline, kernel
from crossent._kernels.cpu._llvm import fma, load, store
from crossent._kernels.cpu.log import log1p_positive, log_positive
from crossent._kernels.cpu.targets import two_sum

# Below this |d| the series of phi converges in 12 terms to 2**-53: 0.1**13 / 13 relative to d**2 / 2
_SERIES = 0.05
_TERMS = 14


@inline
def log_ratio(p: Any, q: Any) -> Any:
    """Return log(p / q) for finite p, q > 0."""
    difference = p - q
    ratio = log1p_positive(difference / q) if difference > 0.0 else 0.0 - log1p_positive(-difference / p)
    if abs(ratio) == np.inf:  # the quotient overflowed, its logarithm does not
        ratio = log_positive(p) - log_positive(q)
    return ratio


@inline
def phi(p: Any, q: Any) -> Any:
    """Return p log(p / q) - p + q for finite p >= 0, q > 0."""
    difference = p - q
    d = difference / q
    if abs(d) < _SERIES:
        # (1 + d) log(1 + d) - d = sum over k >= 2 of (-d)**k / (k (k - 1))
        total = 0.0
        for k in range(_TERMS, 1, -1):
            total = fma(total, -d, 1.0 / (k * (k - 1.0)))
        return difference * d * total
    if p == 0.0:
        return q
    return p * log_ratio(p, q) - difference


@inline
def divergence_of(p: Any, q: Any, classes: Any, mixture: Any) -> Any:
    """Return KL(p, q), or KL(p, m) - sum p + sum m with m = (p + q) / 2 where `mixture`."""
    total, error = 0.0, 0.0
    surplus, surplus_error = 0.0, 0.0
    for c in range(classes):
        p_c = load(p, c, 1.0, 1.0)
        q_c = load(q, c, 1.0, 1.0)
        if p_c != p_c or q_c != q_c:
            return np.nan
        if mixture:
            q_c = 0.5 * p_c + 0.5 * q_c
            if q_c > 0.0:  # it may underflow
                total, error = two_sum(total, error, phi(p_c, q_c))
        elif q_c == 0.0 and p_c > 0.0:
            return np.inf
        elif p_c >= 0.5 * q_c and p_c > 0.0:
            total, error = two_sum(total, error, phi(p_c, q_c))
            surplus, surplus_error = two_sum(surplus, surplus_error, p_c - q_c)
        elif p_c > 0.0:
            total, error = two_sum(total, error, p_c * log_ratio(p_c, q_c))
    # the two large parts first: where they cancel their difference is exact
    return (total + surplus) + (error + surplus_error)


@kernel
def kullback_leibler(p: Any, q: Any, classes: Any, unit: Any, out: Any, first: Any, last: Any) -> Any:
    """Rows first to last of KL(p, q); p, q (rows, classes), out (rows,)."""
    for r in range(first, last):
        start = 8 * r * classes
        value = divergence_of(p + start, q + start, classes, False)
        store(out, r, value * unit if value != 0.0 else 0.0, 1.0)


@kernel
def jensen_shannon(p: Any, q: Any, classes: Any, unit: Any, out: Any, first: Any, last: Any) -> Any:
    """Rows first to last of the mean of KL(p, m) and KL(q, m), m = (p + q) / 2; p, q (rows, classes), out (rows,)."""
    for r in range(first, last):
        start = 8 * r * classes
        forth = divergence_of(p + start, q + start, classes, True)
        back = divergence_of(q + start, p + start, classes, True)
        store(out, r, 0.5 * (forth + back) * unit, 1.0)


@kernel
def entropy(p: Any, classes: Any, unit: Any, out: Any, first: Any, last: Any) -> Any:
    """Rows first to last of the entropy; p (rows, classes), out (rows,)."""
    for r in range(first, last):
        total, error = 0.0, 0.0
        for c in range(classes):
            p_c = load(p, r * classes + c, 1.0, 1.0)
            if p_c != 0.0:
                # a NaN passes through the comparison and the logarithm
                surprise = 0.0 - log_positive(p_c)
                product = p_c * surprise
                total, error = two_sum(total, error + fma(p_c, surprise, -product), product)
        store(out, r, (total + error) * unit, 1.0)
