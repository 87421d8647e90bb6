"""One row of effective targets, from whatever form the caller gave: used by the kernels for soft targets."""

from typing import Any

import numpy as np

from crossent._kernels.cpu._jit import inline, kernel
from crossent._kernels.cpu._llvm import load, load_integer, store

# How the targets came.
DISTRIBUTIONS, CLASS_IDS, TOP_K = 0, 1, 2


_BOOLEAN = np.int8(0)


@kernel
def any_outside(
    ids: Any,  # address of (count,) int64
    count: Any,
    classes: Any,
) -> Any:
    """Say whether an id lies outside [0, classes)."""
    outside = np.int64(0)
    for i in range(count):
        value = load_integer(ids, i)
        outside |= (value < 0) | (value >= classes)
    return outside != 0


@inline
def is_allowed(mask: Any, place: Any, stride: Any, c: Any) -> Any:
    """Say whether class c takes part; mask address 0 allows all."""
    return mask == 0 or load(mask, place + c * stride, _BOOLEAN, 1.0) != 0.0


@inline
def fill_targets(
    y: Any,  # scratch (classes,) float64, filled here
    classes: Any,
    kind: Any,
    r: Any,
    targets: Any,  # DISTRIBUTIONS: address of stored numbers; CLASS_IDS: (rows,) int64; TOP_K: (rows, k) int64
    place: Any,  # DISTRIBUTIONS: where this row begins
    stride: Any,  # DISTRIBUTIONS: from class to class; TOP_K: k
    shares: Any,  # TOP_K: (rows, k) float64
    uniform: Any,  # TOP_K: spread what is missing from 1 over the other classes
    mask: Any,  # address of booleans, or 0
    mask_place: Any,
    mask_stride: Any,
    class_weights: Any,  # (classes,) float64, or 0
    smoothing: Any,
    target_tag: Any,
) -> Any:
    """Fill y with class weight * ((1 - smoothing) * target + smoothing / allowed classes)."""
    if kind == DISTRIBUTIONS:
        for c in range(classes):
            store(y, c, load(targets, place + c * stride, target_tag, 1.0), 1.0)
    else:
        background = 0.0
        if kind == TOP_K and uniform and stride < classes:
            mass = 0.0
            for i in range(stride):
                mass += load(shares, r * stride + i, 1.0, 1.0)
            background = max(1.0 - mass, 0.0) / (classes - stride)
        for c in range(classes):
            store(y, c, background, 1.0)
        if kind == CLASS_IDS:
            store(y, load_integer(targets, r), 1.0, 1.0)
        else:
            for i in range(stride):
                store(y, load_integer(targets, r * stride + i), load(shares, r * stride + i, 1.0, 1.0), 1.0)
    if smoothing > 0.0:
        allowed = 0
        for c in range(classes):
            allowed += is_allowed(mask, mask_place, mask_stride, c)
        for c in range(classes):
            value = (1.0 - smoothing) * load(y, c, 1.0, 1.0)
            if is_allowed(mask, mask_place, mask_stride, c):
                value += smoothing / allowed
            store(y, c, value, 1.0)
    if class_weights != 0:
        for c in range(classes):
            store(y, c, load(y, c, 1.0, 1.0) * load(class_weights, c, 1.0, 1.0), 1.0)


@inline
def two_sum(total: Any, error: Any, term: Any) -> Any:
    """Return (total + term rounded, error + what the rounding lost)."""
    following = total + term
    back = following - total
    return following, error + ((total - (following - back)) + (term - back))
