"""pyitlib: cross-entropy of two distributions, in nats when asked."""

import math
from typing import Any

from pyitlib.discrete_random_variable import entropy_cross_pmf

from crossent.peers.probes.function import Function


def _cross_entropy(q: Any, p: Any) -> tuple[Any, Any]:
    return entropy_cross_pmf(p[0], q[0], base=math.e), None


FUNCTIONS = (
    Function("entropy_cross_pmf", "probs", "distribution", "float64", "metric, probs that sum to 1", _cross_entropy),
)
