"""Rules for a loss given with its own batch: which other formula gives exactly this number."""

import math
from collections.abc import Iterator

import numpy as np

from crossent.explaining.diagnosing.book import Suspect, consistent, suspect
from crossent.explaining.diagnosing.case import Case, Rows, log_sum_exp
from crossent.explaining.diagnosing.constants import CAPS
from crossent.explaining.diagnosing.domain import FLOAT16_EXP_OVERFLOWS

RELATIVE = {"float16": 5e-3, "bfloat16": 2e-2}  # of a loss computed in half precision
RELATIVE_ELSE = 1e-4
SMOOTHINGS = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3)


def batch(case: Case) -> Iterator[Suspect]:
    """Yield the formulas, other than the right one, that reproduce the loss from these rows."""
    losses = case.row_losses
    if case.loss is None or losses is None or case.outputs is None or not len(losses) or not case.outputs.complete:
        return
    if not math.isfinite(case.loss):
        yield from _not_finite(case, case.loss, losses)
        return
    if reproduced(case):
        return
    found = False
    for code, value, how in _formulas(case, losses):
        if not found and _same(case, value):
            found = True
            evidence = [f"the mean of the rows by the formula is {_mean(case, losses):.6g}"]
            yield consistent(code, 0.92, f"{case.loss:.6g} is {how} of these {len(losses)} losses", evidence)


def reproduced(case: Case) -> bool:
    """Return whether the loss given is what its function makes of the outputs and targets given."""
    losses = case.row_losses
    if case.loss is None or losses is None or not len(losses) or case.outputs is None or not case.outputs.complete:
        return False
    function = case.function
    if function is not None and function.reduction == "sum":
        return _same(case, float(losses.sum()))
    expected = [_mean(case, losses)]
    if function is not None and math.isfinite(function.cap_nats):
        expected = [float(np.minimum(losses, function.cap_nats).mean())]
    if function is not None and function.smoothing:
        expected = [_smoothed(case, function.smoothing)]
    if function is not None and function.divergence:
        expected = [_mean(case, losses) - _target_entropy(case)]
    return any(_same(case, value) for value in expected)


def _formulas(case: Case, losses: Rows) -> Iterator[tuple[str, float, str]]:
    assert case.outputs is not None
    assert case.targets is not None
    assert case.dense is not None
    assert case.rows is not None
    mean, total, count, width = _mean(case, losses), float(losses.sum()), len(losses), case.outputs.values.shape[1]
    rows, dense = case.rows, case.dense
    if case.class_weight is not None and case.targets.labels is not None and len(case.class_weight) == width:
        weights = case.class_weight[case.targets.labels[case.counted]]
        yield "CE120", float((weights * losses).sum() / count), "the weighted sum divided by the rows"
    if case.targets.count > count:
        yield (
            "CE119",
            total / case.targets.count,
            f"the sum divided by all {case.targets.count} rows, ignored ones too,",
        )
    yield "CE117", total, "the sum"
    if case.link == "sigmoid" and width > 1:
        yield "CE117", total / len(rows), "the sum over the classes"
    yield "CE118", mean / count, "the mean divided by the rows again"
    yield "CE118", mean / width, "the mean divided by the classes again"
    if case.function is not None and case.function.divergence:
        yield "CE118", (mean - _target_entropy(case)) / width, "the divergence divided by the classes, too,"
    yield "CE129", -mean, "the mean with its sign flipped"
    yield "CE130", mean / math.log(2.0), "the mean in bits"
    for cap in CAPS:
        if bool((losses > cap.nats).any()):
            yield "CE110", float(np.minimum(losses, cap.nats).mean()), f"the mean clipped at {cap.clip}"
    for smoothing in SMOOTHINGS if case.link == "softmax" else ():
        yield "CE121", _smoothed(case, smoothing), f"the mean with labels smoothed by {smoothing}"
    if case.link == "softmax":
        yield "CE005", float((log_sum_exp(rows, 1) - (dense * rows).sum(axis=1)).mean()), "a second softmax"
        sign = "−q" if case.outputs.said == "probs" or case.wants == "probs" else "−z"
        code = "CE104" if sign == "−q" else "CE126"
        yield (
            code,
            float(-(dense * rows).sum(axis=1).mean()),
            f"the mean of {sign} of the true class, no logarithm,",
        )


def _not_finite(case: Case, loss: float, losses: Rows) -> Iterator[Suspect]:
    assert case.outputs is not None
    if not bool(np.isfinite(losses).all()):
        return
    largest = float(abs(case.outputs.values).max())
    said = f"the loss is {loss}, yet the same outputs give {losses.mean():.4g} in float64"
    if case.outputs.dtype == "float16" and largest > FLOAT16_EXP_OVERFLOWS:
        why = f"{said}; the largest |output| is {largest:.4g}, and float16 overflows at exp({FLOAT16_EXP_OVERFLOWS})"
        yield consistent("CE109", 0.995, why)
    elif math.isnan(loss) and case.wants == "probs" and bool((case.outputs.values == 0.0).any()):
        yield suspect("CE002", 0.99, f"{said}: consistent with 0 times log 0 where a class has probability 0.")
    elif math.isnan(loss) and case.wants == "logits" and largest > 87.0:
        # exp of -87 is the smallest normal float32, so softmax underflows to 0 beyond
        yield suspect("CE002", 0.985, f"{said}: consistent with 0 times log 0 after a softmax that underflowed.")
    else:
        yield consistent("CE002", 0.7, said)


def _mean(case: Case, losses: Rows) -> float:
    if case.class_weight is not None and case.targets is not None and case.targets.labels is not None:
        weights = case.class_weight[case.targets.labels[case.counted]]
        return float((weights * losses).sum() / weights.sum()) if weights.sum() > 0.0 else math.nan
    return float(losses.mean())


def _smoothed(case: Case, smoothing: float) -> float:
    assert case.log_q is not None
    assert case.row_losses is not None
    uniform = -case.log_q[case.counted].mean()
    return float((1.0 - smoothing) * case.row_losses.mean() + smoothing * uniform)


def _target_entropy(case: Case) -> float:
    assert case.dense is not None
    return float(np.where(case.dense > 0.0, -case.dense * np.log(case.dense), 0.0).sum(axis=1).mean())


def _same(case: Case, value: float) -> bool:
    assert case.loss is not None
    assert case.outputs is not None
    if not math.isfinite(value):
        return False
    relative = RELATIVE.get(case.outputs.dtype, RELATIVE_ELSE)
    # a number typed with few digits is good to its last one, but 2.3 must not match everything near it
    typed = min(case.unit_in_last_place, 0.005 * abs(case.loss))
    return abs(case.loss - value) <= max(relative * abs(value), typed, 1e-7)
