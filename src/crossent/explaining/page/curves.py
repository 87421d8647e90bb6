"""The curves of the explain screen: -log q over q, the loss along one logit, the values that packages clip to."""

import math
from functools import cache
from typing import Any

import numpy as np

from crossent.definitions.softmax_cross_entropy import softmax_cross_entropy
from crossent.explaining.explanation import Explanation
from crossent.explaining.options import BASES
from crossent.explaining.page.cells import amount_cell, compact_cell, plain, signed_cell
from crossent.explaining.page.zero import name_of
from crossent.explaining.reading import sums_to_one
from crossent.peers.by_rule import answers_at

STEPS = 64  # points of -log q: close to 0, where it is steep, they stand closer
REACH = 5.0  # nats of logit to either side of the slice: beyond, both ends are straight
SLICE_STEPS = 40


@cache
def surprisal_curve(base: str) -> list[list[Any]]:
    """Return pairs q, -log q from (0, inf) to (1, 0), in units of the base."""
    shares = [(step / STEPS) ** 3 for step in range(STEPS + 1)]
    return [[plain(q), plain(-math.log(q) / BASES[base] if q > 0.0 else math.inf)] for q in shares]


@cache
def clip_lines(base: str) -> list[dict[str, Any]]:
    """Return where each well-known package that clips stops, in units of the base, and the q at which it does."""
    answers = answers_at(0.0, short=True)
    return [
        {
            "who": who,
            "clip": compact_cell(math.exp(-answer.value)),
            "loss": amount_cell(answer.value / BASES[base]),
        }
        for who, answer in zip(name_of(answers), answers, strict=True)
        if answer.value is not None and math.isfinite(answer.value)
    ]


def slice_of(explanation: Explanation, index: int | None) -> dict[str, Any] | None:
    """Return the loss while one logit moves and the others stay, with its slope here; None where it has no slope."""
    place = explanation.true_class if index is None or index >= len(explanation.terms) else index
    place = int(np.argmax([term.p for term in explanation.terms])) if place is None else place
    term, unit = explanation.terms[place], BASES[explanation.base]
    log_q = np.array([0.0 - term.surprisal * unit for term in explanation.terms])
    p = np.array([term.p for term in explanation.terms])
    normalized = explanation.kind == "logits" or sums_to_one(np.exp(log_q))
    if not (math.isfinite(explanation.loss) and math.isfinite(log_q[place]) and normalized):
        return None
    offsets = np.linspace(-REACH, REACH, SLICE_STEPS + 1)
    logits = np.tile(log_q, (len(offsets), 1))
    logits[:, place] += offsets
    losses = softmax_cross_entropy(logits, np.tile(p, (len(offsets), 1))) / unit
    return {
        "index": place,
        "name": term.name,
        "points": [[offset, plain(loss)] for offset, loss in zip(offsets.tolist(), losses.tolist(), strict=True)],
        # the same, coarser, for the table
        "table": [
            [signed_cell(offset), amount_cell(loss)]
            for offset, loss in zip(offsets.tolist()[::4], losses.tolist()[::4], strict=True)
        ],
        "here": amount_cell(explanation.loss),
        "slope": signed_cell(term.grad_logit),
        "slope_in_base": plain(term.grad_logit / unit),
    }
