"""MLX: its losses, derivatives by mlx.core.grad."""

from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np
from mlx.nn import losses

from crossent.peers.probes.function import Call, Function


def _differentiated(loss: Callable[[Any, Any], Any]) -> Call:
    def call(prediction: Any, target: Any) -> tuple[Any, Any]:
        given, wanted = mx.array(prediction), mx.array(target)
        slope = mx.grad(lambda x: loss(x, wanted).sum())(given)
        return np.array(loss(given, wanted)), np.array(slope)

    return call


CROSS_ENTROPY, BINARY = losses.cross_entropy, losses.binary_cross_entropy


def _smoothed(logits: Any, target: Any) -> Any:
    return CROSS_ENTROPY(logits, target, label_smoothing=0.1)


# -1 is the last class; others are not checked: "Indexing out of bounds is undefined behavior"
_UNCHECKED = dict.fromkeys(("label-high", "label-minus-100"), "MLX's documentation, Indexing Arrays")

FUNCTIONS = (
    Function(
        *("cross_entropy, class ids", "logits", "id", "float32", "logits", _differentiated(CROSS_ENTROPY)),
        variants={"smoothing": _differentiated(_smoothed)},
        undefined=_UNCHECKED,
    ),
    Function(
        *("cross_entropy, distributions", "logits", "distribution", "float32", "logits, 0 times inf"),
        _differentiated(CROSS_ENTROPY),
        variants={"smoothing": _differentiated(_smoothed)},
    ),
    Function(
        *("binary_cross_entropy, with_logits", "logits", "binary", "float32", "binary logits, maximum"),
        _differentiated(lambda z, y: BINARY(z, y, with_logits=True, reduction="none")),
    ),
    Function(
        *("binary_cross_entropy", "probs", "binary", "float32", "log clamped at -100, autograd"),
        _differentiated(lambda q, y: BINARY(q, y, with_logits=False, reduction="none")),
    ),
    Function(
        *("kl_div_loss", "log_probs", "distribution", "float32", "KL of two log-probs"),
        _differentiated(lambda logs, p: losses.kl_div_loss(logs, mx.log(p), reduction="none")),
    ),
)
