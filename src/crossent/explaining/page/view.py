"""One explanation as the page shows it: cells, sentences, curves; every number is the explanation's own."""

import math
import platform
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from crossent.errors import OptionError
from crossent.explaining.digits import amount, chances, compact, long_amount
from crossent.explaining.explanation import Explanation, explain
from crossent.explaining.options import BASES
from crossent.explaining.page.case import Case
from crossent.explaining.page.cells import Cell, amount_cell, box_cell, compact_cell, plain, signed_cell
from crossent.explaining.page.curves import clip_lines, slice_of, surprisal_curve
from crossent.explaining.page.python import as_python
from crossent.explaining.page.zero import name_of
from crossent.explaining.parts import Rest, Term
from crossent.explaining.reading import sums_to_one
from crossent.peers.by_rule import answers_for

COMPUTED_BY = f"Computed by crossent {version('crossent')} on Python {platform.python_version()}, on this machine."
ROUNDING = 1e-12
UNITS = {"e": "nats", "2": "bits", "10": "hartleys"}
LOG = {"e": "log", "2": "log₂", "10": "log₁₀"}


def saved_by() -> str:
    """Return the footer of a file that is dragged without Python."""
    return f"Made by crossent {version('crossent')}; once dragged, computed in this file, within 1e-12 of Python's numbers."


def view_of(
    case: Case, rows: Sequence[int] | None = None, sliced: int | None = None, guess: float | None = None
) -> dict[str, Any]:
    """Return all that the explain screen shows of a case, for JSON."""
    explanation = explain(
        case.target,
        case.tempered,
        kind=case.kind,
        base=case.base,
        class_names=case.names,
    )
    check_one_answer(explanation)
    given = (
        np.array([term.given for term in explanation.terms]) if isinstance(case.prediction, str) else case.prediction
    )
    return {
        **_state(case, explanation, given),
        **_headline(explanation, guess),
        **_table(case, explanation, given, rows),
        **_below(explanation),
        "curve": surprisal_curve(explanation.base),
        "clips": clip_lines(explanation.base),
        "slice": slice_of(explanation, sliced),
        "scaled": _scaled(case, explanation),
        "python": as_python(explanation),
        "computed_by": COMPUTED_BY,
    }


def check_one_answer(explanation: Explanation) -> None:
    """Raise OptionError where each class is a yes or no of its own: q - p and the boxes would belong to another loss."""
    if explanation.loss_kind == "binary":
        message = (
            "`target` must be one class or a distribution on this page; it has several 1s: "
            "crossent.explain() takes several labels."
        )
        raise OptionError(message)


def _state(case: Case, explanation: Explanation, given: Any) -> dict[str, Any]:
    names = [term.name for term in explanation.terms]
    return {
        "target": [plain(term.p) for term in explanation.terms],
        "prediction": [plain(float(value)) for value in given],
        "names": None if names == [str(index) for index in range(len(names))] else names,
        "kind": case.kind,
        "base": case.base,
        "temperature": box_cell(case.temperature),
        # a text is a case of its own: as with a link, a sum that is not 1 is meant so
        "locked": case.locked
        and (case.kind != "probs" or not isinstance(case.prediction, str) or sums_to_one(np.asarray(given))),
        "unit": UNITS[case.base],
    }


def _headline(explanation: Explanation, guess: float | None) -> dict[str, Any]:
    return {
        "loss": amount_cell(explanation.loss),
        "loss_nats": amount_cell(explanation.loss_nats),
        "loss_bits": amount_cell(explanation.loss_bits),
        "perplexity": compact_cell(explanation.perplexity),
        "chance": _chance(explanation),
        "verdict": explanation.baselines.verdict,
        "guess_text": explanation.baselines.guess_text,
        "reveal": None if guess is None else _reveal(guess, explanation),
    }


def _chance(explanation: Explanation) -> str:
    if math.isnan(explanation.loss):
        return "not a number"
    if math.isinf(explanation.loss):
        return "no chance at all" if explanation.one_in is not None else "a class of the target got no chance"
    if explanation.one_in is None:
        return f"perplexity {chances(explanation.perplexity)}"
    if math.isinf(explanation.one_in):
        return f"1 chance in e^{compact(explanation.loss_nats)}"
    return f"1 chance in {chances(explanation.one_in)}"


def _reveal(guess: float, explanation: Explanation) -> str:
    unit, loss = UNITS[explanation.base], explanation.loss
    off = abs(guess - loss)
    said = f"You said {amount(guess)} {unit}; it is {amount(loss)}."
    if not math.isfinite(off):
        return said
    return (
        f"{said} That is {amount(off)} too {'high' if guess > loss else 'low'}." if off >= 0.0005 else f"{said} Exact."
    )


def _table(case: Case, explanation: Explanation, given: Any, rows: Sequence[int] | None) -> dict[str, Any]:
    terms, rest = _chosen(explanation, rows)
    return {
        "classes": len(explanation.terms),
        "true_class": explanation.true_class,
        "rows": [_row(term, float(given[term.index])) for term in terms],
        "rest": None if rest is None else _rest(rest),
        "sum_p": compact_cell(explanation.sum_target),
        "sum_q": compact_cell(explanation.sum_prediction),
        "sum_contribution": amount_cell(explanation.loss),
        "sum_grad": _sum_cell(explanation.grad_logit_sum),
        "grad_norm": amount_cell(explanation.grad_norm),
    }


def _chosen(explanation: Explanation, rows: Sequence[int] | None) -> tuple[list[Term], Rest | None]:
    """Return the rows of the table: those that are on the page already, as rows that change places can't be dragged."""
    if explanation.rest is None or rows is None or len(set(rows)) != len(explanation.shown):
        return sorted((explanation.terms[index] for index in explanation.shown), key=_index), explanation.rest
    kept = set(rows)
    others = [term for term in explanation.terms if term.index not in kept]
    return [explanation.terms[index] for index in sorted(kept)], Rest(
        count=len(others),
        p=math.fsum(term.p for term in others),
        q=math.fsum(term.q for term in others),
        contribution=math.fsum(term.contribution for term in others),
        grad_logit=math.fsum(term.grad_logit for term in others),
    )


def _index(term: Term) -> int:
    return term.index


def _row(term: Term, given: float) -> dict[str, Any]:
    direction = "lower" if term.grad_logit > 0.0 else "raise" if term.grad_logit < 0.0 else "stay"
    return {
        "index": term.index,
        "name": term.name,
        "p": box_cell(term.p),
        "given": box_cell(given),
        "q": box_cell(term.q),
        "surprisal": amount_cell(term.surprisal),
        "contribution": amount_cell(term.contribution),
        "grad_logit": signed_cell(term.grad_logit),
        "grad_prob": signed_cell(term.grad_prob),
        "direction": "" if math.isnan(term.grad_logit) else direction,
    }


def _sum_cell(value: float) -> Cell:
    # what rounding leaves of a sum that is 0; its value stays in the cell
    return [plain(value), "≈ 0"] if 0.0 < abs(value) < ROUNDING else signed_cell(value)


def _rest(rest: Rest) -> dict[str, Any]:
    return {
        "count": rest.count,
        "p": compact_cell(rest.p),
        "q": compact_cell(rest.q),
        "contribution": amount_cell(rest.contribution),
        "grad_logit": signed_cell(rest.grad_logit),
    }


def _below(explanation: Explanation) -> dict[str, Any]:
    twice = explanation.as_logits
    return {
        "uniform": amount_cell(explanation.baselines.uniform),
        "floor": amount_cell(explanation.entropy_target),
        "kl": amount_cell(explanation.kl),
        "entropy_q": amount_cell(explanation.entropy_prediction),
        "entropy_q_bits": amount_cell(explanation.entropy_prediction_bits),
        "js_bits": amount_cell(explanation.js_bits),
        "as_logits": None
        if twice is None or math.isnan(twice.loss)
        else {
            "loss": amount_cell(twice.loss),
            "lowest": None if twice.lowest is None else amount_cell(twice.lowest),
            "ratio": None if twice.gradient_ratio is None else compact_cell(twice.gradient_ratio),
        },
        "steps": _steps(explanation),
        "findings": [
            {"code": finding.code, "message": finding.message, "advice": finding.advice}
            for finding in explanation.findings
        ],
    }


def _scaled(case: Case, explanation: Explanation) -> list[dict[str, Any]] | None:
    """Return, for probabilities that do not sum to 1, what well-known packages make of them: some rescale first."""
    p, q = [term.p for term in explanation.terms], [term.q for term in explanation.terms]
    total = explanation.sum_prediction
    if case.kind != "probs" or sums_to_one(np.array(q)) or not 0.0 < total < math.inf:
        return None
    answers = answers_for(p, q, short=True)
    groups: dict[str, tuple[float, list[str]]] = {}
    for who, answer in zip(name_of(answers), answers, strict=True):
        value = math.nan if answer.value is None else answer.value / BASES[case.base]
        groups.setdefault(amount(value), (value, []))[1].append(who)
    return [{"who": ", ".join(members), "answer": amount_cell(value)} for value, members in groups.values()]


def _steps(explanation: Explanation) -> dict[str, Any]:
    """Return the texts of the sum written out: each p, each logarithm, and the result."""
    shown = [explanation.terms[index] for index in sorted(explanation.shown)]
    log = LOG[explanation.base]
    return {
        "log": log,
        "terms": [
            # exp underflows where the log-probability does not, so logits show -(surprisal)
            {
                "p": compact(term.p),
                "log": f"{log} {compact(term.q)}"
                if explanation.kind == "probs"
                else f"({amount(0.0 - term.surprisal)})",
                "zero": term.p == 0.0,
            }
            for term in shown
        ],
        "more": 0 if explanation.rest is None else explanation.rest.count,
        "result": long_amount(explanation.loss),
    }
