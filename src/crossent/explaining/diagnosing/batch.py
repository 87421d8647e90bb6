"""Rules for a loss given with its own batch: which other formula gives exactly this number."""

import math
from collections.abc import Iterator

import numpy as np

from crossent.explaining.diagnosing.book import Suspect, consistent, of_probabilities, suspect
from crossent.explaining.diagnosing.case import Case, Rows, log_sum_exp
from crossent.explaining.diagnosing.constants import CAPS
from crossent.explaining.diagnosing.domain import FLOAT16_EXP_OVERFLOWS
from crossent.explaining.diagnosing.precision import shown
from crossent.explaining.diagnosing.reduced import Sums, expected, sums

RELATIVE = {"float16": 5e-3, "bfloat16": 2e-2}  # of a loss computed in half precision
RELATIVE_ELSE = 1e-4
SMOOTHINGS = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3)
STANDARD_ERRORS = 5.0  # by which a mean over some rows of a large batch may miss that over all
WIDEST = 0.2  # relative: an estimate as loose as that says nothing


def batch(case: Case) -> Iterator[Suspect]:
    """Yield the formulas, other than the right one, that reproduce the loss from these rows."""
    losses = case.row_losses
    if case.loss is None or losses is None or case.outputs is None or not len(losses):
        return
    if not math.isfinite(case.loss):
        if case.outputs.complete:
            yield from _not_finite(case, case.loss, losses)
        return
    found = sums(case)
    if found is None or reproduced(case):
        return
    how = "the mean of the rows by the formula"
    for code, value, what in _formulas(case, losses, found) if case.outputs.complete else _rough(case, found):
        if _same(case, value):
            evidence = [f"{how} is {shown(found.mean, 6)}"]
            rows = f"these {len(losses)} losses" if case.outputs.complete else f"the {case.outputs.count} losses"
            told = consistent(code, 0.92, f"{shown(case.loss, 6)} is {what} of {rows}", evidence)
            yield of_probabilities(told) if code == "CE005" and case.wants == "probs" else told
            return
    right = expected(case)
    if right is not None and math.isfinite(right) and case.outputs.complete:
        reduction = "sum" if case.function is not None and case.function.reduction == "sum" else "mean"
        said = (
            f"{shown(case.loss, 6)} against {shown(right, 6)}, the {reduction} of {len(losses)} losses by the formula"
        )
        yield suspect("CE135", 0.55, f"this loss is not what these outputs and targets give: {said}.")


def reproduced(case: Case) -> bool:
    """Return whether the loss given is what its function makes of the outputs and targets given."""
    if case.loss is None or case.outputs is None:
        return False
    value = expected(case)
    return value is not None and _same(case, value)


def _rough(case: Case, found: Sums) -> Iterator[tuple[str, float, str]]:
    """Yield the formulas that some rows of a large batch tell apart: those that are off by a factor."""
    assert case.outputs is not None
    share = case.outputs.count / len(case.outputs.values)
    estimated = f"(estimated from {len(case.outputs.values)} of them) "
    yield "CE117", found.total * share, f"the sum {estimated}".rstrip()
    yield "CE118", found.mean / (found.divisor * share), f"the mean, divided by the rows again, {estimated}".rstrip()
    yield "CE129", -found.mean, f"the mean with its sign flipped {estimated}".rstrip()


def _formulas(case: Case, losses: Rows, found: Sums) -> Iterator[tuple[str, float, str]]:
    assert case.outputs is not None
    assert case.targets is not None
    assert case.dense is not None
    assert case.rows is not None
    mean, total, count, width = found.mean, found.total, len(losses), case.outputs.values.shape[1]
    rows, dense = case.rows, case.dense
    if case.class_weight is not None and case.targets.labels is not None:
        yield "CE120", total / count, "the weighted sum divided by the rows"
    if case.targets.count > count and case.targets.labels is not None:
        every = case.targets.count
        yield "CE119", total / every, f"the sum divided by all {every} rows, ignored ones too,"
    yield "CE117", total, "the sum"
    if case.link == "sigmoid" and width > 1:
        yield "CE117", total / len(rows), "the sum over the classes"
    yield "CE118", mean / count, "the mean divided by the rows again"
    yield "CE118", mean / width, "the mean divided by the classes again"
    yield "CE129", -mean, "the mean with its sign flipped"
    yield "CE130", mean / math.log(2.0), "the mean in bits"
    yield "CE130", mean / math.log(10.0), "the mean with the decimal logarithm log10"
    if mean < 100.0:
        yield "CE130", math.exp(mean), "the perplexity, exp of the mean,"
    for cap in CAPS:
        if bool((losses > cap.nats).any()):
            yield "CE110", float(np.minimum(losses, cap.nats).mean()), f"the mean clipped at {cap.clip}"
    for smoothing in SMOOTHINGS if case.link == "softmax" else ():
        smoothed = sums(case, smoothing=smoothing)
        if smoothed is not None:
            yield "CE121", smoothed.mean, f"the mean with labels smoothed by {smoothing}"
    if case.link == "softmax":
        if case.wants == "probs":  # of logits it is the one softmax that they need
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
    said = f"the loss is {shown(loss)}, yet the same outputs give {losses.mean():.4g} in float64"
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


def _same(case: Case, value: float) -> bool:
    assert case.loss is not None
    assert case.outputs is not None
    assert case.row_losses is not None
    if not math.isfinite(value):
        return False
    relative = RELATIVE.get(case.outputs.dtype, RELATIVE_ELSE)
    if not case.outputs.complete:
        error = float(case.row_losses.std()) / math.sqrt(len(case.row_losses))
        relative = max(relative, STANDARD_ERRORS * error / max(abs(float(case.row_losses.mean())), 1e-30))
        if relative > WIDEST:
            return False
    # a number typed with few digits is good to its last one, but 2.3 must not match everything near it
    typed = min(case.unit_in_last_place, 0.005 * abs(case.loss))
    return abs(case.loss - value) <= max(relative * abs(value), typed, 1e-7)
