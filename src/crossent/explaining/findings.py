"""What a reader should know about this input before trusting the number: codes, messages, advice."""

import math

import numpy as np

from crossent.explaining.digits import compact
from crossent.explaining.parts import Finding, Kind
from crossent.explaining.reading import Row, Target
from crossent.explaining.what_ifs import lowest_after_second_softmax

# A float32 probability is rounded by 2**-25 of itself and a good softmax adds a few ulp: 1e-6 is 16 times that.
SUM_TOLERANCE = 1e-6


def sums_to_one(values: Row) -> bool:
    """Return whether the sum is 1 as far as float32 rounding can tell."""
    return abs(math.fsum(values) - 1.0) <= SUM_TOLERANCE


def find(kind: Kind, given: Row, log_q: Row, q: Row, target: Target, names: tuple[str, ...]) -> tuple[Finding, ...]:
    """Return the findings on one example, the gravest first."""
    found = [
        _not_a_number(given, log_q, names),
        _impossible(kind, given, log_q, target, names),
        _unnormalized_prediction(kind, q),
        _unnormalized_target(target),
        _logits_like_probabilities(kind, given),
    ]
    return tuple(finding for finding in found if finding is not None)


def _not_a_number(given: Row, log_q: Row, names: tuple[str, ...]) -> Finding | None:
    if not bool(np.isnan(log_q).any()):
        return None
    if bool(np.isnan(given).any()):
        cause = f"`prediction` has nan at class {names[int(np.argmax(np.isnan(given)))]}."
    elif bool((given == -np.inf).all()):
        cause = "every logit is −inf: softmax is 0/0."
    else:
        cause = f"{int((given == np.inf).sum())} logits are +inf: softmax is inf/inf."
    advice = "A nan says nothing about the model's quality; look for what made it, a step before this one."
    return Finding("CE002", cause, advice)


def _impossible(kind: Kind, given: Row, log_q: Row, target: Target, names: tuple[str, ...]) -> Finding | None:
    ruled_out = (log_q == -np.inf) & (target.p > 0.0)
    if not bool(ruled_out.any()):
        return None
    place = int(np.argmax(ruled_out))
    cause = " as its logit is −inf" if kind == "logits" and given[place] == -np.inf else ""
    message = f"target {names[place]} has p = {compact(target.p[place])} but q = 0{cause}: −log 0 is infinite."
    advice = (
        "Not a bug in the formula: the model called the truth impossible. "
        "Packages disagree on what to print here, because many clip q first."
    )
    if target.true_class is not None:
        # -log of the clip, in nats, whatever the base: this is what a reader would see elsewhere
        clips = ", ".join(f"{-math.log(clip):.3f} from a clip at {compact(clip)}" for clip in (1e-7, 1e-15))
        advice += f" They print −ln of the clip: {clips}."
    return Finding("CE001", message, advice)


def _unnormalized_prediction(kind: Kind, q: Row) -> Finding | None:
    if kind == "logits" or bool(np.isnan(q).any()) or sums_to_one(q):
        return None
    message = f"the prediction sums to {compact(math.fsum(q))}, not 1 ({_deviation(q)}); it was not rescaled."
    advice = "Every number here takes q as given. Divide by the sum if these are rounded probabilities"
    return Finding(
        "CE003", message, advice + ('; if they are logits, set `kind` to "logits".' if kind == "probs" else ".")
    )


def _unnormalized_target(target: Target) -> Finding | None:
    if sums_to_one(target.p):
        return None
    message = f"the target sums to {compact(math.fsum(target.p))}, not 1 ({_deviation(target.p)}); it was not rescaled."
    return Finding("CE004", message, "The loss and its gradient ∂L/∂z = q·Σp − p grow and shrink with that sum.")


def _logits_like_probabilities(kind: Kind, given: Row) -> Finding | None:
    if kind != "logits" or len(given) < 2 or bool((given < 0.0).any()) or not sums_to_one(given):
        return None
    lowest = lowest_after_second_softmax(len(given))
    advice = (
        'If they have been through softmax already, set `kind` to "probs". '
        f"Softmax twice keeps the loss of a hard label at {lowest:.3f} nats or more."
    )
    return Finding("CE005", "these logits are ≥ 0 and sum to 1, as probabilities do.", advice)


def _deviation(values: Row) -> str:
    return f"off by {math.fsum(values) - 1.0:+.3g}".replace("-", "−")
