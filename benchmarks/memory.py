"""Peak memory of one forward beyond its input: each rival in a process of its own, where the peak is nobody else's.

``python -m benchmarks.memory RIVAL ROWS CLASSES`` is the child: it writes one line of JSON.
"""

import ctypes
import gc
import json
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks.cases import Data
from benchmarks.rivals import RIVALS

# the promise: one MB for everything fixed, and 32 bytes per row
FIXED_BYTES = 1_000_000
BYTES_PER_ROW = 32


def allowed_bytes(rows: int) -> int:
    return FIXED_BYTES + BYTES_PER_ROW * rows


def _status_bytes(field: str) -> int | None:
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return None
    for line in status.splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    return None


def _forget_the_peak() -> bool:
    """Let the kernel count the peak anew from the memory in use now; False where it cannot."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def _return_free_memory() -> None:
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):
        return


def _peak_of_forward(rival_name: str, rows: int, classes: int) -> dict[str, object]:
    rival = next(rival for rival in RIVALS if rival.name == rival_name)
    rng = np.random.default_rng(20261122)

    def data(count: int) -> Data:
        logits = rng.standard_normal((count, classes), dtype=np.float32)
        return Data(logits, rng.integers(0, classes, size=count), -1)

    full = data(rows)
    # Threads, imports and compilers are warmed first; only what compiles per shape sees the full shape before the clock.
    warm = rival.build("value", full if rival.compiles else data(2))
    if isinstance(warm, str):
        return {"absent": warm}
    warm()
    call = warm if rival.compiles else rival.build("value", full)
    assert not isinstance(call, str)
    _return_free_memory()
    counted_anew = _forget_the_peak()
    before = _status_bytes("VmRSS") if counted_anew else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    call()
    after = _status_bytes("VmHWM") if counted_anew else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if before is None or after is None:
        return {"absent": "this system does not say how much memory a process uses"}
    return {"peak_bytes": max(0, after - before), "peak_counted_anew": counted_anew}


def measure(rows: int, classes: int) -> dict[str, object]:
    """Run a child per rival and return what each needed."""
    needs: dict[str, object] = {}
    for rival in RIVALS:
        reason = rival.absent()
        if reason is not None:
            needs[rival.name] = {"absent": reason}
            continue
        command = [sys.executable, "-m", "benchmarks.memory", rival.name, str(rows), str(classes)]
        child = subprocess.run(command, capture_output=True, text=True, check=False)
        if child.returncode == 0:
            needs[rival.name] = json.loads(child.stdout.splitlines()[-1])
        else:
            needs[rival.name] = {"absent": f"failed: {(child.stderr.strip().splitlines() or ['no message'])[-1]}"}
    return {"rows": rows, "classes": classes, "allowed_bytes": allowed_bytes(rows), "rivals": needs}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_peak_of_forward(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))) + "\n")
