"""What one waits for before the first number: importing crossent, its first call from a warm cache, from an empty one.

Every time is taken in a process of its own that has already imported NumPy; the cache folder is a temporary one.
"""

import os
import statistics
import subprocess
import sys
import tempfile

IMPORT_LIMIT_S = 0.030
WARM_LIMIT_S = 0.8
COLD_LIMIT_S = 5.0

IMPORT_ONLY = """
import time, numpy
started = time.perf_counter()
import crossent
print(time.perf_counter() - started)
"""
# from the import to the number: what a script that computes one loss waits for
FIRST_CALL = """
import time, numpy
logits = numpy.zeros((8, 10), numpy.float32)
targets = numpy.zeros(8, numpy.int64)
started = time.perf_counter()
import crossent
crossent.cross_entropy(logits, targets)
print(time.perf_counter() - started)
"""


def _seconds(program: str, cache: str) -> float:
    environment = {**os.environ, "CROSSENT_CACHE_DIR": cache}
    child = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    if child.returncode != 0:
        message = f"a start-up child failed: {child.stderr.strip()}"
        raise RuntimeError(message)
    return float(child.stdout)


def _entry(times_s: list[float], limit_s: float) -> dict[str, object]:
    return {"median_s": statistics.median(times_s), "min_s": min(times_s), "runs": len(times_s), "limit_s": limit_s}


def measure(*, runs: int) -> dict[str, dict[str, object]]:
    """Return the medians of `runs` fresh processes each."""
    with tempfile.TemporaryDirectory() as cache:
        _seconds(FIRST_CALL, cache)  # writes the bytecode of every module and fills this cache
        imports = [_seconds(IMPORT_ONLY, cache) for _ in range(runs)]
        warm = [_seconds(FIRST_CALL, cache) for _ in range(runs)]
    cold = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as empty:
            cold.append(_seconds(FIRST_CALL, empty))
    return {
        "import crossent, beyond NumPy": _entry(imports, IMPORT_LIMIT_S),
        "first call, compiled kernels in the cache": _entry(warm, WARM_LIMIT_S),
        "first call, empty cache": _entry(cold, COLD_LIMIT_S),
    }
