"""A forward takes O(rows) of memory: less than 1 MB and 32 bytes a row beyond its input, whatever the number of classes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="2026-11-22: reads and resets /proc/self")

SHAPES = [(20_000, 500), (200_000, 10)]
# Losses are 4 bytes a row, labels copied 8, an exact sum reads float64: 8.
BYTES_PER_ROW, BYTES = 32, 2**20

# VmHWM is the peak of what lies in memory; writing 5 to clear_refs sets it back to what lies there now. The first calls,
# on the same arrays, load kernels, start threads and touch the input, so that what follows counts the forward alone.
# Freed memory is given back to the system first: or the peak would not see what reuses it.
MEASURE = """
import ctypes, gc, json, sys
from pathlib import Path
import numpy as np
import crossent

rows, classes, axis, keep = (int(word) for word in sys.argv[1:])
crossent.set_num_threads(2)
logits = np.random.default_rng(0).standard_normal((rows, classes) if axis else (classes, rows), np.float32)
targets = np.random.default_rng(0).integers(classes, size=rows)

def status_bytes(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024

def forward():
    crossent.cross_entropy(logits, targets, axis=axis)
    return logits.copy() if keep else None

for _ in range(2):
    forward()
gc.collect()
ctypes.CDLL(None).malloc_trim(0)
Path("/proc/self/clear_refs").write_text("5")
before = status_bytes("VmHWM")
forward()
json.dump({"peak_bytes": status_bytes("VmHWM") - before, "input_bytes": logits.nbytes}, sys.stdout)
"""


def measured(rows: int, classes: int, axis: int, *, keep: bool = False) -> dict[str, int]:
    arguments = [str(int(word)) for word in (rows, classes, axis, keep)]
    ran = subprocess.run([sys.executable, "-c", MEASURE, *arguments], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def can_reset_the_peak() -> bool:
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


@pytest.mark.parametrize("axis", [1, 0], ids=["classes side by side", "rows side by side"])
@pytest.mark.parametrize(("rows", "classes"), SHAPES)
def test_a_forward_takes_memory_for_its_rows_only(rows: int, classes: int, axis: int) -> None:
    if not can_reset_the_peak():
        pytest.skip("2026-11-22: /proc/self/clear_refs cannot be written here")
    found = measured(rows, classes, axis)
    assert found["peak_bytes"] < BYTES + BYTES_PER_ROW * rows, found
    if classes > 100:  # the bound is far below a copy of the input
        assert BYTES + BYTES_PER_ROW * rows < found["input_bytes"] / 20


def test_the_measure_sees_a_copy_of_the_input() -> None:
    if not can_reset_the_peak():
        pytest.skip("2026-11-22: /proc/self/clear_refs cannot be written here")
    rows, classes = SHAPES[0]
    found = measured(rows, classes, 1, keep=True)
    assert found["peak_bytes"] > 0.9 * found["input_bytes"], found
