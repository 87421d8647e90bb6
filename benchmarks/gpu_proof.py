"""Show of one rival that it never waits for the device: ``python -m benchmarks.gpu_proof loss|head NAME``.

In a process of its own: a capture that fails may leave the device's context broken. Prints one line of JSON, whose values are
"pass" or what went wrong.
"""

import json
import sys
from collections.abc import Callable

import torch

from benchmarks.gpu_cases import PROOF_HEAD, PROOF_LOSS, head_data, loss_data
from benchmarks.gpu_rivals import HEADS, LOSSES, attempt

Answer = tuple[torch.Tensor, ...]  # the loss and its gradients
PASS = "pass"
SYNC, GRAPH, BITS = "forward and backward without waiting", "graph captured and replayed", "the same bits in five runs"
REPEATS = 5


def checked(check: Callable[[], str]) -> str:
    """Return what a check says, or the first line of its error."""
    said, reason = attempt(check)
    return said or reason or "said nothing"


def same(left: Answer, right: Answer) -> bool:
    return all(torch.equal(one, other) for one, other in zip(left, right, strict=True))


def without_waiting(answer: Callable[[], Answer]) -> str:
    answer()
    torch.cuda.set_sync_debug_mode("error")
    try:
        answer()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return PASS


def same_bits(answer: Callable[[], Answer]) -> str:
    first = answer()
    differing = sum(not same(first, answer()) for _ in range(REPEATS - 1))
    return PASS if not differing else f"{differing} of {REPEATS - 1} repeats differ"


def replayed(answer: Callable[[], Answer], change: Callable[[], None]) -> str:
    """Capture a call, change its inputs in place, replay it, and compare with a call that is not captured."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            answer()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = answer()
    change()
    graph.replay()
    torch.cuda.synchronize()
    found = tuple(tensor.clone() for tensor in captured)
    return PASS if same(found, answer()) else "replayed, but to other bits than an ordinary call has"


def proof(kind: str, name: str, device: torch.device) -> dict[str, str]:
    """Return what is so of one rival. Inputs that it overwrites are set anew within each call."""
    rival = next(rival for rival in (LOSSES if kind == "loss" else HEADS) if rival.name == name)
    function, reason = attempt(rival.load)
    if function is None:
        return {"absent": reason or "loads nothing"}
    if kind == "loss":
        logits, ids = loss_data(PROOF_LOSS, device)
        source, leaves = logits, (logits.clone().requires_grad_(),)
        arguments: tuple[object, ...] = (*leaves, ids, "mean")
    else:
        hidden, weight, ids = head_data(PROOF_HEAD, device)
        source, leaves = hidden, (hidden.clone().requires_grad_(), weight.requires_grad_())
        arguments = (*leaves, ids)

    def answer() -> Answer:
        leaves[0].detach().copy_(source)
        loss = function(*arguments)
        gradients = torch.autograd.grad(loss, leaves)
        return loss.detach(), *(gradient.detach() for gradient in gradients)

    def answer_kept() -> Answer:
        return tuple(tensor.clone() for tensor in answer())

    def change() -> None:
        source.mul_(0.5)

    return {
        SYNC: checked(lambda: without_waiting(answer)),
        BITS: checked(lambda: same_bits(answer_kept)),
        GRAPH: checked(lambda: replayed(answer_kept, change)),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(proof(sys.argv[1], sys.argv[2], torch.device("cuda"))) + "\n")
