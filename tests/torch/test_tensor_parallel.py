"""The vocabulary over 2 and 4 gloo processes: losses, numbers and gradients are the single process's; see ranks.py."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from crossent.torch import cross_entropy, linear_cross_entropy


@pytest.mark.parametrize("world", [1, 2, 3, 4])
def test_the_ranks_together_are_one_process(world: int, tmp_path: Path) -> None:
    store = tmp_path / "store"
    command = [sys.executable, "-m", "tests.torch.ranks"]
    processes = [
        subprocess.Popen(
            [*command, str(rank), str(world), str(store), "7"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(world)
    ]
    try:
        said = [process.communicate(timeout=300)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert said == ["180 problems agree\n"] * world


def test_what_is_no_group() -> None:
    logits, ids = torch.zeros(2, 3), torch.tensor([0, 1])
    for call in (
        lambda: cross_entropy(logits, ids, process_group=3),
        lambda: linear_cross_entropy(logits, torch.eye(3), ids, process_group=3),
    ):
        with pytest.raises(ValueError, match="`process_group`") as caught:
            call()
        assert str(caught.value) == "`process_group` must be a group of torch.distributed; got int."
