"""Train a small network on scikit-learn's digits with torch's loss and with crossent's, from the same start.

While rows are undecided the two curves are one. Then both go on by normalised gradient descent, whose steps do not shrink with
the gradient: torch's float32 loss says 0 of a row from 17 nats of confidence on, and so does its gradient, until nothing is left
to descend (softmax collapse, Prieto et al. 2025, arXiv:2501.04697); crossent's goes on.

``python examples/train_digits.py [--steps N] [--picture FILE] [--json FILE]``: half a minute; needs torch and scikit-learn, and
matplotlib for the picture.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812  # as everybody who reads this writes it
from arguments import count, drawable
from sklearn.datasets import load_digits

import crossent.torch

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
LOSSES: dict[str, Loss] = {"torch": F.cross_entropy, "crossent": crossent.torch.cross_entropy}
HIDDEN, BATCH, EPOCHS = 64, 128, 12
# nats a step moves the loss by at most, about: the gradient has length 1 after normalising
STEP = 0.05


def digits() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return images and labels to train with, and every fourth to test with."""
    images, labels = load_digits(return_X_y=True)
    x, y = torch.from_numpy(images).float() / 16.0, torch.from_numpy(labels)
    test = torch.arange(len(y)) % 4 == 3
    return x[~test], y[~test], x[test], y[test]


def network() -> torch.nn.Sequential:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(64, HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, 10))


def exact(model: torch.nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    """Return the mean loss of the model's float32 logits in float64, whose own digits last to 700 nats."""
    with torch.no_grad():
        z = model(x).double()
        rest = torch.logsumexp(z.scatter(1, y[:, None], -torch.inf), 1)
        return F.softplus(rest - z.gather(1, y[:, None]).squeeze(1)).mean().item()


def ordinary(loss: Loss) -> tuple[torch.nn.Module, list[float]]:
    """Return a network after stochastic gradient descent from the fixed start, and the loss of every batch."""
    x, y, _, _ = digits()
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
    generator, curve = torch.Generator().manual_seed(1), []
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(y), generator=generator).split(BATCH):
            optimizer.zero_grad()
            value = loss(model(x[batch]), y[batch])
            value.backward()
            optimizer.step()
            curve.append(value.item())
    return model, curve


def confident(
    loss: Loss, model: torch.nn.Module, steps: int, report: Callable[[int, str], None]
) -> dict[str, list[float]]:
    """Go on by normalised gradient descent on all rows; return what becomes of the loss, every tenth step."""
    x, y, test_x, test_y = digits()
    parameters = list(model.parameters())
    found: dict[str, list[float]] = {"step": [], "said": [], "exact": [], "without_gradient": [], "test_loss": []}
    for step in range(steps + 1):
        logits = model(x)
        value = loss(logits, y)
        gradients = torch.autograd.grad(value, [*parameters, logits])
        of_logits = gradients[-1]
        length = torch.stack([g.double().square().sum() for g in gradients[:-1]]).sum().sqrt().item()
        if step % 10 == 0:
            still = (of_logits.gather(1, y[:, None]) == 0.0).double().mean().item()
            for name, number in (
                ("step", step),
                ("said", value.item()),
                ("exact", exact(model, x, y)),
                ("without_gradient", still),
                ("test_loss", exact(model, test_x, test_y)),
            ):
                found[name].append(number)
            report(
                step,
                f"says {value.item():.3g}, exactly {found['exact'][-1]:.3g}; {still:.0%} of true classes without gradient",
            )
        if length == 0.0:
            continue  # nothing left to descend: the run stands still, and is watched doing so
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients[:-1], strict=True):
                parameter -= (gradient.double() * (STEP / length)).float()
    return found


def picture(curves: dict[str, dict[str, list[float]]], file: Path) -> None:
    """Draw the loss of both runs, and the rows that learn no more."""
    import matplotlib as mpl

    mpl.use("agg")
    mpl.rcParams["svg.hashsalt"] = "crossent"  # the same file for the same numbers
    from matplotlib import pyplot as plt

    figure, (above, below) = plt.subplots(2, 1, figsize=(7, 6), sharex=True, height_ratios=(2, 1), layout="constrained")
    for (name, found), colour in zip(curves.items(), ("#c0392b", "#1f77b4"), strict=True):
        above.semilogy(found["step"], found["exact"], color=colour, label=f"trained with {name}'s loss")
        below.plot(found["step"], found["without_gradient"], color=colour)
    above.set_ylabel("training loss of the float32 logits,\nexactly, in nats")
    above.legend(frameon=False)
    below.set_ylabel("true classes whose\ngradient is exactly 0")
    below.set_xlabel("steps of normalised gradient descent")
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)
    plt.close(figure)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--steps", type=count, default=9000, help="of normalised gradient descent")
    parser.add_argument("--picture", type=drawable, help="where to draw the curves: .svg or .png")
    parser.add_argument("--json", type=Path, help="where to write the numbers")
    options = parser.parse_args(arguments)

    def line(text: str) -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    models, curves = {}, {}
    for name, loss in LOSSES.items():
        models[name], curves[name] = ordinary(loss)
        line(f"{name}: {len(curves[name])} batches, loss {curves[name][0]:.4f} -> {curves[name][-1]:.4f}")
    largest = max(abs(a - b) for a, b in zip(curves["torch"], curves["crossent"], strict=True))
    line(f"the two curves differ by at most {largest:.1g} nats")

    def reporter(name: str) -> Callable[[int, str], None]:
        return lambda step, text: line(f"{name}: step {step}: {text}") if step % 500 == 0 else None

    found = {name: confident(loss, models[name], options.steps, reporter(name)) for name, loss in LOSSES.items()}
    if options.picture:
        picture(found, options.picture)
        line(f"drawn: {options.picture}")
    if options.json:
        # a tenth of what is drawn
        found = {name: {key: values[::10] for key, values in curve.items()} for name, curve in found.items()}
        numbers = {"largest_difference_nats": largest, "batches": len(curves["torch"]), "confident": found}
        options.json.write_text(json.dumps(numbers) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
