"""Any number of leading dimensions and any class axis -> rows on two strides, without copying.

Rows are numbered in C order of the leading dimensions. Neighbouring dimensions are merged where every array allows it;
kernels walk the last two that are left, and a loop here walks what is left before them.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from crossent.arrays._input import address_of


class RowView(NamedTuple):
    """One array's place in a block of rows; strides in elements."""

    address: int
    outer_stride: int
    inner_stride: int
    class_stride: int


class Block(NamedTuple):
    """Rows first_row to first_row + rows, `inner` of them on the inner stride."""

    first_row: int
    rows: int
    inner: int
    views: tuple[RowView, ...]


_NO_VIEW = RowView(0, 0, 0, 0)


def blocks_of_rows(arrays: Sequence[np.ndarray | None], axis: int) -> Iterator[Block]:
    """Yield the blocks that cover the rows of arrays of one shape, classes on `axis`; None, but for the first, gives address 0."""
    first = arrays[0]
    assert first is not None  # by contract
    shape = first.shape[:axis] + first.shape[axis + 1 :]
    rows = 1
    for length in shape:
        rows *= length
    if rows == 0:
        return
    if axis == len(shape):
        # by far the most frequent case, and worth 10 us to small arrays
        stride = first.shape[axis]
        views = []
        for array in arrays:
            if array is None:
                views.append(_NO_VIEW)
            elif array.flags.c_contiguous:
                views.append(RowView(address_of(array), 0, stride, 1))
        if len(views) == len(arrays):
            yield Block(0, rows, rows, tuple(views))
            return
    strides = [_element_strides(array, axis) if array is not None else None for array in arrays]
    classes = [s[1] if s else 0 for s in strides]
    dims = _merged(shape, [s[0] if s else (0,) * len(shape) for s in strides])
    (outer, outer_strides), (inner, inner_strides) = dims[-2:]
    before = dims[:-2]
    addresses = [address_of(array) if array is not None else 0 for array in arrays]
    sizes = [array.itemsize if array is not None else 0 for array in arrays]
    for number, index in enumerate(itertools.product(*(range(length) for length, _ in before))):
        views = []
        for a, array in enumerate(arrays):
            if array is None:
                views.append(_NO_VIEW)
                continue
            offset = sum(i * s[a] for i, (_, s) in zip(index, before, strict=True))
            views.append(RowView(addresses[a] + offset * sizes[a], outer_strides[a], inner_strides[a], classes[a]))
        yield Block(number * outer * inner, outer * inner, inner, tuple(views))


def _element_strides(array: np.ndarray, axis: int) -> tuple[tuple[int, ...], int]:
    elements = tuple(stride // array.itemsize for stride in array.strides)
    # one class: whatever its stride says, it is never taken
    return elements[:axis] + elements[axis + 1 :], elements[axis] if array.shape[axis] > 1 else 1


def _merged(shape: tuple[int, ...], strides: list[tuple[int, ...]]) -> list[tuple[int, tuple[int, ...]]]:
    """Return at least two (length, stride of each array), outermost first."""
    merged: list[tuple[int, tuple[int, ...]]] = []
    for length, own in zip(shape, zip(*strides, strict=True), strict=True):
        if length == 1:
            continue
        if merged and all(before == length * s for before, s in zip(merged[-1][1], own, strict=True)):
            merged[-1] = (merged[-1][0] * length, own)
        else:
            merged.append((length, own))
    none = (0,) * len(strides)
    return [(1, none)] * (2 - len(merged)) + merged
