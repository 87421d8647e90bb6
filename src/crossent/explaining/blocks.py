"""The blocks below the table: steps, baselines, decomposition, what ifs, checks; each a list of lines."""

import math

from crossent.explaining.digits import amount, compact, long_amount
from crossent.explaining.explanation import Explanation
from crossent.explaining.paper import Paper
from crossent.explaining.parts import Term
from crossent.explaining.table import LOG

ROAD = 18  # dashes from perfect to the worse of uniform and you, shared out to scale
VECTOR_MOST = 12  # numbers that still make a readable vector


def steps(explanation: Explanation, sheet: Paper) -> list[str]:
    """Formula, the numbers put in, the result."""
    shown = [explanation.terms[index] for index in explanation.shown]
    deep, deeper = " " * 10, " " * 14
    lines = sheet.wrap("Step by step", indent=" ")
    lines += sheet.wrap(f"H(p,q) = −Σ pᵢ {LOG[explanation.base]} qᵢ")
    others = "" if explanation.rest is None else f" + {explanation.rest.count} more"
    products = " + ".join(f"{compact(term.p)}·{_logarithm(explanation, term)}" for term in shown)
    lines += sheet.wrap(f"= −({products}{others})", indent=deep, hanging=deeper)
    lines += sheet.wrap(
        f"= {_last_step(explanation, shown)}{long_amount(explanation.loss)}", indent=deep, hanging=deeper
    )
    if any(term.p == 0.0 and math.isinf(term.surprisal) for term in shown):
        lines += sheet.wrap("0·log 0 counts as 0: what cannot happen costs nothing")
    return lines


def _logarithm(explanation: Explanation, term: Term) -> str:
    if explanation.kind == "probs":
        return f"{LOG[explanation.base]} {compact(term.q)}"
    # not the logarithm of q: exp underflows where the log-probability does not
    return f"({amount(0.0 - term.surprisal)})"


def _last_step(explanation: Explanation, shown: list[Term]) -> str:
    """Return what stands between the sum and its result, the equals sign at its end included."""
    if explanation.true_class is None:
        counted = [amount(term.contribution) for term in shown if term.p > 0.0]
        if explanation.rest is not None and explanation.rest.p > 0.0:
            counted.append(amount(explanation.rest.contribution))
        return " + ".join(counted) + " = " if len(counted) > 1 else ""
    true = explanation.terms[explanation.true_class]
    if explanation.kind == "probs":
        return f"−{_logarithm(explanation, true)} = "
    if explanation.log_normalizer_nats is not None and explanation.base == "e":
        normalizer, logit = amount(explanation.log_normalizer_nats), compact(true.given)
        return f"log Σ exp zⱼ − z = {normalizer} − {f'({logit})' if true.given < 0.0 else logit} = "
    return ""


def baselines(explanation: Explanation, sheet: Paper) -> list[str]:
    """A line from perfect to infinity with the uniform guess and you on it, and the verdict in words."""
    lines = sheet.wrap("How bad is that?", indent=" ")
    if not math.isnan(explanation.loss):
        lines += sheet.wrap(_road(explanation, sheet))
    return lines + sheet.wrap(f"{explanation.baselines.verdict} {explanation.baselines.guess_text}")


def _road(explanation: Explanation, sheet: Paper) -> str:
    uniform, you = explanation.baselines.uniform, explanation.loss
    stops = sorted([(uniform, f"uniform {amount(uniform)}"), (you, f"you {amount(you)}")])
    share = stops[0][0] / stops[1][0] if stops[1][0] > 0.0 else 0.5
    first = min(max(round(ROAD * share), 1), ROAD - 1)
    road = f"perfect 0 {'─' * first} {stops[0][1]} {'─' * (ROAD - first)} {stops[1][1]} {'─' * 10}▶ inf"
    if math.isinf(you):
        road = f"perfect 0 {'─' * ROAD} {stops[0][1]} {'─' * 10}▶ {stops[1][1]}"
    return road if len(road) + 3 <= sheet.width else f"perfect 0, {stops[0][1]}, {stops[1][1]}"


def decomposition(explanation: Explanation, sheet: Paper) -> list[str]:
    """The loss as floor and excess; the entropy of the prediction; the Jensen-Shannon divergence."""
    floor, excess = amount(explanation.entropy_target), amount(explanation.kl)
    split = f"H(p,q) = H(p) + KL(p‖q):   {amount(explanation.loss)} = {floor} + {excess}"
    lines = sheet.wrap("Where it comes from", indent=" ") + sheet.wrap(split)
    if explanation.target_kind == "soft":
        share = "" if explanation.floor_share is None else f", {explanation.floor_share:.0%} of the loss"
        lines += sheet.wrap(f"floor  H(p) = {floor}{share}: the target's own uncertainty, which no model beats")
        lines += sheet.wrap(f"excess KL = {excess}: what a better prediction could still save")
    nats, bits = amount(explanation.entropy_prediction_nats), amount(explanation.entropy_prediction_bits)
    lines += sheet.wrap(f"H(q) = {nats} nats = {bits} bits: how unsure the model itself is")
    lines += sheet.wrap(f"JS(p,q) = {amount(explanation.js_bits)} bits: 0 if p and q agree, 1 if they share no class")
    return lines


def unseen(explanation: Explanation, sheet: Paper) -> list[str]:
    """Another split of what the wrong classes got: the same loss, another gradient."""
    other = explanation.unseen
    if other is None:
        return []
    loss = amount(explanation.loss)
    free = (
        f"the other {compact(other.total)}"
        if explanation.true_class is not None
        else (f"the {compact(other.total)} where p = 0")
    )
    lines = sheet.wrap("What this loss does not see", indent=" ")
    lines += sheet.wrap(f"Any split of {free} costs {loss}; only the gradient changes:")
    if len(other.q) <= VECTOR_MOST:
        split = f"q = [{' '.join(compact(q) for q in other.q)}]"
    else:
        split = "split evenly:" if other.even else "all on one class:"
    gradient = f"|grad| {amount(other.grad_norm)} (yours: {amount(explanation.grad_norm)})"
    return lines + sheet.wrap(f"{split} loss {loss}, {gradient}")


def as_logits(explanation: Explanation, sheet: Paper) -> list[str]:
    """What softmax twice would report."""
    twice = explanation.as_logits
    if twice is None or math.isnan(twice.loss):
        return []
    text = f"it would report {amount(twice.loss)}"
    if twice.lowest is not None:
        text += f", never below {amount(twice.lowest)}"
    if twice.gradient_ratio is not None:
        if math.isinf(twice.gradient_ratio):
            text += ", with no gradient at all"
        elif twice.gradient_ratio >= 1.0:
            ratio = twice.gradient_ratio
            text += f", with {f'{ratio:.1f}' if ratio < 1000.0 else compact(ratio)}× weaker gradients"
    numbers = "this number" if len(explanation.terms) == 1 else "these numbers"
    return sheet.wrap(f"If {numbers} went into a function that expects logits", indent=" ") + sheet.wrap(text)


def checks(explanation: Explanation, sheet: Paper) -> list[str]:
    """The identities, those that hold in one breath, those that do not with both sides."""
    if not explanation.checks:
        return []
    lines = sheet.wrap("Checked", indent=" ")
    held = [check.name for check in explanation.checks if check.holds]
    if held:
        lines += sheet.wrap("holds: " + ";  ".join(held))
    for check in explanation.checks:
        if not check.holds:
            lines += sheet.wrap(f"does not hold: {check.name}: {compact(check.left)} against {compact(check.right)}")
    return lines
