"""SciPy: relative entropies; none of them offers a derivative."""

from typing import Any

from scipy import special, stats

from crossent.peers.probes.function import Function


def _entropy(q: Any, p: Any) -> tuple[Any, Any]:
    return stats.entropy(p, q, axis=-1), None


def _rel_entr(q: Any, p: Any) -> tuple[Any, Any]:
    return special.rel_entr(p, q).sum(axis=-1), None


def _kl_div(q: Any, p: Any) -> tuple[Any, Any]:
    return special.kl_div(p, q).sum(axis=-1), None


def _xlogy(q: Any, p: Any) -> tuple[Any, Any]:
    return -special.xlogy(p, q).sum(axis=-1), None


FUNCTIONS = (
    Function("stats.entropy(p, q)", "probs", "distribution", "float64", "KL, both rescaled", _entropy),
    Function("special.rel_entr(p, q).sum()", "probs", "distribution", "float64", "KL", _rel_entr),
    Function("special.kl_div(p, q).sum()", "probs", "distribution", "float64", "KL - p + q", _kl_div),
    Function("-special.xlogy(p, q).sum()", "probs", "distribution", "float64", "metric, probs", _xlogy),
)
