"""Many exact sums side by side: numbers added to the sum that an index names, without rounding, see exact_sum.py.

Each sum is a fixed-point number in a few signed 64-bit limbs of 32 bits. A number's bits below the lowest limb are cut off:
that depends on the number alone, so the sums still do not depend on the order.

Traffic in bytes: 16 a number read; three limbs of its sum read and written.
"""

from typing import Any

import numpy as np

from crossent._kernels.cpu._jit import inline, kernel
from crossent._kernels.cpu._llvm import load, load_integer, smaller, store
from crossent._kernels.cpu.exact_sum import parts_of

# Numbers after which the carries have to be moved up: 2**31, as each adds less than 2**32 to a limb, and a margin.
TERMS_BETWEEN_CARRIES = 2**30
_LOW = np.int64(0xFFFFFFFF)
_DOUBLE_LOWEST = 1074  # parts_of counts positions from 2**-1074
# Poisson(1) by inversion: 2**63 times the probability of more than 0, 1, 2, ... events; 19 and more never come.
_MOST_EVENTS = 18


@inline
def add_to_limbs(limbs: Any, first: Any, lowest: Any, value: Any) -> Any:
    """Add a finite number to the sum whose limbs begin at `first`, the lowest bit worth 2**-lowest."""
    negative, mantissa, position = parts_of(value)
    position -= np.int64(_DOUBLE_LOWEST) - lowest
    if position < 0:
        mantissa >>= smaller(-position, np.int64(63))
        position = np.int64(0)
    sign = np.int64(-1) if negative else np.int64(1)
    limb, shift = first + (position >> 5), position & 31
    back = np.int64(32) - shift
    low, middle = (mantissa << shift) & _LOW, (mantissa >> back) & _LOW
    high = (mantissa >> np.int64(32)) >> back
    store(limbs, limb, load_integer(limbs, limb) + sign * low, limb)
    store(limbs, limb + 1, load_integer(limbs, limb + 1) + sign * middle, limb)
    store(limbs, limb + 2, load_integer(limbs, limb + 2) + sign * high, limb)


@kernel
def add_at(
    limbs: Any,  # (sums, width) int64
    width: Any,
    lowest: Any,
    indices: Any,  # (count,) int64
    values: Any,  # (count,) float64, finite and small enough for the limbs
    count: Any,
) -> Any:
    """Add every value to the sum that its index names."""
    for i in range(count):
        add_to_limbs(limbs, load_integer(indices, i) * width, lowest, load(values, i, 1.0, 1.0))


@inline
def mixed(bits: Any) -> Any:
    """Return 64 bits that each depend on all of the given ones (the finalizer of SplitMix64)."""
    value = np.uint64(bits)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@kernel
def add_resampled(
    limbs: Any,  # (2 * replicates, width) int64: sums of weights, then of weighted losses
    width: Any,
    lowest: Any,
    replicates: Any,
    keys: Any,  # (count,) int64: 64 bits that name the row
    weights: Any,  # (count,) float64
    losses: Any,  # (count,) float64: weight times loss, finite
    count: Any,
    tail: Any,  # (_MOST_EVENTS,) float64: the probability of more than 0, 1, ... events
) -> Any:
    """Add every row as often as a Poisson(1) number says that follows from the row's key and the replicate alone.

    Reference: G. Steele, D. Lea and C. Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014 (SplitMix64).
    """
    for i in range(count):
        key = np.uint64(load_integer(keys, i))
        weight, loss = load(weights, i, 1.0, 1.0), load(losses, i, 1.0, 1.0)
        for b in range(replicates):
            bits = mixed(key + np.uint64(b + 1) * np.uint64(0x9E3779B97F4A7C15))
            uniform = np.float64(bits >> np.uint64(11)) * 2.0**-53
            events = np.int64(0)
            while events < _MOST_EVENTS and uniform < load(tail, events, 1.0, 1.0):
                events += 1
            for _ in range(events):
                add_to_limbs(limbs, b * width, lowest, weight)
                add_to_limbs(limbs, (replicates + b) * width, lowest, loss)
