"""Files of predictions in every format that the reader knows."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, feather, ipc, parquet

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes a table, given as columns or as a pyarrow Table, under a name with an ending."""

    def written(columns: dict | pa.Table, name: str = "predictions.parquet", rows_per_batch: int | None = None) -> Path:
        path = tmp_path / name
        if path.suffix == ".npz":
            np.savez(path, **columns)
            return path
        table = columns if isinstance(columns, pa.Table) else pa.table(columns)
        if path.suffix == ".parquet":
            parquet.write_table(table, path, row_group_size=rows_per_batch)
        elif path.suffix in (".csv", ".tsv"):
            mark = "\t" if path.suffix == ".tsv" else ","
            csv.write_csv(table, path, csv.WriteOptions(delimiter=mark))
        elif path.suffix == ".feather":
            feather.write_feather(table, path)
        else:
            opened = ipc.new_file if path.suffix == ".arrow" else ipc.new_stream
            with opened(path, table.schema) as writer:
                writer.write_table(table, max_chunksize=rows_per_batch)
        return path

    return written


@pytest.fixture
def probabilities() -> tuple[np.ndarray, np.ndarray]:
    """Return float64 probabilities, shape (1000, 3), and labels in [0, 3), shape (1000,)."""
    rng = np.random.default_rng(7)
    predictions = rng.dirichlet([0.3, 1.0, 2.0], size=1000)
    return np.maximum(predictions, 1e-300), rng.integers(0, 3, 1000)
