"""Tiles of targets of every kind, float64: t as they were given, y = w ((1 - label_smoothing) t + label_smoothing / classes)."""

from typing import Any, NamedTuple

import triton
import triton.language as tl

from crossent._kernels.gpu.problem import CLASS_IDS as _CLASS_IDS
from crossent._kernels.gpu.problem import DISTRIBUTIONS as _DISTRIBUTIONS
from crossent._kernels.gpu.problem import TOP_K as _TOP_K

DISTRIBUTIONS: tl.constexpr = tl.constexpr(_DISTRIBUTIONS)
CLASS_IDS: tl.constexpr = tl.constexpr(_CLASS_IDS)
TOP_K: tl.constexpr = tl.constexpr(_TOP_K)


class Place(NamedTuple):
    """Where the rows of a tensor lie, see layout.py."""

    inner: Any
    outer_stride: Any
    inner_stride: Any
    class_stride: Any


class Targets(NamedTuple):
    """Where the targets of all rows are; None for what their kind does not have."""

    dense: Any  # DISTRIBUTIONS: (rows, classes)
    place: Place  # of `dense`
    ids: Any  # CLASS_IDS (rows,), TOP_K (rows, width)
    shares: Any  # TOP_K (rows, width)
    width: Any
    weight: Any  # (classes,), or None


@triton.jit
def addresses(
    data,
    place,  # Place
    row,  # int64
):
    """Return where rows begin."""
    return data + (row // place.inner) * place.outer_stride + (row % place.inner) * place.inner_stride


@triton.jit
def wide(value):
    """Return loaded numbers as float64; halves by way of float32, which each of them is."""
    if value.dtype == tl.float16 or value.dtype == tl.bfloat16:
        return value.to(tl.float32).to(tl.float64)
    return value.to(tl.float64)


@triton.jit
def read_rows(
    targets,
    row,  # (ROWS,) int64
    valid,  # (ROWS,)
    classes,
    ignore_index,
    unnamed,  # float64: how many classes top-k targets do not name
    KIND: tl.constexpr,
    UNIFORM: tl.constexpr,
    IGNORES: tl.constexpr,  # DISTRIBUTIONS: ignore_index is a class
):
    """Return of rows: the id of its class, what a class that top-k targets do not name gets, whether the row takes part, and

    whether it names a class that there is not. Of distributions the id says 1 where the class `ignore_index` has a 1.
    """
    class_id = tl.zeros_like(row)
    background = row.to(tl.float64) * 0.0
    counted = valid
    impossible = valid & False
    if KIND == CLASS_IDS:
        class_id = tl.load(targets.ids + row, mask=valid, other=0).to(tl.int64)
        counted = valid & (class_id != ignore_index)
        impossible = counted & ((class_id < 0) | (class_id >= classes))
    if KIND == TOP_K:
        sure, named, total = valid & False, row * 0, background
        for i in range(targets.width):
            at = row * targets.width + i
            one = tl.load(targets.ids + at, mask=valid, other=0)
            share = wide(tl.load(targets.shares + at, mask=valid, other=0.0))
            sure = sure | ((one == ignore_index) & (share == 1.0))
            named += tl.where(share != 0.0, 1, 0)
            impossible = impossible | (one < 0) | (one >= classes)
            total += share
        counted = valid & ~(sure & (named == 1))
        impossible = impossible & counted
        if UNIFORM:
            background = tl.where(total < 1.0, 1.0 - total, 0.0) / unnamed
    if KIND == DISTRIBUTIONS and IGNORES:
        at = addresses(targets.dense, targets.place, row) + tl.cast(ignore_index, tl.int64) * targets.place.class_stride
        class_id = tl.where(wide(tl.load(at, mask=valid, other=0.0)) == 1.0, 1, 0).to(tl.int64)
    return class_id, background, counted, impossible


@triton.jit
def read_tile(
    targets,
    row,  # (ROWS,) int64
    class_id,  # (ROWS,), read_rows made it and the next
    background,
    block,  # the first class of the tile
    c,  # (1, CLASSES) int32: its classes
    inside,  # (ROWS, CLASSES)
    classes,
    smoothing,
    smoothing_of_each,  # smoothing / classes
    KIND: tl.constexpr,
    SMOOTHS: tl.constexpr,
    LISTED: tl.constexpr,  # TOP_K: a power of two, at least the width
):
    """Return t and y, 0 outside."""
    if KIND == DISTRIBUTIONS:
        at = addresses(targets.dense, targets.place, row)[:, None] + c.to(tl.int64) * targets.place.class_stride
        t = wide(tl.load(at, mask=inside, other=0.0))
    elif KIND == CLASS_IDS:
        t = tl.where(inside & (class_id[:, None] == c), 1.0, 0.0).to(tl.float64)
    else:
        t = tl.where(inside, background[:, None], 0.0)
        # of a large vocabulary most tiles hold no class that is named
        listed = tl.arange(0, LISTED)[None, :]
        near = tl.load(targets.ids + row[:, None] * targets.width + listed, mask=listed < targets.width, other=-1)
        held = tl.sum(((near >= block) & (near < block + c.shape[1])).to(tl.int32))
        for i in range(tl.where(held > 0, targets.width, 0)):
            at = row * targets.width + i
            one = tl.load(targets.ids + at, mask=row >= 0, other=0)
            share = wide(tl.load(targets.shares + at, mask=row >= 0, other=0.0))
            t = tl.where(inside & (one[:, None] == c), share[:, None], t)
    y = t
    if SMOOTHS:
        y = tl.where(inside, t * (1.0 - smoothing) + smoothing_of_each, 0.0)
    if targets.weight is not None:
        y = y * wide(tl.load(targets.weight + c, mask=c < classes, other=0.0))
    return t, y
