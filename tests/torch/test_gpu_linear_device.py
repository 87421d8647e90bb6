"""What the linear head spares the device, and those who wait for it: nothing is read back, memory keeps to its budget."""

import sys
import weakref
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from crossent._kernels.gpu import tile_products, tile_sums
from crossent._kernels.gpu.problem import Numbers, Problem, Upstream
from crossent.torch import _gpu, _gpu_head
from tests.torch.gpu_heads import CUDA, OPTIONS, RETURNS, answer, distributions, head, ids, ours, top_k

door = sys.modules["crossent.torch.linear_cross_entropy"]  # the function of its name hides it


@pytest.fixture(autouse=True)
def seeded(gpu_route: None) -> None:
    torch.manual_seed(0)


class NoSync(TorchDispatchMode):
    """Raises at what waits for the device, or goes to another one."""

    WAITING = ("_local_scalar_dense", "nonzero", "is_nonzero", "equal", "masked_select", "unique", "item")

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        assert name not in self.WAITING, name
        if name == "_to_copy":
            wanted = (kwargs or {}).get("device")
            assert wanted is None or torch.device(wanted).type == args[0].device.type
        return func(*args, **(kwargs or {}))


@pytest.fixture
def untraced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dispatch modes record what is done, and such calls go to operators; here one only watches."""
    for module in (door, sys.modules["crossent.torch._total"]):
        monkeypatch.setattr(module, "is_traced", lambda: False)


@pytest.mark.parametrize("name", OPTIONS)
def test_nothing_waits_for_the_device(name: str, untraced: None, monkeypatch: pytest.MonkeyPatch) -> None:
    tensors, options = head(torch.bfloat16), {"target": ids()} | OPTIONS[name]()

    def solve(problem: Problem, numbers: Numbers, upstream: Upstream | None, gradient: torch.Tensor | None) -> None:
        """The interpreter itself reads tensors back: the kernels are left out."""

    monkeypatch.setattr(_gpu, "solve", solve)
    monkeypatch.setattr(_gpu, "total", lambda values, *_: values.sum())
    for reduction in (options.get("reduction", "mean"), "none"):
        if reduction == "none" and "denominator" in options:
            continue
        with NoSync():
            answer(tensors, options | {"reduction": reduction}, 2048)


class NoKernel:
    """Launches nothing."""

    def __getitem__(self, grid: Any) -> Any:
        return lambda *arguments, **options: None


@pytest.fixture
def no_filter_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tile_sums, "_tile_sums", NoKernel())
    monkeypatch.setattr(tile_products, "_times", NoKernel())
    monkeypatch.setattr(tile_products, "_add_transposed_times", NoKernel())


def test_the_filter_waits_for_nothing(untraced: None, no_filter_kernels: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_gpu, "solve", lambda *_: None)
    monkeypatch.setattr(_gpu, "total", lambda values, *_: values.sum())
    options = OPTIONS["all of them"]() | {"grad_filter": 2**-9, "returns": RETURNS}
    for target in (ids(), distributions(), top_k("uniform")):
        with NoSync():
            answer(head(torch.bfloat16), {"target": target} | options, 2048)


class Held(TorchDispatchMode):
    """Counts the bytes of storages that are alive."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        results = func(*args, **(kwargs or {}))
        given = {one.untyped_storage()._cdata for one in args if isinstance(one, torch.Tensor)}
        for result in results if isinstance(results, (tuple, list)) else [results]:
            if isinstance(result, torch.Tensor) and result.untyped_storage()._cdata not in given | self._known:
                self._take(result.untyped_storage())
        return results

    def _take(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        self._known.add(key)
        self.now += size
        self.most = max(self.most, self.now)

        def drop() -> None:
            self._known.discard(key)
            self.now -= size

        weakref.finalize(storage, drop)


@pytest.mark.parametrize(
    ("options", "bound"),
    [({}, 1.91e9), ({"memory_budget": 256 * 2**20}, 1.45e9), ({"grad_filter": 2**-12}, 1.85e9)],
    ids=["default", "256 MB", "filter"],
)
def test_memory_at_the_size_of_a_large_head(
    options: dict[str, Any], bound: float, untraced: None, no_filter_kernels: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond inputs and their gradients, counted on shapes alone: logits of a chunk, and the sums of half of the classes."""
    monkeypatch.setattr(_gpu, "DEVICES", frozenset({"meta"}))
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda _: False)  # which knows no such device
    monkeypatch.setattr(_gpu, "solve", lambda *_: None)
    monkeypatch.setattr(_gpu, "scale", lambda *_: None)
    monkeypatch.setattr(_gpu, "total", lambda values, *_: values.sum())
    rows, features, classes = 8192, 2304, 256000
    hidden, weight = (
        torch.empty(n, features, dtype=torch.bfloat16, device="meta", requires_grad=True) for n in (rows, classes)
    )
    target = torch.empty(rows, dtype=torch.long, device="meta")
    held = Held()
    with held:
        gradients = torch.autograd.grad(ours(hidden, weight, target, **options), (hidden, weight))
    own = sum(gradient.nbytes for gradient in gradients)
    assert own <= held.now < own + 1e6  # and all else has been given back
    assert 0.99 * bound < held.most - own <= bound


def test_chunks_fit_the_budget_in_whole_tiles() -> None:
    def room(rows: int, classes: int, budget: int) -> torch.Tensor:
        hidden, weight = (torch.empty(n, 4, dtype=torch.bfloat16, device="meta") for n in (rows, classes))
        wish: Any = type("Wish", (), {"budget_bytes": budget, "grad_filter": None, "group": None})
        return _gpu_head.Head(hidden, weight, None, None, None, None, wish).logits_room()  # type: ignore[arg-type]

    assert room(8192, 256000, _gpu_head.budget_bytes(torch.device("meta"))).shape == (1408, 256000)  # six chunks
    assert room(7, 50257, 1).shape == (1, 50257)
    assert room(7, 50257, 2**30).stride() == (50304, 1)  # rows that begin at 128 bytes
    assert len(room(1000, 1000, 2**20)) == 512
    assert len(room(8192, 32000, 2**28)) == 4096


@pytest.mark.skipif(not CUDA, reason="2026-11-30: asks CUDA itself who waits")
def test_cuda_says_that_nothing_waits() -> None:
    tensors, target = head(torch.bfloat16), ids()
    answer(tensors, {"target": target}, 2048)  # compiled
    torch.cuda.set_sync_debug_mode("error")
    try:
        answer(tensors, {"target": target}, 2048)
    finally:
        torch.cuda.set_sync_debug_mode("default")
