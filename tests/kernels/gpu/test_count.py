"""Rows that take part are counted on the device, and what a mean multiplies by with them."""

import pytest
import torch

from crossent._kernels.gpu.count import counted

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.mark.parametrize("rows", [0, 1, 5, 4096, 9000])
@pytest.mark.parametrize("ignore_index", [-100, 1, 0])
def test_rows_that_are_not_ignored(rows: int, ignore_index: int) -> None:
    ids = torch.arange(rows, device=DEVICE) % 3
    expected = int((ids != ignore_index).sum())
    count, inverse = counted(ids, ignore_index)
    assert (count.dtype, count.shape, inverse.shape) == (torch.float64, (), ())
    assert (count.item(), inverse.item()) == (expected, 1.0 / expected if expected else 0.0)


def test_ids_of_any_strides() -> None:
    ids = torch.tensor([[5, -100], [5, 5], [-100, 5]], device=DEVICE)
    assert counted(ids[:, 1], -100)[0].item() == 2.0
