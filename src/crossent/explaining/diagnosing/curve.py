"""Rules for a loss history: where it is flat, where it jumps, which line it never crosses."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from crossent.explaining.diagnosing import constants
from crossent.explaining.diagnosing.batch import reproduced
from crossent.explaining.diagnosing.book import Suspect, consistent, suspect
from crossent.explaining.diagnosing.case import Case
from crossent.explaining.diagnosing.history import Series
from crossent.explaining.diagnosing.precision import shown
from crossent.explaining.diagnosing.spread import entropy_of_rows, far_from_frequencies, rows_differ

FLAT = 0.02  # relative drift over the whole run that a person would call flat
NEAR = 0.02  # the rule book's +-2 % around ln K
SWAYS = 0.05  # relative: how much the last quarter of a curve may move where the outputs tell the rest
SHORTEST = 4  # values that make a curve
BELOW_ZERO = -1e-5  # less than that is rounding
SAME = 1e-6  # relative: a float32 loss that was computed again
FINE_PRINT = 1e-3  # relative: a curve written with coarser digits may move between them
FEWEST_ROWS = 8
MANY_ROWS = 16  # a wrong denominator of fewer rows is too small a factor
SAME_BATCH = 1e-3  # relative: the last loss is that of this very batch, but for its denominator
FRESH = (0.8, 1.5)  # times ln K: where the first loss of a fresh network lies


@dataclass(frozen=True)
class Level:
    """Where the second half of a curve stands, and the standard error of that."""

    value: float
    error: float


def settled(losses: Series) -> Level | None:
    """Return the level of the second half, or None where it still moves or is too short."""
    if len(losses) < 2 or not bool(np.isfinite(losses).all()):
        return None
    half = losses[len(losses) // 2 :]
    first, last = half[: (len(half) + 1) // 2], half[len(half) // 2 :]
    noise = float(np.std(np.diff(half))) / math.sqrt(2.0) if len(half) > 2 else 0.0
    error = noise / math.sqrt(max(1, len(half) // 2))
    level = float(half.mean())
    moved = abs(float(first.mean()) - float(last.mean()))
    # a noisy curve settles later: beyond 5 % it is anything but flat, whatever the noise
    if moved > min(max(FLAT / 2 * abs(level), 3.0 * error), 0.05 * abs(level)):
        return None
    return Level(level, error)


def flat(losses: Series) -> Level | None:
    """Return the level of a curve that goes nowhere from its start, or None."""
    if len(losses) < SHORTEST or not bool(np.isfinite(losses).all()):
        return None
    quarters = [float(part.mean()) for part in np.array_split(losses, 4)]
    noise = float(np.std(np.diff(losses))) / math.sqrt(2.0)
    error = noise / math.sqrt(len(losses) / 4)
    level = float(losses.mean())
    if max(quarters) - min(quarters) > min(max(FLAT * abs(level), 3.0 * error), 0.1 * abs(level)):
        return None
    if abs(float(losses[0]) - level) > max(0.1 * abs(level), 4.0 * noise):
        return None
    return Level(level, noise / math.sqrt(len(losses)))


def curve(case: Case) -> Iterator[Suspect]:
    """Yield what the history says; where outputs are given, only what agrees with them."""
    if case.history is None:
        return
    losses = case.history.losses
    if not bool(np.isfinite(losses).all()):
        yield from _broken(case, losses)
        return
    if len(losses) > 1:
        yield from _below_zero(case, losses)
        yield from _stuck(case, losses)
        yield from _prior(case, losses)
        yield from _band_of_two_softmaxes(case, losses)
        yield from _rising(case, losses)
        yield from _overfit(case)
    yield from _scale(case, losses)


def _broken(case: Case, losses: Series) -> Iterator[Suspect]:
    place = int(np.argmax(~np.isfinite(losses)))
    value = losses[place]
    said = f"step {place + 1} of {len(losses)} is {value}"
    if place > 0 and bool(np.isfinite(losses[place + 1 :]).any()):
        # it recovers: a few batches are at fault, not the weights
        why = f"{said}, and later steps are finite again"
        yield consistent("CE107" if math.isnan(value) else "CE001", 0.85, why)
        return
    if place == 0:
        if math.isnan(value):
            yield consistent("CE002", 0.8, said)
            yield consistent("CE107", 0.6, said)
        else:
            yield consistent("CE001", 0.8, said)
        return
    if losses[:place].min() < BELOW_ZERO:
        # it broke because it fell without end
        yield from _below_zero(case, losses[:place])
        return
    before = losses[max(0, place - 3) : place]
    evidence = [f"the steps before: {', '.join(f'{loss:.4g}' for loss in before)}"]
    half = case.outputs is not None and case.outputs.dtype == "float16"
    if half and losses[place - 1] <= 1.5 * losses[0]:
        yield consistent("CE109", 0.98, f"{said}, out of a calm curve, and the outputs are float16", evidence)
    yield suspect("CE108", 0.97, f"the loss was finite for {place} steps; {said}: divergence.", evidence)


def _below_zero(case: Case, losses: Series) -> Iterator[Suspect]:
    lowest = float(losses.min())
    if lowest >= BELOW_ZERO:
        if bool((losses == 0.0).all()):
            yield consistent("CE111", 0.8, f"the loss is exactly 0 from the start, {len(losses)} steps long")
        return
    said = f"the loss goes from {shown(losses[0])} down to {shown(lowest)}"
    if case.wants == "logits" and case.dense is not None and 0.0 <= case.dense.min() <= case.dense.max() <= 1.0:
        # outputs and targets are in their domains: what is left is a sign
        yield consistent("CE129", 0.9, said, ["the targets given lie in [0, 1]"])
        return
    binary = case.function is not None and case.function.link == "sigmoid"
    takes_logs = case.function is not None and case.function.wants == "log_probs"
    if lowest >= -1.0:
        yield consistent("CE104", 0.2 if binary else 0.85, f"{said}, within [−1, 0] as −q of the true class is")
    yield consistent("CE105", 0.85 if binary else 0.5, said)
    yield consistent("CE126", 0.8 if takes_logs and lowest < -1.0 else 0.45, said)
    yield consistent("CE129", 0.7 if losses[0] < 0.0 and not takes_logs and not binary and lowest < -1.0 else 0.4, said)


def _stuck(case: Case, losses: Series) -> Iterator[Suspect]:
    level = flat(losses)
    constant = len(losses) > 2 and float(np.ptp(losses)) <= SAME * abs(float(losses.mean())) and losses[0] != 0.0
    assert case.history is not None
    constant = constant and case.history.unit_in_last_place <= FINE_PRINT * abs(float(losses[0]))
    if level is None and not constant:
        return
    value = float(losses.mean())
    said = f"{len(losses)} steps stay at {value:.4g}"
    uniform = _uniform(case)
    at_uniform = uniform is not None and abs(value / uniform - 1.0) <= NEAR
    if constant and not (at_uniform and not rows_differ(case)):
        yield consistent("CE127", 0.86, f"{said}, the same to all digits: nothing is updated")
    entropy = entropy_of_rows(case)
    if uniform is not None and at_uniform and (entropy is None or entropy >= 0.9 * uniform):
        evidence = [f"a uniform guess costs {uniform:.4g}"]
        if entropy is not None:
            evidence.append(f"the outputs' own entropy is {entropy:.4g} on average")
        yield consistent("CE101", 0.8, said, evidence)
    elif not constant and value > 0.5 * (uniform or math.inf):
        yield consistent("CE127", 0.35, f"{said}, without a trend")


def _prior(case: Case, losses: Series) -> Iterator[Suspect]:
    frequencies, distance = case.frequencies, far_from_frequencies(case)
    if frequencies is None or case.classes is None or len(losses) < SHORTEST:
        return
    level = settled(losses)
    if level is None and distance is not None and len(losses) >= 2 * SHORTEST:
        # outputs near the frequencies say the same of a curve that still sways
        tail = losses[-(len(losses) // 4) :]
        level = Level(float(tail.mean()), 0.0) if np.ptp(tail) <= SWAYS * tail.mean() else None
    if level is None:
        return
    entropy = prior_entropy(case)
    rows = 1e9 if case.counts is not None else max(1, int(case.counted.sum()))
    # frequencies of few rows are themselves uncertain: their entropy by about 1/sqrt(rows)
    allowed = 0.02 * entropy + 2.0 * level.error + 0.5 / math.sqrt(rows)
    uniform = _uniform(case)
    # counted on few rows, balanced classes look unbalanced: their entropy is too small by (K - 1)/(2 rows)
    by_chance = 1.5 * (case.classes - 1) / (2.0 * rows)
    if uniform is None or entropy <= 0.0 or uniform - entropy < 0.02 * uniform + by_chance:
        return
    if abs(level.value - entropy) > min(allowed, uniform - entropy):
        return
    if distance is not None and distance > 0.15 * entropy + 0.5 / math.sqrt(rows):
        return
    why = f"the loss settles at {level.value:.4g}, and the class frequencies have the entropy {entropy:.4g}"
    evidence = [] if distance is None else [f"the outputs are {distance:.3g} nats from these frequencies on average"]
    yield consistent("CE102", 0.85, why, evidence)


def _band_of_two_softmaxes(case: Case, losses: Series) -> Iterator[Suspect]:
    if case.outputs is not None or case.classes is None or case.classes < 2:
        return
    if case.function is not None and (case.function.link == "sigmoid" or case.function.wants != "logits"):
        return
    low = constants.lowest_after_two_softmaxes(case.classes)
    high = constants.highest_after_two_softmaxes(case.classes)
    level = settled(losses)
    if level is None or not low * 0.999 <= losses.min() <= losses.max() <= high * 1.001 or level.value > 1.03 * low:
        return
    why = f"the loss settles at {level.value:.4g} and never leaves [{low:.4g}, {high:.4g}], the band of two softmaxes"
    yield consistent("CE005", 0.85, why)


def _rising(case: Case, losses: Series) -> Iterator[Suspect]:
    if len(losses) < SHORTEST or losses.min() < BELOW_ZERO:
        return
    start, end = float(losses[: max(1, len(losses) // 4)].mean()), float(losses[-max(1, len(losses) // 4) :].mean())
    if end > 1.5 * max(start, float(losses[0])) and end > 1e-3:
        yield consistent("CE128", 0.82, f"the loss rises from {losses[0]:.4g} to {losses[-1]:.4g}")


def _overfit(case: Case) -> Iterator[Suspect]:
    assert case.history is not None
    history = case.history
    validation = history.validation
    if validation is None or len(validation) < SHORTEST or not bool(np.isfinite(validation).all()):
        return
    best = int(np.argmin(validation))
    if validation[-1] < 1.1 * validation[best] or history.losses[-1] > history.losses[0]:
        return
    why = f"the validation loss was least at step {best + 1} of {len(validation)}, {validation[best]:.4g}, and ends at {validation[-1]:.4g}"
    accuracy = history.accuracy
    if accuracy is not None and len(accuracy) == len(validation) and accuracy[-1] >= accuracy[best]:
        evidence = [f"the accuracy went from {accuracy[best]:.3g} to {accuracy[-1]:.3g} meanwhile"]
        yield consistent("CE122", 0.8, f"{why}, while accuracy did not fall", evidence)
    else:
        yield consistent("CE134", 0.8, why)


def _scale(case: Case, losses: Series) -> Iterator[Suspect]:
    """Compare the size of the loss with ln K at the start, and with the batch at the end."""
    outputs = case.outputs
    rows = None if outputs is None or not outputs.complete or case.loss is not None else case.row_losses
    if rows is not None and len(rows) >= FEWEST_ROWS and bool(np.isfinite(rows).all()) and losses[-1] > 0.0:
        other = _other_denominator(case, losses, rows)
        if other is not None:
            yield other
            return
    uniform = _uniform(case)
    if uniform is None or _declared_sum(case) or losses[0] <= 3.0 * uniform or case.wants == "probs":
        return
    ratio = float(losses[0]) / uniform
    batch = min(constants.BATCH_SIZES, key=lambda size: abs(math.log(ratio / size)))
    why = f"the first loss is {losses[0]:.4g}, {ratio:.3g} times the {uniform:.4g} of a uniform guess"
    yield consistent("CE123", 0.6, why)
    if reproduced(case):
        return  # the rows give this loss as their mean
    near = abs(ratio / batch - 1.0) < 0.05 and rows is None
    yield consistent("CE117", 0.65 if near else 0.35, f"{why}: near a batch of {batch} rows, summed")


def _other_denominator(case: Case, losses: Series, rows: Series) -> Suspect | None:
    """Return what the last loss is of these rows, if not their mean.

    It is that of another batch, and near convergence one batch costs eight times another: a ratio of the two proves
    nothing. So the start of the curve must fit, too, or the last loss be that of these very rows.
    """
    mean, count, uniform = float(rows.mean()), len(rows), _uniform(case)
    if mean <= 0.0 or _declared_sum(case):
        return None
    for code, factor, how in (
        ("CE117", float(count), f"the sum of these {count} rows, {mean * count:.4g}, not their mean"),
        ("CE118", 1.0 / count, f"the mean of these rows, {mean:.4g}, divided by {count} again"),
    ):
        fit = float(losses[-1]) / (mean * factor)
        exact = count >= MANY_ROWS and abs(fit - 1.0) <= SAME_BATCH
        start = 0.0 if uniform is None else float(losses[0]) / (uniform * factor)
        if exact or (0.5 < fit < 2.0 and FRESH[0] <= start <= FRESH[1]):
            evidence = (
                [] if exact else [f"the first loss, {losses[0]:.4g}, is {start:.3g} times that of a uniform guess"]
            )
            near = "is" if exact else "is near"
            return consistent(code, 0.7, f"the last loss {losses[-1]:.4g} {near} {how}", evidence)
    return None


def _declared_sum(case: Case) -> bool:
    return case.function is not None and case.function.reduction == "sum"


def _uniform(case: Case) -> float | None:
    if case.function is not None and (case.function.positive_weight or not case.function.told_in_full):
        return None  # weighted losses start anywhere
    by_ids = case.link == "softmax" and (case.targets is None or case.targets.labels is not None)
    if case.class_weight is not None and not by_ids:
        return None  # only a mean over class ids divides by the weights again
    if case.link == "sigmoid" or (case.function is not None and case.function.link == "sigmoid"):
        return math.log(2.0)
    return math.log(case.classes) if case.classes is not None and case.classes > 1 else None


def prior_entropy(case: Case) -> float:
    """Return the loss of a model that has learnt only the class frequencies."""
    assert case.frequencies is not None
    if case.link == "sigmoid" and case.counts is None:
        return float(np.mean([constants.binary_entropy(float(share)) for share in case.frequencies]))
    return constants.entropy_of_frequencies(case.frequencies)
