"""What a reader should know about this input before trusting the number: codes, messages, advice."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crossent.explaining.digits import compact
from crossent.explaining.finding import Finding
from crossent.explaining.measuring import lowest_after_second_softmax, predict
from crossent.explaining.names import shorten
from crossent.explaining.parts import Kind
from crossent.explaining.reading import Given, Row, Rows
from crossent.explaining.targets import Target

CLIPS = (1e-7, 1e-15)  # the two that most losses in the wild come from: Keras, and older scikit-learn


@dataclass(frozen=True)
class _Seen:
    """One row that has the problem, and how many do."""

    row: int
    given: Row
    log_q: Row
    log_not_q: Row | None
    q: Row
    p: Row
    count: int


@dataclass(frozen=True)
class _Look:
    """Some rows side by side: what the tests below look at."""

    given: Rows
    log_q: Rows
    log_not_q: Rows | None
    q: Rows
    p: Rows
    tolerance: float


def find(
    given: Given, kind: Kind, target: Target, names: tuple[str, ...], counted: float, rows: int
) -> tuple[Finding, ...]:
    """Return the findings, the gravest first; `counted` is the denominator of the mean."""
    names = tuple(map(shorten, names))
    looks = list(_tests(kind, target))
    seen = _look_for(given, kind, target, [test for test, _ in looks])
    found = [_nothing_counted(counted, rows)] if rows == 0 or counted == 0.0 else []
    for (_, say), place in zip(looks, seen, strict=True):
        if place is not None:
            finding = say(place, kind, target, names)
            found.append(finding if given.single else _of_many(finding, place, rows))
    if target.kind == "multilabel":
        found.append(_several_labels(target))
    if given.classes == 1 and target.loss_kind == "categorical":
        found.append(_one_class(kind))
    return tuple(found)


Test = Callable[[_Look], NDArray[np.bool_]]
Say = Callable[[_Seen, Kind, Target, tuple[str, ...]], Finding]


def _tests(kind: Kind, target: Target) -> Iterator[tuple[Test, Say]]:
    yield (lambda look: np.asarray(np.isnan(look.log_q).any(axis=-1))), _not_a_number
    yield (lambda look: _rows_with(_impossible_places(look.log_q, look.log_not_q, look.p))), _impossible
    if target.loss_kind == "categorical":
        if kind != "logits":
            yield (lambda look: _off(look.q, look.tolerance)), _unnormalized_prediction
        yield (lambda look: _off(look.p, look.tolerance)), _unnormalized_target
        if kind == "logits" and target.classes > 1:
            yield _look_like_probabilities, _logits_like_probabilities


def _look_for(given: Given, kind: Kind, target: Target, tests: list[Test]) -> list[_Seen | None]:
    """Return for each test the first row that has the problem and the count of all that do."""
    seen: list[_Seen | None] = [None] * len(tests)
    for span in given.spans():
        prediction = predict(given.block(span), kind, target.loss_kind)
        look = _Look(
            given=prediction.given,
            log_q=prediction.log_q,
            log_not_q=prediction.log_not_q,
            q=prediction.q,
            p=target.block(span),
            tolerance=given.sum_tolerance,
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
                    log_not_q=None if look.log_not_q is None else look.log_not_q[row],
                    q=look.q[row],
                    p=look.p[row],
                    count=0,
                )
                seen[index] = _Seen(**{**vars(first), "count": first.count + len(hits)})
    return seen


def _rows_with(places: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.asarray(places.any(axis=-1))


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
    place = int(np.argmax(_impossible_places(seen.log_q, seen.log_not_q, seen.p)))
    p = compact(float(seen.p[place]))
    if seen.log_q[place] == -np.inf and seen.p[place] > 0.0:
        cause = " as its logit is −inf" if kind == "logits" and seen.given[place] == -np.inf else ""
        message = f"target {names[place]} has p = {p} but q = 0{cause}: −log 0 is infinite."
    else:
        message = f"target {names[place]} has p = {p} but q = 1: −log(1 − q) is infinite."
    advice = (
        "Not a bug in the formula: the model called the truth impossible. "
        "Packages disagree on what to print here, because many clip q first."
    )
    if target.labels is not None:
        # -log of the clip, in nats, whatever the base: this is what a reader would see elsewhere
        clips = ", ".join(f"{-math.log(clip):.3f} from a clip at {compact(clip)}" for clip in CLIPS)
        advice += f" They print −ln of the clip: {clips}."
    return Finding("CE001", "error", message, advice)


def _unnormalized_prediction(seen: _Seen, kind: Kind, target: Target, names: tuple[str, ...]) -> Finding:
    message = f"the prediction sums to {compact(math.fsum(seen.q))}, not 1 ({_deviation(seen.q)}); it was not rescaled."
    advice = "Every number here takes q as given. Divide by the sum if these are rounded probabilities"
    advice += '; if they are logits, set `kind` to "logits".' if kind == "probs" else "."
    return Finding("CE003", "warning", message, advice)


def _unnormalized_target(seen: _Seen, kind: Kind, target: Target, names: tuple[str, ...]) -> Finding:
    message = f"the target sums to {compact(math.fsum(seen.p))}, not 1 ({_deviation(seen.p)}); it was not rescaled."
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


def _nothing_counted(counted: float, rows: int) -> Finding:
    if rows == 0:
        return Finding(
            "CE008", "error", "there is no row: the mean of nothing is 0/0.", "Look at what selected the rows."
        )
    message = "the class weights of the targets sum to 0: the mean of nothing is 0/0."
    return Finding("CE008", "error", message, "Give a weight above 0 to a class that occurs, or use the sum.")


def _deviation(values: Row) -> str:
    return f"off by {math.fsum(values) - 1.0:+.3g}".replace("-", "−")
