"""Formula, the numbers put in, the result: the first block below the table, and the same lines in LaTeX."""

import math
from dataclasses import dataclass

from crossent.explaining.digits import amount, compact, long_amount
from crossent.explaining.explanation import Explanation
from crossent.explaining.paper import Paper
from crossent.explaining.parts import Term
from crossent.explaining.table import LOG
from crossent.explaining.words import UNITS

WIDTH_TO_ALIGN = 40
LARGEST_SHOWN = 1e6  # beyond it a number has no room for the decimals of the loss
UNDERFLOW_NOTE = "0·log 0 counts as 0: what cannot happen costs nothing"


@dataclass(frozen=True)
class Steps:
    """Three lines of one derivation: left side, and each right side after its equals sign."""

    left: str
    formula: str
    substituted: str  # empty for a plain sum
    result: str
    note: str  # empty where nothing needs to be said


def derive(explanation: Explanation) -> Steps:
    """Return the derivation of the loss, in the signs of mathematics."""
    shown = [explanation.terms[index] for index in explanation.shown]
    log = LOG[explanation.base]
    if explanation.batch is not None:
        batch = explanation.batch
        if explanation.reduction == "sum":
            return Steps("L", "Σ over the rows of H(p,q)", "", _units(explanation), "")
        return Steps(
            left="L",
            formula="Σ over the rows of H(p,q) / N",
            substituted=f"{amount(batch.total)} / {compact(batch.denominator)}",
            result=_units(explanation),
            note=f"N is {batch.denominator_rule}",
        )
    weights = "wᵢ " if explanation.weighted else ""
    over = "" if explanation.denominator == 1.0 else f" / {compact(explanation.denominator)}"
    others = "" if explanation.rest is None else f" + {explanation.rest.count} more"
    products = " + ".join(_product(explanation, term) for term in shown)
    binary = explanation.loss_kind == "binary"
    total = f"Σ {weights}(pᵢ {log} qᵢ + (1 − pᵢ) {log}(1 − qᵢ))" if binary else f"Σ {weights}pᵢ {log} qᵢ"
    zero = not binary and any(term.p == 0.0 and math.isinf(term.surprisal) for term in shown)
    return Steps(
        left="L" if binary or explanation.weighted else "H(p,q)",
        formula=f"−{total}{' / w' if over else ''}",
        substituted=f"−({products}{others}){over}",
        result=f"{_last_step(explanation, shown)}{_units(explanation)}",
        note=UNDERFLOW_NOTE if zero else "",
    )


def steps(explanation: Explanation, sheet: Paper) -> list[str]:
    """Return the derivation as lines of text."""
    found = derive(explanation)
    # under the first equals sign, where there is room for it
    deep = " " * (3 + len(found.left) + 1) if sheet.width >= WIDTH_TO_ALIGN else " " * 5
    lines = sheet.wrap("Step by step", indent=" ")
    lines += sheet.wrap(f"{found.left} = {found.formula}")
    for right in filter(None, (found.substituted, found.result)):
        lines += sheet.wrap(f"= {right}", indent=deep, hanging=deep + " " * (4 if sheet.width >= WIDTH_TO_ALIGN else 2))
    return lines + (sheet.wrap(found.note) if found.note else [])


def _units(explanation: Explanation) -> str:
    """Return the result in the base's own unit, then in the two that everybody knows."""
    if explanation.loss == 0.0 or not math.isfinite(explanation.loss):
        return long_amount(explanation.loss)
    parts = {UNITS[explanation.base]: explanation.loss, "nats": explanation.loss_nats, "bits": explanation.loss_bits}
    return " = ".join(f"{long_amount(value)} {unit}" for unit, value in parts.items())


def _product(explanation: Explanation, term: Term) -> str:
    weight = f"{compact(term.weight)}·" if explanation.weighted else ""
    if explanation.loss_kind == "categorical":
        return f"{weight}{compact(term.p)}·{logarithm(explanation, term)}"
    yes, no = logarithm(explanation, term), _logarithm_of_no(explanation, term)
    if term.p in (0.0, 1.0):
        return weight + (yes if term.p == 1.0 else no)
    return f"{weight}({compact(term.p)}·{yes} + {compact(1.0 - term.p)}·{no})"


def logarithm(explanation: Explanation, term: Term) -> str:
    """Return the logarithm of q as it is put in."""
    if explanation.kind == "probs":
        return f"{LOG[explanation.base]} {compact(term.q)}"
    # not the logarithm of q: exp underflows where the log-probability does not
    return f"({amount(0.0 - term.surprisal)})"


def _logarithm_of_no(explanation: Explanation, term: Term) -> str:
    """Return the logarithm of 1 − q as it is put in: the value where the shown q would make it another."""
    shown = compact(term.q)
    if explanation.kind == "probs" and not shown.startswith(("<", ">")):
        return f"{LOG[explanation.base]}(1 − {shown})"
    return f"({amount(0.0 - (term.surprisal_no or 0.0))})"


def _last_step(explanation: Explanation, shown: list[Term]) -> str:
    """Return what stands between the sum and its result, the equals sign at its end included."""
    if not explanation.shortcut or explanation.true_class is None:
        counted = [amount(term.contribution) for term in shown if term.contribution > 0.0]
        if explanation.rest is not None and explanation.rest.contribution > 0.0:
            counted.append(amount(explanation.rest.contribution))
        return " + ".join(counted) + " = " if len(counted) > 1 else ""
    true = explanation.terms[explanation.true_class]
    if explanation.weighted:
        return ""
    if explanation.kind == "probs":
        return f"−{logarithm(explanation, true)} = "
    if explanation.log_normalizer_nats is not None and explanation.base == "e":
        if max(abs(explanation.log_normalizer_nats), abs(true.given)) >= LARGEST_SHOWN:
            return ""
        # with the digits of the result, or the sum would look wrong
        normalizer, logit = long_amount(explanation.log_normalizer_nats), long_amount(true.given)
        return f"log Σ exp zⱼ − z = {normalizer} − {f'({logit})' if true.given < 0.0 else logit} = "
    return ""
