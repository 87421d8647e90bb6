"""The kernel for any targets and options is one that Triton compiles for a GPU, in every stage."""

import os
import subprocess
import sys
from pathlib import Path


def test_compiles_for_hopper(tmp_path: Path) -> None:
    environment = os.environ | {"TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    script = Path(__file__).with_name("compile_soft_targets.py")
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [stage for stage, _, _ in lines] == ["0", "0", "0", "1", "2"]
    assert all(arch == "90" and int(size) > 10_000 for _, arch, size in lines)
