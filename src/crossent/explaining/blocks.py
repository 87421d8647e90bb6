"""The blocks below the steps: baselines, decomposition, what ifs, checks; each a list of lines."""

import math

from crossent.explaining.digits import amount, compact, signed
from crossent.explaining.explanation import Explanation
from crossent.explaining.names import shorten
from crossent.explaining.paper import Paper, columns

ROAD = 18  # dashes from perfect to the worse of uniform and you, shared out to scale
VECTOR_MOST = 12  # numbers that still make a readable vector


def baselines(explanation: Explanation, sheet: Paper) -> list[str]:
    """A line from perfect to infinity with the uniform guess and you on it, and the verdict in words."""
    lines = sheet.wrap("How bad is that?", indent=" ")
    if not math.isnan(explanation.loss):
        lines += sheet.wrap(_road(explanation, sheet))
    lines += sheet.wrap(f"{explanation.baselines.verdict} {explanation.baselines.guess_text}".rstrip())
    prior = explanation.baselines.prior
    if prior is not None and not math.isnan(prior):
        text = f"Guessing the class frequencies ({explanation.baselines.prior_source}) costs {amount(prior)}"
        worse = explanation.baselines.prior_bits_worse
        if worse is not None and math.isfinite(worse):
            text += f": this is {abs(worse):.2f} bits {'worse' if worse > 0.0 else 'better'}"
        lines += sheet.wrap(text + ".")
    return lines


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
    if explanation.entropy_target > 0.0:
        share = "" if explanation.floor_share is None else f", {explanation.floor_share:.0%} of the loss"
        lines += sheet.wrap(f"floor  H(p) = {floor}{share}: the target's own uncertainty, which no model beats")
        lines += sheet.wrap(f"excess KL = {excess}: what a better prediction could still save")
    nats, bits = amount(explanation.entropy_prediction_nats), amount(explanation.entropy_prediction_bits)
    average = "" if explanation.batch is None else ", on average"
    lines += sheet.wrap(f"H(q) = {nats} nats = {bits} bits: how unsure the model itself is{average}")
    apart = ", 1 if they share no class" if explanation.loss_kind == "categorical" else ""
    return lines + sheet.wrap(f"JS(p,q) = {amount(explanation.js_bits)} bits: 0 if p and q agree{apart}{average}")


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
        lines += _packed(held, sheet)
    for check in explanation.checks:
        if not check.holds:
            lines += sheet.wrap(f"does not hold: {check.name}: {compact(check.left)} against {compact(check.right)}")
    if explanation.grad_check is not None:
        lines += sheet.wrap(f"∂L/∂z differs from finite differences of the loss by {amount(explanation.grad_check)}")
    return lines


def _packed(names: list[str], sheet: Paper) -> list[str]:
    """Return the identities that hold, as many on a line as fit whole."""
    if any(len("   holds: ;") + columns(sheet.write(name)) > sheet.width for name in names):
        return sheet.wrap(f"holds: {'; '.join(names)}")
    lines = ["   holds: " + sheet.write(names[0])]
    for name in map(sheet.write, names[1:]):
        if len(lines[-1]) + 3 + len(name) < sheet.width:
            lines[-1] += f";  {name}"
        else:
            lines[-1] += ";"
            lines.append(f"          {name}")
    return lines


def small_steps(explanation: Explanation, sheet: Paper) -> list[str]:
    """What a small step on the true class does to the loss."""
    step = explanation.sensitivity
    if step is None or not math.isfinite(explanation.loss):
        return []
    name = shorten(explanation.terms[step.index].name)
    raised = f"logit + 0.1: {amount(step.loss_if_logit_raised)}"
    if step.loss_if_prob_raised is not None:
        raised += f"; q + 0.01: {amount(step.loss_if_prob_raised)}"
    return sheet.wrap(f"A small step on class {name}", indent=" ") + sheet.wrap(
        f"{raised} (now {amount(explanation.loss)})"
    )


def other_losses(explanation: Explanation, sheet: Paper) -> list[str]:
    """The same numbers under binary cross-entropy and under squared error."""
    binary, squared = explanation.as_bce, explanation.as_mse
    if math.isnan(explanation.loss):
        return []
    lines = sheet.wrap("The same numbers under other losses", indent=" ")
    if explanation.loss_kind == "categorical":
        per = f"{amount(binary.mean)} per class, {amount(binary.sum)} in all"
        lines += sheet.wrap(f"binary cross-entropy, a sigmoid per class: {per}")
    text = f"squared error: {amount(squared.mean)} per class, {amount(explanation.brier)} in all (Brier)"
    if squared.grad_true is not None and explanation.true_class is not None:
        own = signed(explanation.terms[explanation.true_class].grad_logit)
        text += f"; its slope in the true logit is {signed(squared.grad_true)}, here it is {own}"
    return lines + sheet.wrap(text)
