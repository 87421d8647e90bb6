"""Paddle: its functional losses, derivatives by backward."""

from collections.abc import Callable
from typing import Any

import paddle
from paddle.nn import functional

from crossent.peers.probes.function import Call, Function


def _differentiated(loss: Callable[[Any, Any], Any]) -> Call:
    def call(prediction: Any, target: Any) -> tuple[Any, Any]:
        given = paddle.to_tensor(prediction, stop_gradient=False)
        value = loss(given, paddle.to_tensor(target))
        value.sum().backward()
        return value.numpy(), None if given.grad is None else given.grad.numpy()

    return call


def _loss(function: Any, **options: Any) -> Call:
    return _differentiated(lambda prediction, target: function(prediction, target, **options))


CROSS_ENTROPY, ON_PROBS = functional.cross_entropy, {"use_softmax": False}

FUNCTIONS = (
    Function(
        *("cross_entropy, class ids", "logits", "id", "float32", "logits, at most 64 apart", _loss(CROSS_ENTROPY)),
        variants={"all-ignored": _loss(CROSS_ENTROPY, ignore_index=0)},
    ),
    Function(
        *("cross_entropy, distributions", "logits", "distribution", "float32", "logits, at most 64 apart"),
        _loss(CROSS_ENTROPY, soft_label=True),
    ),
    Function(
        *("cross_entropy, use_softmax=False", "probs", "id", "float32", "probs, inf is 1e20"),
        _loss(CROSS_ENTROPY, **ON_PROBS),
        variants={"all-ignored": _loss(CROSS_ENTROPY, ignore_index=0, **ON_PROBS)},
    ),
    Function("nll_loss", "log_probs", "id", "float32", "log-probs", _loss(functional.nll_loss)),
    Function(
        *("binary_cross_entropy", "probs", "binary", "float32", "log clamped at -100"),
        _loss(functional.binary_cross_entropy),
    ),
    Function(
        *("binary_cross_entropy_with_logits", "logits", "binary", "float32", "binary logits, maximum, kink"),
        _loss(functional.binary_cross_entropy_with_logits),
    ),
)
