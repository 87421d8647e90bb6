"""PyTorch: losses on logits, log-probabilities and probabilities, derivatives by autograd."""

from collections.abc import Callable
from typing import Any

import torch
from torch.distributions import Categorical
from torch.nn import functional

from crossent.peers.probes.function import Call, Function


def differentiated(loss: Callable[[Any, Any], Any]) -> Call:
    """Return a call that answers the loss and what backward leaves in the predictions."""

    def call(prediction: Any, target: Any) -> tuple[Any, Any]:
        given = torch.tensor(prediction, requires_grad=True)
        value = loss(given, torch.tensor(target))
        value.sum().backward()
        return value.detach().numpy(), None if given.grad is None else given.grad.numpy()

    return call


def _loss(function: Any, **options: Any) -> Call:
    return differentiated(lambda prediction, target: function(prediction, target, **options))


def _weighted(function: Any) -> Call:
    return differentiated(lambda x, y: function(x, y, weight=torch.zeros(x.shape[-1], dtype=x.dtype)))


CATEGORICAL = differentiated(lambda probs, label: -Categorical(probs=probs).log_prob(label))
CROSS_ENTROPY, BINARY = functional.cross_entropy, functional.binary_cross_entropy

FUNCTIONS = (
    Function(
        *("cross_entropy, class ids", "logits", "id", "float32", "logits", _loss(CROSS_ENTROPY)),
        variants={
            "all-ignored": _loss(CROSS_ENTROPY, ignore_index=0),
            "zero-weights": _weighted(CROSS_ENTROPY),
            "smoothing": _loss(CROSS_ENTROPY, label_smoothing=0.1),
        },
    ),
    Function(
        *("cross_entropy, distributions", "logits", "distribution", "float32", "logits, 0 times inf"),
        _loss(CROSS_ENTROPY),
        variants={"smoothing": _loss(CROSS_ENTROPY, label_smoothing=0.1), "zero-weights": _weighted(CROSS_ENTROPY)},
    ),
    Function(
        *("nll_loss", "log_probs", "id", "float32", "log-probs", _loss(functional.nll_loss)),
        variants={
            "all-ignored": _loss(functional.nll_loss, ignore_index=0),
            "zero-weights": _weighted(functional.nll_loss),
        },
    ),
    Function("binary_cross_entropy", "probs", "binary", "float32", "log clamped at -100", _loss(BINARY)),
    Function("binary_cross_entropy", "probs", "binary", "float64", "log clamped at -100", _loss(BINARY)),
    Function(
        *("binary_cross_entropy_with_logits", "logits", "binary", "float32", "binary logits, torch"),
        _loss(functional.binary_cross_entropy_with_logits),
    ),
    Function(
        *("kl_div", "log_probs", "distribution", "float32", "KL of log-probs, 0 times inf"),
        _loss(functional.kl_div, reduction="sum"),
    ),
    Function("Categorical(probs=).log_prob", "probs", "id", "float32", "rescaled, clip eps", CATEGORICAL),
    Function("Categorical(probs=).log_prob", "probs", "id", "float64", "rescaled, clip eps", CATEGORICAL),
)
