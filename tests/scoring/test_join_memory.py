"""Joining labels takes bounded memory, and leaves nothing behind."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

pytest.importorskip("duckdb", minversion="2.0")

# VmHWM is the peak of this process. Reads the labels of every row and adds them up.
MEASURE = """
import json, sys, tempfile
from pathlib import Path
tempfile.tempdir = sys.argv[3]
from crossent.scoring.join import JoinedSource, check_join
from crossent.scoring.sources.opening import open_source, read_batches
predictions, labels, _, piece_rows = sys.argv[1:]
report = check_join([open_source(predictions)], labels)
source = JoinedSource(open_source(predictions), report.label_file)
rows = total = 0
for piece in source.pieces(["y"], int(piece_rows)):
    for batch in read_batches(source, ["y", "id"], 65536, {}, piece):
        rows += batch.num_rows
        total += sum(y * 7 + row for row, y in enumerate(batch.column("y").to_pylist()))
status = Path("/proc/self/status").read_text().splitlines()
peak_mb = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1e3
json.dump({"rows": rows, "total": total, "alone": report.labels_without_prediction, "peak_mb": peak_mb}, sys.stdout)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status")
@pytest.mark.parametrize("is_text", [False, True], ids=["numbers", "text"])
def test_memory_stays_bounded_and_folders_are_removed(tmp_path, is_text):
    rows = 3_000_000
    numbers = np.random.default_rng(0).permutation(rows)
    keys = [f"key-{number:012}-abcdefgh" for number in numbers] if is_text else numbers
    predictions, labels, temporary = tmp_path / "p.parquet", tmp_path / "l.parquet", tmp_path / "tmp"
    temporary.mkdir()
    parquet.write_table(pa.table({"id": keys, "y": numbers % 1009}), labels)
    parquet.write_table(pa.table({"id": keys[::-1][: rows - 5]}), predictions, row_group_size=2**16)
    expected = (numbers[::-1][: rows - 5] % 1009).sum() * 7
    for piece_rows in (rows, 2**20):
        command = [sys.executable, "-c", MEASURE, predictions, labels, temporary, str(piece_rows)]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        found = json.loads(ran.stdout)
        positions = sum(count * (count - 1) // 2 for count in [2**16] * (found["rows"] // 2**16))
        last = found["rows"] % 2**16
        assert found["rows"] == rows - 5
        assert found["alone"] == 5
        assert found["total"] == expected + positions + last * (last - 1) // 2
        assert found["peak_mb"] < 400, found
        assert list(Path(temporary).iterdir()) == []
