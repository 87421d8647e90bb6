"""The element-sparse gradient of a linear head: few entries of p - onehot are large, and only those are multiplied.

Of a row's softmax some 20 to 80 entries of 50 000 exceed 2**-12. `gather_large` lists them, and `sums_of_rows` makes what a
matrix product would make of the list: hidden states' gradients from rows of the weight, the weight's from hidden states.
"""

from typing import Any

import numpy as np

from crossent._kernels.cpu._jit import inline, kernel
from crossent._kernels.cpu._llvm import choose, load, load_integer, reorderable_add, store
from crossent._kernels.cpu.exp import cast, narrow

# Entries looked at together: a block without a large one, as most are, costs no branch for each (64 and 512 took longer).
_BLOCK = 128
# Columns whose sums stay in first-level cache, 16 bytes each.
_COLUMNS = 1024
_INTEGER = np.int64(0)


@inline
def list_large(
    row: Any,  # address of the row
    classes: Any,
    threshold: Any,
    capacity: Any,
    ids: Any,  # address of the row's (capacity,) int64
    values: Any,  # address of the row's (capacity,) float64
    tag: Any,
    like: Any,
) -> Any:
    """List a row's entries that are not below the threshold; return how many, and the others' sum and sum of sizes."""
    zero = like - like
    count, total, sizes = np.int64(0), 0.0, 0.0
    for start in range(0, classes, _BLOCK):
        stop = min(start + _BLOCK, classes)
        large, small, small_sizes = np.int64(0), zero, zero
        for c in range(start, stop):
            value = load(row, c, tag, like)
            below = abs(value) < threshold
            large += choose(below, np.int64(0), np.int64(1))
            small = reorderable_add(small, choose(below, value, zero))
            small_sizes = reorderable_add(small_sizes, choose(below, abs(value), zero))
        total += small
        sizes += small_sizes
        if large != 0:
            for c in range(start, stop):
                value = load(row, c, tag, like)
                if not abs(value) < threshold:
                    if count < capacity:
                        store(ids, count, np.int64(c), _INTEGER)
                        store(values, count, value, 1.0)
                    count += 1
    return count, total, sizes


@kernel
def gather_large(
    gradient: Any,  # (rows, classes), address
    size: Any,  # bytes of one entry
    classes: Any,
    thresholds: Any,  # (rows,) float64; lowered where too much would be left out
    most: Any,  # (rows,) float64: what is lowered for
    lowest: Any,  # part of a threshold that it may be lowered to
    capacity: Any,  # entries that a row can list
    ids: Any,  # (rows, capacity) int64, filled
    values: Any,  # (rows, capacity) float64, filled
    counts: Any,  # (rows,) int64, filled: how many there are, also beyond the capacity
    left_out: Any,  # (rows, 2) float64, filled: the sums of all other entries, of those above 0 and of those below
    first: Any,
    last: Any,
    tag: Any,
    like: Any,
) -> Any:
    """List the entries of rows first to last that are not below their row's threshold; NaN never is.

    Traffic in bytes: rows * classes * size read; a row that is listed anew is still in cache.
    """
    for r in range(first, last):
        given = load(thresholds, r, 1.0, 1.0)
        row, own_ids, own_values = gradient + r * classes * size, ids + r * capacity * 8, values + r * capacity * 8
        part, lowest_here = 1.0, lowest
        while True:
            threshold = cast(given * part, like)
            count, total, sizes = list_large(row, classes, threshold, capacity, own_ids, own_values, tag, like)
            if count > capacity and part < 1.0:
                part, lowest_here = part * 2.0, part * 2.0  # the last list that had room
                continue
            if sizes <= load(most, r, 1.0, 1.0) or count > capacity or part <= lowest_here:
                break
            part *= 0.5
        store(thresholds, r, np.float64(threshold), 1.0)
        store(counts, r, count, _INTEGER)
        store(left_out, 2 * r, 0.5 * (sizes + total), 1.0)
        store(left_out, 2 * r + 1, 0.5 * (total - sizes), 1.0)


@kernel
def add_columns(
    gradient: Any,  # (rows, classes), address
    rows: Any,
    classes: Any,
    thresholds: Any,  # (rows,) float64
    above: Any,  # (classes,) float64, added to: each class's entries that are below their row's threshold and above 0
    below: Any,  # (classes,) float64, added to: and those below 0
    first: Any,
    last: Any,
    tag: Any,
) -> Any:
    """Add up the columns first to last of what gather_large leaves out.

    Traffic in bytes: rows * classes * size read.
    """
    for start in range(first, last, _COLUMNS):
        stop = min(start + _COLUMNS, last)
        for r in range(rows):
            threshold = load(thresholds, r, 1.0, 1.0)
            for c in range(start, stop):
                value = load(gradient, r * classes + c, tag, 1.0)
                value = choose(abs(value) < threshold, value, 0.0)
                positive = choose(value > 0.0, value, 0.0)
                store(above, c, load(above, c, 1.0, 1.0) + positive, 1.0)
                store(below, c, load(below, c, 1.0, 1.0) + (value - positive), 1.0)


@kernel
def sums_of_rows(
    starts: Any,  # (rows + 1,) int64: entries starts[r] to starts[r + 1] belong to row r
    ids: Any,  # (entries,) int64, rows of `dense`
    values: Any,  # (entries,) float64
    dense: Any,  # (..., features), address
    features: Any,
    terms: Any,
    factors: Any,  # (rows, terms) float64
    directions: Any,  # (terms, features) float64
    adding: Any,  # whether `out` holds something to add to
    out: Any,  # (rows, features), address
    scratch: Any,  # (features,) float64
    first: Any,
    last: Any,
    tag: Any,
    out_tag: Any,
) -> Any:
    """Fill out[r] = sum_t factors[r, t] directions[t] + sum_k values[k] dense[ids[k]], for rows first to last.

    Traffic in bytes: entries * features * size read, and rows * features * size written.
    """
    for r in range(first, last):
        for f in range(features):
            store(scratch, f, load(out, r * features + f, out_tag, 1.0) if adding else 0.0, 1.0)
        for t in range(terms):
            factor = load(factors, r * terms + t, 1.0, 1.0)
            for f in range(features):
                term = factor * load(directions, t * features + f, 1.0, 1.0)
                store(scratch, f, load(scratch, f, 1.0, 1.0) + term, 1.0)
        k, last_entry = load_integer(starts, r), load_integer(starts, r + 1)
        # four at a time: the sums are read and written once for them
        while k + 4 <= last_entry:
            v, base = load(values, k, 1.0, 1.0), load_integer(ids, k) * features
            v_1, base_1 = load(values, k + 1, 1.0, 1.0), load_integer(ids, k + 1) * features
            v_2, base_2 = load(values, k + 2, 1.0, 1.0), load_integer(ids, k + 2) * features
            v_3, base_3 = load(values, k + 3, 1.0, 1.0), load_integer(ids, k + 3) * features
            for f in range(features):
                one = v * load(dense, base + f, tag, 1.0) + v_1 * load(dense, base_1 + f, tag, 1.0)
                two = v_2 * load(dense, base_2 + f, tag, 1.0) + v_3 * load(dense, base_3 + f, tag, 1.0)
                store(scratch, f, load(scratch, f, 1.0, 1.0) + (one + two), 1.0)
            k += 4
        while k < last_entry:
            v, base = load(values, k, 1.0, 1.0), load_integer(ids, k) * features
            for f in range(features):
                store(scratch, f, load(scratch, f, 1.0, 1.0) + v * load(dense, base + f, tag, 1.0), 1.0)
            k += 1
        for f in range(features):
            store(out, r * features + f, narrow(load(scratch, f, 1.0, 1.0), out_tag), out_tag)
