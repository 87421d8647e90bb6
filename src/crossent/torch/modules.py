"""The PyTorch door's modules: torch.nn's, with the functions of this door underneath."""

from typing import Any

import torch

from crossent._checks import check_count
from crossent.torch._extras import read_extras
from crossent.torch.linear_cross_entropy import check_shift, linear_cross_entropy, read_filter
from crossent.torch.softmax_cross_entropy import cross_entropy


class CrossEntropyLoss(torch.nn.CrossEntropyLoss):
    """torch.nn.CrossEntropyLoss over `crossent.torch.cross_entropy`: the same arguments, attributes and state.

    Parameters
    ----------
    z_loss, softcap, temperature, returns : optional
        See `cross_entropy`, also for `sample_weight` and `denominator`, which calls take.
    *arguments, **options
        torch's: weight, size_average, ignore_index, reduce, reduction, label_smoothing.

    Examples
    --------
    >>> import torch
    >>> loss = CrossEntropyLoss(label_smoothing=0.1)
    >>> round(loss(torch.tensor([[2.0, 0.0]]), torch.tensor([0])).item(), 6)
    0.226928
    """

    def __init__(
        self,
        *arguments: Any,
        z_loss: float = 0.0,
        softcap: float | None = None,
        temperature: float = 1.0,
        returns: tuple[str, ...] = (),
        **options: Any,
    ) -> None:
        super().__init__(*arguments, **options)
        read_extras(z_loss, softcap, temperature, returns)
        self.z_loss, self.softcap, self.temperature, self.returns = z_loss, softcap, temperature, returns

    def forward(
        self,
        input: torch.Tensor,  # torch's name
        target: Any,
        *,
        sample_weight: torch.Tensor | None = None,
        denominator: float | torch.Tensor | None = None,
    ) -> Any:
        """Return the loss of logits against class ids, distributions or top-k targets."""
        return cross_entropy(
            input,
            target,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
            z_loss=self.z_loss,
            softcap=self.softcap,
            temperature=self.temperature,
            sample_weight=sample_weight,
            denominator=denominator,
            returns=self.returns,
        )


class LinearCrossEntropyLoss(torch.nn.LinearCrossEntropyLoss):
    """torch.nn.LinearCrossEntropyLoss over `crossent.torch.linear_cross_entropy`: its arguments, attributes and state.

    Parameters
    ----------
    in_features, num_classes : int
        The shape of the head.
    shift, memory_budget, grad_filter, z_loss, softcap, temperature, returns : optional
        See `linear_cross_entropy`, also for `sample_weight` and `denominator`, which calls take.
    **options
        torch's: bias, device, dtype, reduction, weight, ignore_index, label_smoothing; with out_features the module is torch's.

    Examples
    --------
    >>> import torch
    >>> loss = LinearCrossEntropyLoss(4, 10)
    >>> loss(torch.zeros(3, 4), torch.tensor([1, 2, 3])).backward()
    >>> loss.linear.weight.grad.shape
    torch.Size([10, 4])
    """

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        shift: int = 0,
        memory_budget: int | None = None,
        grad_filter: float | None = None,
        z_loss: float = 0.0,
        softcap: float | None = None,
        temperature: float = 1.0,
        returns: tuple[str, ...] = (),
        **options: Any,
    ) -> None:
        super().__init__(in_features, num_classes, **options)
        read_extras(z_loss, softcap, temperature, returns)
        check_shift(shift)
        if memory_budget is not None:
            check_count("memory_budget", memory_budget)
        if grad_filter is not None:
            read_filter(grad_filter)
        self.shift, self.memory_budget, self.grad_filter = shift, memory_budget, grad_filter
        self.z_loss, self.softcap, self.temperature, self.returns = z_loss, softcap, temperature, returns

    def forward(
        self,
        input: torch.Tensor,  # torch's name
        target: Any,
        *,
        sample_weight: torch.Tensor | None = None,
        denominator: float | torch.Tensor | None = None,
    ) -> Any:
        """Return the loss of hidden states against class ids, distributions or top-k targets."""
        if self.out_features:
            return super().forward(input, target)
        return linear_cross_entropy(
            input,
            self.linear.weight,
            target,
            linear_bias=self.linear.bias,
            weight=self.weight,
            reduction=self.reduction,
            ignore_index=-100 if self.ignore_index is None else self.ignore_index,
            label_smoothing=self.label_smoothing,
            z_loss=self.z_loss,
            softcap=self.softcap,
            temperature=self.temperature,
            sample_weight=sample_weight,
            denominator=denominator,
            shift=self.shift,
            memory_budget=self.memory_budget,
            grad_filter=self.grad_filter,
            returns=self.returns,
        )
