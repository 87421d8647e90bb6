"""What the functions that return more than one thing return."""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class ValueAndGrad:
    """A loss and its gradient with respect to the predictions.

    Attributes
    ----------
    value : float, or array of the rows' shape under ``reduction="none"``
        The loss, in nats or in the unit of `base`.
    grad : array of the predictions' shape
        The derivative of `value` with respect to the predictions; under ``reduction="none"`` each row holds the
        derivative of its own loss.

    Examples
    --------
    >>> result = cross_entropy_and_grad([[0.0, 0.0]], [1])
    >>> round(result.value, 6), result.grad.tolist()
    (0.693147, [[0.5, -0.5]])
    """

    value: float | np.ndarray[Any, Any]
    grad: np.ndarray[Any, Any]
