"""The oracle itself: published numbers, independence, tables that can be made anew, and the measure of errors."""

import ast
import math
import zlib
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from tests.oracle import make_tables, oracle
from tests.oracle.load import TABLES, load, ulp_error

HERE = Path(__file__).parent
INF, NAN = math.inf, math.nan
LARGEST = float(np.finfo(np.float32).max)
TINY = float(np.finfo(np.float32).smallest_subnormal)


def test_founding_example() -> None:
    row = oracle.SoftmaxRow(np.log([0.1, 0.5, 0.1, 0.1, 0.2]).tolist())
    target = oracle.hard_target(0)
    assert float(oracle.softmax_cross_entropy(row, target)) == pytest.approx(2.302585, abs=5e-7)
    gradient = [float(oracle.softmax_cross_entropy_gradient(row, target, place)[0]) for place in range(5)]
    assert gradient == pytest.approx([-0.9, 0.5, 0.1, 0.1, 0.2], abs=1e-15)  # the logarithms are rounded


@pytest.mark.parametrize(("margin", "published"), [(3, 4.858735e-2), (10, 4.539890e-5), (80, 1.804851e-35)])
def test_two_classes(margin: float, published: float) -> None:
    row = oracle.SoftmaxRow([float(margin), 0.0])
    assert float(row.loss(0)) == pytest.approx(published, rel=5e-7)  # seven printed digits


def test_imports_nothing_of_crossent() -> None:
    for path in HERE.glob("*.py"):
        if path.name.startswith("test_"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.split(".")[0] == "crossent" for name in names), path


@pytest.mark.parametrize("name", make_tables.MAKERS)
def test_tables_are_what_the_makers_make(name: str) -> None:
    maker, dtype, options = make_tables.MAKERS[name]
    records = islice(maker(np.random.default_rng(zlib.crc32(name.encode())), dtype, **options), 25)
    for row, record in zip(load(name), records, strict=False):
        for column, value in record.items():
            stored = row.columns[column]
            if isinstance(value, bytes):
                assert stored.tobytes() == value, f"{row}: {column}"
            else:
                np.testing.assert_array_equal(stored, value, err_msg=f"{row}: {column}")


def test_tables_stay_small() -> None:
    assert {path.stem for path in TABLES.glob("*.parquet")} == set(make_tables.MAKERS)
    assert sum(path.stat().st_size for path in TABLES.glob("*.parquet")) < 6_000_000


@pytest.mark.parametrize(
    ("got", "high", "low", "error"),
    [
        (1.0, 1.0, 0.0, 0.0),
        (1.0 + 2.0**-23, 1.0, 0.0, 1.0),
        (1.0, 1.0, 2.0**-60, 2.0**-37),
        (0.0, TINY / 4, 0.0, 0.25),
        (TINY, 0.0, 0.0, 1.0),
        (INF, INF, 0.0, 0.0),
        (-INF, INF, 0.0, INF),
        (INF, 1.0, 0.0, INF),
        (1.0, INF, 0.0, INF),
        (INF, 2 * LARGEST, 0.0, 0.0),
        (LARGEST, 2 * LARGEST, 0.0, 2.0**24 - 1),
        (NAN, NAN, 0.0, 0.0),
        (NAN, 1.0, 0.0, INF),
        (1.0, NAN, 0.0, INF),
        (INF, NAN, 0.0, INF),
    ],
)
def test_ulp_error(got: float, high: float, low: float, error: float) -> None:
    assert float(ulp_error(got, high, low, np.float32)) == error


def test_ulp_error_at_a_scale() -> None:
    assert float(ulp_error(2.0**-52, 0.0, 0.0, np.float64, scale=1.0)) == 1.0
