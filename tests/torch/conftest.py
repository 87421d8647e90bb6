"""The route of the GPU's kernels for tensors of the CPU, where Triton interprets them: --gpu-route, or the fixture `gpu_route`."""

import math

import pytest
import torch

from crossent.torch import _gpu


def _total(values: torch.Tensor) -> torch.Tensor:
    """Stand in for the exact sum, which has tests of its own, takes 10 ms interpreted and is asked for at every step."""
    try:
        found = math.fsum(values.detach().double().reshape(-1).tolist())
    except (ValueError, OverflowError):
        found = values.detach().double().sum().item()
    return torch.tensor(found, dtype=torch.float64, device="cpu")


@pytest.fixture
def gpu_route(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send tensors of the CPU through the GPU's kernels."""
    pytest.importorskip("triton")
    monkeypatch.setattr(_gpu, "DEVICES", frozenset({"cuda", "cpu"}))
    monkeypatch.setattr(_gpu, "total", _total)


@pytest.fixture(autouse=True)
def _asked_for(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--gpu-route"):
        request.getfixturevalue("gpu_route")
