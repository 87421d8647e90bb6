"""What a page opens with: the case of an Explanation, as the page's state and as part of its address."""

import math
from typing import Any
from urllib.parse import quote

import numpy as np

from crossent.errors import OptionError
from crossent.explaining.explanation import Explanation, explain
from crossent.explaining.page.case import LONGEST_NAME, MOST_CLASSES
from crossent.explaining.page.cells import plain
from crossent.explaining.reading import sums_to_one

SAME = 1e-12  # relative: the page and the explanation show one loss
SHOWN = 1e-7  # relative: seven digits, one more than the longest result of the page has


def why_not(explanation: Explanation) -> str | None:
    """Return why the page cannot hold this explanation, or None where it can."""
    if explanation.batch is not None:
        return "a batch has no single prediction to drag"
    if explanation.loss_kind == "binary":
        return "several labels have no distribution to drag"
    if explanation.weighted:
        return "the page knows no class weights"
    if explanation.classes > MOST_CLASSES:
        return f"the page holds at most {MOST_CLASSES} classes, and this has {explanation.classes}"
    if _held(explanation) is None:
        return "the page knows no log-probabilities, and as probabilities these would lose digits"
    return None


def _held(explanation: Explanation) -> tuple[str, list[float]] | None:
    """Return kind and prediction as the page can hold them, None where it would show another loss.

    Log-probabilities are also logits where they sum to 1; where they do not, logits would rescale them, so they
    become probabilities, if those are neither above 1 nor lost to underflow.
    """
    given = [term.given for term in explanation.terms]
    if explanation.kind != "log_probs":
        return explanation.kind, given
    probs = [math.exp(log) if log <= 0.0 else math.nan for log in given]
    if abs(math.fsum(probs) - 1.0) <= SAME and _same_loss(explanation, given, "logits"):
        return "logits", given
    lost = any(q == 0.0 < term.p and term.given > -math.inf for q, term in zip(probs, explanation.terms, strict=True))
    if any(math.isnan(q) for q in probs) or lost or not _same_loss(explanation, probs, "probs"):
        return None
    return "probs", probs


def _same_loss(explanation: Explanation, prediction: list[float], kind: Any) -> bool:
    target = np.array([term.p for term in explanation.terms])
    ours, wanted = explain(target, np.array(prediction), kind=kind).loss_nats, explanation.loss_nats
    if ours == wanted or (math.isnan(ours) and math.isnan(wanted)) or math.isclose(ours, wanted, rel_tol=SAME):
        return True
    # a q close to 1 is rounded by half an ulp, and -log q by as much: of a small loss that is more than SAME of it,
    # and still less than any digit that is shown
    return abs(ours - wanted) <= 2.0**-52 and math.isclose(ours, wanted, rel_tol=SHOWN)


def first_of(explanation: Explanation) -> dict[str, Any]:
    """Return the page's first state; log-probabilities become logits, or probabilities that keep their sum."""
    reason = why_not(explanation)
    if reason is not None:
        message = f"`explanation` cannot be dragged: {reason}; `to_html()` shows it as it is."
        raise OptionError(message)
    terms = explanation.terms
    held = _held(explanation)
    assert held is not None  # why_not has looked
    kind, prediction = held
    names = [term.name[:LONGEST_NAME] for term in terms]
    return {
        "target": [plain(term.p) for term in terms],
        "prediction": [plain(value) for value in prediction],
        "names": None if names == [str(index) for index in range(len(terms))] else names,
        "kind": kind,
        "base": explanation.base,
        "temperature": 1.0,
        "locked": kind != "probs" or sums_to_one(np.array(prediction)),
    }


def address_of(first: dict[str, Any]) -> str:
    """Return a state as the fragment of the page's address, as module/address.mjs reads it."""
    words = [f"p={_joined(first['target'])}", f"q={_joined(first['prediction'])}"]
    if first["names"] is not None:
        # quoted twice: once for the comma in a name, once for the address
        words.append(f"names={','.join(quote(quote(name, safe=''), safe='') for name in first['names'])}")
    words.append(f"kind={first['kind']}&base={first['base']}&free={0 if first['locked'] else 1}")
    return f"#explain?{'&'.join(words)}"


def _joined(values: list[Any]) -> str:
    return ",".join(str(value) for value in values)
