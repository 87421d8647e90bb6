"""Race the PyTorch door: ``python -m benchmarks.torch_door [--runs N] [--out FILE]``; the result is one JSON file.

Forward and backward of the softmax loss against torch eager and torch.compile, plain and with a cap and a penalty; the linear
head against torch's layer with its loss and against torch's own fused one, each with its peak of memory beyond inputs and
gradients; and the filtered head, on peaked predictions, with the error of its gradients.
"""

import argparse
import ctypes
import datetime
import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812  # as everybody who reads this writes it

import crossent.torch
from benchmarks.machine import commit, machine, versions
from benchmarks.measure import Call, interleaved
from benchmarks.progress import Progress

RESULTS = Path(__file__).resolve().parent / "results" / "torch"
SHAPES = ((128, 10), (65536, 10), (16384, 1000), (512, 128256), (4096, 32000))
ROWS, FEATURES, CLASSES, BUDGET = 1024, 768, 50304, 64 * 2**20
HEADS = ("crossent, 64 MB", "F.linear + F.cross_entropy", "F.linear_cross_entropy, chunked")


def backward_of(loss: Callable[[], torch.Tensor], leaves: list[torch.Tensor]) -> Call:
    """Return a call that makes the loss and the gradients of the leaves, from nothing."""

    def call() -> None:
        for leaf in leaves:
            leaf.grad = None
        loss().backward()

    return call


def losses(rows: int, classes: int) -> dict[str, Call]:
    torch.manual_seed(0)
    logits, ids = (3 * torch.randn(rows, classes)).requires_grad_(), torch.randint(0, classes, (rows,))
    compiled = torch.compile(F.cross_entropy)
    functions = {"crossent": crossent.torch.cross_entropy, "torch eager": F.cross_entropy, "torch.compile": compiled}
    return {name: backward_of(lambda f=f: f(logits, ids), [logits]) for name, f in functions.items()}


def extras(rows: int, classes: int) -> dict[str, Call]:
    """A cap of 30 and a penalty of 1e-4, as language models have them."""
    torch.manual_seed(0)
    logits, ids = (3 * torch.randn(rows, classes)).requires_grad_(), torch.randint(0, classes, (rows,))

    def theirs() -> torch.Tensor:
        z = 30.0 * torch.tanh(logits / 30.0)
        return F.cross_entropy(z, ids) + 1e-4 * torch.logsumexp(z, 1).square().mean()

    functions = {
        "crossent": lambda: crossent.torch.cross_entropy(logits, ids, softcap=30.0, z_loss=1e-4),
        "torch eager": theirs,
        "torch.compile": torch.compile(theirs),
    }
    return {name: backward_of(f, [logits]) for name, f in functions.items()}


# Groups of about 100 classes with a direction of their own; a row's own group stands 16 nats above the others, and the classes
# within it lie 5.7 apart: a mean loss of 2.3, 1.6 % of the mass below 2**-12, in one row of ten more than 4 %.
GROUPS, GROUP_NATS, SPREAD = 500, 16.0, 8.0


def peaked() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return hidden states, a head, and targets drawn from its predictions."""
    torch.manual_seed(0)
    directions, group = torch.randn(GROUPS, FEATURES), torch.randint(0, GROUPS, (CLASSES,))
    weight = 0.02 * (directions[group] + torch.randn(CLASSES, FEATURES)) / 2**0.5
    own = directions[torch.randint(0, GROUPS, (ROWS,))] * GROUP_NATS * 2**0.5 / 0.02 / FEATURES
    hidden = own + SPREAD * torch.randn(ROWS, FEATURES)
    ids = torch.multinomial(torch.softmax(hidden @ weight.t(), 1), 1).squeeze(1)
    return hidden.requires_grad_(), weight.requires_grad_(), ids


def filtered_head() -> dict[str, Call]:
    """The filter against the exact heads, on peaked predictions."""
    hidden, weight, ids = peaked()
    head = crossent.torch.linear_cross_entropy
    functions = {
        "crossent, grad_filter, 256 MB": lambda: head(
            hidden, weight, ids, memory_budget=4 * BUDGET, grad_filter=2**-12
        ),
        "crossent, grad_filter, 64 MB": lambda: head(hidden, weight, ids, memory_budget=BUDGET, grad_filter=2**-12),
        "crossent, exact, 256 MB": lambda: head(hidden, weight, ids, memory_budget=4 * BUDGET),
        HEADS[1]: lambda: F.cross_entropy(F.linear(hidden, weight), ids),
    }
    return {name: backward_of(f, [hidden, weight]) for name, f in functions.items()}


def filter_error() -> float:
    """Return the larger relative error of the filtered gradients of hidden states and weight, against float64."""
    hidden, weight, ids = peaked()
    loss = crossent.torch.linear_cross_entropy(hidden, weight, ids, memory_budget=BUDGET, grad_filter=2**-12)
    found = torch.autograd.grad(loss, (hidden, weight))
    wide = [tensor.detach().double().requires_grad_() for tensor in (hidden, weight)]
    expected = torch.autograd.grad(F.cross_entropy(F.linear(*wide), ids), wide)
    return max(((f - e).norm() / e.norm()).item() for f, e in zip(found, expected, strict=True))


def heads(dtype: torch.dtype) -> dict[str, Call]:
    """The head's logits are of scale 0.5: a network that has just begun."""
    torch.manual_seed(0)
    hidden = torch.randn(ROWS, FEATURES).to(dtype).requires_grad_()
    weight = (0.02 * torch.randn(CLASSES, FEATURES)).to(dtype).requires_grad_()
    ids = torch.randint(0, CLASSES, (ROWS,))
    options = torch.nn.LinearCrossEntropyOptions()
    functions = (
        lambda: crossent.torch.linear_cross_entropy(hidden, weight, ids, memory_budget=BUDGET),
        lambda: F.cross_entropy(F.linear(hidden, weight), ids),
        lambda: F.linear_cross_entropy(hidden, weight, ids, options=options),
    )
    return {name: backward_of(f, [hidden, weight]) for name, f in zip(HEADS, functions, strict=True)}


def peak_bytes(name: str, dtype: torch.dtype) -> int:
    """Return how far memory rises above inputs and gradients in one forward and backward, after a first one."""
    call = heads(dtype)[name]
    call()
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")

    def resident(field: str) -> int:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))

    before = resident("VmRSS")  # the first call's gradients lie there: the second's take their place
    call()
    return resident("VmHWM") - before


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.torch_door", description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=7, help="timings per rival and case")
    parser.add_argument("--out", type=Path, default=RESULTS / f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}.json")
    parser.add_argument("--peak", nargs=2, metavar=("HEAD", "DTYPE"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(2)
    if options.peak:
        sys.stdout.write(str(peak_bytes(options.peak[0], getattr(torch, options.peak[1]))))
        return 0
    progress = Progress()
    result: dict[str, object] = {
        "made": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC",
        "command": " ".join(["python -m benchmarks.torch_door", *arguments]),
        "commit": commit(),
        "machine": machine(),
        "versions": versions(),
        "runs": options.runs,
    }
    cases: list[dict[str, object]] = []
    named = [(f"loss {rows} x {classes} float32", lambda r=rows, c=classes: losses(r, c)) for rows, classes in SHAPES]
    named.append(("loss 4096 x 32000 float32, softcap and z_loss", lambda: extras(4096, 32000)))
    named.append(("loss 16384 x 1000 float32, softcap and z_loss", lambda: extras(16384, 1000)))
    for dtype in ("float32", "bfloat16"):
        named.append((f"linear head {dtype}", lambda d=dtype: heads(getattr(torch, d))))
    named.append(("peaked head float32", filtered_head))
    for name, make in named:
        with progress.step(name):
            timings = interleaved(make(), runs=options.runs, budget_s=20.0)
            torch.compiler.reset()
        case: dict[str, object] = {"name": name, "timings": {key: timing.to_dict() for key, timing in timings.items()}}
        if name.startswith("linear"):
            case["peak_bytes"] = {
                head: int(
                    subprocess.run(
                        [sys.executable, "-m", "benchmarks.torch_door", "--peak", head, name.rpartition(" ")[2]],
                        capture_output=True,
                        text=True,
                        check=True,
                        env=os.environ,
                    ).stdout
                )
                for head in HEADS
            }
        if name.startswith("peaked"):
            case["gradient_error"] = filter_error()
        cases.append(case)
        ours = next(iter(timings.values())).median_ms
        shown = ", ".join(f"{key} {t.median_ms:.3g} ({t.median_ms / ours:.2f} x)" for key, t in timings.items())
        peaks = {key: f"{value / 2**20:.0f} MB" for key, value in case.get("peak_bytes", {}).items()}
        progress.line(f"{name}: in ms: {shown} {peaks or ''}")
    result["cases"] = cases
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    progress.line(f"written: {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
