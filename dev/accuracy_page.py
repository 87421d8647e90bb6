"""Write docs/accuracy.md from dev/accuracy.json: ``python dev/accuracy_page.py``; with --measure, measure first (a minute).

Rows whose true class leads by a given margin go through each package; what comes back is compared with mpmath at 50 digits.
"""

import argparse
import datetime
import json
import platform
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
for place in (ROOT, ROOT / "src"):
    sys.path.insert(0, str(place))

from dev.site.markdown import table
from tests.oracle import oracle

import crossent

RECORD, PAGE = ROOT / "dev" / "accuracy.json", ROOT / "docs" / "accuracy.md"
COMMAND = "python dev/accuracy_page.py --measure"
MARGINS = (-10_000, -100, -10, -1, 0, 1, 3, 5, 8, 10, 12, 14, 16, 17, 20, 30, 50, 80)  # nats by which the truth leads
ROWS, CLASSES = 200, 10
Losses = tuple[np.ndarray, np.ndarray]  # (rows,) losses, (rows,) slopes by the true class's logit
Package = Callable[[np.ndarray, np.ndarray], Losses]


def measure(packages: dict[str, Package], dtype: str, margins: tuple[int, ...] = MARGINS) -> dict[str, Any]:
    """Return for each package the largest errors in ulp of loss and slope at each margin."""
    told: dict[str, Any] = {name: {"loss": [], "slope": []} for name in packages}
    for margin in margins:
        logits, truth = rows(margin, dtype)
        made = [oracle.SoftmaxRow(row) for row in logits.tolist()]
        exact = [[row.loss(place), -row.complement(place)] for row, place in zip(made, truth.tolist(), strict=True)]
        for name, package in packages.items():
            for what, got, column in zip(("loss", "slope"), package(logits, truth), (0, 1), strict=True):
                errors = [error_ulp(float(g), e[column], dtype) for g, e in zip(got, exact, strict=True)]
                told[name][what].append(float(f"{max(errors):.3g}"))
    return told


def rows(margin: int, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Return logits whose true class leads the best other by the margin, before rounding, and the true classes."""
    random = np.random.default_rng([abs(margin), margin < 0])
    logits = random.normal(scale=2.0, size=(ROWS, CLASSES))
    truth = random.integers(0, CLASSES, size=ROWS)
    logits[np.arange(ROWS), truth] = -np.inf
    logits[np.arange(ROWS), truth] = logits.max(axis=1) + margin
    return logits.astype(dtype), truth


def error_ulp(got: float, exact: Any, dtype: str) -> float:
    """Return the distance from the exact value in units of its last place."""
    spacing = np.spacing(np.abs(np.asarray(float(exact), dtype=dtype)))
    return float(abs(oracle.exact.mpf(got) - exact) / oracle.exact.mpf(float(spacing)))


def ours(logits: np.ndarray, truth: np.ndarray) -> Losses:
    """Ask crossent."""
    result = crossent.cross_entropy_and_grad(logits, truth, reduction="none")
    return result.value, result.grad[np.arange(len(truth)), truth]


def theirs() -> dict[str, Package]:
    """Return the others, each by what its users call."""
    import torch
    from scipy.special import log_softmax, softmax
    from sklearn._loss import HalfMultinomialLoss

    def by_torch(logits: np.ndarray, truth: np.ndarray) -> Losses:
        leaf = torch.tensor(logits, requires_grad=True)
        losses = torch.nn.functional.cross_entropy(leaf, torch.tensor(truth), reduction="none")
        losses.sum().backward()
        return losses.detach().numpy(), leaf.grad.numpy()[np.arange(len(truth)), truth]

    def by_scipy(logits: np.ndarray, truth: np.ndarray) -> Losses:
        places = np.arange(len(truth)), truth
        return -log_softmax(logits, axis=1)[places], softmax(logits, axis=1)[places] - logits.dtype.type(1)

    def by_sklearn(logits: np.ndarray, truth: np.ndarray) -> Losses:
        loss = HalfMultinomialLoss(n_classes=CLASSES)
        targets = truth.astype(logits.dtype)
        slopes = loss.gradient(y_true=targets, raw_prediction=np.ascontiguousarray(logits))
        return loss.loss(y_true=targets, raw_prediction=np.ascontiguousarray(logits)), slopes[
            np.arange(len(truth)), truth
        ]

    return {"PyTorch": by_torch, "SciPy": by_scipy, "scikit-learn": by_sklearn}


def record() -> dict[str, Any]:
    """Measure all, and say when, where and with what."""
    packages = {"crossent": ours, **theirs()}
    distributions = {
        "crossent": None,
        "PyTorch": "torch",
        "SciPy": "scipy",
        "scikit-learn": "scikit-learn",
        "mpmath": "mpmath",
    }
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": COMMAND,
        "machine": platform.machine(),
        "versions": {name: crossent.__version__ if of is None else version(of) for name, of in distributions.items()},
        "margins": MARGINS,
        "rows": ROWS,
        "classes": CLASSES,
        **{dtype: measure(packages, dtype) for dtype in ("float32", "float64")},
    }


def page(told: dict[str, Any]) -> str:
    """Return the page."""
    return "\n".join(_lines(told))


def _lines(told: dict[str, Any]) -> Iterator[str]:
    versions = ", ".join(f"{name} {number}" for name, number in told["versions"].items() if name != "mpmath")
    yield "---\ndescription: The error of cross-entropy losses and slopes in units of the last place, of crossent, PyTorch, SciPy and scikit-learn, against exact arithmetic.\n---"
    yield "# Accuracy, measured\n"
    yield "How far losses and slopes are from the exact values of the numbers given, in units of the last place (ulp)."
    yield "Rounding alone leaves up to one half, and 0 where the exact value happens to be a float."
    yield "A float32 has about seven digits, and an error of a million ulp leaves one.\n"
    yield f"{told['rows']} rows of {told['classes']} classes for each margin, by which the true class's logit leads the best other;"
    yield "below zero it trails. Each cell is the largest error of those rows. *Lost* means that no digit is right: the answer is"
    yield "0, or off by half of itself and more."
    yield "The slope is the derivative by the true class's logit.\n"
    yield f"{versions}; exact values by mpmath {told['versions']['mpmath']} with {oracle.DIGITS} digits;"
    yield f"on {told['machine']}, {told['date']}, by `{told['command']}`."
    yield "PyTorch by `cross_entropy` and autograd, SciPy by `log_softmax` and `softmax` minus one, scikit-learn by the loss of its"
    yield "logistic regression and gradient boosting, `HalfMultinomialLoss`.\n"
    for dtype in ("float32", "float64"):
        for what, title in (("loss", "loss"), ("slope", "slope")):
            yield f"## {dtype}, {title}\n"
            names = list(told[dtype])
            cells = [
                [f"{margin:,}".replace("-", "−"), *(_cell(told[dtype][name][what][index], dtype) for name in names)]
                for index, margin in enumerate(told["margins"])
            ]
            yield table(["margin, nats", *names], cells, numbers=True)
    yield from _promise(told)


def _promise(told: dict[str, Any]) -> Iterator[str]:
    most = {
        (dtype, what): max(told[dtype]["crossent"][what])
        for dtype in ("float32", "float64")
        for what in ("loss", "slope")
    }
    yield "## What is promised\n"
    yield "| what | promised, ulp | measured here, ulp |\n|---|---|---|"
    for dtype, what, bound in PROMISES:
        yield f"| {dtype} {what} | {bound} | {most[dtype, what]:g} |"
    yield "\nThe tests hold these bounds against tables of some thousand harder rows, made with mpmath: ties, masks, subnormal"
    yield "numbers, one class, whole vocabularies. [The contract](contract.md) has the promise, and"
    yield "[training](training.md) what a slope of exactly zero does to a run.\n"
    yield "This page is written by `python dev/accuracy_page.py`."


PROMISES = (("float32", "loss", 2), ("float32", "slope", 3), ("float64", "loss", 4), ("float64", "slope", 4))


def _cell(error: float, dtype: str) -> str:
    if error >= 2.0 ** (
        np.finfo(dtype).nmant
    ):  # one ulp is at least 2**-nmant of half the value: relative error 1/2 or more
        return "*lost*"
    if error < 10:
        return f"{error:.2f}"
    return f"{error:,.0f}" if error < 1e6 else f"{error:.0e}".replace("e+0", "e").replace("e+", "e")


def main() -> None:
    """Write the page, after a measurement if that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", action="store_true", help="measure, and write dev/accuracy.json first")
    if parser.parse_args().measure:
        RECORD.write_text(json.dumps(record(), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    PAGE.write_text(page(json.loads(RECORD.read_text(encoding="utf-8"))) + "\n", encoding="utf-8")
    sys.stdout.write("docs/accuracy.md: written\n")


if __name__ == "__main__":
    main()
