"""Rules for the targets: their range, what is ignored, whether they are distributions, whether the truth is possible."""

from collections.abc import Iterator

import numpy as np

from crossent.explaining.diagnosing.book import Suspect, consistent, suspect
from crossent.explaining.diagnosing.case import USUAL_IGNORED, Case, Labels, Rows, log_sum_exp
from crossent.explaining.diagnosing.precision import between
from crossent.explaining.digits import compact

SUM_TOLERANCE = 1e-3
FEWEST = 16  # rows of one class that are no accident
LISTED = 6


def labels(case: Case) -> Iterator[Suspect]:
    """Yield what the targets say, alone and next to the outputs."""
    if case.targets is None:
        return
    if case.refusal:
        yield suspect("CE137", 0.975, case.refusal)
    if case.targets.labels is not None:
        yield from _ids(case, case.targets.labels)
    elif case.targets.dense is not None:
        yield from _distributions(case, case.targets.dense)
    yield from _impossible(case)


def _ids(case: Case, ids: Labels) -> Iterator[Suspect]:
    if case.function is not None and case.function.link == "sigmoid" and case.outputs is not None:
        yield suspect(
            "CE105", 0.96,
            f"the targets are class ids from {ids.min()} to {ids.max()}, one per row; {case.function.name} wants 0 or 1 "
            f"for each of the {case.outputs.values.shape[1]} outputs.",
        )  # fmt: skip
        return
    ignored = np.zeros(len(ids), bool) if case.ignore_index is None else ids == case.ignore_index
    if not len(ids) or bool(ignored.all()):
        yield suspect("CE107", 0.995, f"all {len(ids)} targets are the ignore value: 0 rows to average over.")
        return
    if case.classes is None or case.classes < 1:
        return
    outside = list(_outside(case, np.unique(ids[~ignored]), case.classes))
    yield from outside
    if outside:
        return  # what is left of them is no class of its own
    counted = ids[case.counted]
    if len(counted) >= FEWEST and len(np.unique(counted)) == 1 and case.classes > 1:
        yield consistent("CE132", 0.6, f"all {len(counted)} targets that count are class {counted[0]}")


def _outside(case: Case, found: Labels, classes: int) -> Iterator[Suspect]:
    outside = found[(found < 0) | (found >= classes)]
    if not len(outside):
        return
    shown = ", ".join(map(str, outside[:LISTED].tolist())) + (", ..." if len(outside) > LISTED else "")
    said = f"labels run from {found[0]} to {found[-1]}; with {classes} classes they must lie in [0, {classes})"
    if found[0] >= 1 and outside.tolist() == [classes]:
        yield suspect("CE112", 0.985, f"{said}: consistent with 1-based labels.", ["class 0 does not occur"])
    elif set(outside.tolist()) <= set(USUAL_IGNORED):
        which = (
            f"{case.function.name} ignores {case.ignore_index}" if case.function is not None else "nothing is ignored"
        )
        yield suspect("CE113", 0.98, f"{shown} occurs among the labels: consistent with a value to ignore.", [which])
    else:
        yield suspect("CE114", 0.97, f"{said}; outside: {shown}.")


def _distributions(case: Case, dense: Rows) -> Iterator[Suspect]:
    if bool(np.isnan(dense).any()):
        yield suspect(
            "CE002", 0.99, f"{int(np.isnan(dense).any(axis=1).sum())} of {len(dense)} rows of targets hold nan."
        )
        return
    low, high = float(dense.min()), float(dense.max())
    if low < 0.0 and case.link == "softmax":
        yield suspect("CE136", 0.985, _negative(case, dense, low, high))
        return
    if low < 0.0 or (high > 1.0 and case.link == "sigmoid"):
        yield suspect("CE105", 0.985, f"the targets lie in [{compact(low)}, {compact(high)}], not in [0, 1].")
        return
    if case.link == "softmax" and dense.shape[1] > 1:
        sums = dense.sum(axis=1)
        if bool((abs(sums - 1.0) > SUM_TOLERANCE).any()):
            yield suspect("CE004", 0.96, f"rows of the targets sum to {between(sums.min(), sums.max())}, not 1.")
            return
    if len(dense) >= FEWEST and bool((dense == dense[0]).all()) and bool(((dense == 0.0) | (dense == 1.0)).all()):
        yield consistent("CE132", 0.6, f"all {len(dense)} targets are the same")


def _negative(case: Case, dense: Rows, low: float, high: float) -> str:
    said = f"the targets lie in [{compact(low)}, {compact(high)}], not in [0, 1]"
    if high > 0.0 or bool((abs(log_sum_exp(dense, 1)) > SUM_TOLERANCE).any()):
        return f"{said}."
    divergence = case.function is not None and case.function.divergence
    way = f"{case.function.name} takes them with log_target=True" if divergence and case.function else "give their exp"
    return f"{said}, and their exponentials sum to 1: these are log-probabilities; {way}."


def _impossible(case: Case) -> Iterator[Suspect]:
    losses = case.row_losses
    if losses is None or case.outputs is None or case.rows is None or case.dense is None:
        return
    infinite = losses == np.inf
    clipped = case.function is not None and np.isfinite(case.function.cap_nats)
    if not bool(infinite.any()) or (case.wants == "log_probs" and bool((case.outputs.values > 0.0).any())):
        return
    said = f"{int(infinite.sum())} of {len(infinite)} losses are infinite"
    masked = case.wants == "logits" and bool(((case.rows == -np.inf) & (case.dense > 0.0)).any())
    if masked:
        yield suspect("CE001", 1.0, f"{said}: the logit of the true class is -inf, as a mask puts it.")
    elif clipped and case.function is not None:
        share = float(infinite.mean())
        why = f"{share:.4g} of the rows gave the truth probability 0; {case.function.name} counts each as"
        yield consistent("CE110", 0.9, f"{why} {case.function.cap_nats:.4g}")
    else:
        # a finite loss of infinite rows was clipped: which clip it was, the rules of the batch may tell
        weight = 0.93 if case.level is None or not np.isfinite(case.level) else 0.88
        yield suspect("CE001", weight, f"{said}: the truth got probability 0.")
