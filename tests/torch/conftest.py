"""The route of the GPU's kernels for tensors of the CPU, where Triton interprets them: --gpu-route, or the fixture `gpu_route`."""

import pytest

from crossent.torch import _gpu


@pytest.fixture
def gpu_route(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send tensors of the CPU through the GPU's kernels."""
    pytest.importorskip("triton")
    monkeypatch.setattr(_gpu, "DEVICES", frozenset({"cuda", "cpu"}))


@pytest.fixture(autouse=True)
def _asked_for(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--gpu-route"):
        request.getfixturevalue("gpu_route")
