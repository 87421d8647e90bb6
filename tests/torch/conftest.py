"""The route of the GPU's kernels for tensors of the CPU: --gpu-route, or the fixture `gpu_route`.

Triton interprets the kernels; where there is a GPU, it runs them, and tensors go there and back around each launch.
"""

import math
from dataclasses import fields, replace
from typing import Any

import pytest
import torch

from crossent.torch import _gpu

_SLOW = "asks for thousands of launches, each of which an interpreter takes milliseconds for"
_ON_THE_DEVICE = "looks at numbers of the device, which asserts there instead: see test_gpu_route.py"
_CPU_ALONE = "is about the CPU's own code"
# Tests that --gpu-route leaves out: how their ids end or what they contain, and why.
LEFT_OUT = {
    "::test_gradients_of_class_weights": f"{_SLOW}; test_gpu_route.py compares derivatives with torch's",
    "test_extras.py::test_every_kind_of_derivative": f"{_SLOW}; test_gpu_route.py compares derivatives with torch's",
    "test_op_samples.py::test_derivatives[": f"{_SLOW}; test_gpu_route.py compares derivatives with torch's",
    "::test_digits_through_autograd": f"{_SLOW}; tests/kernels/gpu has the same tables",
    "test_options.py::test_any_combination_of_options": f"{_SLOW}; test_gpu_route.py draws 25 of its thousand",
    "made_anew[0.0-(300, 400)]": _SLOW,
    "made_anew[0.1-(300, 400)]": _SLOW,
    "::test_a_mean_has_the_same_bits_for_any_order_and_any_threads": f"{_CPU_ALONE}, its threads",
    "::test_errors_are_torchs[a label that is no class]": _ON_THE_DEVICE,
    "::test_the_label_that_is_named_is_the_first_wrong_one": _ON_THE_DEVICE,
    "::test_errors_of_the_loss[NaN]": _ON_THE_DEVICE,
    "::test_evaluation_makes_no_gradients": f"{_CPU_ALONE}; test_gpu_route.py counts what the kernels are asked",
    "test_room.py::": f"{_CPU_ALONE}, where its gradients lie",
    "test_linear_cross_entropy.py::test_errors_name_both_sides[a label that is no class]": _ON_THE_DEVICE,
    "test_linear_cross_entropy.py::test_is_torchs_loss_of_torchs_layer": f"{_SLOW}; test_gpu_linear.py has some of them",
    "test_filter.py::": "is about the CPU's filter of entries; the GPU's leaves out tiles: test_gpu_filter.py",
    "::test_lse_near_nothing": "a float32 row's lse has the digits of its float32 powers, 2e-8, which z_loss=1e4 shows",
}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--gpu-route"):
        return
    for item in items:
        for part, reason in LEFT_OUT.items():
            if part in item.nodeid:
                item.add_marker(pytest.mark.skip(reason=reason))


def _total(
    values: torch.Tensor, denominator: torch.Tensor | float = 1.0, dtype: torch.dtype = torch.float64
) -> torch.Tensor:
    """Stand in for the exact sum, which has tests of its own, takes 10 ms interpreted and is asked for at every step."""
    try:
        found = math.fsum(values.detach().double().reshape(-1).tolist())
    except (ValueError, OverflowError):
        found = values.detach().double().sum().item()
    return (torch.tensor(found, dtype=torch.float64, device="cpu") / denominator).to(dtype)


def _moved(parts: Any, device: str) -> Any:
    """Return a problem, numbers or upstream gradients with their tensors on a device."""
    values = {field.name: getattr(parts, field.name) for field in fields(parts)}
    return replace(
        parts, **{name: value.to(device) for name, value in values.items() if isinstance(value, torch.Tensor)}
    )


def carrying_solve(device: str) -> Any:
    """Return `_gpu.solve` for tensors of the CPU, on another device."""
    solve = _gpu.solve

    def carried(problem: Any, numbers: Any, upstream: Any, gradient: torch.Tensor | None) -> None:
        found, out = _moved(numbers, device), None if gradient is None else gradient.to(device)
        solve(_moved(problem, device), found, None if upstream is None else _moved(upstream, device), out)
        for field in fields(numbers):
            number = getattr(numbers, field.name)
            if number is not None:
                number.copy_(getattr(found, field.name))
        if gradient is not None:
            gradient.copy_(out)

    return carried


def carrying_scale(device: str) -> Any:
    """Return `_gpu.scale` for tensors of the CPU, on another device."""
    scale = _gpu.scale

    def carried(gradient: torch.Tensor, factor: torch.Tensor) -> None:
        out = gradient.to(device)
        scale(out, factor.to(device))
        gradient.copy_(out)

    return carried


def carrying_counted(device: str) -> Any:
    """Return `_gpu.counted` for tensors of the CPU, on another device."""
    counted = _gpu.counted
    return lambda ids, ignore_index: tuple(number.cpu() for number in counted(ids.to(device), ignore_index))


@pytest.fixture
def gpu_route(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send tensors of the CPU through the GPU's kernels."""
    pytest.importorskip("triton")
    monkeypatch.setattr(_gpu, "DEVICES", frozenset({"cuda", "cpu"}))
    monkeypatch.setattr(_gpu, "total", _total)
    if torch.cuda.is_available():
        monkeypatch.setattr(_gpu, "solve", carrying_solve("cuda"))
        monkeypatch.setattr(_gpu, "scale", carrying_scale("cuda"))
        monkeypatch.setattr(_gpu, "counted", carrying_counted("cuda"))


@pytest.fixture(autouse=True)
def _asked_for(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--gpu-route"):
        request.getfixturevalue("gpu_route")
