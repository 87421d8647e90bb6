"""Write README.md's tables from the newest file in benchmarks/results: ``python -m benchmarks.tables``.

A table stands between ``<!-- table: NAME -->`` and ``<!-- end -->``. Lost races stay in.
"""

import json
import math
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from benchmarks.cases import OURS, OURS_FLOAT32
from benchmarks.rivals import RIVALS

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
MARKED = re.compile(r"(<!-- table: ([a-z]+) -->\n).*?(<!-- end -->)", re.DOTALL)
NOT_YET = "Not measured yet.\n"
OPERATIONS = {
    "value": "value",
    "value_and_grad_into": "value and gradient into `out=`",
    "value_and_grad": "value and a new gradient",
    "value_from_probs": "value from probabilities",
}

Result = dict[str, Any]


def newest_result(folder: Path = RESULTS) -> Result | None:
    """Return the last result by name, which begins with the date; None if nothing was measured."""
    files = sorted(folder.glob("*.json"))
    return json.loads(files[-1].read_text(encoding="utf-8")) if files else None


def _number(value: float, unit: str = "") -> str:
    """Three significant digits without an exponent: 0.0123, 1.23, 12.3, 123, 16,800,000."""
    if not math.isfinite(value):
        text = "infinite"
    elif value >= 1000:
        magnitude = 10 ** (len(str(int(value))) - 3)
        text = f"{round(value / magnitude) * magnitude:,}"
    else:
        text = f"{value:#.3g}".rstrip(".")
    return f"{text} {unit}".rstrip()


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    names = list(header)
    lines = [names, ["---", *["---:"] * (len(names) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def _what(case: Result) -> str:
    axis = "" if case["axis"] == -1 else f", axis {case['axis']}"
    return f"{OPERATIONS[case['operation']]}, {' x '.join(map(str, case['shape']))} {case['dtype']}{axis}"


def _time(case: Result, name: str) -> str:
    timing = case["timings"].get(name)
    if timing is None:
        return "failed" if case["absent"].get(name, "").startswith("failed") else "-"
    return f"{_number(timing['median_ms'])} ({_number(timing['lower_quartile_ms'])}-{_number(timing['upper_quartile_ms'])})"


def races(result: Result, table: str) -> str:
    """Medians and quartiles in milliseconds, floors first."""
    cases = [case for case in result["cases"] if case["table"] == table]
    names = [rival.name for rival in RIVALS]
    if any(OURS_FLOAT32 in case["timings"] for case in cases):
        names.insert(1, OURS_FLOAT32)
    names = [name for name in names if any(name in case["timings"] or _failed(case, name) for case in cases)]
    floors = [floor for floor in ("read", "copy") if any(floor in case["floors_ms"] for case in cases)]
    rows = [
        [
            _what(case),
            *(_number(case["floors_ms"][floor]) if floor in case["floors_ms"] else "-" for floor in floors),
            *(_time(case, name) for name in names),
        ]
        for case in cases
    ]
    header = ["milliseconds: median (quartiles)", *(f"{floor} floor" for floor in floors), *names]
    return _table(header, rows) if rows else NOT_YET


def _failed(case: Result, name: str) -> bool:
    return str(case["absent"].get(name, "")).startswith("failed")


def _verdict(met: bool | None) -> str:
    return {True: "met", False: "**not met**", None: "no rival to compare with"}[met]


def bars(result: Result) -> str:
    """Every promise, what was measured, and whether it was met."""
    rows = []
    for case in result["cases"]:
        for bar in case["bars"]:
            unit = "us" if bar["bar"].endswith(" us") else "x"
            texts = ["-" if bar[key] is None else _number(bar[key], unit) for key in ("measured", "by_minima")]
            promise = bar["bar"].replace("<=", "at most").replace(">=", "at least")
            rows.append([_what(case), promise, *texts, _verdict(bar["met"])])
    memory = result.get("memory")
    if memory:
        ours = memory["rivals"][OURS].get("peak_bytes")
        allowed = memory["allowed_bytes"]
        shape = f"{memory['rows']} x {memory['classes']}"
        measured = "-" if ours is None else _number(ours / 1e6, "MB")
        met = None if ours is None else ours <= allowed
        rows.append(
            [
                f"memory of a forward beyond its input, {shape}",
                f"at most {_number(allowed / 1e6, 'MB')}",
                measured,
                "-",
                _verdict(met),
            ]
        )
    for what, entry in (result.get("startup") or {}).items():
        met = entry["median_s"] <= entry["limit_s"]
        rows.append(
            [
                what,
                f"at most {entry['limit_s']:g} s",
                _number(entry["median_s"], "s"),
                _number(entry["min_s"], "s"),
                _verdict(met),
            ]
        )
    return _table(["what", "bar", "measured", "fastest runs", "verdict"], rows) if rows else NOT_YET


def memory_needs(result: Result) -> str:
    """Megabytes that a forward needs beyond its input, a process per rival."""
    memory = result.get("memory")
    if not memory:
        return NOT_YET
    needs = [(name, need["peak_bytes"]) for name, need in memory["rivals"].items() if "peak_bytes" in need]
    header = [f"peak memory of a forward beyond its input, {memory['rows']} x {memory['classes']} float32", "MB"]
    return _table(header, [[name, _number(peak_bytes / 1e6)] for name, peak_bytes in needs])


def accuracy_table(result: Result) -> str:
    """The worst error of each rival, in ulp."""
    accuracy = result.get("accuracy")
    if not accuracy:
        return NOT_YET
    header = [
        f"error in ulp, {accuracy['rows']} float32 rows",
        "worst loss",
        "worst gradient",
        "median loss",
        "median gradient",
    ]
    keys = ("worst_loss_ulp", "worst_grad_ulp", "median_loss_ulp", "median_grad_ulp")
    entries = accuracy["rivals"].items()
    return _table(header, [[name, *(_number(e[key]) for key in keys)] for name, e in entries if "absent" not in e])


def machine_line(result: Result) -> str:
    """Where the numbers come from."""
    machine, versions = result["machine"], result["versions"]
    packages = ", ".join(f"{name} {version}" for name, version in versions.items() if version != "not installed")
    missing = [name for name, version in versions.items() if version == "not installed"]
    absent = f"\nNot installed, so not raced: {', '.join(missing)}." if missing else ""
    return (
        f"Measured {result['made']} at commit {result['commit']} on {machine['processor']} ({machine['cores']} cores, "
        f"{result['threads']} threads used), {result['runs']} interleaved runs.\nVersions: {packages}.{absent}\n"
    )


TABLES: dict[str, Callable[[Result], str]] = {
    "machine": machine_line,
    "bars": bars,
    "forward": lambda result: races(result, "forward"),
    "gradient": lambda result: races(result, "gradient"),
    "shapes": lambda result: races(result, "shapes"),
    "memory": memory_needs,
    "accuracy": accuracy_table,
}


def filled(markdown: str, result: Result | None = None) -> str:
    """Return the text with each marked table made anew from `result`, or from the newest one."""
    result = newest_result() if result is None else result

    def fill(match: re.Match[str]) -> str:
        text = NOT_YET if result is None else TABLES[match[2]](result)
        return f"{match[1]}{text}{match[3]}"

    return MARKED.sub(fill, markdown)


def main() -> int:
    readme = ROOT / "README.md"
    before = readme.read_text(encoding="utf-8")
    after = filled(before)
    readme.write_text(after, encoding="utf-8")
    sys.stdout.write("README.md: tables written\n" if after != before else "README.md: its tables were current\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
