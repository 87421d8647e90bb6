"""Rules for a bare number: which constant it is, how closely, and how likely that is next to the others."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from crossent.explaining.diagnosing import constants
from crossent.explaining.diagnosing.book import Suspect, consistent, of_probabilities
from crossent.explaining.diagnosing.case import Case
from crossent.explaining.diagnosing.curve import settled
from crossent.explaining.diagnosing.precision import shown
from crossent.explaining.digits import compact

EXACT = 2e-6  # relative: a float32 mean is no closer to its constant
COARSE = 5e-3  # a number written with so few digits matches too much to count as exact
FINE = 5e-4
NEAR = 0.02  # of a training run: within the noise of a batch (the rule book's +-2 %)
HISTORY_TRUST = 0.8  # a level read off a curve says a little less than a number copied with all its digits
TINY_NATS = 1e-5
SIMPLE = 12  # the largest denominator of a simple fraction
# below ln K most losses are ordinary: there only these denominators, and only of the usual clips
ROUND = (2, 3, 4, 5, 10)
USUAL_CLIP = 0.95  # the least prior of one
BARE_FLOOR = 2.5  # the class count not told: more than ten classes cost a model that knows nothing
OTHERS_SHOWN = 3


@dataclass(frozen=True)
class _Guess:
    code: str
    value: float
    what: str
    prior: float
    noisy: bool = False  # a training run comes near it, but not exactly
    fine: bool = False  # one of many such values: it takes four digits to tell it from its neighbours


def numbers(case: Case) -> Iterator[Suspect]:
    """Yield what the number alone is consistent with."""
    loss, tolerance, trust = case.level, case.unit_in_last_place, 1.0
    if loss is None:
        return
    if case.loss is None and case.history is not None:
        level = settled(case.history.losses)
        if level is None:
            return
        loss, tolerance, trust = level.value, max(level.error, 0.003 * abs(level.value)), HISTORY_TRUST
    if not math.isfinite(loss):
        yield from _not_finite(loss)
    elif loss <= 0.0:
        yield from _not_positive(case, loss)
    else:
        clips = []
        for guess in _narrowed(case, _guesses(case, loss)):
            closeness = _closeness(loss, guess, tolerance)
            if closeness and guess.code == "CE110":
                clips.append((trust * guess.prior * closeness, guess))
            elif closeness:
                yield _suspect(loss, guess, trust * guess.prior * closeness, case)
        if clips:
            yield _clip(case, loss, clips)
        yield from _shares_of_clips(case, loss, trust, tolerance)
        yield from _far_above(case, loss, trust)


def _closeness(loss: float, guess: _Guess, tolerance: float) -> float:
    distance = abs(loss - guess.value)
    coarse = FINE if guess.fine else COARSE
    if distance <= max(min(tolerance, coarse * guess.value), EXACT * guess.value):
        return 1.0
    if guess.noisy and distance <= NEAR * guess.value:
        return 0.6 if distance <= NEAR / 10 * guess.value else 0.4
    return 0.0


def _suspect(loss: float, guess: _Guess, weight: float, case: Case) -> Suspect:
    evidence = [_meets(loss, guess)]
    if case.classes is None:
        evidence.append("the class count was not given: it was guessed from the number")
    found = consistent(guess.code, weight, f"{shown(loss, 8)} is {guess.what}", evidence, [_ordinary(loss)])
    return of_probabilities(found) if guess.code == "CE005" and case.wants == "probs" else found


def _clip(case: Case, loss: float, clips: list[tuple[float, _Guess]]) -> Suspect:
    """Return one finding of all clips and shares that give this number: 3/4 at 1e-6 is 3/10 at 1e-15."""
    clips = sorted(clips, key=lambda one: -one[0])
    (weight, first), others = clips[0], [guess for _, guess in clips[1:]]
    why = f"{shown(loss, 8)} is {first.what}"
    if case.function is not None and math.isinf(case.function.cap_nats):
        why += f"; {case.function.name} itself clips nothing: a clip would lie before it"
    more = [f"and {len(others) - OTHERS_SHOWN} more such pairs"] * (len(others) > OTHERS_SHOWN)
    rivals = [_ordinary(loss), *(guess.what for guess in others[:OTHERS_SHOWN]), *more]
    return consistent("CE110", weight, why, [_meets(loss, first)], rivals)


def _meets(loss: float, guess: _Guess) -> str:
    distance = abs(loss / guess.value - 1.0)
    close = "to all digits given" if distance < EXACT or loss == guess.value else f"within {compact(100 * distance)} %"
    return f"{guess.what} = {guess.value:.6g}; {shown(loss, 8)} meets it {close}"


def _ordinary(loss: float) -> str:
    return f"an ordinary loss of {loss:.4g}, −log {compact(math.exp(-loss))}"


def _guesses(case: Case, loss: float) -> Iterator[_Guess]:
    if case.classes is not None:
        yield from _guesses_for(case.classes, case, 1.0)
    else:
        yield from _guesses_for(2, case, 0.9)
        for classes in constants.USUAL_CLASSES[1:]:
            # only exact matches: with the count free, 2 % would meet almost any number
            for guess in _guesses_for(classes, case, 0.85 if classes <= 10 or classes % 10 == 0 else 0.7):
                yield replace(guess, noisy=False, fine=True)
    for cap in constants.CAPS:
        yield _Guess(
            "CE110", cap.nats, f"the largest loss of a row clipped at {cap.clip} ({cap.where})", 0.9 * cap.prior
        )
        for part in _parts(case, loss, cap):
            for share in range(1, part):
                if math.gcd(share, part) == 1:
                    what = f"{share}/{part} of the rows impossible and clipped at {cap.clip} ({cap.where})"
                    yield _Guess("CE110", cap.nats * share / part, what, (0.55 - 0.02 * part) * cap.prior, fine=True)
        if case.frequencies is not None:
            for name, share in enumerate(case.frequencies):
                if 0.0 < share < 1.0:
                    what = f"the share of class {name}, {share:.6g}, clipped at {cap.clip} ({cap.where})"
                    yield _Guess("CE110", cap.nats * float(share), what, 0.95 * cap.prior)


def _parts(case: Case, loss: float, cap: constants.Cap) -> tuple[int, ...]:
    """Return the denominators of shares that are worth a guess: with all of them any number is near one."""
    if loss > _floor(case):
        return tuple(range(2, SIMPLE + 1))
    return ROUND if cap.prior >= USUAL_CLIP else ()


def _floor(case: Case) -> float:
    return math.log(case.classes) if case.classes is not None and case.classes > 1 else BARE_FLOOR


def _guesses_for(classes: int, case: Case, trust: float) -> Iterator[_Guess]:
    if classes < 2:
        return
    uniform, name = constants.uniform(classes), f"ln {classes}"
    low, high = constants.lowest_after_two_softmaxes(classes), constants.highest_after_two_softmaxes(classes)
    yield _Guess("CE101", uniform, f"{name}, a uniform guess", trust, noisy=True)
    yield _Guess(
        "CE005", low, f"ln(e + {classes - 1}) − 1, the lowest loss after two softmaxes", 0.95 * trust, noisy=True
    )
    yield _Guess("CE005", high, f"ln(e + {classes - 1}), the highest loss after two softmaxes", 0.7 * trust)
    for rank, smoothing in enumerate(constants.SMOOTHINGS):
        floor = constants.smoothing_floor(classes, smoothing)
        yield _Guess(
            "CE121",
            floor,
            f"H(p) of {classes} classes smoothed by {smoothing}",
            (0.85 - 0.1 * rank) * trust,
            noisy=rank == 0,
        )
    if case.frequencies is not None and len(case.frequencies) == classes:
        entropy = constants.entropy_of_frequencies(case.frequencies)
        yield _Guess("CE102", entropy, "the entropy of the class frequencies", 0.97 * trust, noisy=True)
    # the variants below are those of one class count: with the count free they would meet almost any number
    if case.classes is None:
        return
    yield _Guess("CE130", uniform / math.log(2.0), f"log2 {classes}, a uniform guess in bits", 0.7)
    if classes > 2:
        yield _Guess(
            "CE101", math.log(2.0), "ln 2, a binary loss per element whose every sigmoid says 0.5", 0.85, noisy=True
        )
        yield _Guess("CE101", classes * math.log(2.0), f"{classes} ln 2, a binary loss summed over the classes", 0.6)
        base = constants.binary_entropy(1 / classes)
        yield _Guess("CE102", base, f"a binary loss per element at the base rate 1/{classes}", 0.6)
    else:
        positive, negative = constants.LOWEST_SIGMOID_TWICE_POSITIVE, constants.LOWEST_SIGMOID_TWICE_NEGATIVE
        yield _Guess("CE103", positive, "ln(1 + 1/e), a certain yes after two sigmoids", 0.6)
        yield _Guess("CE103", negative, "ln 2, a certain no after two sigmoids", 0.4)
        yield _Guess("CE103", (positive + negative) / 2, "two sigmoids on balanced, certain and right answers", 0.8)
    for batch in constants.BATCH_SIZES:
        round_power = 0.5 if batch & (batch - 1) == 0 else 0.4
        yield _Guess(
            "CE117", batch * uniform, f"{batch} × {name}, a uniform guess summed over {batch} rows", round_power
        )
        yield _Guess(
            "CE118", uniform / batch, f"{name} / {batch}, a uniform guess divided by {batch} again", round_power
        )


def _narrowed(case: Case, guesses: Iterator[_Guess]) -> Iterator[_Guess]:
    """Weigh each guess by what the named function can do at all."""
    function = case.function
    for guess in guesses:
        factor = 1.0
        if function is not None:
            if guess.code == "CE005":
                factor = 0.0 if function.link == "sigmoid" or function.wants == "log_probs" else 1.0
                # from probabilities it takes a hand-made second softmax, or from_logits set by mistake
                factor = 0.3 if function.wants == "probs" and factor else factor
            elif guess.code == "CE103":
                factor = 1.25 if function.link == "sigmoid" and function.wants == "logits" else 0.0
            elif guess.code == "CE110":
                factor = 0.3 if math.isinf(function.cap_nats) else 0.4
                if f"{function.cap_nats:.4f}" in (
                    f"{cap.nats:.4f}" for cap in constants.CAPS if cap.clip in guess.what
                ):
                    factor = 1.05
            elif guess.code == "CE117":
                factor = 1.9 if function.reduction == "sum" else 1.0
            elif guess.code == "CE121":
                factor = 1.15 if function.smoothing else 1.0
        if factor:
            yield replace(guess, prior=guess.prior * factor)


def _shares_of_clips(case: Case, loss: float, trust: float, tolerance: float) -> Iterator[Suspect]:
    """Yield the weakest match: any share of impossible rows would do, so this one only says which shares they are."""
    floor = _floor(case)
    usual = [cap for cap in constants.CAPS if cap.prior >= USUAL_CLIP]
    if case.function is not None and math.isfinite(case.function.cap_nats):
        usual = [cap for cap in usual if math.isclose(cap.nats, case.function.cap_nats)] or usual
    if not 1.05 * floor < loss <= usual[-1].nats * 1.001 or (
        case.function is not None and case.function.wants == "logits"
    ):
        return
    shares = [f"{compact(100 * loss / cap.nats)} % at {cap.clip} ({cap.where})" for cap in usual if loss <= cap.nats]
    if not shares:
        return
    why = f"{shown(loss, 8)} is a share of impossible rows (a base rate, if the answers are hard) times −ln of a clip"
    evidence = ["the share that each clip would need: " + "; ".join(shares)]
    yield consistent("CE110", 0.38 * trust, why, evidence, [f"an ordinary loss of {loss:.4g}, worse than guessing"])


def _far_above(case: Case, loss: float, trust: float) -> Iterator[Suspect]:
    function = case.function
    if function is not None and (function.positive_weight or not function.told_in_full):
        return  # weighted losses are as large as their weights
    if case.classes is None:
        largest = constants.USUAL_CLASSES[-1]
        if loss > 1.5 * math.log(largest):
            why = f"{shown(loss, 6)} is more than a uniform guess costs over the largest vocabularies, ln {largest} = "
            why += f"{math.log(largest):.4g}"
            yield consistent("CE123", 0.3 * trust, why)
            yield consistent("CE117", 0.25 * trust, f"{why}, but not more than many rows together do")
        return
    if case.classes < 2 or loss <= 3.0 * math.log(case.classes):
        return
    ratio = loss / math.log(case.classes)
    why = f"{loss:.6g} is {compact(ratio)} times ln {case.classes} = {math.log(case.classes):.4g}"
    yield consistent("CE123", 0.3 * trust, why)
    yield consistent(
        "CE117", 0.25 * trust, f"{why}, which a batch of about {round(ratio)} rows would sum to at the start"
    )


def _not_finite(loss: float) -> Iterator[Suspect]:
    if math.isnan(loss):
        yield consistent("CE002", 0.8, "the loss is nan")
        yield consistent("CE107", 0.7, "a mean over no row is 0/0")
        yield consistent("CE108", 0.6, "a run that diverged ends in nan")
    elif loss > 0.0:
        yield consistent("CE001", 0.9, "−log 0 is infinite")
        yield consistent("CE109", 0.5, "an exponential that overflows makes the log-sum-exp infinite")
        yield consistent("CE108", 0.4, "a run that diverged may pass through inf")
    else:
        yield consistent("CE129", 0.6, "log 0, taken without the minus sign, is −inf")
        yield consistent("CE126", 0.5, "−z of the true class has no lower bound")


def _not_positive(case: Case, loss: float) -> Iterator[Suspect]:
    function = case.function
    if loss == 0.0:
        if math.copysign(1.0, loss) < 0.0:
            yield consistent("CE106", 0.9, "−0.0 is −(1 × log 1): a perfect prediction")
            return
        yield consistent("CE111", 0.8, "exactly 0 is what a softmax over one unit costs")
        yield consistent("CE132", 0.5, "exactly 0 is what always answering the only class costs")
        return
    size = f"{shown(loss, 6)} is below 0, where no cross-entropy of probabilities and targets in [0, 1] lies"
    if loss >= -TINY_NATS:
        yield consistent("CE106", 0.9, f"{shown(loss, 3)} is −log of a little more than 1")
        return
    binary = function is not None and function.link == "sigmoid"
    takes_logs = function is not None and function.wants == "log_probs"
    if loss >= -1.0:
        yield consistent(
            "CE104", 0.2 if binary else 0.9, f"{shown(loss, 6)} lies in [−1, 0], as −q of the true class does"
        )
    yield consistent("CE105", 0.95 if binary else 0.2 if takes_logs else 0.8 if loss < -1.0 else 0.5, size)
    yield consistent("CE126", 0.2 if binary else 0.9 if takes_logs else 0.7 if loss < -1.0 else 0.4, size)
    yield consistent("CE129", 0.45, size)
