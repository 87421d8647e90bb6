"""The PyTorch door: drop-ins for torch.nn.functional's losses that never lose their digits."""

from crossent.errors import MissingExtraError

try:
    import torch
except ImportError as error:
    message = "crossent.torch needs PyTorch, which is not installed: pip install 'crossent[torch]'"
    raise MissingExtraError(message) from error
del torch

# not before it is known that torch is there
from crossent.torch.cross_entropy import binary_cross_entropy, nll_loss
from crossent.torch.diagnose import diagnose
from crossent.torch.divergence import kl_div
from crossent.torch.linear_cross_entropy import linear_cross_entropy
from crossent.torch.modules import CrossEntropyLoss, LinearCrossEntropyLoss
from crossent.torch.sigmoid_cross_entropy import binary_cross_entropy_with_logits
from crossent.torch.softmax_cross_entropy import cross_entropy

__all__ = [
    "CrossEntropyLoss",
    "LinearCrossEntropyLoss",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "diagnose",
    "kl_div",
    "linear_cross_entropy",
    "nll_loss",
]
