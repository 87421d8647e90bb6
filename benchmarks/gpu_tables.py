"""Write the tables of docs/gpu.md from the newest file in benchmarks/results/gpu: ``python -m benchmarks.gpu_tables``.

Where there is none the page says that nothing was measured. Lost races stay in, and so does who failed, with the reason.
"""

import sys
from collections import Counter
from pathlib import Path

from benchmarks.gpu_cases import BOTH, FORWARD
from benchmarks.tables import MARKED, RESULTS, ROOT, Result, _number, _table, newest_result

PAGE = "docs/gpu.md"
NOT_MEASURED = (
    "Not measured: nobody has run this on a GPU yet. What this page says of speed is arithmetic, not measurement.\n"
)
FLOORS = {
    ("loss", FORWARD): "read",
    ("loss", BOTH): "copy",
    ("head", FORWARD): "one product",
    ("head", BOTH): "three products",
}


def floor_ms(case: Result, operation: str) -> float:
    """Return the median of the fastest way to do what the floor names."""
    name = FLOORS[case["kind"], operation]
    return min(t["median_ms"] for key, t in case["timings"][operation].items() if key.startswith(f"{name},"))


def _cases(result: Result, kind: str) -> list[Result]:
    return [case for case in result["cases"] if case["kind"] == kind]


def _names(cases: list[Result]) -> list[str]:
    """Return whoever took part or failed in a case, the first one ours."""
    names = dict.fromkeys(name for case in cases for name in (*case["errors"], *case["failed"]))
    return list(names)


def _time(case: Result, operation: str, name: str) -> str:
    timing = case["timings"][operation].get(name)
    if timing is None:
        return "failed" if name in case["failed"] else "-"
    median = timing["median_ms"]
    share = f"{floor_ms(case, operation) / median:.0%}"
    if "bytes" not in case:
        return f"{_number(median)} ({share})"
    return f"{_number(median)}, {_number(case['bytes'][operation] / median / 1e6)} ({share})"


def _rate(case: Result, operation: str) -> str:
    floor = floor_ms(case, operation)
    return (
        _number(floor)
        if "bytes" not in case
        else f"{_number(floor)}, {_number(case['bytes'][operation] / floor / 1e6)}"
    )


def times(result: Result, kind: str, operation: str) -> str:
    """Medians in milliseconds, for logits also the floor's bytes per second, and the floor's share of the time."""
    cases = _cases(result, kind)
    names = _names(cases)
    unit = "ms, GB/s" if kind == "loss" else "ms"
    rows = [[case["name"], _rate(case, operation), *(_time(case, operation, name) for name in names)] for case in cases]
    return _table([f"{operation}: {unit} (share of the floor)", FLOORS[kind, operation], *names], rows)


def memory(result: Result, kind: str) -> str:
    """The peak beyond inputs and gradients, in MB."""
    cases = _cases(result, kind)
    names = _names(cases)
    rows = [
        [case["name"], *(_number(case["extra_bytes"][n] / 2**20) if n in case["extra_bytes"] else "-" for n in names)]
        for case in cases
    ]
    return _table(["peak of memory beyond inputs and gradients, MB", *names], rows)


def errors(result: Result, kind: str) -> str:
    """The worst errors, the loss's first."""
    cases = _cases(result, kind)
    names = _names(cases)

    def cell(case: Result, name: str) -> str:
        found = case["errors"].get(name)
        return "-" if found is None else "; ".join(_error(key, value) for key, value in found.items())

    what = "loss; gradient, ulp" if kind == "loss" else "loss, ulp; gradients, relative, by norm"
    return _table([f"worst errors: {what}", *names], [[c["name"], *(cell(c, name) for name in names)] for c in cases])


def _error(key: str, value: float) -> str:
    return _number(value) if key.endswith("_ulp") else f"{value:.1e}"


def proofs(result: Result) -> str:
    """Who waits for the device."""
    asked = list(dict.fromkeys(key for proof in result["proofs"] for key in list(proof)[2:] if key != "absent"))
    rows = [
        [f"{proof['kind']}, {proof['name']}", *(proof.get(key, proof.get("absent", "-")) for key in asked)]
        for proof in result["proofs"]
    ]
    return _table(["", *asked], [[cell.replace("|", "/") for cell in row] for row in rows])


def failures(result: Result) -> str:
    """Who failed, in how many cases, and the first line of the reason."""
    counted = Counter((name, reason) for case in result["cases"] for name, reason in case["failed"].items())
    lines = [
        f"- {name}, {count} case{'s' * (count > 1)}: {reason}".replace("<", "&lt;")
        for (name, reason), count in counted.items()
    ]
    return "Failed:\n\n" + "\n".join(lines) + "\n" if lines else "Nobody failed.\n"


def spread(result: Result) -> float:
    """Return how far a quartile of a timing lies from its median at most, relative to it."""
    found = [
        max(t["upper_quartile_ms"] - t["median_ms"], t["median_ms"] - t["lower_quartile_ms"]) / t["median_ms"]
        for case in result["cases"]
        for timings in case.get("timings", {}).values()
        for t in timings.values()
    ]
    return max(found, default=0.0)


def gpu(folder: Path = RESULTS / "gpu") -> str:
    """All tables, or the sentence that there is nothing to show."""
    result = newest_result(folder)
    if result is None:
        return NOT_MEASURED
    device = result["device"]
    where = (
        f"Measured {result['made']} at commit {result['commit']} on {device['name']}, driver {device['driver']}, CUDA"
        f" {device['cuda']}, medians of at most {result['runs']} interleaved runs: `{result['command']}`."
        f" A quartile lies at most {spread(result):.0%} from its median.\n"
    )
    parts = [
        where,
        "Versions: " + ", ".join(f"{name} {version}" for name, version in result["versions"].items()) + ".\n",
    ]
    for kind in ("loss", "head"):
        if _cases(result, kind):
            parts += [
                times(result, kind, FORWARD),
                times(result, kind, BOTH),
                memory(result, kind),
                errors(result, kind),
            ]
    if result["proofs"]:
        parts.append(proofs(result))
    return "\n".join([*parts, failures(result)])


TABLES = {"gpu": gpu}


def filled(markdown: str) -> str:
    """Return the text with each marked table made anew."""
    return MARKED.sub(lambda match: f"{match[1]}{TABLES[match[2]]()}{match[3]}", markdown)


def main() -> int:
    file = ROOT / PAGE
    before = file.read_text(encoding="utf-8")
    file.write_text(filled(before), encoding="utf-8")
    sys.stdout.write(f"{PAGE}: {'tables written' if filled(before) != before else 'its tables were current'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
