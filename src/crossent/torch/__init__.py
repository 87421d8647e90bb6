"""The PyTorch door: drop-ins for torch.nn.functional's losses that never lose their digits."""

from crossent.errors import MissingExtraError

try:
    import torch
except ImportError as error:
    message = "crossent.torch needs PyTorch, which is not installed: pip install 'crossent[torch]'"
    raise MissingExtraError(message) from error
del torch

from crossent.torch.modules import CrossEntropyLoss  # not before it is known that torch is there
from crossent.torch.softmax_cross_entropy import cross_entropy

__all__ = ["CrossEntropyLoss", "cross_entropy"]
