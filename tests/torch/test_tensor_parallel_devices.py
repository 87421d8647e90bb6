"""Nothing of a split vocabulary waits for its device: tensors on "meta" have no numbers to wait for, and refuse to mix."""

import itertools
from typing import Any

import pytest
import torch

from crossent.arrays.targets import TopKTargets
from crossent.errors import OptionError
from crossent.torch import _shards, linear_cross_entropy, tensor_parallel
from crossent.torch._extras import Extras
from crossent.torch._rows import Settings
from crossent.torch._tiles import Upstream

ROWS, CLASSES = 6, 5
KINDS = ("ids", "distributions", "top-k")
OPTIONS = {
    "plain": Extras(),
    "every extra": Extras(0.1, 5.0, 2.0, ("lse", "entropy", "accuracy", "target_logit")),
}


@pytest.fixture
def meta(monkeypatch: pytest.MonkeyPatch) -> torch.device:
    monkeypatch.setattr(_shards.dist, "get_rank", lambda group: 1)
    monkeypatch.setattr(_shards.dist, "get_world_size", lambda group: 2)
    monkeypatch.setattr(_shards.dist, "all_reduce", lambda tensor, operation, group: None)
    return torch.device("meta")


def target_of(kind: str, device: torch.device) -> Any:
    if kind == "ids":
        return torch.zeros(ROWS, dtype=torch.int64, device=device)
    if kind == "distributions":
        return torch.full((ROWS, CLASSES), 0.2, device=device)
    return TopKTargets([[0, 7]] * ROWS, [[1.0, 0.0], *[[0.5, 0.25]] * (ROWS - 1)], rest="uniform")


@pytest.mark.parametrize(("kind", "options", "smoothing"), [*itertools.product(KINDS, OPTIONS, (0.0, 0.1))])
def test_losses_and_gradients_need_no_number_on_the_host(
    kind: str, options: str, smoothing: float, meta: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_tensor = torch.as_tensor

    def on_the_host(array: Any, *, device: Any) -> torch.Tensor:
        assert device == "cpu", "whoever puts an array onto a device waits for it"
        return as_tensor(array, device=device)

    monkeypatch.setattr(torch, "as_tensor", on_the_host)
    logits = torch.zeros(ROWS, CLASSES, device=meta)
    weight = torch.ones(CLASSES, device=meta)
    settings = Settings(1, "mean", 0, smoothing, torch.float32)
    rows = tensor_parallel.Rows(logits, target_of(kind, meta), weight, settings, OPTIONS[options])
    numbers, shard, whole = tensor_parallel.solve(rows, _shards.shard_of(None, CLASSES, meta))
    each = torch.ones(ROWS, dtype=torch.float64, device=meta)
    gradient = torch.empty_like(logits)
    tensor_parallel.fill(rows, shard, whole, Upstream(each, each, each, each), gradient)
    assert {value.device for value in (*numbers.values(), gradient)} == {meta}


def test_what_the_ranks_agree_on_for_the_head_lies_on_their_device(meta: torch.device) -> None:
    shard = _shards.shard_of(None, CLASSES, meta)
    ids, weight = torch.zeros(ROWS, dtype=torch.int64, device=meta), torch.ones(CLASSES, device=meta)
    assert _shards.weights_of(shard, ids, weight).device == meta
    assert _shards.counted_of(shard, torch.zeros(ROWS, CLASSES, device=meta), 3).device == meta


def test_such_tensors_refuse_to_be_read_and_to_mix(meta: torch.device) -> None:
    with pytest.raises(RuntimeError, match="cannot be called on meta tensors"):
        bool(torch.zeros(2, device=meta).any())
    with pytest.raises(RuntimeError, match="not on the expected device"):
        torch.zeros(2, device=meta) + torch.zeros(2)


def test_a_split_head_needs_kernels_for_its_device(meta: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_shards, "check_group", lambda group: None)
    hidden, ids = torch.zeros(ROWS, CLASSES, device=meta), torch.zeros(ROWS, dtype=torch.int64, device=meta)
    with pytest.raises(OptionError, match="`process_group` needs tensors on the CPU, or on a CUDA device where Triton"):
        linear_cross_entropy(hidden, hidden, ids, process_group="of ranks")
