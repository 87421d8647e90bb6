"""Nothing on the GPU's ways reads back from the device: shown without one, on tensors that have no numbers to read.

Tensors of the device "meta" raise where anybody asks for a number of theirs, and the mode below where one is copied while the
host waits. The kernels do nothing here: that they don't wait either is theirs to show.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import crossent.torch
from crossent import TopKTargets
from crossent.torch import _dispatch, _extended, _extras, _gpu, _gpu_autograd, _total

ours = crossent.torch.cross_entropy
READ_BACK = ("_local_scalar_dense", "is_nonzero", "nonzero", "equal", "masked_select", "_unique2", "item")
RETURNS = ("lse", "entropy", "accuracy", "target_logit", "dropped_mass")


class NobodyWaits(TorchDispatchMode):
    """Refuse what makes a host wait for a device: values that are read, masks that decide a shape, copies that block."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        assert name not in READ_BACK, f"{name} waits for the device"
        if name in ("index", "index_put", "index_put_"):
            assert not any(i is not None and i.dtype == torch.bool for i in args[1]), "a mask decides a shape"
        if name == "_to_copy" and kwargs.get("device") not in (None, args[0].device):
            assert kwargs.get("non_blocking"), "a copy waits for the device"
        if name == "copy_" and args[0].device != args[1].device:
            assert any(args[2:]), "a copy waits for the device"
        return func(*args, **kwargs)


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> str:
    """A device that the kernels serve, and that has no numbers."""
    pytest.importorskip("triton")
    monkeypatch.setattr(_gpu, "DEVICES", frozenset({"meta"}))
    monkeypatch.setattr(_gpu, "solve", lambda *_: None)
    monkeypatch.setattr(_gpu, "scale", lambda *_: None)
    monkeypatch.setattr(_gpu, "total", lambda values, *_: torch.empty((), dtype=torch.float64, device=values.device))
    monkeypatch.setattr(_gpu, "counted", lambda ids, _: torch.empty(2, dtype=torch.float64, device=ids.device))
    monkeypatch.setattr(torch, "tensor", None)  # a number of the host would be copied, and waited for
    for module in (_dispatch, _extended, _extras, _gpu_autograd, _total):  # the mode is no compiler
        monkeypatch.setattr(module, "is_traced", lambda: False)
    return "meta"


def targets(device: str) -> dict[str, Any]:
    return {
        "ids": torch.zeros(4, dtype=torch.int64, device=device),
        "small ids": torch.zeros(4, dtype=torch.uint8, device=device),
        "soft": torch.empty(4, 5, device=device),
        "top-k": TopKTargets([[0, 1], [1, 2], [3, 4], [4, 0]], [[0.5, 0.25]] * 4, rest="uniform"),
        "top-k, some ignored": TopKTargets([[0, 1], [1, 2], [3, 4], [4, 0]], [[1.0, 0.0], *[[0.5, 0.25]] * 3]),
    }


def combinations(device: str) -> Iterator[dict[str, Any]]:
    for reduction, weighted, smoothing, ignore, owned, denominator, extras, returns in itertools.product(
        ("mean", "sum", "none"),
        (False, True),
        (0.0, 0.1),
        (-100, 0),
        (False, True),
        (None, 2.0, torch.empty((), device=device)),
        ({}, {"z_loss": 0.1}, {"softcap": 3.0, "temperature": 0.7}),
        ((), ("accuracy",), RETURNS),
    ):
        if denominator is not None and reduction != "mean":
            continue
        options = {"reduction": reduction, "label_smoothing": smoothing, "ignore_index": ignore, "returns": returns}
        options |= {"denominator": denominator, **extras}
        options["weight"] = torch.empty(5, device=device) if weighted else None
        options["sample_weight"] = torch.empty(4, device=device) if owned else None
        yield options


def with_every_derivative(call: Callable[[torch.Tensor], Any], logits: torch.Tensor) -> None:
    """Ask for a value, a gradient, a second one, and one that is differentiated."""
    with torch.no_grad():
        call(logits)
    found = call(logits)
    outputs = [x for x in (found if isinstance(found, tuple) else (found,)) if x.requires_grad]
    loss = sum(x.sum() for x in outputs)
    torch.autograd.grad(loss, logits, retain_graph=True)
    torch.autograd.grad(loss, logits, retain_graph=True)
    (first,) = torch.autograd.grad(loss, logits, create_graph=True)
    torch.autograd.grad(first.sum(), logits)


@pytest.mark.parametrize("kind", targets("cpu"))
def test_no_combination_of_options_waits(device: str, kind: str) -> None:
    target = targets(device)[kind]
    # every 23rd: a step that shares no factor with how many choices there are, so that it meets pairs of all of them
    for options in itertools.islice(combinations(device), None, None, 23):
        logits = torch.empty(4, 5, device=device, requires_grad=True)
        with NobodyWaits():
            with_every_derivative(lambda x, options=options: ours(x, target, **options), logits)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize("shape", [(5,), (4, 5, 3), (2, 5, 3, 2)], ids=str)
def test_no_shape_or_dtype_waits(device: str, dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    axis = min(1, len(shape) - 1)
    ids = torch.zeros(shape[:axis] + shape[axis + 1 :], dtype=torch.int64, device=device)
    for view in (lambda x: x, lambda x: x.transpose(0, -1).contiguous().transpose(0, -1)):
        logits = torch.empty(shape, dtype=dtype, device=device, requires_grad=True)
        with NobodyWaits():
            with_every_derivative(lambda x, view=view: ours(view(x), ids), logits)


def test_the_mode_sees_who_waits(device: str) -> None:
    logits = torch.zeros(4, 5)
    for wait in (
        lambda: logits.sum().item(),
        lambda: bool((logits == 0).all()),
        lambda: logits[logits == 0],
        lambda: logits.to(device),
    ):
        with pytest.raises(AssertionError), NobodyWaits():
            wait()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("kind", targets("cpu"))
def test_on_a_gpu_torch_sees_nobody_wait(kind: str) -> None:
    target = targets("cuda")[kind]
    if kind == "soft":
        target = torch.softmax(target, 1)
    weight, own = torch.rand(5, device="cuda"), torch.rand(4, device="cuda")
    options = {"weight": weight, "sample_weight": own, "returns": RETURNS, "denominator": own.sum()}
    for some in ({}, options, {**options, "softcap": 3.0, "z_loss": 0.1}):
        logits = torch.randn(4, 5, device="cuda", requires_grad=True)
        with_every_derivative(lambda x, some=some: ours(x, target, **some), logits)  # compiled, which waits
        torch.cuda.set_sync_debug_mode("error")
        try:
            with_every_derivative(lambda x, some=some: ours(x, target, **some), logits)
        finally:
            torch.cuda.set_sync_debug_mode("default")
