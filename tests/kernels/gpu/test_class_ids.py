"""The kernels of class ids against the oracle's tables, by every route, and what they answer to everything else."""

from collections import defaultdict

import ml_dtypes
import numpy as np
import pytest

from crossent._kernels.gpu.class_ids import Launch
from tests.kernels.gpu.problems import solve, tensor_of
from tests.kernels.test_accuracy import assert_within, error_in_ulp
from tests.oracle.load import Batch, Row, batches, dtype_of, load

ROUTES = {
    "chosen": None,
    "in blocks": Launch(rows=64, block=4, single=False, warps=4),
    "in parts": Launch(rows=1, block=4, single=False, warps=1, parts=3),
}
every_route = pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)
# The power of two is the fast one of float32: a result halfway between two halves may go to the wrong one.
HALF_ULP = 0.5 + 2.0**-8
TABLES = {
    "hard_float32": (2.0, 3.0),
    "hard_float64": (4.0, 4.0),
    "hard_float16": (HALF_ULP,) * 2,
    "hard_bfloat16": (HALF_ULP,) * 2,
}


def assert_batch(batch: Batch, losses: np.ndarray, gradients: np.ndarray, name: str) -> None:
    dtype, (loss_bound, gradient_bound) = dtype_of(name), TABLES[name]
    with np.errstate(over="ignore"):
        losses = losses.astype(dtype).astype(np.float64)
    error = error_in_ulp(losses, batch.loss_hi, batch.loss_lo, dtype)
    if dtype == ml_dtypes.bfloat16:  # losses beyond its range
        error = np.where(np.isinf(losses) & (batch.loss_hi > 3.39e38), 0.0, error)
    assert_within(error, loss_bound, batch.rows, range(len(batch.rows)), "the loss")
    got = gradients[batch.grad_row, batch.grad_index].astype(np.float64)
    error = error_in_ulp(got, batch.grad_hi, batch.grad_lo, dtype, batch.grad_scale)
    assert_within(error, gradient_bound, batch.rows, batch.grad_row, "the gradient")


def rows_of(name: str, route: str) -> list[Row]:
    """Return rows of a table, fewer where a route takes more programs, and some of each family."""
    families: dict[str, list[Row]] = defaultdict(list)
    for row in load(name):
        if row.classes <= 9:
            families[row.family].append(row)
    most = {"chosen": 10**6, "in blocks": 100, "in parts": 2}[route]
    return [row for rows in families.values() for row in rows[:: -(-len(rows) // most)]]


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("name", TABLES)
def test_the_rows_of_the_oracle(name: str, route: str) -> None:
    for batch in batches(rows_of(name, route)):
        result = solve(tensor_of(batch.inputs), batch.target, route=ROUTES[route])
        assert_batch(batch, result.losses, result.gradients, name)
