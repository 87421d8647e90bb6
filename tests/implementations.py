"""What the laws run on: the definitions, and the NumPy door over the kernels, behind one small interface."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import crossent
from crossent.definitions import divergence, entropy
from crossent.definitions.softmax_cross_entropy import softmax_cross_entropy, softmax_cross_entropy_gradient

Array = np.ndarray


@dataclass(frozen=True)
class Implementation:
    """One way to compute losses: per-row values, and values with gradients with respect to the logits."""

    name: str
    cross_entropy_rows: Callable[[Array, Array], Array]
    value_and_grad: Callable[[Array, Array], tuple[Array, Array]]
    result_dtype: Callable[[Any], type]
    row_ulp: float  # what the implementation promises: ulp of the row's loss, per nat of the widest row for definitions

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Information:
    """One way to compute entropies and divergences of rows of distributions."""

    name: str
    entropy: Callable[[Array], Array]
    kl_divergence: Callable[[Array, Array], Array]
    js_divergence: Callable[[Array, Array], Array]

    def __str__(self) -> str:
        return self.name


def _definition_value_and_grad(logits: Array, targets: Array) -> tuple[Array, Array]:
    return softmax_cross_entropy(logits, targets), softmax_cross_entropy_gradient(logits, targets)


def _door_rows(logits: Array, targets: Array) -> Array:
    return crossent.cross_entropy(logits, targets, reduction="none")


def _door_value_and_grad(logits: Array, targets: Array) -> tuple[Array, Array]:
    result = crossent.cross_entropy_and_grad(logits, targets, reduction="none")
    return result.value, result.grad


def _door(name: str) -> Callable[..., Array]:
    def call(*arrays: Array) -> Array:
        return getattr(crossent, name)(*arrays)

    return call


DEFINITIONS = Implementation(
    "definitions", softmax_cross_entropy, _definition_value_and_grad, lambda dtype: np.float64, 4.0
)
DOOR = Implementation(
    "arrays",
    _door_rows,
    _door_value_and_grad,
    lambda dtype: np.float64 if dtype == np.float64 else np.float32,
    4.0,
)
IMPLEMENTATIONS = [DEFINITIONS, DOOR]
INFORMATION = [
    Information("definitions", entropy.entropy, divergence.kl_divergence, divergence.js_divergence),
    Information("arrays", _door("entropy"), _door("kl_divergence"), _door("js_divergence")),
]
