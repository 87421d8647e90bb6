"""The kernels of class ids against the oracle's tables, by every route, and what they answer to everything else."""

from collections import defaultdict

import ml_dtypes
import numpy as np
import pytest

from crossent._kernels.gpu.class_ids import BLOCKS, COLUMNS, PARTS, WHOLE, Launch
from tests.kernels.gpu.problems import solve, tensor_of
from tests.kernels.test_accuracy import assert_within, error_in_ulp
from tests.oracle.load import Batch, Row, batches, dtype_of, load

ROUTES = {
    "a thread to a row": Launch(COLUMNS, rows=1024, block=1, warps=4),
    "in registers": Launch(WHOLE, rows=256, block=16, warps=4),
    "in blocks": Launch(BLOCKS, rows=64, block=4, warps=4),
    "in parts": Launch(PARTS, rows=1, block=4, warps=1, parts=3),
}
LONG_ROUTES = {
    "in registers": None,
    "in blocks": Launch(BLOCKS, rows=16, block=256, warps=4),
    "in parts": Launch(PARTS, rows=1, block=512, warps=4, parts=2),
}
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
    most = {"a thread to a row": 10**6, "in registers": 10**6, "in blocks": 100, "in parts": 2}[route]
    return [row for rows in families.values() for row in rows[:: -(-len(rows) // most)]]


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("name", TABLES)
def test_the_rows_of_the_oracle(name: str, route: str) -> None:
    for batch in batches(rows_of(name, route)):
        result = solve(tensor_of(batch.inputs), batch.target, route=ROUTES[route])
        assert_batch(batch, result.losses, result.gradients, name)


def random_rows(classes: int, scale: float, *, confident: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return float32 logits and targets: where few logits dominate, their rounding errors do not average out."""
    rng = np.random.default_rng(classes)
    logits = (scale * rng.standard_normal((64, classes))).astype(np.float32)
    targets = rng.integers(0, classes, len(logits))
    if confident:
        logits[np.arange(len(logits)), targets] = logits.max() + 9
    return logits, targets


def assert_random_rows(logits: np.ndarray, targets: np.ndarray, route: Launch | None) -> None:
    """Compare with the C library's exponential in long double."""
    rows = np.arange(len(logits))
    wide = logits.astype(np.longdouble)
    powers = np.exp(wide - wide.max(axis=1, keepdims=True))
    own = powers[rows, targets].copy()
    powers[rows, targets] = 0
    rest = powers.sum(axis=1)
    exact = powers / (rest + own)[:, None]
    exact[rows, targets] = -rest / (rest + own)
    result = solve(tensor_of(logits), targets, route=route)
    losses = result.losses.astype(np.float32)
    for got, right, bound in ((losses, np.log1p(rest / own), 2.0), (result.gradients, exact, 3.0)):
        exponent = np.maximum(np.frexp(right)[1], -125)  # subnormal numbers have one spacing
        assert (np.abs(got - right) / np.ldexp(np.longdouble(1), exponent - 24)).max() <= bound


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="needs a reference with more digits than float64")
@pytest.mark.parametrize("confident", [False, True])
@pytest.mark.parametrize(("classes", "scale"), [(300, 20.0), (1100, 4.0)])
def test_rows_of_normal_logits(classes: int, scale: float, confident: bool) -> None:
    assert_random_rows(*random_rows(classes, scale, confident=confident), None)


@pytest.mark.slow
@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="needs a reference with more digits than float64")
@pytest.mark.parametrize("route", LONG_ROUTES.values(), ids=LONG_ROUTES)
@pytest.mark.parametrize("confident", [False, True])
@pytest.mark.parametrize(("classes", "scale"), [(700, 60.0), (3001, 1.0), (3001, 8.0)])
def test_rows_of_normal_logits_by_every_route(
    classes: int, scale: float, confident: bool, route: Launch | None
) -> None:
    logits, targets = random_rows(classes, scale, confident=confident)
    most = 64 if route is None or route.route != PARTS else 6  # a row in parts takes five programs
    assert_random_rows(logits[:most], targets[:most], route)


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLES)
def test_the_long_rows_of_the_oracle(name: str) -> None:
    for batch in batches([row for row in load(name) if row.classes > 9]):
        result = solve(tensor_of(batch.inputs), batch.target)
        assert_batch(batch, result.losses, result.gradients, name)
