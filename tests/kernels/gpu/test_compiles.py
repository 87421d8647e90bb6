"""The kernels compile for sm_90, in registers, and do in a half's inner loop what a half needs. No GPU is asked."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

CALLS = [
    *(
        "few classes, float32",
        "rows in registers, float32",
        "rows in registers, bfloat16",
        "rows in registers, float64",
    ),
    *("rows of a few classes, float32", "rows of a few classes, float64"),
    *("in blocks, bfloat16, losses", "in blocks, bfloat16", "in blocks, float32", "in blocks, float64"),
    *("one row of one class", "one row in registers"),
    *("images, float32", "in parts, float16", "in parts, float32"),
]
ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.skipif(torch.version.hip is not None, reason="the assembler is NVIDIA's")


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """What was compiled for each call."""
    own = {"TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path_factory.mktemp("triton"))}
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "tests.kernels.gpu.compiling"]
    environment = {**os.environ, **own, "PYTHONPATH": path}
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answers: dict[str, list[dict[str, Any]]] = json.loads(done.stdout)
    return answers


@pytest.mark.parametrize("call", CALLS)
def test_a_call_compiles_and_stays_in_registers(call: str, kernels: dict[str, list[dict[str, Any]]]) -> None:
    assert kernels[call]
    for kernel in kernels[call]:
        assert kernel["spilled"] <= 64, kernel["kernel"]
        # two programs at once on a processor of 65 536 registers
        assert kernel["registers"] * kernel["warps"] * 32 * 2 <= 65536, kernel["kernel"]


def test_all_calls_are_looked_at(kernels: dict[str, list[dict[str, Any]]]) -> None:
    assert set(kernels) == set(CALLS)


def test_halves_are_summed_in_float32_with_one_fast_power_each(kernels: dict[str, list[dict[str, Any]]]) -> None:
    """The loop over blocks holds 8192 / 512 logits a thread: as many powers, and float64 only where a row has one number."""
    kernel, _ = kernels["in blocks, bfloat16, losses"]
    assert len(re.findall(r"\tex2\.approx", kernel["ptx"])) == 16
    assert not re.findall(r"\tdiv\.", kernel["ptx"])
    assert len(re.findall(r"\t\w+[.\w]*\.f64", kernel["ptx"])) < 60
