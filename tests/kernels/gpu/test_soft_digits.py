"""Soft and top-k targets on the GPU: every row of the oracle's tables within the ulp that the row allows."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
import torch

from crossent import TopKTargets
from tests.kernels.gpu.soft_problems import solve
from tests.oracle.load import Row, dtype_of, load, ulp_error

# Rows of as many classes as these or fewer stand in one tensor, the rest of it ruled out.
WIDTHS = (1, 4, 8, 32, 64, 300, 1024, 3000)


def width_of(row: Row) -> int:
    return next(width for width in WIDTHS if row.classes <= width)


def padded(parts: list[Any], width: int, fill: float) -> np.ndarray:
    table = np.full((len(parts), width), fill, np.asarray(parts[0]).dtype)
    for line, part in zip(table, parts, strict=True):
        line[: len(part)] = part
    return table


def assert_rows(rows: list[Row], losses: torch.Tensor, gradients: torch.Tensor, dtype: Any) -> None:
    """Name the worst row where one is beyond its bound."""
    losses_as = losses.numpy().astype(dtype)
    for row, loss, gradient in zip(rows, losses_as, gradients.numpy(), strict=True):
        error = ulp_error(loss, row.loss_hi, row.loss_lo, dtype)
        assert error <= row.allowed_ulp_loss, f"the loss of {row} is off by {error:.4g} ulp"
        error = ulp_error(gradient[row.grad_index], row.grad_hi, row.grad_lo, dtype, row.grad_scale).max(initial=0.0)
        assert error <= row.allowed_ulp_grad, f"the gradient of {row} is off by {error:.4g} ulp"


def grouped(rows: list[Row], key: Callable[[Row], Any]) -> Iterable[list[Row]]:
    groups: dict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups.values()


def options_of(row: Row) -> Any:
    """Say which rows can stand in one tensor; padding would take a part of what is spread over all classes."""
    if row.class_weight is not None:
        return row.number
    return row.label_smoothing, row.classes if row.label_smoothing else width_of(row)


def top_k_of(row: Row) -> Any:
    return row.rest, len(row.top_k_ids), row.classes if row.rest == "uniform" else width_of(row)


def check_distributions(name: str, step: int) -> None:
    for rows in grouped(load(name)[::step], options_of):
        first = rows[0]
        plain = not first.label_smoothing and first.class_weight is None
        width = width_of(first) if plain else first.classes
        logits = torch.from_numpy(padded([row.logits for row in rows], width, -np.inf))
        target = torch.from_numpy(padded([row.target for row in rows], width, 0.0))
        weight = None if first.class_weight is None else torch.from_numpy(first.class_weight.copy())
        got = solve(logits, target, weight=weight, label_smoothing=first.label_smoothing)
        assert_rows(rows, got.loss, got.gradient, dtype_of(name).type)


def check_top_k(step: int) -> None:
    for rows in grouped(load("topk_float32")[::step], top_k_of):
        first = rows[0]
        width = first.classes if first.rest == "uniform" else width_of(first)
        logits = torch.from_numpy(padded([row.logits for row in rows], width, -np.inf))
        ids, shares = (np.stack([row.columns[name] for row in rows]) for name in ("top_k_ids", "top_k_probs"))
        got = solve(logits, TopKTargets(ids, shares, rest=first.rest))
        assert_rows(rows, got.loss, got.gradient, np.float32)


@pytest.mark.parametrize("name", ["soft_float32", "soft_float64"])
def test_distributions(name: str) -> None:
    check_distributions(name, 12)


def test_top_k() -> None:
    check_top_k(12)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["soft_float32", "soft_float64"])
def test_more_distributions(name: str) -> None:
    check_distributions(name, 3)


@pytest.mark.slow
def test_more_top_k() -> None:
    check_top_k(3)
