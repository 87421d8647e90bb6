"""A gradient times a number in place: what stays 0, what is left alone, and that it compiles for sm_90 without a GPU."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from crossent._kernels.gpu import scale as kernel

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("size", [1, 2047, 3 * 2048, 40_000])
def test_entries_are_torchs_products(dtype: torch.dtype, size: int) -> None:
    gradient = torch.randn(size, generator=torch.Generator().manual_seed(0)).to(dtype)
    wide = torch.promote_types(dtype, torch.float32)
    factor = torch.tensor(0.3, dtype=wide)
    expected = (gradient.to(wide) * factor).to(dtype)
    kernel.scale(gradient, factor)
    torch.testing.assert_close(gradient, expected, rtol=0.0, atol=0.0)


@pytest.mark.parametrize("number", [torch.inf, torch.nan, 0.0, 1.0])
def test_zeros_stay_and_a_zero_makes_zeros(number: float) -> None:
    gradient = torch.tensor([0.0, 2.0, torch.nan, torch.inf])
    kernel.scale(gradient, torch.tensor(number))
    found = {torch.inf: [0.0, torch.inf, torch.nan, torch.inf], 0.0: [0.0] * 4}
    found |= {1.0: [0.0, 2.0, torch.nan, torch.inf]}
    expected = found.get(number, [0.0, *[torch.nan] * 3])
    torch.testing.assert_close(gradient, torch.tensor(expected), equal_nan=True)


def test_any_order_of_axes_and_no_entries() -> None:
    gradient = torch.ones(3, 4, 5).movedim(1, -1)
    kernel.scale(gradient, torch.tensor(2.0))
    assert (gradient == 2.0).all()
    kernel.scale(torch.ones(0, 4), torch.tensor(2.0))


def test_it_compiles_for_sm_90() -> None:
    environment = {**os.environ, "TRITON_INTERPRET": "0"}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT / "src"), str(ROOT), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "tests.kernels.gpu.test_scale"]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert len(made) == 6
    assert not any(kernel["spilled"] for kernel in made)


def main() -> None:
    """Compile what is launched for tensors of one entry, of many, and of more than 32 bits count; print what was made."""
    import triton
    from triton.runtime.jit import JITFunction

    from tests.kernels.gpu.compiling import PROCESSORS, Target, compiled

    triton.runtime.driver.set_active(Target())
    kernel.launching, kernel.processors = contextlib.nullcontext, lambda _: PROCESSORS
    made: list[dict[str, object]] = []
    JITFunction.__getitem__ = compiled(made)
    for size in (1, 4097, 2**32 + 16):
        for dtype in (torch.bfloat16, torch.float64):
            kernel.scale(torch.empty(size, dtype=dtype, device="meta"), torch.empty((), device="meta"))
    sys.stdout.write(json.dumps(made))


if __name__ == "__main__":
    main()
