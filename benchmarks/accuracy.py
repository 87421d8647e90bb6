"""The worst error of every rival in ulp, on the same untame rows, with mpmath as the truth.

A row is float32. The truth is computed from the bits of that row, so an error is the rival's own, not the input's.
"""

import math
from dataclasses import dataclass

import mpmath
import numpy as np
from numpy.typing import NDArray

from benchmarks.cases import Data
from benchmarks.rivals import RIVALS, as_numpy, forget_compiled

CLASS_COUNTS = (2, 10, 257, 1000)
DIGITS = 60  # decimal digits: exp(-1e4) and sums over 1000 classes keep more than float32's 7 many times over


@dataclass(frozen=True)
class Row:
    logits: NDArray[np.float32]  # (1, classes)
    target: int
    loss: mpmath.mpf
    grad: NDArray[np.float64]  # (classes,), the truth rounded to float64


def _truth(logits: NDArray[np.float32], target: int) -> Row:
    with mpmath.workdps(DIGITS):
        exponentials = [mpmath.exp(mpmath.mpf(float(x)) - mpmath.mpf(float(logits.max()))) for x in logits]
        total = mpmath.fsum(exponentials)
        # log1p(rest / own): no digits are lost however confident the row
        rest = mpmath.fsum(e for j, e in enumerate(exponentials) if j != target)
        loss = mpmath.log1p(rest / exponentials[target])
        grad = [float(e / total) for e in exponentials]
        grad[target] = float(-rest / total)
    return Row(logits[np.newaxis], target, loss, np.array(grad))


def untame_rows(per_class_count: int, class_counts: tuple[int, ...]) -> list[Row]:
    """Return rows of every scale and offset; each third is confident: its target leads by 1 to 70 nats."""
    rng = np.random.default_rng(20261122)
    rows = []
    for classes in class_counts:
        for index in range(per_class_count):
            scale = 10.0 ** rng.uniform(-1, np.log10(60))
            logits = rng.standard_normal(classes) * scale
            target = int(rng.integers(classes))
            if index % 3 == 0:
                logits[target] = np.delete(logits, target).max() + rng.uniform(1, 70)
            if index % 2 == 0:
                logits += rng.uniform(-5e4, 5e4)
            rows.append(_truth(logits.astype(np.float32), target))
    return rows


def _ulp(truth: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.spacing(np.maximum(np.abs(truth), np.finfo(np.float32).tiny).astype(np.float32)).astype(np.float64)


def errors_in_ulp(row: Row, value: float, grad: NDArray[np.float64]) -> tuple[float, ...]:
    """Return the errors of a loss and of its gradient's worst entry, in float32 ulp of the truth.

    Below the smallest normal number the ulp is that number's, so that flushing to zero there costs nothing.
    A NaN is infinitely wrong.
    """
    loss = float(row.loss)
    loss_error = abs(value - loss) / float(_ulp(np.array(loss)))
    grad_error = float(np.max(np.abs(grad.reshape(-1) - row.grad) / _ulp(row.grad)))
    return tuple(math.inf if math.isnan(error) else error for error in (loss_error, grad_error))


def measure(
    *, per_class_count: int, class_counts: tuple[int, ...] = CLASS_COUNTS, without: tuple[str, ...] = ()
) -> dict[str, object]:
    """Return every rival's worst and median error over the same rows; those in `without` are left out."""
    rows = untame_rows(per_class_count, class_counts)
    rivals: dict[str, object] = {}
    for rival in RIVALS:
        reason = "left out of a short run" if rival.name in without else rival.absent()
        forget_compiled()
        if reason is not None:
            rivals[rival.name] = {"absent": reason}
            continue
        errors = []
        for row in rows:
            call = rival.build("value_and_grad", Data(row.logits, np.array([row.target]), -1))
            if isinstance(call, str):
                reason = call
                break
            value, grad = as_numpy(call())
            assert grad is not None
            errors.append(errors_in_ulp(row, value, grad))
        if reason is not None:
            rivals[rival.name] = {"absent": reason}
            continue
        loss_errors, grad_errors = zip(*errors, strict=True)
        rivals[rival.name] = {
            "worst_loss_ulp": max(loss_errors),
            "worst_grad_ulp": max(grad_errors),
            "median_loss_ulp": float(np.median(loss_errors)),
            "median_grad_ulp": float(np.median(grad_errors)),
        }
    return {"rows": len(rows), "class_counts": list(class_counts), "rivals": rivals}
