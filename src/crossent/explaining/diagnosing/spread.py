"""Rules for how rows differ: all alike, near the class frequencies, or a few that are confidently wrong."""

import math
from collections.abc import Iterator

import numpy as np

from crossent.explaining.diagnosing.book import Suspect, consistent
from crossent.explaining.diagnosing.case import Case, Rows
from crossent.explaining.diagnosing.constants import uniform

FEWEST = 8  # rows that can be called alike
ALIKE = 1e-4  # largest difference of a probability between rows; a fresh network's rows differ by 0.01 and more
MANY = 100  # rows of which the worst hundredth is at least one
CONFIDENT_SHARE = 0.3  # of the loss in the worst hundredth of the rows
SURE = 0.9
FEWEST_WRONG = 2  # one confident error of 100 is bad luck


def probabilities(case: Case) -> Rows | None:
    """Return the counted rows as probabilities; None where they hold a nan or are none."""
    if case.log_q is None:
        return None
    rows = case.log_q if case.targets is None or len(case.counted) != len(case.log_q) else case.log_q[case.counted]
    q: Rows = np.exp(rows)
    return q if len(q) and bool(np.isfinite(q).all()) and bool((q <= 1.0 + 1e-3).all()) else None


def entropy_of_rows(case: Case) -> float | None:
    """Return the mean entropy of the predictions, in nats; of a sigmoid per element."""
    q = probabilities(case)
    if q is None:
        return None
    if case.link == "sigmoid":
        q = np.stack([q, np.clip(1.0 - q, 0.0, 1.0)], axis=-1)
    terms = np.where(q > 0.0, -q * np.log(q), 0.0)
    return abs(float(terms.sum(axis=-1).mean()))


def far_from_frequencies(case: Case) -> float | None:
    """Return the mean KL divergence from the class frequencies to the predictions, in nats; of a sigmoid per element."""
    q, p = probabilities(case), case.frequencies
    if q is None or p is None or q.shape[1] != len(p):
        return None
    if case.link == "sigmoid":
        q, p = np.stack([q, 1.0 - q], axis=-1), np.stack([p, 1.0 - p], axis=-1)
    terms = np.where(p > 0.0, p * (np.log(p) - np.log(q)), 0.0)
    return float(terms.sum(axis=-1).mean())


def spread(case: Case) -> Iterator[Suspect]:
    """Yield what the differences between rows say."""
    yield from _alike(case)
    yield from _confident_errors(case)


def rows_differ(case: Case) -> bool:
    """Return whether outputs are given and depend on the row."""
    q = probabilities(case)
    return q is not None and len(q) > 1 and float(np.ptp(q, axis=0).max()) > ALIKE


def _alike(case: Case) -> Iterator[Suspect]:
    q = probabilities(case)
    if q is None or len(q) < FEWEST or (case.link == "softmax" and q.shape[1] < 2):
        return
    if float(np.ptp(q, axis=0).max()) > ALIKE:
        return
    entropy = entropy_of_rows(case)
    top = math.log(2.0) if case.link == "sigmoid" else uniform(q.shape[1])
    said = f"all {len(q)} rows of the outputs are alike"
    evidence = [f"no probability differs by more than {ALIKE:g} between rows"]
    if entropy is not None and entropy >= 0.995 * top:
        yield consistent("CE101", 0.87, f"{said}, and uniform", evidence)
        return
    if case.frequencies is not None and case.link == "softmax" and case.frequencies.max() == 1.0:
        return  # one class: to say it always is right
    distance = far_from_frequencies(case)
    if distance is not None and distance < 0.05 + 1.0 / math.sqrt(len(q)):
        yield consistent("CE102", 0.9, f"{said}, and near the class frequencies", [*evidence, _kl_text(distance)])
    else:
        yield consistent("CE102", 0.6, f"{said}: they do not depend on the input", evidence)


def _kl_text(distance: float) -> str:
    return f"KL from the class frequencies to the outputs is {distance:.3g} nats"


def _confident_errors(case: Case) -> Iterator[Suspect]:
    losses, rows, dense = case.row_losses, case.rows, case.dense
    if case.link != "softmax" or losses is None or rows is None or dense is None or len(losses) < MANY:
        return
    entropy = entropy_of_rows(case)
    if entropy is None or not bool(np.isfinite(losses).all()) or losses.mean() <= 0.0:
        return
    accuracy = float((rows.argmax(axis=1) == dense.argmax(axis=1)).mean())
    worst = np.sort(losses)[-math.ceil(len(losses) / 100) :]
    share = float(worst.sum() / losses.sum())
    sure = (np.exp(case.log_q[case.counted]).max(axis=1) > SURE) if case.log_q is not None else np.zeros(0, bool)
    wrong = int((sure & (rows.argmax(axis=1) != dense.argmax(axis=1))).sum())
    mean = float(losses.mean())
    # a calibrated model pays on average what it says: H(q)
    if accuracy < 0.5 or share < CONFIDENT_SHARE or mean < 3.0 * entropy or wrong < FEWEST_WRONG:
        return
    why = f"the worst hundredth of {len(losses)} rows makes {share:.0%} of the loss at an accuracy of {accuracy:.1%}"
    evidence = [
        f"{wrong} rows are wrong at more than {SURE:g}",
        f"the loss is {mean:.4g}; a calibrated model as sure as this one would pay {entropy:.4g}",
    ]
    yield consistent("CE122", 0.72, why, evidence)
