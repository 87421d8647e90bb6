"""PyTorch's own samples of its losses through our functions: values in every dtype, first and second derivatives."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch.testing._internal.common_methods_invocations import op_db

import crossent.torch

# forward mode of torch 2.13 scripts its own decompositions, and warns of itself
pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:reduction. 'mean' divides:UserWarning"),
]
NAMES = ("cross_entropy", "nll_loss", "kl_div", "binary_cross_entropy", "binary_cross_entropy_with_logits")
OPERATIONS = {f"nn.functional.{name}": getattr(crossent.torch, name) for name in NAMES}
HALVES = (torch.float16, torch.bfloat16)
in_every_operation = pytest.mark.parametrize("name", OPERATIONS)


def samples(name: str, dtype: torch.dtype, *, requires_grad: bool) -> Iterator[Any]:
    (operation,) = [entry for entry in op_db if entry.name == name]
    yield from operation.sample_inputs("cpu", dtype, requires_grad=requires_grad)


def theirs(name: str) -> Callable[..., torch.Tensor]:
    function: Callable[..., torch.Tensor] = getattr(torch.nn.functional, name.rpartition(".")[2])
    return function


def widened(value: Any) -> Any:
    return value.double() if isinstance(value, torch.Tensor) and value.is_floating_point() else value


@in_every_operation
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, *HALVES], ids=str)
def test_values(name: str, dtype: torch.dtype) -> None:
    # halves against torch in float64, as torch itself rounds every step of theirs: elements once, and once their sum
    half = dtype in HALVES
    tolerance = {"rtol": 4 * torch.finfo(dtype).eps, "atol": 4 * torch.finfo(dtype).eps} if half else {}
    seen = 0
    for sample in samples(name, dtype, requires_grad=False):
        got = OPERATIONS[name](sample.input, *sample.args, **sample.kwargs)
        reference = sample.transform(widened) if half else sample
        expected = theirs(name)(reference.input, *reference.args, **reference.kwargs).to(dtype)
        torch.testing.assert_close(got, expected, equal_nan=True, **tolerance)
        seen += 1
    assert seen >= 8


@in_every_operation
def test_derivatives(name: str) -> None:
    """Backward, forward mode, both over each other, batched; against finite differences, in float64."""
    seen = 0
    for sample in samples(name, torch.float64, requires_grad=True):
        arguments = [sample.input, *sample.args]
        places = [i for i, value in enumerate(arguments) if isinstance(value, torch.Tensor) and value.requires_grad]

        def call(*values: torch.Tensor, arguments: Any = arguments, places: Any = places, sample: Any = sample) -> Any:
            own = list(arguments)
            for place, value in zip(places, values, strict=True):
                own[place] = value
            return OPERATIONS[name](*own, **sample.kwargs)

        leaves = tuple(arguments[place] for place in places)
        assert torch.autograd.gradcheck(
            call, leaves, check_forward_ad=True, check_batched_grad=True, check_batched_forward_grad=True
        )
        assert torch.autograd.gradgradcheck(call, leaves, check_fwd_over_rev=True, check_batched_grad=True)
        seen += 1
    assert seen >= 8
