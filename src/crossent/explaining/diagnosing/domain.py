"""Rules for the outputs alone: are they logits, probabilities or logarithms, along which axis, and finite?"""

from collections.abc import Iterator

import numpy as np

from crossent.explaining.diagnosing.book import Suspect, consistent, suspect
from crossent.explaining.diagnosing.case import Case, Outputs, Rows, log_sum_exp
from crossent.explaining.diagnosing.precision import between
from crossent.explaining.digits import compact

MANY = 64  # scores that are all in (0, 1) by no accident, though they need not be binary
FEWEST = 8  # numbers in [0, 1] that are no accident among logits
ZEROS = 0.05  # the share of exact zeros that only an activation makes
FLOAT16_EXP_OVERFLOWS = 11.09  # ln 65504


def domain(case: Case) -> Iterator[Suspect]:
    """Yield what the outputs are, next to what the loss expects."""
    outputs = case.outputs
    if outputs is None:
        return
    yield from _not_finite(case, outputs)
    if case.shape_note:
        yield suspect("CE116", 0.97, f"{case.shape_note}.", [f"shape {outputs.shape}"])
    if bool(np.isnan(outputs.values).any()):
        return
    if case.link == "softmax" and outputs.values.shape[1] == 1:
        yield suspect("CE111", 0.98, f"the outputs, shape {outputs.shape}, have one unit on their class axis.")
        return
    yield from _softmax(case, outputs) if case.link == "softmax" else _sigmoid(case, outputs)
    yield from _activation(case, outputs)


def looks_like_probabilities(outputs: Outputs) -> bool:
    """Return whether rows are >= 0 and sum to 1."""
    values = outputs.values
    return values.shape[1] > 1 and bool((values >= 0.0).all()) and _ones(values.sum(axis=1), outputs)


def looks_like_log_probabilities(outputs: Outputs) -> bool:
    """Return whether rows are <= 0 and their exponentials sum to 1."""
    values = outputs.values
    return values.shape[1] > 1 and bool((values <= 1e-6).all()) and _zeros(log_sum_exp(values, 1), outputs)


def _ones(sums: Rows, outputs: Outputs) -> bool:
    return bool((abs(sums - 1.0) <= _tolerance(outputs)).all())


def _zeros(logs: Rows, outputs: Outputs) -> bool:
    return bool((abs(logs) <= 10.0 * _tolerance(outputs)).all())


def _tolerance(outputs: Outputs) -> float:
    # half precision keeps 3 (bfloat16) and 4 (float16) digits of each probability
    return 0.02 if outputs.dtype in ("float16", "bfloat16") else 1e-4


def _not_finite(case: Case, outputs: Outputs) -> Iterator[Suspect]:
    nan = np.asarray(np.isnan(outputs.values).any(axis=1))
    infinite = np.asarray((outputs.values == np.inf).any(axis=1))
    started_well = case.history is not None and bool(np.isfinite(case.history.losses[0]))
    if bool(nan.any()):
        said = (
            f"{int(nan.sum())} of {len(nan)} rows of the outputs hold nan, the first of them row {int(np.argmax(nan))}."
        )
        if case.function is not None and case.function.wants == "log_probs" and not bool(nan.all()):
            said += " A logarithm of a negative number makes them, too."
        yield suspect("CE002", 0.86 if started_well else 0.99, said)
    elif bool(infinite.any()):
        said = f"{int(infinite.sum())} of {len(infinite)} rows of the outputs hold +inf."
        yield suspect("CE109" if outputs.dtype == "float16" else "CE108", 0.96, said)


def _softmax(case: Case, outputs: Outputs) -> Iterator[Suspect]:
    values, wants = outputs.values, case.wants
    shown = f"{len(values)} rows of outputs are >= 0 and sum to 1"
    probabilities, logarithms = looks_like_probabilities(outputs), looks_like_log_probabilities(outputs)
    other = _other_axis(outputs)
    if wants is None:
        if probabilities:
            yield consistent("CE005", 0.4, f"{shown}, if a function of logits takes them")
        return
    if probabilities and wants == "logits":
        yield consistent("CE005", 0.95, shown, [f"{_name(case)} expects logits"])
    elif probabilities and wants == "log_probs":
        yield consistent("CE104", 0.95, shown, [f"{_name(case)} expects log-probabilities"])
    elif logarithms and wants == "probs":
        why = f"{len(values)} rows of outputs are <= 0, and their exponentials sum to 1"
        yield consistent("CE133", 0.95, why, [f"{_name(case)} expects probabilities"])
    elif other is not None and not probabilities and not logarithms:
        what = "sum to 1" if bool((values >= 0.0).all()) else "sum to 1 after exp"
        why = f"the outputs, shape {outputs.shape}, {what} along axis {other}, not along their class axis {outputs.class_axis}"
        yield consistent("CE115", 0.96, why)
    elif wants == "log_probs" and not logarithms:
        found = log_sum_exp(values, 1)
        why = f"log sum exp of a row is {between(found.min(), found.max())}, where log-probabilities give 0"
        yield consistent("CE126", 0.94, why, [f"{_name(case)} expects log-probabilities"])
    elif wants == "probs" and not probabilities:
        yield from _no_probabilities(case, outputs)


def _no_probabilities(case: Case, outputs: Outputs) -> Iterator[Suspect]:
    low, high = float(outputs.values.min()), float(outputs.values.max())
    if low < 0.0 or high > 1.0 + _tolerance(outputs):
        yield consistent("CE124", 0.95, f"the outputs lie in [{compact(low)}, {compact(high)}], not in [0, 1]")
    elif outputs.values.shape[1] > 1 and case.link == "softmax":
        sums = outputs.values.sum(axis=1)
        yield consistent("CE003", 0.85, f"rows of the outputs sum to {between(sums.min(), sums.max())}")


def _sigmoid(case: Case, outputs: Outputs) -> Iterator[Suspect]:
    values = outputs.values
    low, high = float(values.min()), float(values.max())
    if case.wants == "probs":
        yield from _no_probabilities(case, outputs)
    elif case.wants == "logits" and looks_like_log_probabilities(outputs):
        yield consistent("CE125", 0.95, f"{len(values)} rows of outputs are <= 0, and their exponentials sum to 1")
    elif case.wants == "logits" and low >= 0.0 and high <= 1.0 and values.size >= FEWEST and low < high:
        yield consistent("CE103", 0.94, f"all {values.size} outputs lie in [{compact(low)}, {compact(high)}]")


def _activation(case: Case, outputs: Outputs) -> Iterator[Suspect]:
    values = outputs.values
    low, high = float(values.min()), float(values.max())
    if case.wants == "logits" and case.link == "softmax" and 0.0 <= low < high <= 1.0 and values.size >= MANY:
        if not looks_like_probabilities(outputs) and _other_axis(outputs) is None:
            why = f"all {values.size} outputs lie in [{compact(low)}, {compact(high)}], as after a sigmoid"
            yield consistent("CE131", 0.85, why)
        return
    zeros = float((values == 0.0).mean())
    if case.wants != "logits" or values.min() != 0.0 or zeros < ZEROS or values.size < 2 * FEWEST or zeros == 1.0:
        return
    positive = values[values > 0.0]
    # scores made by hand, such as one-hot rows times a constant, repeat themselves
    if looks_like_probabilities(outputs) or len(np.unique(positive)) < max(FEWEST, len(positive) // 2):
        return
    yield consistent("CE131", 0.95, f"no output is negative, and {zeros:.0%} of them are exactly 0, as after a ReLU")


def _other_axis(outputs: Outputs) -> int | None:
    """Return another axis along which the outputs are probabilities, or logarithms of them."""
    if not outputs.complete:
        return None
    if bool((outputs.values >= 0.0).all()):
        return next((axis for axis, sums in outputs.other_axes if _ones(sums, outputs)), None)
    return next((axis for axis, logs in outputs.other_log_axes if _zeros(logs, outputs)), None)


def _name(case: Case) -> str:
    return case.function.name if case.function is not None else f"`{case.outputs.said}`"  # type: ignore[union-attr]
