"""The rivals, once: each turns an operation and its data into a call. A rival that is not installed is reported absent."""

import functools
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.cases import OURS, Data, Operation

Answer = tuple[object, object | None]  # value, gradient or None, in the rival's own types
Call = Callable[[], Answer]
Built = Call | str  # the call, or why the rival does not take part: it has no such function


@dataclass(frozen=True)
class Rival:
    """A name, the packages it needs, and how it is called; `compiles` if each new shape is compiled anew."""

    name: str
    packages: tuple[str, ...]
    build: Callable[[Operation, Data], Built]
    compiles: bool = False

    def absent(self) -> str | None:
        missing = [package for package in self.packages if importlib.util.find_spec(package) is None]
        return f"not installed: {', '.join(missing)}" if missing else None


def as_numpy(answer: Answer) -> tuple[float, NDArray[np.float64] | None]:
    """Return an answer's value and gradient as float64, whatever library they come from."""

    def convert(array: object) -> NDArray[np.float64]:
        if hasattr(array, "detach"):
            array = array.detach().double().numpy()
        return np.asarray(array).astype(np.float64)

    value, grad = answer
    return float(convert(value)), None if grad is None else convert(grad)


def _ours(operation: Operation, data: Data) -> Built:
    import crossent

    crossent.set_num_threads(2)
    array, targets, axis = data.array, data.targets, data.axis
    if operation == "value":
        return lambda: (crossent.cross_entropy(array, targets, axis=axis), None)
    if operation == "value_from_probs":
        return lambda: (crossent.cross_entropy_from_probs(array, targets, axis=axis), None)
    out = np.empty_like(array) if operation == "value_and_grad_into" else None

    def value_and_grad() -> Answer:
        both = crossent.cross_entropy_and_grad(array, targets, axis=axis, out=out)
        return both.value, both.grad

    return value_and_grad


def forget_compiled() -> None:
    """Let torch.compile start anew; else it stops compiling after a few shapes and runs eagerly without a word."""
    if "torch" in sys.modules:
        sys.modules["torch"]._dynamo.reset()


@functools.cache
def _torch_compiled() -> Callable[..., Any]:
    import torch

    # dynamic=False: or the second shape would be compiled for any shape, which is slower to run
    return torch.compile(torch.nn.functional.cross_entropy, dynamic=False)


def _torch(operation: Operation, data: Data, *, compiled: bool) -> Built:
    import torch

    if operation == "value_from_probs":
        return "takes no probabilities"
    torch.set_num_threads(2)
    if data.array.dtype.name == "bfloat16":
        array = torch.from_numpy(data.array.view(np.int16)).view(torch.bfloat16)
    else:
        array = torch.from_numpy(data.array)
    targets = torch.from_numpy(data.targets)
    if data.axis not in (-1, 1):
        return "has its classes on axis 1"
    loss = torch.nn.functional.cross_entropy
    if compiled:
        loss = _torch_compiled()
    if operation == "value":

        def value() -> Answer:
            with torch.no_grad():
                return loss(array, targets), None

        return value

    def value_and_grad() -> Answer:
        leaf = array.detach().requires_grad_()
        result = loss(leaf, targets)
        result.backward()
        return result, leaf.grad

    return value_and_grad


@functools.cache
def _jax_compiled(axis: int, *, with_grad: bool) -> Callable[..., Any]:
    import jax
    import optax

    def loss(logits: jax.Array, labels: jax.Array) -> jax.Array:
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels, axis=axis).mean()

    return jax.jit(jax.value_and_grad(loss) if with_grad else loss)


def _jax(operation: Operation, data: Data) -> Built:
    import jax

    if operation == "value_from_probs":
        return "takes no probabilities"
    array, targets = jax.numpy.asarray(data.array), jax.numpy.asarray(data.targets.astype(np.int32))
    compiled = _jax_compiled(data.axis, with_grad=operation != "value")
    if operation == "value":
        return lambda: (compiled(array, targets).block_until_ready(), None)
    return lambda: jax.block_until_ready(compiled(array, targets))


def _sklearn(operation: Operation, data: Data) -> Built:
    from sklearn.metrics import log_loss

    if operation != "value_from_probs":
        return "takes probabilities only"
    labels = np.arange(data.classes)
    return lambda: (log_loss(data.targets, data.array, labels=labels), None)


def _picked(array: NDArray[np.generic], data: Data) -> NDArray[np.generic]:
    return np.take_along_axis(array, np.expand_dims(data.targets, data.axis), data.axis)


def _minus_one_hot_over_rows(probs: NDArray[np.generic], data: Data) -> NDArray[np.generic]:
    index = np.expand_dims(data.targets, data.axis)
    np.put_along_axis(probs, index, _picked(probs, data) - 1, data.axis)
    probs /= data.targets.size
    return probs


def _scipy(operation: Operation, data: Data) -> Built:
    from scipy.special import log_softmax, softmax

    if operation == "value_from_probs":
        return "takes no class ids with probabilities"
    if data.array.dtype.name == "bfloat16":
        return "does not know bfloat16"

    def value() -> Answer:
        return -_picked(log_softmax(data.array, axis=data.axis), data).mean(), None

    def value_and_grad() -> Answer:
        return value()[0], _minus_one_hot_over_rows(softmax(data.array, axis=data.axis), data)

    return value if operation == "value" else value_and_grad


def _numpy(operation: Operation, data: Data) -> Built:
    """What one writes by hand: subtract the maximum, exponentiate, sum."""
    if operation == "value_from_probs":
        return lambda: (-np.log(_picked(data.array, data)).mean(), None)
    if data.array.dtype.name == "bfloat16":
        return "computes bfloat16 one element at a time"

    def value_and_grad() -> Answer:
        shifted = data.array - data.array.max(axis=data.axis, keepdims=True)
        target_logits = _picked(shifted, data)
        np.exp(shifted, out=shifted)
        sums = shifted.sum(axis=data.axis, keepdims=True)
        value = (np.log(sums) - target_logits).mean()
        if operation == "value":
            return value, None
        shifted /= sums
        return value, _minus_one_hot_over_rows(shifted, data)

    return value_and_grad


RIVALS: tuple[Rival, ...] = (
    Rival(OURS, ("crossent",), _ours),
    Rival("torch eager", ("torch",), lambda operation, data: _torch(operation, data, compiled=False)),
    Rival("torch.compile", ("torch",), lambda operation, data: _torch(operation, data, compiled=True), compiles=True),
    Rival("jax.jit + optax", ("jax", "optax"), _jax, compiles=True),
    Rival("scikit-learn", ("sklearn",), _sklearn),
    Rival("SciPy", ("scipy",), _scipy),
    Rival("plain NumPy", ("numpy",), _numpy),
)
