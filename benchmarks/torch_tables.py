"""Write the tables of docs/torch.md and docs/training.md: ``python -m benchmarks.torch_tables``.

From the newest race of the PyTorch door in benchmarks/results/torch, and from what the examples wrote to
benchmarks/results/training (its commands stand in docs/training.md).
"""

import json
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.tables import MARKED, NOT_YET, RESULTS, ROOT, Result, _number, _table, newest_result

TRAINING = RESULTS / "training"
PAGES = ("docs/torch.md", "docs/training.md")


def _training(name: str) -> Any:
    file = TRAINING / f"{name}.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None


def race() -> str:
    """Medians of the newest race, and how many times faster ours is."""
    result: Result | None = newest_result(RESULTS / "torch")
    if result is None:
        return NOT_YET
    rows = []
    for case in result["cases"]:
        (ours, timing), *others = case["timings"].items()
        own = timing["median_ms"]
        peaks = case.get("peak_bytes", {})
        memory = f", {_number(peaks[ours] / 2**20, 'MB')}" if ours in peaks else ""
        rivals = [
            f"{name} {_number(t['median_ms'], 'ms')} ({_number(t['median_ms'] / own)} x)"
            + (f", {_number(peaks[name] / 2**20, 'MB')}" if name in peaks else "")
            for name, t in others
        ]
        error = case.get("gradient_error")
        note = f"; relative error of the gradient {error:.1e}" if error is not None else ""
        which = ours.partition(", ")[2]
        name = f"{case['name']}, {which}" if which else case["name"]
        rows.append([name, f"{_number(own, 'ms')}{memory}{note}", "; ".join(rivals)])
    machine = result["machine"]
    where = (
        f"Measured {result['made']} at commit {result['commit']} on {machine['processor']} ({machine['cores']} cores)"
    )
    where += f", medians of at most {result['runs']} interleaved runs: `{result['command']}`.\n"
    return (
        where + "\n" + _table(["forward and backward; memory beyond inputs and gradients", "crossent", "rivals"], rows)
    )


def collapse() -> str:
    """What the two runs of train_digits.py say, and what is so."""
    found = _training("digits")
    if found is None:
        return NOT_YET
    runs = found["confident"]
    steps = runs["torch"]["step"]
    chosen = [i for i, step in enumerate(steps) if step % 1500 == 0]
    rows = [
        [
            f"{steps[i]:.0f}",
            *(f"{runs[name][key][i]:.3g}" for name in ("torch", "crossent") for key in ("said", "exact")),
            f"{runs['torch']['without_gradient'][i]:.0%}",
        ]
        for i in chosen
    ]
    header = ["step", "torch says", "and is", "crossent says", "and is", "true classes without gradient, torch"]
    return _table(header, rows)


def ordinary() -> str:
    """How far the two losses lie apart in the ordinary range."""
    digits, characters = _training("digits"), _training("characters")
    rows = []
    if digits is not None:
        rows.append(["digits", f"{digits['batches']}", f"{digits['largest_difference_nats']:.1e}"])
    if characters is not None:
        rows.append(["characters", f"{characters['steps']}", f"{characters['largest_difference_nats']:.1e}"])
    return _table(["run", "batches", "largest difference of the two curves, nats"], rows) if rows else NOT_YET


def filtered() -> str:
    """The loss of exact and filtered runs, and how far the exact ones lie apart."""
    found = _training("words")
    if found is None:
        return NOT_YET
    rows = []
    for name, runs in found["runs"].items():
        for order, run in enumerate(runs):
            left_out = f"{run['dropped']:.2%}" if run["dropped"] else "-"
            rows.append([f"{name}, order {order}", f"{run['loss']:.3f}", f"{run['test_loss']:.3f}", left_out])
    exact, other = (list(runs) for runs in found["runs"].values())
    lines = [_table(["run", "training loss at the end", "held out", "mass left out"], rows), "\n"]
    for key, what in (("loss", "training loss"), ("test_loss", "held-out loss")):
        apart = statistics.fmean(run[key] for run in other) - statistics.fmean(run[key] for run in exact)
        spread = max(run[key] for run in exact) - min(run[key] for run in exact)
        lines.append(f"Mean {what}: filtered {apart:+.3f} nats from exact; the exact runs lie {spread:.3f} apart.\n")
    return "".join(lines)


TABLES: dict[str, Callable[[], str]] = {
    "torchrace": race,
    "collapse": collapse,
    "ordinary": ordinary,
    "filtered": filtered,
}


def filled(markdown: str) -> str:
    """Return the text with each marked table made anew."""
    return MARKED.sub(lambda match: f"{match[1]}{TABLES[match[2]]()}{match[3]}", markdown)


def main() -> int:
    for page in PAGES:
        file = Path(ROOT / page)
        before = file.read_text(encoding="utf-8")
        file.write_text(filled(before), encoding="utf-8")
        sys.stdout.write(f"{page}: {'tables written' if filled(before) != before else 'its tables were current'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
