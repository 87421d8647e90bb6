"""The cases and their bars, once: what is computed, on which shape and dtype, and what we promise there."""

from dataclasses import dataclass, replace
from typing import Literal

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

Operation = Literal["value", "value_and_grad_into", "value_and_grad", "value_from_probs"]

OURS = "crossent"
READ, COPY = "read", "copy"
OURS_FLOAT32 = "crossent, float32"


@dataclass(frozen=True)
class Bar:
    """A promise: ours at most `factor` times a floor, or at least `factor` times faster than a rival, or a limit."""

    kind: Literal["floor", "rival", "limit_us"]
    against: str
    factor: float


@dataclass(frozen=True)
class Case:
    """One race. `table` is the README table it appears in."""

    name: str
    table: str
    operation: Operation
    shape: tuple[int, ...]
    short_shape: tuple[int, ...]
    bars: tuple[Bar, ...]
    dtype: str = "float32"
    axis: int = -1
    against_float32: bool = False

    def shortened(self) -> "Case":
        return replace(self, shape=self.short_shape)

    @property
    def data_key(self) -> tuple[object, ...]:
        return (self.shape, self.dtype, self.axis, self.operation == "value_from_probs")


@dataclass(frozen=True)
class Data:
    """What every rival of a case is given: the same array, the same targets."""

    array: NDArray[np.generic]  # logits, or probabilities for value_from_probs; classes on `axis`
    targets: NDArray[np.int64]  # the shape of array without `axis`
    axis: int

    @property
    def classes(self) -> int:
        return int(self.array.shape[self.axis])


def data_of(case: Case) -> Data:
    """Make a case's data: logits of scale 3, as a network that has learned something gives; the seed is fixed."""
    rng = np.random.default_rng(20261122)
    logits = rng.standard_normal(case.shape, dtype=np.float32)
    logits *= np.float32(3)
    targets_shape = np.delete(np.array(case.shape), case.axis)
    targets = rng.integers(0, case.shape[case.axis], size=tuple(targets_shape), dtype=np.int64)
    if case.operation == "value_from_probs":
        probs = np.exp(logits.astype(case.dtype))
        probs /= probs.sum(axis=case.axis, keepdims=True)
        return Data(probs, targets, case.axis)
    dtype = np.dtype(ml_dtypes.bfloat16) if case.dtype == "bfloat16" else np.dtype(case.dtype)
    return Data(logits.astype(dtype, copy=False), targets, case.axis)


def _faster(**factors: float) -> tuple[Bar, ...]:
    names = {"eager": "torch eager", "compiled": "torch.compile", "jax": "jax.jit + optax", "sklearn": "scikit-learn"}
    return tuple(Bar("rival", names[key], factor) for key, factor in factors.items())


_LARGE = (((4096, 32000), (64, 3200)), ((512, 128256), (16, 12826)), ((16384, 1000), (512, 1000)))
_FEW = (((65536, 10), (4096, 10)), ((1000000, 2), (20000, 2)), ((200000, 100), (2000, 100)))


def _name(prefix: str, shape: tuple[int, ...]) -> str:
    return f"{prefix}-{'x'.join(map(str, shape))}"


_FORWARD = tuple(
    Case(
        _name("forward", shape),
        "forward",
        "value",
        shape,
        short,
        (Bar("floor", READ, 1.35), *_faster(eager=5, compiled=2, jax=2)),
    )
    for shape, short in _LARGE
)
_GRADIENT = tuple(
    Case(
        _name("gradient-into", shape),
        "gradient",
        "value_and_grad_into",
        shape,
        short,
        (Bar("floor", COPY, 1.3), *_faster(eager=7, compiled=3.5, jax=3.5)),
    )
    for shape, short in _LARGE
)
_FRESH = tuple(
    Case(_name("gradient-fresh", shape), "gradient", "value_and_grad", shape, short, _faster(eager=4.5))
    for shape, short in _LARGE
)
_FEW_CLASSES = tuple(
    Case(_name("few-classes", shape), "shapes", "value_and_grad_into", shape, short, _faster(eager=8))
    for shape, short in _FEW
)

CASES: tuple[Case, ...] = (
    # grouped by shape, so that data is made once per shape
    *(case for group in zip(_FORWARD, _GRADIENT, _FRESH, strict=True) for case in group),
    Case(
        "bfloat16-4096x32000",
        "shapes",
        "value_and_grad_into",
        (4096, 32000),
        (64, 3200),
        (*_faster(eager=4), Bar("rival", OURS_FLOAT32, 1)),
        dtype="bfloat16",
        against_float32=True,
    ),
    *_FEW_CLASSES,
    Case(
        "spatial-4x21x256x256",
        "shapes",
        "value_and_grad_into",
        (4, 21, 256, 256),
        (2, 21, 32, 32),
        _faster(eager=4),
        axis=1,
    ),
    Case(
        "probabilities-200000x10",
        "shapes",
        "value_from_probs",
        (200000, 10),
        (4000, 10),
        _faster(sklearn=15),
        dtype="float64",
    ),
    Case("one-call-128x10", "shapes", "value", (128, 10), (128, 10), (Bar("limit_us", "", 25),)),
)
