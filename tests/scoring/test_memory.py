"""Memory stays bounded: a file of 200 MB adds a fraction of that, whatever its format."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, ipc, parquet

ROWS = 2_500_000
CLASSES = 10
TEXT_ROWS = 800_000  # each number takes twenty bytes
# A block of predictions in float64 (16 MiB), a copy or two of it within the reader and the kernel, and the allocator.
ALLOWED_MB = 60
# Parquet is read on two threads: each has a reader, and the rows that it keeps until they are too many, 16 MiB.
ALLOWED_ON_THREADS_MB = 100

# Scores a small file first, so that imports, compiled kernels and thread pools are not counted. VmHWM is the peak of
# this process; ru_maxrss would start at that of the test runner. RssAnon is the memory of the process's own, without the
# pages of a mapped file, which the system takes back at will.
MEASURE = """
import json, sys
from pathlib import Path
from crossent.scoring.score import score

def status_mb(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1e3

own = []
note = lambda *_: own.append(status_mb("RssAnon"))
small, big = sys.argv[1:]
score(small, progress=note)
peak_before, own_before = status_mb("VmHWM"), max(own)
result = score(big, progress=note)
peak_mb, own_mb = status_mb("VmHWM") - peak_before, max(own) - own_before
json.dump({"rows": result.rows, "peak_mb": peak_mb, "own_mb": own_mb}, sys.stdout)
"""

READ_WHOLE = """
import sys
from pathlib import Path
from pyarrow import parquet
table = parquet.read_table(sys.argv[1])
print(next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")))
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status")


def table(rows: int) -> pa.Table:
    predictions = np.random.default_rng(0).random((rows, CLASSES), np.float32).astype(np.float64)
    columns = {f"logit_{index}": predictions[:, index] for index in range(CLASSES)}
    return pa.table({"target": np.arange(rows) % CLASSES} | columns)


def write_parquet(path: Path, rows: int) -> None:
    parquet.write_table(table(rows), path, row_group_size=200_000, use_dictionary=False)


def write_arrow(path: Path, rows: int) -> None:
    content = table(rows)
    with ipc.new_file(path, content.schema) as writer:
        writer.write_table(content)


def write_npz(path: Path, rows: int) -> None:
    labels = np.arange(rows) % CLASSES
    np.savez(path, labels=labels, logits=np.random.default_rng(0).random((rows, CLASSES)))


def write_csv(path: Path, rows: int) -> None:
    csv.write_csv(table(rows), path)


def assert_bounded(
    tmp_path: Path, write: Callable[[Path, int], None], ending: str, rows: int, measure: str, allowed_mb: int
) -> None:
    small, big = tmp_path / f"small.{ending}", tmp_path / f"big.{ending}"
    write(small, 100_000)
    write(big, rows)
    ran = subprocess.run([sys.executable, "-c", MEASURE, small, big], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    measured = json.loads(ran.stdout)
    assert measured["rows"] == rows
    assert measured[measure] < allowed_mb < big.stat().st_size / 1.2e6, measured


@pytest.mark.slow
@pytest.mark.parametrize(
    ("write", "ending", "rows", "measure", "allowed_mb"),
    [
        (write_parquet, "parquet", ROWS, "peak_mb", ALLOWED_ON_THREADS_MB),
        (write_npz, "npz", ROWS, "peak_mb", ALLOWED_MB),
        (write_csv, "csv", TEXT_ROWS, "peak_mb", ALLOWED_MB),
        (write_arrow, "arrow", ROWS, "own_mb", ALLOWED_MB),
    ],
)
def test_a_file_bigger_than_its_batches(tmp_path, write, ending, rows, measure, allowed_mb):
    assert_bounded(tmp_path, write, ending, rows, measure, allowed_mb)


@pytest.mark.slow
def test_the_measure_sees_a_reader_that_keeps_what_it_reads(tmp_path):
    path = tmp_path / "big.parquet"
    write_parquet(path, ROWS)
    ran = subprocess.run([sys.executable, "-c", READ_WHOLE, path], capture_output=True, text=True, check=True)
    assert int(ran.stdout) / 1e3 > ROWS * CLASSES * 8 / 1e6
