"""Train a small language model on the documentation that ships with Python, with torch's head and loss and with crossent's.

Characters by default: the curves are one. With ``--words``, some 4000 classes, also with ``grad_filter=2**-12``: the loss of the
filtered runs against that of exact ones, which differ among themselves by the order of their batches.

``python examples/train_lm.py [--words] [--steps N] [--picture FILE] [--json FILE]``: a minute, or five with --words; needs torch,
and matplotlib for the picture.
"""

import argparse
import json
import re
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  # as everybody who reads this writes it
from arguments import count, drawable

from crossent.torch import linear_cross_entropy

BATCH, FEATURES, EMBEDDED, CONTEXT = 256, 128, 32, 12
FILTER = 2.0**-12
# Every twentieth stretch of the text is held out.
STRETCH, HELD_OUT = 1000, 20

# hidden states, head, targets -> the mean loss, and the mass that was left out of its gradient
HeadLoss = Callable[[torch.Tensor, torch.nn.Linear, torch.Tensor], tuple[torch.Tensor, float]]


@dataclass(frozen=True)
class Text:
    """The text as numbers, cut into contexts with what follows them."""

    classes: int
    train: torch.Tensor  # (rows, CONTEXT + 1)
    test: torch.Tensor


def text(*, words: bool) -> Text:
    whole = "\n".join(topics[name] for name in sorted(topics))
    tokens = re.findall(r"\w+|\s+|[^\w\s]", whole) if words else list(whole)
    known = {token: number for number, token in enumerate(sorted(set(tokens)))}
    numbers = torch.tensor([known[token] for token in tokens])
    rows = numbers.unfold(0, CONTEXT + 1, 1)
    held_out = torch.arange(len(rows)) // STRETCH % HELD_OUT == 0
    return Text(len(known), rows[~held_out], rows[held_out][::7])


def through_torch(hidden: torch.Tensor, head: torch.nn.Linear, target: torch.Tensor) -> tuple[torch.Tensor, float]:
    return F.cross_entropy(head(hidden), target), 0.0


def exactly(hidden: torch.Tensor, head: torch.nn.Linear, target: torch.Tensor) -> tuple[torch.Tensor, float]:
    return linear_cross_entropy(hidden, head.weight, target, linear_bias=head.bias), 0.0


def filtered(hidden: torch.Tensor, head: torch.nn.Linear, target: torch.Tensor) -> tuple[torch.Tensor, float]:
    loss, dropped = linear_cross_entropy(
        hidden, head.weight, target, linear_bias=head.bias, grad_filter=FILTER, returns=("dropped_mass",)
    )
    return loss, dropped.mean().item()


@dataclass
class Run:
    """What became of a training."""

    losses: list[float]
    dropped: list[float]
    test_loss: float
    seconds: float

    def summary(self) -> dict[str, float]:
        """Return the numbers that are kept."""
        left_out = statistics.fmean(self.dropped[-50:])
        return {"loss": smoothed(self.losses)[-1], "test_loss": self.test_loss, "dropped": left_out}


def train(data: Text, loss_of: HeadLoss, steps: int, seed: int) -> Run:
    """Train from the fixed start, with batches in the order of the seed."""
    torch.manual_seed(0)
    embedding = torch.nn.Embedding(data.classes, EMBEDDED)
    body = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(CONTEXT * EMBEDDED, 2 * FEATURES), torch.nn.GELU(),
        torch.nn.Linear(2 * FEATURES, FEATURES), torch.nn.LayerNorm(FEATURES),
    )  # fmt: skip
    head = torch.nn.Linear(FEATURES, data.classes)
    parameters = [*embedding.parameters(), *body.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    generator, run, began = torch.Generator().manual_seed(seed), Run([], [], 0.0, 0.0), time.perf_counter()
    for _ in range(steps):
        batch = data.train[torch.randint(0, len(data.train), (BATCH,), generator=generator)]
        loss, dropped = loss_of(body(embedding(batch[:, :-1])), head, batch[:, -1])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        run.losses.append(loss.item())
        run.dropped.append(dropped)
    run.seconds = time.perf_counter() - began
    with torch.no_grad():
        hidden = body(embedding(data.test[:, :-1]))
        run.test_loss = linear_cross_entropy(hidden, head.weight, data.test[:, -1], linear_bias=head.bias).item()
    return run


def smoothed(losses: list[float], width: int = 50) -> list[float]:
    """Return the means of the last `width` losses up to each."""
    return [statistics.fmean(losses[max(0, i - width + 1) : i + 1]) for i in range(len(losses))]


def picture(runs: dict[str, list[Run]], file: Path) -> None:
    """Draw every run's loss, one colour for each kind."""
    import matplotlib as mpl

    mpl.use("agg")
    mpl.rcParams["svg.hashsalt"] = "crossent"  # the same file for the same numbers
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for (name, some), colour in zip(runs.items(), ("#1f77b4", "#c0392b", "#555555"), strict=False):
        for number, run in enumerate(some):
            every = smoothed(run.losses)[::10]
            label = name if number == 0 else None
            axes.plot(range(0, len(run.losses), 10), every, color=colour, linewidth=0.9, alpha=0.8, label=label)
    axes.set_xlabel("steps")
    axes.set_ylabel("training loss in nats, mean of 50 batches")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)
    plt.close(figure)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--words", action="store_true", help="words instead of characters, and the filter")
    parser.add_argument("--steps", type=count, help="600 by default, with --words 4000")
    parser.add_argument("--picture", type=drawable, help="where to draw the curves: .svg or .png")
    parser.add_argument("--json", type=Path, help="where to write the numbers")
    options = parser.parse_args(arguments)
    data = text(words=options.words)
    steps = options.steps or (4000 if options.words else 600)
    kinds: dict[str, tuple[HeadLoss, int]] = {"torch": (through_torch, 1), "crossent": (exactly, 1)}
    if options.words:
        kinds = {"exact": (exactly, 3), f"grad_filter=2**{FILTER.hex().partition('p')[2]}": (filtered, 3)}
    sys.stdout.write(f"{len(data.train)} contexts of {CONTEXT}, {data.classes} classes\n")
    runs: dict[str, list[Run]] = {}
    found: dict[str, Any] = {"classes": data.classes, "steps": steps, "batch": BATCH}
    for name, (loss_of, seeds) in kinds.items():
        runs[name] = []
        for seed in range(seeds):
            run = train(data, loss_of, steps, seed)
            runs[name].append(run)
            end = smoothed(run.losses)[-1]
            dropped = f", {run.dropped[-1]:.2%} of the mass left out at the end" if any(run.dropped) else ""
            text_of = (
                f"{name}, order {seed}: loss {run.losses[0]:.3f} -> {end:.3f}, held out {run.test_loss:.3f}{dropped}"
            )
            sys.stdout.write(f"{text_of}; {run.seconds:.0f} s\n")
            sys.stdout.flush()
    if "torch" in runs:
        both = zip(runs["torch"][0].losses, runs["crossent"][0].losses, strict=True)
        largest = max(abs(one - other) for one, other in both)
        found["largest_difference_nats"] = largest
        sys.stdout.write(f"the two curves differ by at most {largest:.1g} nats\n")
    if options.picture:
        picture(runs, options.picture)
        sys.stdout.write(f"drawn: {options.picture}\n")
    if options.json:
        found["runs"] = {name: [run.summary() for run in some] for name, some in runs.items()}
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
