"""What a reader should know about this input before trusting the number: codes, messages, advice."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from crossent.definitions.softmax_cross_entropy import smoothed
from crossent.explaining.digits import compact
from crossent.explaining.finding import Finding
from crossent.explaining.measuring import Weighing, lowest_after_second_softmax, predict
from crossent.explaining.names import shorten
from crossent.explaining.parts import Kind, Reduction
from crossent.explaining.reading import Given, Row, Rows
from crossent.explaining.targets import Target

PAGE = "docs/findings.md"
CLIPS = (1e-7, 1e-15)  # the two that most losses in the wild come from: Keras, and older scikit-learn


@dataclass(frozen=True)
class _Seen:
    """One row that has the problem, and how many do."""

    row: int
    given: Row
    log_q: Row
    q: Row
    target: Row  # as it came
    p: Row  # after label smoothing
    impossible: NDArray[np.bool_]  # the classes that the target counts and the prediction rules out
    plain: bool  # one row, neither smoothed nor weighted: where the target is certain, the loss is -log q of it
    count: int


@dataclass(frozen=True)
class _Look:
    """Some rows side by side: what the tests below look at."""

    given: Rows
    log_q: Rows
    q: Rows
    target: Rows
    p: Rows
    impossible: NDArray[np.bool_]
    tolerance: float
    target_tolerance: float


def find(
    given: Given,
    kind: Kind,
    target: Target,
    names: tuple[str, ...],
    weighing: Weighing,
    reduction: Reduction,
    counted: float,
    weights: float,
) -> tuple[Finding, ...]:
    """Return the findings, the gravest first; `counted` is the mean's denominator, `weights` all that any class costs."""
    names, rows = tuple(map(shorten, names)), len(given.values)
    looks = list(_tests(kind, target))
    seen = _look_for(given, kind, target, weighing, [test for test, _ in looks])
    empty = rows == 0 or (weights if reduction == "sum" else counted) == 0.0
    found = [_nothing_counted(reduction, rows)] if empty else []
    for (_, say), place in zip(looks, seen, strict=True):
        if place is not None:
            finding = say(place, kind, target, names)
            found.append(finding if given.single else _of_many(finding, place, rows))
    if target.kind == "multilabel":
        found.append(_several_labels(target))
    if given.classes == 1 and target.loss_kind == "categorical":
        found.append(_one_class(kind))
    return tuple(replace(finding, see=f"{PAGE}#{finding.code.lower()}") for finding in found)


Test = Callable[[_Look], NDArray[np.bool_]]
Say = Callable[[_Seen, Kind, Target, tuple[str, ...]], Finding]


def _tests(kind: Kind, target: Target) -> Iterator[tuple[Test, Say]]:
    yield (lambda look: np.asarray(np.isnan(look.log_q).any(axis=-1))), _not_a_number
    yield (lambda look: np.asarray(look.impossible.any(axis=-1))), _impossible
    if target.loss_kind == "categorical":
        if kind != "logits":
            yield (lambda look: _off(look.q, look.tolerance)), _unnormalized_prediction
        yield (lambda look: _off(look.target, look.target_tolerance)), _unnormalized_target
        if kind == "logits" and target.classes > 1:
            yield _look_like_probabilities, _logits_like_probabilities


def _look_for(given: Given, kind: Kind, target: Target, weighing: Weighing, tests: list[Test]) -> list[_Seen | None]:
    """Return for each test the first row that has the problem and the count of all that do."""
    seen: list[_Seen | None] = [None] * len(tests)
    # a class of weight 0 costs nothing, whatever it got
    counts = np.ones(target.classes, dtype=bool) if weighing.weight is None else weighing.weight > 0.0
    for span in given.spans():
        prediction = predict(given.block(span), kind, target.loss_kind)
        truth = target.block(span)
        p = smoothed(truth, weighing.smoothing) if weighing.smoothing else truth
        look = _Look(
            given=prediction.given,
            log_q=prediction.log_q,
            q=prediction.q,
            target=truth,
            p=p,
            impossible=counts & _impossible_places(prediction.log_q, prediction.log_not_q, p),
            tolerance=given.sum_tolerance,
            target_tolerance=target.sum_tolerance,
        )
        for index, test in enumerate(tests):
            hits = np.flatnonzero(test(look))
            before = seen[index]
            if len(hits):
                row = int(hits[0])
                first = before or _Seen(
                    row=span.start + row,
                    given=look.given[row],
                    log_q=look.log_q[row],
                    q=look.q[row],
                    target=look.target[row],
                    p=look.p[row],
                    impossible=look.impossible[row],
                    plain=given.single and not weighing.smoothing and weighing.weight is None,
                    count=0,
                )
                seen[index] = _Seen(**{**vars(first), "count": first.count + len(hits)})
    return seen


def _off(values: Rows, tolerance: float) -> NDArray[np.bool_]:
    return np.asarray(np.abs(values.sum(axis=-1) - 1.0) > tolerance)  # a nan is another finding


def _impossible_places(log_q: Rows, log_not_q: Rows | None, p: Rows) -> NDArray[np.bool_]:
    places = (log_q == -np.inf) & (p > 0.0)
    return np.asarray(places if log_not_q is None else places | ((log_not_q == -np.inf) & (p < 1.0)))


def _look_like_probabilities(look: _Look) -> NDArray[np.bool_]:
    return np.asarray((look.given >= 0.0).all(axis=-1) & ~_off(look.given, look.tolerance))


def _of_many(finding: Finding, seen: _Seen, rows: int) -> Finding:
    share = "the only row" if rows == 1 else f"{seen.count} of {rows} rows, first in row {seen.row}"
    return Finding(finding.code, finding.severity, f"{share}: {finding.message}", finding.advice, finding.evidence)


def _not_a_number(seen: _Seen, kind: Kind, target: Target, names: tuple[str, ...]) -> Finding:
    given = seen.given
    if bool(np.isnan(given).any()):
        cause = f"`prediction` has nan at class {names[int(np.argmax(np.isnan(given)))]}."
    elif bool((given == -np.inf).all()):
        cause = "every logit is −inf: softmax is 0/0."
    else:
        cause = f"{int((given == np.inf).sum())} logits are +inf: softmax is inf/inf."
    advice = "A nan says nothing about the model's quality; look for what made it, a step before this one."
    return Finding("CE002", "error", cause, advice)


def _impossible(seen: _Seen, kind: Kind, target: Target, names: tuple[str, ...]) -> Finding:
    place = int(np.argmax(seen.impossible))
    p = compact(float(seen.p[place]))
    if seen.log_q[place] == -np.inf and seen.p[place] > 0.0:
        cause = " as its logit is −inf" if kind == "logits" and seen.given[place] == -np.inf else ""
        message = f"target {names[place]} has p = {p} but q = 0{cause}: −log 0 is infinite."
    else:
        message = f"target {names[place]} has p = {p} but q = 1: −log(1 − q) is infinite."
    if seen.target[place] != seen.p[place] and seen.target[place] in (0.0, 1.0):
        message += " That p is what label smoothing made of the target."
    advice = (
        "Not a bug in the formula: the model called the truth impossible. "
        "Packages disagree on what to print here, because many clip q first."
    )
    if target.labels is not None:
        # -log of the clip, in nats, whatever the base: this is what a reader would see elsewhere
        clips = ", ".join(f"{-math.log(clip):.3f} from a clip at {compact(clip)}" for clip in CLIPS)
        what = "They print −ln of the clip" if seen.plain else "For such a class they count its p times −ln of the clip"
        advice += f" {what}: {clips}."
    return Finding("CE001", "error", message, advice)


def _unnormalized_prediction(seen: _Seen, kind: Kind, target: Target, names: tuple[str, ...]) -> Finding:
    message = f"the prediction sums to {compact(math.fsum(seen.q))}, not 1 ({_deviation(seen.q)}); it was not rescaled."
    advice = "Every number here takes q as given. Divide by the sum if these are rounded probabilities"
    advice += '; if they are logits, set `kind` to "logits".' if kind == "probs" else "."
    return Finding("CE003", "warning", message, advice)


def _unnormalized_target(seen: _Seen, kind: Kind, target: Target, names: tuple[str, ...]) -> Finding:
    message = (
        f"the target sums to {compact(math.fsum(seen.target))}, not 1 ({_deviation(seen.target)}); it was not rescaled."
    )
    return Finding(
        "CE004", "warning", message, "The loss and its gradient ∂L/∂z = q·Σp − p grow and shrink with that sum."
    )


def _logits_like_probabilities(seen: _Seen, kind: Kind, target: Target, names: tuple[str, ...]) -> Finding:
    lowest = lowest_after_second_softmax(len(names))
    advice = (
        'If they have been through softmax already, set `kind` to "probs". '
        f"Softmax twice keeps the loss of a hard label at {lowest:.3f} nats or more."
    )
    return Finding("CE005", "warning", "these logits are ≥ 0 and sum to 1, as probabilities do.", advice)


def _several_labels(target: Target) -> Finding:
    message = "the target is 0s and 1s that do not sum to 1, so each class was read as a yes or no of its own."
    advice = (
        "The loss is binary cross-entropy, one sigmoid per class, summed over the classes. "
        "If one class is the answer and the truth is shared, write shares that sum to 1: 0.5 0.5 0."
    )
    return Finding("CE006", "note", message, advice)


def _one_class(kind: Kind) -> Finding:
    message = "there is one class: softmax gives it 1 whatever its logit, so this loss is 0 for ever."
    advice = "A yes or no from a single output needs a sigmoid and binary cross-entropy, or two outputs."
    return Finding("CE007", "warning", message, advice)


def _nothing_counted(reduction: Reduction, rows: int) -> Finding:
    if rows == 0:
        what = "the mean of nothing is 0/0" if reduction == "mean" else "the sum of nothing is 0"
        return Finding("CE008", "error", f"there is no row: {what}.", "Look at what selected the rows.")
    if reduction == "sum":
        message = "the class weights of the targets are all 0: nothing counts, so the sum is 0 whatever is predicted."
        return Finding("CE008", "warning", message, "Give a weight above 0 to a class that occurs.")
    message = "the class weights of the targets sum to 0: the mean of nothing is 0/0."
    return Finding("CE008", "error", message, "Give a weight above 0 to a class that occurs, or use the sum.")


def _deviation(values: Row) -> str:
    return f"off by {math.fsum(values) - 1.0:+.3g}".replace("-", "−")
