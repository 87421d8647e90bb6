"""The kernels of the head's filter are ones that Triton compiles for a GPU: halves through its tensor cores, nothing spilled."""

import json
import os
import subprocess
import sys
from pathlib import Path


def test_compile_for_hopper(tmp_path: Path) -> None:
    environment = os.environ | {"TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    script = Path(__file__).with_name("compile_tiles.py")
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert len(made) == 8
    assert all(one["architecture"] == 90 and one["shared_bytes"] <= 227 * 1024 for one in made)
    assert not any(one["stack_bytes"] for one in made)
    products = made[1:4]  # of bfloat16
    assert all("times" in one["kernel"] and one["tensor_cores"] and one["asynchronous"] for one in products)
