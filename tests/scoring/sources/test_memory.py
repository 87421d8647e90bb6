"""Memory stays bounded: reading a file of 300 MB adds a fraction of that, whatever its format."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, parquet
from safetensors.numpy import save_file

CLASSES = 10
ROWS = 4_000_000
TEXT_ROWS = 1_500_000  # each number takes twenty bytes
LOG_LINES = 60_000  # of fifty tokens, which take a hundred bytes each
# Batches of 2**16 rows as the file has them and as Arrow does (5 MiB each), a copy within the reader, the allocator.
ALLOWED_MB = 60
# The allocator's pages come and go: the same csv.gz took 2 to 61 MB in 17 runs, most of them 20 to 35. Whoever holds the file,
# 240 MB at least, holds it in every run.
RUNS = 3

# Reads a small file first, so that imports and the allocator's first arenas are not counted. VmHWM is the peak of this
# process; ru_maxrss would start at that of the test runner.
MEASURE = """
import json, sys
from pathlib import Path
from crossent.scoring.sources.opening import open_source, read_batches

def peak_mb():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1e3

def read(path):
    source = open_source(path)
    return sum(batch.num_rows for batch in read_batches(source, source.schema.names, 2**16, {}))

small, big = sys.argv[1:]
read(small)
before = peak_mb()
json.dump({"rows": read(big), "peak_mb": peak_mb() - before}, sys.stdout)
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status"),
]


def predictions(rows: int) -> np.ndarray:
    return np.random.default_rng(0).random((rows, CLASSES), np.float32).astype(np.float64)


def table(rows: int) -> pa.Table:
    return pa.table({f"logit_{index}": column for index, column in enumerate(predictions(rows).T)})


def write_parquet(path: Path, rows: int) -> None:
    parquet.write_table(table(rows), path, row_group_size=200_000, use_dictionary=False, compression="none")


def write_npy(path: Path, rows: int) -> None:
    np.save(path, predictions(rows))


def write_npz(path: Path, rows: int) -> None:
    np.savez(path, logits=predictions(rows))


def write_safetensors(path: Path, rows: int) -> None:
    save_file({"logits": predictions(rows)}, path)


def write_csv(path: Path, rows: int) -> None:
    csv.write_csv(table(rows), path)


def write_csv_gz(path: Path, rows: int) -> None:
    with pa.output_stream(str(path), compression="gzip") as stream:
        csv.write_csv(table(rows), stream)


def write_json_lines(path: Path, rows: int) -> None:
    with path.open("w") as file:
        for row, logits in enumerate(predictions(rows)):
            file.write(f'{{"target": {row % CLASSES}, "logits": {logits.tolist()}}}\n')


def write_log(path: Path, rows: int) -> None:
    token = {"token": " word", "logprob": -1.25, "bytes": list(b" word"), "top_logprobs": []}
    line = json.dumps({"choices": [{"finish_reason": "stop", "logprobs": {"content": [token] * 50}}]}) + "\n"
    with path.open("w") as file:
        file.writelines(line for _ in range(rows // 50))


@pytest.mark.parametrize(
    ("write", "ending", "rows"),
    [
        (write_parquet, "parquet", ROWS),
        (write_npy, "npy", ROWS),
        (write_npz, "npz", ROWS),
        (write_safetensors, "safetensors", ROWS),
        (write_csv, "csv", TEXT_ROWS),
        (write_csv_gz, "csv.gz", TEXT_ROWS),
        (write_json_lines, "jsonl", TEXT_ROWS),
        (write_log, "jsonl", LOG_LINES * 50),
    ],
)
def test_a_file_bigger_than_its_batches(tmp_path: Path, write: Callable[[Path, int], None], ending: str, rows: int):
    small, big = tmp_path / f"small.{ending}", tmp_path / f"big.{ending}"
    write(small, 100_000)
    write(big, rows)
    peaks_mb = []
    while not peaks_mb or (peaks_mb[-1] >= ALLOWED_MB and len(peaks_mb) < RUNS):
        ran = subprocess.run([sys.executable, "-c", MEASURE, small, big], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        measured = json.loads(ran.stdout)
        assert measured["rows"] == rows
        peaks_mb.append(measured["peak_mb"])
    assert min(peaks_mb) < ALLOWED_MB, peaks_mb
    assert ending == "csv.gz" or big.stat().st_size > 4e6 * ALLOWED_MB
