"""Race of the scores: ``python -m benchmarks.scoring [--short] [--out FILE]``; writes benchmarks/results/scoring/DATE.json.

Files are made anew. The floor is decoding the same columns with PyArrow and the same threads; all of a score's results are
part of its time. Memory is the peak of a process of its own, over a file made large by repetition.
"""

import argparse
import datetime
import json
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet
from sklearn.metrics import log_loss

from benchmarks.machine import commit, machine, versions
from benchmarks.measure import interleaved
from benchmarks.progress import Progress
from crossent.scoring.score import score
from crossent.scoring.tasks import BATCH_VALUES

RESULTS = Path(__file__).resolve().parent / "results" / "scoring"
THREADS = 2
OURS, HOST, BY_HAND = "crossent", "scikit-learn", "NumPy by hand"
DECODING, DECODING_THEIRS = "only decoding, row groups on threads", "only decoding, PyArrow's threads"

# name -> (rows, classes, dtype, kind)
CASES = {
    "1 000 000 x 100 float32": (1_000_000, 100, np.float32, "probs"),
    "1 000 000 x 100 float32, logits": (1_000_000, 100, np.float32, "logits"),
    "5 000 000 x 2 float64": (5_000_000, 2, np.float64, "probs"),
}
SHORT = {"20 000 x 10 float32": (20_000, 10, np.float32, "probs")}
LARGE_BYTES = 6e9
# Of one group of the large file: it holds this one again and again, as any real file could be.
_REPEATED_ROWS = 100_000

_PEAK = """
import json, sys
from crossent.scoring.score import score
from crossent.scoring.tasks import BATCH_VALUES
result = score(sys.argv[1])
result.to_dict()
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps({"peak_bytes": int(status["VmHWM"].split()[0]) * 1024, "rows": result.rows, "cost": result.cost}))
"""


def predictions(rows: int, classes: int, dtype: Any, kind: str) -> pa.Table:
    """Return a table of calibrated predictions and labels drawn from them."""
    rng = np.random.default_rng(20261124)
    logits = rng.standard_normal((rows, classes), np.float32) * np.float32(1.5)
    probabilities = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    drawn = rng.random(rows)[:, np.newaxis]
    labels = np.minimum((np.cumsum(probabilities, axis=1, dtype=np.float64) < drawn).sum(axis=1), classes - 1)
    values = (logits if kind == "logits" else probabilities).astype(dtype)
    prefix = "logit" if kind == "logits" else "prob"
    columns = {f"{prefix}_{c}": np.ascontiguousarray(values[:, c]) for c in range(classes)}
    return pa.table({"target": labels.astype(np.int32), **columns})


def _decode(path: Path) -> None:
    """Decode every column as the readers do: row groups on as many threads, in batches of the same size."""
    with parquet.ParquetFile(path) as file:
        groups = list(range(file.num_row_groups))
        rows = max(1, BATCH_VALUES // (file.metadata.num_columns - 1))

    def decode(part: list[int]) -> None:
        with parquet.ParquetFile(path, pre_buffer=False) as file:
            for _ in file.iter_batches(rows, row_groups=part, use_threads=False):
                pass

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(decode, [groups[start::THREADS] for start in range(THREADS)]))


def _decode_by_pyarrow(path: Path) -> None:
    """Decode every column with PyArrow's own threads."""
    with parquet.ParquetFile(path, pre_buffer=False) as file:
        for _ in file.iter_batches(use_threads=True):
            pass


def _ours(path: Path) -> dict[str, Any]:
    return score(path, workers=THREADS).to_dict()


def _read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    table = parquet.read_table(path)
    names = [name for name in table.schema.names if name != "target"]
    return table.column("target").to_numpy(), np.stack([table.column(name).to_numpy() for name in names], axis=1)


def _host(path: Path) -> float:
    labels, values = _read(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # float32 rows miss a sum of 1 by more than it likes
        return float(log_loss(labels, values, labels=range(values.shape[1])))


def _by_hand(path: Path) -> float:
    labels, values = _read(path)
    return float(-np.log(values[np.arange(len(labels)), labels].astype(np.float64)).mean())


def race(folder: Path, name: str, shape: tuple[int, int, Any, str], runs: int) -> dict[str, Any]:
    """Time one file."""
    rows, classes, dtype, kind = shape
    path = folder / "predictions.parquet"
    parquet.write_table(predictions(rows, classes, dtype, kind), path, row_group_size=max(1, 10_000_000 // classes))
    calls: dict[str, Callable[[], object]] = {OURS: lambda: _ours(path), DECODING: lambda: _decode(path)}
    calls[DECODING_THEIRS] = lambda: _decode_by_pyarrow(path)
    if kind == "probs":
        calls |= {HOST: lambda: _host(path), BY_HAND: lambda: _by_hand(path)}
    timings = interleaved(calls, runs=runs, budget_s=90.0)
    ours = timings[OURS].median_ms
    return {
        "name": name,
        "file_bytes": path.stat().st_size,
        "timings": {rival: timing.to_dict() for rival, timing in timings.items()},
        "of_decoding": {name: ours / timings[name].median_ms for name in (DECODING, DECODING_THEIRS)},
        "faster_than_host": timings[HOST].median_ms / ours if HOST in timings else None,
        "cost": score(path).cost,
        "host": _host(path) if kind == "probs" else None,
    }


def peak(folder: Path, size_bytes: float) -> dict[str, Any]:
    """Return the peak of a process that scores a file of so many bytes."""
    path = folder / "large.parquet"
    table = predictions(_REPEATED_ROWS, 100, np.float32, "probs")
    with parquet.ParquetWriter(path, table.schema, use_dictionary=False, compression="none") as writer:
        written = 0.0
        while written < size_bytes:
            writer.write_table(table)
            written += table.nbytes
    command = [sys.executable, "-c", _PEAK, str(path)]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    result: dict[str, Any] = {"file_bytes": path.stat().st_size, **json.loads(finished.stdout)}
    path.unlink()
    return result


def main(arguments: list[str]) -> None:
    """Run every case, then the memory of a large file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scoring", description=__doc__)
    parser.add_argument("--short", action="store_true", help="a small file: does the harness work?")
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    progress = Progress()
    today = datetime.datetime.now(tz=datetime.UTC).date()
    result: dict[str, Any] = {"made": str(today), "commit": commit(), "machine": machine(), "versions": versions()}
    result |= {"command": " ".join(["python -m benchmarks.scoring", *arguments]), "threads": THREADS, "cases": []}
    with tempfile.TemporaryDirectory(prefix="crossent-bench-") as name:
        folder = Path(name)
        for case, shape in (SHORT if options.short else CASES).items():
            with progress.step(case):
                result["cases"].append(race(folder, case, shape, 3 if options.short else options.runs))
            last = result["cases"][-1]
            floors = ", ".join(f"{ratio:.2f} x {name}" for name, ratio in last["of_decoding"].items())
            progress.line(f"{case}: {floors}; {last['faster_than_host'] or 0:.1f} x faster than {HOST}")
        with progress.step("memory of a large file"):
            result["memory"] = peak(folder, 1e8 if options.short else LARGE_BYTES)
        progress.line(f"peak {result['memory']['peak_bytes'] / 2**20:.0f} MiB")
    out = options.out or (Path(tempfile.gettempdir()) / "scoring.json" if options.short else RESULTS / f"{today}.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    progress.line(f"written to {out}")


if __name__ == "__main__":
    main(sys.argv[1:])
