"""TorchMetrics: metrics, so no derivative is offered."""

from typing import Any

import torch
from torchmetrics.functional import kl_divergence
from torchmetrics.functional.text import perplexity

from crossent.peers.probes.function import Function


def _kl_divergence(q: Any, p: Any) -> tuple[Any, Any]:
    return kl_divergence(torch.tensor(p), torch.tensor(q)).numpy(), None


def _log_perplexity(logits: Any, label: Any) -> tuple[Any, Any]:
    # a sequence of one token; the logarithm of what it answers is the loss
    return perplexity(torch.tensor(logits)[:, None], torch.tensor(label)[:, None]).log().numpy(), None


def _ignored(logits: Any, label: Any) -> tuple[Any, Any]:
    answer = perplexity(torch.tensor(logits)[:, None], torch.tensor(label)[:, None], ignore_index=0)
    return answer.log().numpy(), None


FUNCTIONS = (
    Function(
        "kl_divergence(p, q)", "probs", "distribution", "float32", "KL, both rescaled, of a ratio", _kl_divergence
    ),
    Function(
        *("log of perplexity", "logits", "id", "float32", "metric, log of softmax", _log_perplexity),
        variants={"all-ignored": _ignored},
    ),
)
