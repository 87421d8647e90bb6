"""dit: cross-entropy of two distributions, in bits there."""

import math
from typing import Any

from dit import Distribution
from dit.divergences import cross_entropy, kullback_leibler_divergence

from crossent.peers.probes.function import Call, Function


def _nats(divergence: Any) -> Call:
    def call(q: Any, p: Any) -> tuple[Any, Any]:
        outcomes = [str(number) for number in range(q.shape[-1])]
        first, second = (Distribution(outcomes, [float(value) for value in row]) for row in (p[0], q[0]))
        return divergence(first, second) * math.log(2.0), None

    return call


FUNCTIONS = (
    Function("cross_entropy", "probs", "distribution", "float64", "metric, probs", _nats(cross_entropy)),
    Function(
        "kullback_leibler_divergence", "probs", "distribution", "float64", "KL", _nats(kullback_leibler_divergence)
    ),
)
