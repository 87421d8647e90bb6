"""What a page opens with: the case of an Explanation, as the page's state and as part of its address."""

from typing import Any
from urllib.parse import quote

import numpy as np

from crossent.errors import OptionError
from crossent.explaining.explanation import Explanation
from crossent.explaining.page.case import MOST_CLASSES
from crossent.explaining.page.cells import plain
from crossent.explaining.reading import sums_to_one


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
    return None


def first_of(explanation: Explanation) -> dict[str, Any]:
    """Return the page's first state; log-probabilities become logits, which they also are."""
    reason = why_not(explanation)
    if reason is not None:
        message = f"`explanation` cannot be dragged: {reason}; `to_html()` shows it as it is."
        raise OptionError(message)
    terms = explanation.terms
    names = [term.name for term in terms]
    return {
        "target": [plain(term.p) for term in terms],
        "prediction": [plain(term.given) for term in terms],
        "names": None if names == [str(index) for index in range(len(terms))] else names,
        "kind": "probs" if explanation.kind == "probs" else "logits",
        "base": explanation.base,
        "temperature": 1.0,
        "locked": explanation.kind != "probs" or sums_to_one(np.array([term.q for term in terms])),
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
