"""The numbers of rows from their sums (online.py). With D = log1p(rest) and m = own + others,

loss = gaps + m D + z_loss m lse**2        lse = top + D        entropy = D + spread / (1 + rest)
"""

from typing import Any, NamedTuple

import triton
import triton.language as tl

from crossent._kernels.gpu.effective_targets import CLASS_IDS
from crossent._kernels.gpu.log import log1p


class Outputs(NamedTuple):
    """Where numbers go, (rows,) float64, or None."""

    loss: Any
    lse: Any
    entropy: Any
    accuracy: Any
    target_logit: Any


@triton.jit
def is_silent(mass, rest, KIND: tl.constexpr):
    """Say whose targets take no part in the loss, whatever the logits are.

    A class of weight 0 silences its rows, also where they are NaN; soft targets that are all 0 silence infinities alone.
    """
    silent = mass == 0.0
    if KIND != CLASS_IDS:
        silent = silent & (rest == rest)
    return silent


@triton.jit
def store_numbers(
    outputs,  # Outputs
    row,  # (ROWS,) int64, as all below
    valid,
    counted,
    impossible,
    sums,  # Sums
    classes,
    z_loss,
    KIND: tl.constexpr,
    PENALIZED: tl.constexpr,
):
    """Store what is asked of rows."""
    surprise = log1p(sums.rest)
    lse = sums.top + surprise
    if outputs.loss is not None:
        mass = sums.own + sums.others
        silent = is_silent(mass, sums.rest, KIND)
        loss = sums.gaps + tl.where(silent, 0.0, mass * surprise)
        if PENALIZED:
            loss = loss + tl.where(silent, 0.0, z_loss * mass * lse * lse)
        tl.store(outputs.loss + row, tl.where(counted, loss, 0.0), mask=valid)
    if outputs.lse is not None:
        tl.store(outputs.lse + row, tl.where(counted, lse, 0.0), mask=valid)
    if outputs.entropy is not None:
        entropy = surprise + sums.spread / (1.0 + sums.rest)
        tl.store(outputs.entropy + row, tl.where(counted, entropy, 0.0), mask=valid)
    if outputs.accuracy is not None:
        likeliest = tl.where(sums.nan_place < classes, sums.nan_place, sums.place)
        hit = counted & (likeliest == sums.best_place)
        tl.store(outputs.accuracy + row, tl.where(hit, 1.0, 0.0).to(tl.float64), mask=valid)
    if outputs.target_logit is not None:
        target_logit = tl.where(impossible, float("nan"), sums.target_logit)
        tl.store(outputs.target_logit + row, tl.where(counted, target_logit, 0.0), mask=valid)
