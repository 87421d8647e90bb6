"""What a score keeps of rows of predictions beside their losses, a column at a time: files store columns.

    p = the prediction, or e**(x - shift) where logarithms are stored,   l = log p,   l = 0 where p = 0
    sum p, sum p**2, sum p l**k (k = 1 to 4), the highest p, how often it occurs and where first, the sum of all others,
    the lowest p

and the same sums of p**b l**k for a temperature 1 / b. Each row's sums run over the classes in their order, so that neither
the rows beside it nor the size of the batch change a bit.

Traffic in bytes: rows * classes * size read, 88 a row written; a block's sums stay in the first-level cache.
"""

from typing import Any

import numpy as np

from crossent._kernels.cpu._jit import inline, kernel
from crossent._kernels.cpu._llvm import (
    bits_of,
    choose,
    float_of_bits,
    fma,
    load,
    load_integer,
    smaller,
    store,
    wide_vectors,
)
from crossent._kernels.cpu.exp import cast, exponential
from crossent._kernels.cpu.log import (
    _C0,
    _C1,
    _C2,
    _C3,
    _C4,
    _C5,
    _C6,
    _FRACTION,
    _LN_2,
    _ONE_BITS,
    _SQRT_HALF_BITS,
    log_positive,
)

# 256 rows: their eleven sums are 22 KB, and stay in a cache of 32 KB beside 1 or 2 KB of a column.
BLOCK = 256
TOTAL, FIRST, SECOND, THIRD, FOURTH, SQUARES, TOP, TOP_CLASS, TIES, OTHERS, LOWEST = range(11)
STATISTICS = 11
MOMENTS = 5
# Columns that are added together: reading and writing eleven sums for each of them took longer than the adding itself.
TOGETHER = 4
# Of a block's sums and some columns of p and l.
SCRATCH_BYTES = (STATISTICS + 2 * TOGETHER) * BLOCK * 8
# How a prediction is stored: a probability, or a logarithm that the row's shift is taken from.
PROBABILITY, LOGARITHM = 0, 1

BINS = 4096
# p is kept in units of 2**-36 within its bin, 24 bits: 1e-11 is far below a bin's width, and 2**39 rows fit in 64 bits.
UNIT_EXPONENT = 36
_BIN_SHIFT = np.int64(24)  # 36 - log2(4096)
_UNITS = 2.0**36
_OFFSET = np.int64(2**24 - 1)
_MOST_UNITS = np.int64(2**36 - 1)  # of p = 1 too: 1.5e-11 less, and no bin beyond the last
# A bin's rows and sum stand in one integer for so many rows: less than 2**19 * 2**24 units below the rows' bits. One row
# less, as p = 1 stands all 2**24 of them above the last bin's edge, and a bin full of it would carry into the rows.
PACKED_ROWS = 2**19 - 1
PACKED_SHIFT = 43
_ONE_ROW = np.int64(2**43)


@inline
def _logarithm(p: Any) -> Any:
    """log p within 2**-44 for a normal p > 0, relative to its size: see log.py; for sums over the classes, no loss.

    The quotient is made in float32 and mended with one of Newton's steps: a division in float64 was half of the time.
    """
    raised = bits_of(p) + (_ONE_BITS - _SQRT_HALF_BITS)
    k = np.float64((raised >> np.int64(52)) - np.int64(1023))
    f = float_of_bits((raised & _FRACTION) + _SQRT_HALF_BITS) - 1.0
    divisor = 2.0 + f
    inverse = cast(cast(1.0, np.float32(0)) / cast(divisor, np.float32(0)), 1.0)
    s = f * (inverse * fma(-divisor, inverse, 2.0))
    z = s * s
    rest = fma(z, fma(z, fma(z, fma(z, fma(z, fma(z, _C6, _C5), _C4), _C3), _C2), _C1), _C0)
    return fma(k, _LN_2, s * fma(z, rest, 2.0))


@inline
def _expand(column: Any, rows: Any, shifts: Any, mode: Any, slot: Any, tag: Any) -> Any:
    """Write p (BLOCK,) and l (BLOCK,) of one column to a slot."""
    wide_vectors()
    if mode == PROBABILITY:
        for r in range(rows):
            p = load(column, r, tag, 1.0)
            store(slot, r, p, 1.0)
            store(slot, BLOCK + r, choose(p > 0.0, _logarithm(p), 0.0), 1.0)
    else:
        for r in range(rows):
            logarithm = load(column, r, tag, 1.0) - load(shifts, r, 1.0, 1.0)
            p = exponential(logarithm, 1.0)
            store(slot, r, p, 1.0)
            store(slot, BLOCK + r, choose(p == 0.0, 0.0, logarithm), 1.0)


@inline
def _with_powers(sums: Any, slots: Any, r: Any) -> Any:
    """Return sum p, sum p l**k and sum p**2 with one more class."""
    total, first, second, third, fourth, squares = sums
    p, logarithm = load(slots, r, 1.0, 1.0), load(slots, BLOCK + r, 1.0, 1.0)
    product = p * logarithm
    product_2 = product * logarithm
    product_3 = product_2 * logarithm
    return (
        total + p,
        first + product,
        second + product_2,
        third + product_3,
        fma(product_3, logarithm, fourth),
        fma(p, p, squares),
    )


@inline
def _with_ranks(ranks: Any, slots: Any, r: Any, number: Any) -> Any:
    """Return the highest p, its class, how often it occurs, the sum of the others and the lowest p with one more class."""
    top, top_class, ties, others, lowest = ranks
    p = load(slots, r, 1.0, 1.0)
    is_higher = p > top
    return (
        choose(is_higher, p, top),
        choose(is_higher, number, top_class),
        choose(is_higher, 1.0, ties + choose(p == top, 1.0, 0.0)),
        # a sum of its own: 1 - p has no digits left of what a confident row gives to the other classes
        others + choose(is_higher, choose(top < 0.0, 0.0, top), p),
        choose(p < lowest, p, lowest),
    )


@inline
def _add_columns(rows: Any, c: Any, slots: Any, scratch: Any, many: Any) -> Any:
    """Add one column to the sums of the block, or TOGETHER columns: the sums are then read and written once for all."""
    wide_vectors()
    step = np.int64(2 * BLOCK * 8)
    number = np.float64(c)
    for r in range(rows):
        sums = (
            load(scratch, TOTAL * BLOCK + r, 1.0, 1.0),
            load(scratch, FIRST * BLOCK + r, 1.0, 1.0),
            load(scratch, SECOND * BLOCK + r, 1.0, 1.0),
            load(scratch, THIRD * BLOCK + r, 1.0, 1.0),
            load(scratch, FOURTH * BLOCK + r, 1.0, 1.0),
            load(scratch, SQUARES * BLOCK + r, 1.0, 1.0),
        )
        sums = _with_powers(sums, slots, r)
        if many:
            sums = _with_powers(sums, slots + step, r)
            sums = _with_powers(sums, slots + 2 * step, r)
            sums = _with_powers(sums, slots + 3 * step, r)
        store(scratch, TOTAL * BLOCK + r, sums[0], 1.0)
        store(scratch, FIRST * BLOCK + r, sums[1], 1.0)
        store(scratch, SECOND * BLOCK + r, sums[2], 1.0)
        store(scratch, THIRD * BLOCK + r, sums[3], 1.0)
        store(scratch, FOURTH * BLOCK + r, sums[4], 1.0)
        store(scratch, SQUARES * BLOCK + r, sums[5], 1.0)
    for r in range(rows):
        ranks = (
            load(scratch, TOP * BLOCK + r, 1.0, 1.0),
            load(scratch, TOP_CLASS * BLOCK + r, 1.0, 1.0),
            load(scratch, TIES * BLOCK + r, 1.0, 1.0),
            load(scratch, OTHERS * BLOCK + r, 1.0, 1.0),
            load(scratch, LOWEST * BLOCK + r, 1.0, 1.0),
        )
        ranks = _with_ranks(ranks, slots, r, number)
        if many:
            ranks = _with_ranks(ranks, slots + step, r, number + 1.0)
            ranks = _with_ranks(ranks, slots + 2 * step, r, number + 2.0)
            ranks = _with_ranks(ranks, slots + 3 * step, r, number + 3.0)
        store(scratch, TOP * BLOCK + r, ranks[0], 1.0)
        store(scratch, TOP_CLASS * BLOCK + r, ranks[1], 1.0)
        store(scratch, TIES * BLOCK + r, ranks[2], 1.0)
        store(scratch, OTHERS * BLOCK + r, ranks[3], 1.0)
        store(scratch, LOWEST * BLOCK + r, ranks[4], 1.0)


@kernel
def row_statistics(
    columns: Any,  # (classes,) int64: the address of each column, whose rows are contiguous
    classes: Any,
    size: Any,  # bytes of one prediction
    mode: Any,
    shifts: Any,  # (rows,) float64, read where logarithms are stored
    first: Any,
    last: Any,
    out: Any,  # (STATISTICS, rows) float64, filled from first to last
    rows: Any,
    scratch: Any,  # SCRATCH_BYTES
    tag: Any,
) -> Any:
    """Fill the statistics of rows first to last; a row with NaN has NaN for its total."""
    slots = scratch + np.int64(STATISTICS * BLOCK * 8)
    for start in range(first, last, BLOCK):
        count = smaller(np.int64(BLOCK), last - start)
        for i in range(STATISTICS * BLOCK):
            store(scratch, i, 0.0, 1.0)
        for r in range(count):
            store(scratch, TOP * BLOCK + r, -1.0, 1.0)
            store(scratch, LOWEST * BLOCK + r, np.inf, 1.0)
        whole = classes // TOGETHER * TOGETHER
        for c in range(classes):
            place = (c & np.int64(TOGETHER - 1)) if c < whole else np.int64(0)
            slot = slots + place * np.int64(2 * BLOCK * 8)
            _expand(load_integer(columns, c) + start * size, count, shifts + start * 8, mode, slot, tag)
            if c >= whole:
                _add_columns(count, c, slots, scratch, False)
            elif place == TOGETHER - 1:
                _add_columns(count, c - np.int64(TOGETHER - 1), slots, scratch, True)
        for k in range(STATISTICS):
            for r in range(count):
                store(out, k * rows + start + r, load(scratch, k * BLOCK + r, 1.0, 1.0), 1.0)


@kernel
def tempered_moments(
    columns: Any,  # as in row_statistics
    classes: Any,
    size: Any,
    mode: Any,
    shifts: Any,
    first: Any,
    last: Any,
    beta: Any,  # 1 / temperature
    out: Any,  # (MOMENTS, rows) float64, filled from first to last: sums of p**beta l**k, k = 0 to 4
    rows: Any,
    scratch: Any,
    tag: Any,
) -> Any:
    """Fill what a row's tempered loss and its derivatives are made of; p = 0 takes no part."""
    wide_vectors()
    slot = scratch + np.int64(STATISTICS * BLOCK * 8)
    for start in range(first, last, BLOCK):
        count = smaller(np.int64(BLOCK), last - start)
        for i in range(MOMENTS * BLOCK):
            store(scratch, i, 0.0, 1.0)
        for c in range(classes):
            _expand(load_integer(columns, c) + start * size, count, shifts + start * 8, mode, slot, tag)
            for r in range(count):
                p = load(slot, r, 1.0, 1.0)
                logarithm = load(slot, BLOCK + r, 1.0, 1.0)
                power = choose(p > 0.0, exponential(beta * logarithm, 1.0), 0.0)
                for k in range(MOMENTS):
                    store(scratch, k * BLOCK + r, load(scratch, k * BLOCK + r, 1.0, 1.0) + power, 1.0)
                    power *= logarithm
        for k in range(MOMENTS):
            for r in range(count):
                store(out, k * rows + start + r, load(scratch, k * BLOCK + r, 1.0, 1.0), 1.0)


@kernel
def tempered_derivatives(
    moments: Any,  # (MOMENTS, rows) float64: sums of p**beta l**k
    truths: Any,  # (rows,) float64: l of the truth, -inf where it is ruled out
    rows: Any,
    beta: Any,
    out: Any,  # (MOMENTS, rows) float64, filled: the tempered loss, and its first four derivatives by beta
) -> Any:
    """Fill log sum p**beta - beta l_truth and its derivatives, the cumulants of l; NaN where the truth is ruled out."""
    wide_vectors()
    for r in range(rows):
        total = load(moments, r, 1.0, 1.0)
        first = load(moments, rows + r, 1.0, 1.0) / total
        second = load(moments, 2 * rows + r, 1.0, 1.0) / total
        third = load(moments, 3 * rows + r, 1.0, 1.0) / total
        fourth = load(moments, 4 * rows + r, 1.0, 1.0) / total
        square = first * first
        truth = load(truths, r, 1.0, 1.0)
        store(out, r, log_positive(total) - beta * truth, 1.0)
        store(out, rows + r, first - truth, 1.0)
        store(out, 2 * rows + r, second - square, 1.0)
        store(out, 3 * rows + r, third - 3.0 * second * first + 2.0 * square * first, 1.0)
        fourth += 12.0 * second * square - 4.0 * third * first - 3.0 * second * second - 6.0 * square * square
        store(out, 4 * rows + r, fourth, 1.0)


@kernel
def bin_columns(
    columns: Any,  # as in row_statistics
    classes: Any,
    size: Any,
    mode: Any,
    shifts: Any,
    first: Any,
    last: Any,
    packed: Any,  # (classes, BINS) int64: rows times 2**PACKED_SHIFT, plus the sum of p above the lower edge in units
    scratch: Any,  # SCRATCH_BYTES
    tag: Any,
) -> Any:
    """Count the rows of every class by their prediction; the last bin is closed, as p = 1 belongs to it.

    Rows and sum of a bin stand in one integer: apart, they took 1.5 ns a prediction, together 0.8.

    Traffic in bytes: rows * classes * size read; the 32 KB of a column's bins stay in the first-level cache.
    """
    wide_vectors()
    like = np.int64(0)
    for c in range(classes):
        column = load_integer(columns, c)
        own = packed + c * np.int64(BINS * 8)
        for start in range(first, last, BLOCK):
            count = smaller(np.int64(BLOCK), last - start)
            if mode == PROBABILITY:
                for r in range(count):
                    p = load(column + start * size, r, tag, 1.0)
                    store(scratch, r, smaller(np.int64(p * _UNITS), _MOST_UNITS), like)
            else:
                for r in range(count):
                    p = exponential(
                        load(column + start * size, r, tag, 1.0) - load(shifts + start * 8, r, 1.0, 1.0), 1.0
                    )
                    store(scratch, r, smaller(np.int64(p * _UNITS), _MOST_UNITS), like)
            for r in range(count):
                value = load_integer(scratch, r)
                place = value >> _BIN_SHIFT
                store(own, place, load_integer(own, place) + (_ONE_ROW + (value & _OFFSET)), like)


@kernel
def pick(
    columns: Any,  # as in row_statistics
    size: Any,
    shifts: Any,
    labels: Any,  # (rows,) int64
    out: Any,  # (rows,) float64, filled
    rows: Any,
    tag: Any,
) -> Any:
    """Fill what is stored for the class of each row, less its shift. Traffic in bytes: a line and 24 a row."""
    for r in range(rows):
        stored = load(load_integer(columns, load_integer(labels, r)) + r * size, np.int64(0), tag, 1.0)
        store(out, r, stored - load(shifts, r, 1.0, 1.0), 1.0)


@kernel
def logarithms(values: Any, out: Any, count: Any) -> Any:
    """Write log(x) of (count,) float64; the same bits on every machine, as NumPy's are not."""
    wide_vectors()
    for i in range(count):
        store(out, i, log_positive(load(values, i, 1.0, 1.0)), 1.0)


@kernel
def exponentials(values: Any, out: Any, count: Any) -> Any:
    """Write e**x of (count,) float64, x <= 700, as the other kernels of this file see it."""
    wide_vectors()
    for i in range(count):
        store(out, i, exponential(load(values, i, 1.0, 1.0), 1.0), 1.0)
