"""What CUDA alone can show: its tensors through the door, captured graphs, streams, devices, compilers, autocast, the same bits.

2026-11-30: none of these has been run on a GPU yet; what does not name CUDA has been tried with tensors of the CPU.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch

import crossent.torch

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
loss, head = crossent.torch.cross_entropy, crossent.torch.linear_cross_entropy
Call = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
ROWS, CLASSES, FEATURES = 64, 1000, 32

CALLS: dict[str, Call] = {
    "class ids": loss,
    "a sum with a penalty": lambda x, t: loss(x, t, z_loss=0.1, reduction="sum"),
    "smoothed and capped": lambda x, t: loss(x, t, label_smoothing=0.1, softcap=5.0, temperature=0.7),
    "distributions": lambda x, t: loss(x, torch.softmax(x.detach().flip(1), 1)),
    "class weights": lambda x, t: loss(x, t, x.detach()[0].abs()),
    "losses of rows": lambda x, t: loss(x, t, reduction="none").mean(),
    "a head": lambda x, t: head(x[:, :FEATURES], x.detach()[:, :FEATURES].repeat(16, 1)[:CLASSES], t),
}
every_call = pytest.mark.parametrize("call", CALLS.values(), ids=list(CALLS))


def inputs(device: Any = "cuda", dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    logits = 3.0 * torch.randn(ROWS, CLASSES, generator=generator)
    ids = torch.randint(0, CLASSES, (ROWS,), generator=generator)
    ids[5] = -100
    return logits.to(device, dtype).requires_grad_(), ids.to(device)


def step(call: Call, logits: torch.Tensor, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    value = call(logits, ids)
    (gradient,) = torch.autograd.grad(value, logits)
    return value.detach(), gradient


def equal(left: tuple[torch.Tensor, ...], right: tuple[torch.Tensor, ...]) -> bool:
    return all(torch.equal(one.cpu(), other.cpu()) for one, other in zip(left, right, strict=True))


@every_call
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_it_answers_as_on_the_cpu(call: Call, dtype: torch.dtype) -> None:
    found = step(call, *inputs(dtype=dtype))
    expected = step(call, *inputs("cpu", dtype))
    assert found[0].device.type == found[1].device.type == "cuda"
    eps = torch.finfo(dtype).eps
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.cpu(), other, rtol=16 * eps, atol=eps / ROWS)


@every_call
def test_the_same_bits_each_time(call: Call) -> None:
    first = step(call, *inputs())
    assert all(equal(first, step(call, *inputs())) for _ in range(5))


@every_call
def test_a_graph_captures_it(call: Call) -> None:
    logits, ids = inputs()
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step(call, logits, ids)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = step(call, logits, ids)
    with torch.no_grad():
        logits.mul_(0.5)
    graph.replay()
    assert equal(captured, step(call, logits, ids))


@every_call
def test_it_runs_on_the_current_stream(call: Call) -> None:
    """The logits are made late on a stream of their own: whoever read them on another would come too early."""
    logits, ids = inputs()
    expected = step(call, logits, ids)
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    late = torch.zeros_like(logits)
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        torch.cuda._sleep(100_000_000)
        late.copy_(logits.detach())
        found = step(call, late.requires_grad_(), ids)
    side.synchronize()
    assert equal(found, expected)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
@every_call
def test_it_runs_where_its_tensors_are(call: Call) -> None:
    assert torch.cuda.current_device() == 0
    found = step(call, *inputs("cuda:1"))
    assert found[1].device == torch.device("cuda:1")
    assert equal(found, step(call, *inputs("cuda:0")))


@pytest.mark.filterwarnings("ignore")  # the compiler's own
@pytest.mark.parametrize("mode", ["default", "reduce-overhead"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_compiled_whole(mode: str, reduction: str) -> None:
    logits, ids = inputs()
    compiled = torch.compile(lambda x, t: loss(x, t, reduction=reduction), fullgraph=True, mode=mode)
    for _ in range(3):
        found = step(lambda x, t: compiled(x, t).sum(), logits, ids)
        torch.testing.assert_close(found, step(lambda x, t: loss(x, t, reduction=reduction).sum(), logits, ids))


def test_autocast_reads_halves_as_they_are() -> None:
    logits, ids = inputs()
    weight = torch.eye(CLASSES, device=logits.device)
    with torch.autocast(logits.device.type, torch.bfloat16):
        halves = logits @ weight
        value, of_head = loss(halves, ids), head(logits, weight, ids)
    assert (halves.dtype, value.dtype, of_head.dtype) == (torch.bfloat16, torch.float32, torch.float32)
    torch.testing.assert_close(value, loss(logits, ids), rtol=1e-2, atol=0.0)
    torch.testing.assert_close(of_head, value, rtol=1e-5, atol=0.0)
    value.backward()
