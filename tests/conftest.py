"""What has to be said before anything is imported, and the option that sends tensors of the CPU through the GPU's kernels."""

import os

import pytest
import torch

# The GPU kernels run on tensors of the CPU where there is no GPU; Triton reads this when it is imported.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--gpu-route",
        action="store_true",
        help="run tests/torch through the GPU's kernels, interpreted on tensors of the CPU; minutes: see `make gpu-route`",
    )
