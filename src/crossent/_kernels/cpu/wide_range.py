"""Rows of few_classes.py over the whole range of float64, LANES at a time: float64 logits, and rows with large ones.

The tile of rows is brought class by class into scratch; every step then runs across the rows. Sums are kept relative to
2**M, M the exponent of each row's largest logit other than the target. Rows outside even this range go to careful.py.
"""

from typing import Any

import numpy as np

from crossent._kernels.cpu._jit import inline
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
from crossent._kernels.cpu.careful import careful_row
from crossent._kernels.cpu.exp import (
    LN_2,
    exp_parts,
    exponent_of,
    exponent_offset,
    greatest_integer,
    least_integer,
    limit_of,
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
    _OFFSET,
    _CORRECTIONS,
    _ERRORS,
    _LOW,
    _TILE,
) = (LANES * line for line in range(12))
# stands in for all smaller exponents, relative to the reference; 2**60 above the smallest normal number, as a subnormal
# product traps into microcode
_LOWEST = -962
# beyond it 2**k leaves the range of one product: careful.py takes the row
_LARGEST_ODDS = 900


def scratch_bytes(classes: int) -> int:
    """Return what one thread needs."""
    return (_TILE + LANES * classes) * 8


@inline
def place_row(
    scratch: Any, lane: Any, x: Any, offset: Any, class_stride: Any, target: Any, scale: Any, tag: Any
) -> Any:
    """Say where the logits of a lane lie, and what its target and the scale of its gradient are."""
    store(scratch, _OFFSET + lane, offset, offset)
    store(scratch, _TARGET + lane, target, target)
    store(scratch, _SCALE + lane, scale, 1.0)
    store(scratch, _LOSS + lane, load(x, offset + target * class_stride, tag, 1.0), 1.0)


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
        exponent, mantissa = exponent_of(shifted), 1.0 + correction
        own = load_integer(scratch, _REFERENCE + r)
        k = own - exponent
        inside = (k <= _LARGEST_ODDS) & (k >= -_LARGEST_ODDS) & (own <= limit)
        k = choose(inside, k, np.int64(0))
        others = load(scratch, _CORRECTIONS + r, 1.0, 1.0) + load(scratch, _ERRORS + r, 1.0, 1.0)
        others += load(scratch, _REST + r, 1.0, 1.0)
        odds = others / mantissa * power_of_two(k)
        store(scratch, _LOSS + r, choose(inside, log1p_positive(odds), np.nan), 1.0)
        ahead = k < 0
        reach = power_of_two(choose(ahead, k, -k))
        total = choose(ahead, mantissa, others) + choose(ahead, others, mantissa) * reach
        e = choose(ahead, exponent, own)
        scale = load(scratch, _SCALE + r, 1.0, 1.0)
        store(scratch, _MULTIPLIER + r, scale / total * choose(ahead, reach, 1.0), 1.0)
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
            value = load(scratch, _TILE + c * LANES + r, 1.0, 1.0) * load(scratch, _MULTIPLIER + r, 1.0, 1.0)
            value = choose(load_integer(scratch, _TARGET + r) == c, load(scratch, _REST + r, 1.0, 1.0), value)
            store(scratch, _TILE + c * LANES + r, value, 1.0)


@inline
def evaluate(
    x: Any,
    class_stride: Any,
    classes: Any,
    contiguous: Any,
    scratch: Any,
    with_gradient: Any,
    exact_small: Any,
    tag: Any,
) -> Any:
    """Compute the LANES rows that were placed: their losses in nats and, where asked for, the tile of gradients."""
    bring_tile(x, scratch, contiguous, class_stride, classes, tag)
    sum_rest(scratch, classes, tag)
    finish_rows(scratch)
    if with_gradient:
        gradient_of_tile(scratch, classes)
    for lane in range(LANES):
        loss = load(scratch, _LOSS + lane, 1.0, 1.0)
        tiny = with_gradient and exact_small and load_integer(scratch, _SMALLEST + lane) < 0
        if loss == loss and not tiny:
            continue
        careful = careful_row(
            x,
            load_integer(scratch, _OFFSET + lane),
            class_stride,
            classes,
            load_integer(scratch, _TARGET + lane),
            load(scratch, _SCALE + lane, 1.0, 1.0),
            scratch + (_TILE + lane) * 8 if with_gradient else np.int64(0),
            np.int64(LANES),
            tag,
            1.0,
        )
        # the tile's own loss where it has one: the bits are then the same as without a gradient
        store(scratch, _LOSS + lane, loss if loss == loss else careful, 1.0)


@inline
def loss_of_lane(scratch: Any, lane: Any) -> Any:
    """Return what `evaluate` found, in nats."""
    return load(scratch, _LOSS + lane, 1.0, 1.0)


@inline
def gradient_of_lane(scratch: Any, lane: Any, c: Any) -> Any:
    """Return what `evaluate` found."""
    return load(scratch, _TILE + c * LANES + lane, 1.0, 1.0)
