"""Arrow columns as arrays are what PyArrow's own conversion gives, and pandas is not imported for them."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from crossent.scoring.arrow_columns import as_numpy

_NUMBERS = [1, None, 3, 100, 0, None, 7]
_TYPES = [pa.int8(), pa.uint8(), pa.int32(), pa.int64(), pa.uint64(), pa.float16(), pa.float32(), pa.float64()]


def _array(kind: pa.DataType, *, nulls: bool) -> pa.Array:
    values = [value for value in _NUMBERS if nulls or value is not None]
    if kind == pa.float16():
        return pa.array([None if value is None else np.float16(value) for value in values], kind)
    return pa.array(values, kind)


@pytest.mark.parametrize("nulls", [False, True])
@pytest.mark.parametrize("kind", _TYPES, ids=str)
def test_numbers_are_what_pyarrow_gives(kind: pa.DataType, nulls: bool) -> None:
    array = _array(kind, nulls=nulls)
    for column in (
        array,
        array.slice(2),
        array.slice(1, 3),
        array.slice(0, 0),
        pa.chunked_array([array, array.slice(3)]),
    ):
        expected = column.to_numpy() if isinstance(column, pa.ChunkedArray) else column.to_numpy(zero_copy_only=False)
        np.testing.assert_array_equal(as_numpy(column), expected, strict=True)


@pytest.mark.parametrize("values", [[True, False, True], [True, None, False], [], ["a", None], [None, None]])
def test_other_columns_are_what_pyarrow_gives(values: list[object]) -> None:
    array = pa.array(values, pa.bool_() if not values else None)
    for column in (array, array.slice(1)):
        np.testing.assert_array_equal(as_numpy(column), column.to_numpy(zero_copy_only=False), strict=True)


def test_the_largest_integers_are_whole_without_nulls() -> None:
    values = [2**63 - 1, -(2**63)]
    assert as_numpy(pa.array(values)).tolist() == values


def test_a_score_does_not_import_pandas() -> None:
    program = (
        "import sys, crossent\n"
        "crossent.score('examples/digits_probs.parquet').to_dict()\n"
        "print('pandas' in sys.modules)\n"
        "import pyarrow; pyarrow.array([1]).to_numpy(zero_copy_only=False)\n"
        "print('pandas' in sys.modules)"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    # The second line proves that the first could be True.
    assert finished.stdout.split() == ["False", "True"]
