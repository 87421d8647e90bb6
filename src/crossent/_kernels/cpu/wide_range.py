"""Rows kernel of few_classes.py's cases over the whole range of float64: float64 logits, and rows with large ones.

The lanes of a vector are rows. A tile of LANES rows is brought class by class into scratch; every step then runs across
the rows. Sums are kept relative to 2**M, M the exponent of each row's largest logit other than the target; otherwise the
method is that of softmax_cross_entropy, row by row. Rows outside even this range go to careful.py. A row's bits do not
depend on its neighbours.

Traffic in bytes: rows * classes * size read, and as much written with a gradient.
"""

from typing import Any

import numpy as np

from crossent._kernels.cpu._jit import inline, kernel
from crossent._kernels.cpu._llvm import (
    at_least,
    choose,
    fma,
    larger,
    load,
    load_integer,
    power_of_two,
    smaller,
    store,
    wide_vectors,
)
from crossent._kernels.cpu.careful import careful_row, fill_row
from crossent._kernels.cpu.exp import (
    LN_2,
    exp_parts,
    exponent_of,
    exponent_offset,
    greatest_integer,
    least_integer,
    limit_of,
    narrow,
    power_over,
    same_type,
)
from crossent._kernels.cpu.log import log1p_positive
from crossent._kernels.cpu.targets import two_sum

LANES = 32
# Scratch is one table of LANES numbers a line. Every access starts from its one address, so that the compiler can
# tell the lines apart; with an address per line it gave up vectorizing: 28 ns per element instead of 4.
(
    _TARGET,
    _REFERENCE,
    _REST,
    _SMALLEST,
    _SCALE,
    _LOSS,
    _MULTIPLIER,
    _MULTIPLIER_LOW,
    _OFFSET,
    _OUT_OFFSET,
    _CORRECTIONS,
    _ERRORS,
    _LOW,
    _TILE,
) = (LANES * line for line in range(14))
# stands in for all smaller exponents, relative to the reference; 2**60 above the smallest normal number, as a subnormal
# product traps into microcode
_LOWEST = -962
# beyond it 2**k leaves the range of one product: careful.py takes the row
_LARGEST_ODDS = 900


def scratch_bytes(classes: int) -> int:
    """Return what one thread needs."""
    return (_TILE + LANES * classes) * 8


@inline
def bring_tile(x: Any, scratch: Any, contiguous: Any, class_stride: Any, classes: Any, tag: Any) -> Any:
    """Copy a tile of rows to scratch, transposed and as float64."""
    wide_vectors()
    for c in range(classes):
        line = _TILE + c * LANES
        if contiguous:
            start = load_integer(scratch, _OFFSET) + c * class_stride
            for r in range(LANES):
                store(scratch, line + r, load(x, start + r, tag, 1.0), 1.0)
        else:
            for r in range(LANES):
                place = load_integer(scratch, _OFFSET + r) + c * class_stride
                store(scratch, line + r, load(x, place, tag, 1.0), 1.0)


@inline
def sum_rest(scratch: Any, classes: Any, tag: Any) -> Any:
    """Fill in, per lane, the exponent of the rest's maximum, the rest relative to it, and the least exponent.

    The tile's logits become their exponentials, relative to that exponent. float64 rows keep the rounding errors of both
    sums: 511 strided classes cost 4.6 ulp of the gradient without.
    """
    wide_vectors()
    none, all_of_them = least_integer(1.0), greatest_integer(1.0)
    for r in range(LANES):
        store(scratch, _REFERENCE + r, none, none)
        store(scratch, _REST + r, 0.0, 1.0)
        store(scratch, _CORRECTIONS + r, 0.0, 1.0)
        store(scratch, _ERRORS + r, 0.0, 1.0)
        store(scratch, _SMALLEST + r, all_of_them, none)
    for c in range(classes):
        for r in range(LANES):
            shifted, _ = exp_parts(load(scratch, _TILE + c * LANES + r, 1.0, 1.0))
            others = choose(load_integer(scratch, _TARGET + r) == c, none, shifted)
            store(scratch, _REFERENCE + r, larger(load_integer(scratch, _REFERENCE + r), others), none)
            if same_type(tag, 1.0):  # only float64 gradients can be subnormal in float64
                store(scratch, _SMALLEST + r, smaller(load_integer(scratch, _SMALLEST + r), shifted), none)
    limit = limit_of(1.0)
    for r in range(LANES):
        exponent = exponent_of(load_integer(scratch, _REFERENCE + r))
        inside = (exponent <= limit) & (exponent >= -limit)
        # a lane outside goes to careful.py in the end
        exponent = choose(inside, exponent, 4 * limit)
        store(scratch, _REFERENCE + r, exponent, none)
        store(scratch, _LOW + r, np.float64(exponent + _LOWEST) * LN_2, 1.0)
        store(scratch, _SMALLEST + r, exponent_of(load_integer(scratch, _SMALLEST + r)), none)
    for c in range(classes):
        for r in range(LANES):
            x_c = load(scratch, _TILE + c * LANES + r, 1.0, 1.0)
            low = load(scratch, _LOW + r, 1.0, 1.0)
            shifted, correction = exp_parts(at_least(x_c, low))
            whole = power_over(shifted, exponent_offset(load_integer(scratch, _REFERENCE + r), 1.0))
            term = fma(whole, correction, whole)
            # what the gradient will need; 0 and not 2**-962, whose products would trap into microcode
            store(scratch, _TILE + c * LANES + r, choose(x_c > low, term, 0.0), 1.0)
            left_out = load_integer(scratch, _TARGET + r) == c
            rest = load(scratch, _REST + r, 1.0, 1.0)
            if same_type(tag, 1.0):
                whole = choose(left_out, 0.0, whole)
                rest, error = two_sum(rest, load(scratch, _ERRORS + r, 1.0, 1.0), whole)
                parts, error = two_sum(load(scratch, _CORRECTIONS + r, 1.0, 1.0), error, whole * correction)
                store(scratch, _ERRORS + r, error, 1.0)
                store(scratch, _CORRECTIONS + r, parts, 1.0)
            else:
                rest += choose(left_out, 0.0, term)
            store(scratch, _REST + r, rest, 1.0)


@inline
def finish_rows(scratch: Any) -> Any:
    """Fill in, per lane, the loss in nats (NaN where careful.py is needed), the target's gradient, the multiplier.

    _REST becomes the target's gradient, the other entries are the tile's times the multiplier, and
    _SMALLEST the distance of the least of these from the subnormal numbers, in powers of two. _LOSS comes in as the
    target's logit.
    """
    wide_vectors()
    limit = limit_of(1.0)
    for r in range(LANES):
        shifted, correction = exp_parts(load(scratch, _LOSS + r, 1.0, 1.0))
        exponent = exponent_of(shifted)
        mantissa, mantissa_error = two_sum(1.0, 0.0, correction)
        own = load_integer(scratch, _REFERENCE + r)
        k = own - exponent
        inside = (k <= _LARGEST_ODDS) & (k >= -_LARGEST_ODDS) & (own <= limit)
        k = choose(inside, k, np.int64(0))
        others = load(scratch, _CORRECTIONS + r, 1.0, 1.0) + load(scratch, _ERRORS + r, 1.0, 1.0)
        others, others_error = two_sum(load(scratch, _REST + r, 1.0, 1.0), 0.0, others)
        odds = others / mantissa * power_of_two(k)
        store(scratch, _LOSS + r, choose(inside, log1p_positive(odds), np.nan), 1.0)
        ahead = k < 0
        reach = power_of_two(choose(ahead, k, -k))
        near_error, far_error = choose(ahead, mantissa_error, others_error), choose(ahead, others_error, mantissa_error)
        total, error = two_sum(
            choose(ahead, mantissa, others), near_error + far_error * reach, choose(ahead, others, mantissa) * reach
        )
        e = choose(ahead, exponent, own)
        scale = load(scratch, _SCALE + r, 1.0, 1.0)
        # in two parts: with the roundings of the total and of the quotient an entry was off by up to 4.2 ulp of float64
        quotient = scale / total
        rest = fma(-quotient, total, scale) - quotient * error
        stretch = choose(ahead, reach, 1.0)
        store(scratch, _MULTIPLIER + r, quotient * stretch, 1.0)
        store(scratch, _MULTIPLIER_LOW + r, choose(abs(rest) < np.inf, rest / total * stretch, 0.0), 1.0)
        unlikely = odds < 1.0
        share = choose(unlikely, odds, 1.0) / (1.0 + choose(unlikely, odds, 1.0 / odds))
        store(scratch, _REST + r, 0.0 - scale * share, 1.0)
        store(scratch, _SMALLEST + r, load_integer(scratch, _SMALLEST + r) - e - (_LOWEST + 2), e)


@inline
def gradient_of_tile(scratch: Any, classes: Any) -> Any:
    """Turn the tile's exponentials into its gradients."""
    wide_vectors()
    for c in range(classes):
        for r in range(LANES):
            term = load(scratch, _TILE + c * LANES + r, 1.0, 1.0)
            low = term * load(scratch, _MULTIPLIER_LOW + r, 1.0, 1.0)
            value = fma(term, load(scratch, _MULTIPLIER + r, 1.0, 1.0), low)
            value = choose(load_integer(scratch, _TARGET + r) == c, load(scratch, _REST + r, 1.0, 1.0), value)
            store(scratch, _TILE + c * LANES + r, value, 1.0)


@inline
def write_tile(scratch: Any, classes: Any, gradient: Any, offset: Any, class_stride: Any, out_tag: Any) -> Any:
    """Write a whole tile whose rows lie side by side, class by class: row by row, 21 lines 16 KB apart fell out of cache."""
    wide_vectors()
    for c in range(classes):
        for r in range(LANES):
            value = load(scratch, _TILE + c * LANES + r, 1.0, 1.0)
            store(gradient, offset + c * class_stride + r, narrow(value, out_tag), out_tag)


@kernel
def rows(
    x: Any,  # address of the logits; class c of row r at (r // inner) * outer_stride + (r % inner) * inner_stride
    inner: Any,  # + c * class_stride
    outer_stride: Any,
    inner_stride: Any,
    class_stride: Any,
    classes: Any,
    targets: Any,  # (rows,) int64; -1 skips the row: loss 0, gradient 0
    weights: Any,  # (rows,) float64, multiply loss and gradient; address 0 for ones
    scales: Any,  # (rows,) float64, multiply the gradient alone; address 0 for ones
    scale: Any,  # multiplies every gradient
    unit: Any,  # one nat in the unit of the loss
    losses: Any,  # (rows,) in loss_tag
    missing_only: Any,  # leave rows alone whose loss is not NaN so far
    gradient: Any,  # address, or 0 for none; strides as for x
    gradient_outer_stride: Any,
    gradient_inner_stride: Any,
    gradient_class_stride: Any,
    gradient_size: Any,  # bytes of one entry
    exact_small: Any,  # whether gradients below 2**-1021 must be right: float64 ones
    scratch: Any,  # scratch_bytes(classes), on a 64-byte boundary
    first: Any,
    last: Any,
    tag: Any,
    loss_tag: Any,
    out_tag: Any,
) -> Any:
    """Losses, and where asked for gradients, of rows first to last."""
    for start in range(first, last, LANES):
        count = smaller(np.int64(LANES), last - start)
        if missing_only:
            missing = False
            for r in range(start, start + count):
                loss = load(losses, r, loss_tag, 1.0)
                missing |= loss != loss
            if not missing:
                continue
        # carried along: two divisions a row would cost more than two classes
        outer_index, inner_index = start // inner, start % inner
        side_by_side = count == LANES and inner_index + count <= inner
        contiguous = inner_stride == 1 and side_by_side
        for lane in range(LANES):
            r = start + lane
            offset = outer_index * outer_stride + inner_index * inner_stride
            store(
                scratch,
                _OUT_OFFSET + lane,
                outer_index * gradient_outer_stride + inner_index * gradient_inner_stride,
                r,
            )
            if r < last - 1:  # lanes past the end repeat the last row
                inner_index += 1
                if inner_index == inner:
                    outer_index, inner_index = outer_index + 1, np.int64(0)
            r = smaller(r, last - 1)
            target = larger(load_integer(targets, r), np.int64(0))
            weight = load(weights, r, 1.0, 1.0) if weights != 0 else 1.0
            own_scale = load(scales, r, 1.0, 1.0) if scales != 0 else 1.0
            store(scratch, _OFFSET + lane, offset, r)
            store(scratch, _TARGET + lane, target, r)
            store(scratch, _LOSS + lane, load(x, offset + target * class_stride, tag, 1.0), 1.0)
            store(scratch, _SCALE + lane, scale * weight * unit * own_scale, 1.0)
        bring_tile(x, scratch, contiguous, class_stride, classes, tag)
        sum_rest(scratch, classes, tag)
        finish_rows(scratch)
        written = gradient != 0 and gradient_inner_stride == 1 and side_by_side and not missing_only
        written = written and gradient != x  # in place: careful.py has yet to read some rows
        if gradient != 0:
            gradient_of_tile(scratch, classes)
        if written:
            offset = load_integer(scratch, _OUT_OFFSET)
            write_tile(scratch, classes, gradient, offset, gradient_class_stride, out_tag)
        for lane in range(count):
            r = start + lane
            if missing_only:
                loss = load(losses, r, loss_tag, 1.0)
                if loss == loss:
                    continue
            loss = load(scratch, _LOSS + lane, 1.0, 1.0)
            weight = load(weights, r, 1.0, 1.0) if weights != 0 else 1.0
            out = np.int64(0)
            if gradient != 0:
                out = gradient + load_integer(scratch, _OUT_OFFSET + lane) * gradient_size
            tiny = out != 0 and exact_small and load_integer(scratch, _SMALLEST + lane) < 0
            if load_integer(targets, r) < 0 or weight == 0.0:
                loss = 0.0
                if out != 0:
                    fill_row(out, gradient_class_stride, classes, 0.0, out_tag)
            elif loss == loss and not tiny:
                for c in range(classes if out != 0 and not written else 0):
                    entry = load(scratch, _TILE + c * LANES + lane, 1.0, 1.0)
                    store(out, c * gradient_class_stride, narrow(entry, out_tag), out_tag)
                loss = loss * (weight * unit)
            else:
                careful = careful_row(
                    x,
                    load_integer(scratch, _OFFSET + lane),
                    class_stride,
                    classes,
                    load_integer(scratch, _TARGET + lane),
                    load(scratch, _SCALE + lane, 1.0, 1.0),
                    out,
                    gradient_class_stride,
                    tag,
                    out_tag,
                )
                # the tile's own loss where it has one: the bits are then the same as without a gradient
                loss = (loss if loss == loss else careful) * (weight * unit)
            store(losses, r, loss, loss_tag)
