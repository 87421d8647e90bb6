"""This library, asked like the others."""

from typing import Any

from crossent.arrays import cross_entropy, divergence, sigmoid_cross_entropy, softmax_cross_entropy
from crossent.peers.probes.function import Call, Function


def _both(function: Any, **options: Any) -> Call:
    def call(prediction: Any, target: Any) -> tuple[Any, Any]:
        answer = function(prediction, target, **options)
        return answer.value, answer.grad

    return call


LOGITS = softmax_cross_entropy.cross_entropy_and_grad
LOG_PROBS = cross_entropy.cross_entropy_from_log_probs_and_grad
PROBS = cross_entropy.cross_entropy_from_probs_and_grad


def _kl_divergence(q: Any, p: Any) -> tuple[Any, Any]:
    return divergence.kl_divergence(p, q), None


def _variants(function: Any) -> dict[str, Call]:
    return {
        "smoothing": _both(function, label_smoothing=0.1),
        "zero-weights": lambda x, y: _both(function, class_weight=[0.0] * x.shape[-1])(x, y),
    }


FUNCTIONS = (
    Function(
        *("cross_entropy, class ids", "logits", "id", "float32", "logits", _both(LOGITS)),
        variants={"all-ignored": _both(LOGITS, ignore_index=0), **_variants(LOGITS)},
    ),
    Function(
        *("cross_entropy, distributions", "logits", "distribution", "float32", "logits", _both(LOGITS)),
        variants=_variants(LOGITS),
    ),
    Function("cross_entropy_from_log_probs", "log_probs", "id", "float32", "log-probs", _both(LOG_PROBS)),
    Function(
        *("cross_entropy_from_probs", "probs", "id", "float64", "probs", _both(PROBS)),
        variants={"all-ignored": _both(PROBS, ignore_index=0), **_variants(PROBS)},
    ),
    Function("cross_entropy_from_probs, distributions", "probs", "distribution", "float64", "probs", _both(PROBS)),
    Function(
        *("binary_cross_entropy", "logits", "binary", "float32", "binary logits"),
        _both(sigmoid_cross_entropy.binary_cross_entropy_and_grad),
    ),
    Function(
        *("binary_cross_entropy_from_probs", "probs", "binary", "float64", "binary probs"),
        _both(sigmoid_cross_entropy.binary_cross_entropy_from_probs_and_grad),
    ),
    Function("kl_divergence", "probs", "distribution", "float64", "KL", _kl_divergence),
)
