"""The PyTorch door's modules: torch.nn's, with the functions of this door underneath."""

import torch

from crossent.torch.softmax_cross_entropy import cross_entropy


class CrossEntropyLoss(torch.nn.CrossEntropyLoss):
    """torch.nn.CrossEntropyLoss over `crossent.torch.cross_entropy`: the same arguments, attributes and state.

    Examples
    --------
    >>> import torch
    >>> loss = CrossEntropyLoss(label_smoothing=0.1)
    >>> round(loss(torch.tensor([[2.0, 0.0]]), torch.tensor([0])).item(), 6)
    0.226928
    """

    def forward(self, input: torch.Tensor, target: torch.Tensor) -> torch.Tensor:  # torch's name
        """Return the loss of logits against class ids or distributions."""
        return cross_entropy(
            input,
            target,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )
