"""Run the races: ``python -m benchmarks.run [--short] [--case NAME] [--list] [--out FILE]``; the result is one JSON file.

A whole run writes benchmarks/results/<date>.json. A short or partial one writes to a temporary file, unless --out says
where: it is not what the README's tables are made of.
"""

import argparse
import datetime
import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks import accuracy, floors, memory, startup
from benchmarks.cases import CASES, COPY, OURS, OURS_FLOAT32, READ, Bar, Case, Data, data_of
from benchmarks.machine import commit, machine, versions
from benchmarks.measure import Call, Timing, interleaved
from benchmarks.progress import Progress
from benchmarks.rivals import RIVALS, Rival, as_numpy, forget_compiled

RESULTS = Path(__file__).resolve().parent / "results"
# torch.compile takes 5 to 60 s per shape: a short run shows once that the harness can drive it
COMPILED_IN_A_SHORT_RUN = "forward-4096x32000"
BUSY_LOAD = 0.5
EXTRAS = ("memory", "startup", "accuracy")
# All rivals must answer the same loss before they are timed; bfloat16 rivals that sum in bfloat16 are off by about 1 %.
SAME_ANSWER_RTOL = {"float32": 1e-4, "float64": 1e-9, "bfloat16": 2e-2}


def _calls(case: Case, data: Data, without: tuple[str, ...]) -> tuple[dict[str, Call], dict[str, str]]:
    """Return the calls that take part, floors included, and why the other rivals do not."""
    calls: dict[str, Call] = {}
    absent: dict[str, str] = {}

    def enter(name: str, rival: Rival, entry: Data) -> None:
        reason = "left out of a short run" if rival.name in without else rival.absent()
        try:
            built = reason or rival.build(case.operation, entry)
            if not isinstance(built, str):
                built()
        except Exception as error:  # a rival that breaks is a result; ours may not
            if rival.name == OURS:
                raise
            built = f"failed: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        if isinstance(built, str):
            absent[name] = built
        else:
            calls[name] = built

    calls[READ] = floors.reading(data.array)
    if case.operation in ("value_and_grad_into", "value_and_grad"):
        calls.update(floors.copying(data.array, np.empty_like(data.array)))
    for rival in RIVALS:
        enter(rival.name, rival, data)
    if case.against_float32:
        enter(OURS_FLOAT32, RIVALS[0], Data(data.array.astype(np.float32), data.targets, data.axis))
    return calls, absent


def _answers(case: Case, calls: dict[str, Call]) -> tuple[dict[str, float], list[str]]:
    """Return every rival's loss, and the names of those that differ from ours."""
    values = {name: as_numpy(call())[0] for name, call in calls.items() if name not in _FLOOR_NAMES}
    ours = values[OURS]
    rtol = SAME_ANSWER_RTOL[case.dtype]
    return values, [name for name, value in values.items() if not np.isclose(value, ours, rtol=rtol, atol=0)]


_FLOOR_NAMES = (READ, "copy, plain loop", "copy, numpy.copyto")


def _floor_names(timings: dict[str, Timing], floor: str) -> list[str]:
    return [name for name in timings if name == floor or name.startswith(f"{floor},")]


def _floor_ms(timings: dict[str, Timing], floor: str) -> float:
    return min(timings[name].median_ms for name in _floor_names(timings, floor))


def judged(bar: Bar, timings: dict[str, Timing]) -> dict[str, object]:
    """Return what was promised, what was measured, and whether it was met; None where the other side is absent.

    Medians decide. The same ratio of the fastest runs stands beside it: where the two disagree, the machine was busy.
    """
    ours = timings[OURS]
    if bar.kind == "limit_us":
        return _verdict(f"<= {bar.factor:g} us", ours.median_ms * 1e3, ours.min_ms * 1e3, bar.factor)
    if bar.kind == "floor":
        floors_here = [timings[name] for name in _floor_names(timings, bar.against)]
        median, fastest = min(t.median_ms for t in floors_here), min(t.min_ms for t in floors_here)
        text = f"<= {bar.factor:g} x {bar.against} floor"
        return _verdict(text, ours.median_ms / median, ours.min_ms / fastest, bar.factor)
    text = f">= {bar.factor:g} x as fast as {bar.against}" if bar.factor != 1 else f"faster than {bar.against}"
    if bar.against not in timings:
        return {"bar": text, "measured": None, "by_minima": None, "met": None}
    rival = timings[bar.against]
    measured = rival.median_ms / ours.median_ms
    by_minima = rival.min_ms / ours.min_ms
    return {"bar": text, "measured": measured, "by_minima": by_minima, "met": measured >= bar.factor}


def _verdict(text: str, measured: float, by_minima: float, limit: float) -> dict[str, object]:
    return {"bar": text, "measured": measured, "by_minima": by_minima, "met": measured <= limit}


def race(case: Case, data: Data, *, runs: int, budget_s: float, without: tuple[str, ...] = ()) -> dict[str, object]:
    """Time one case and judge its bars; the rivals in `without` are left out."""
    forget_compiled()
    calls, absent = _calls(case, data, without)
    values, differing = _answers(case, calls)
    timings = interleaved(calls, runs=runs, budget_s=budget_s)
    return {
        "name": case.name,
        "table": case.table,
        "operation": case.operation,
        "shape": list(case.shape),
        "dtype": case.dtype,
        "axis": case.axis,
        "input_bytes": data.array.nbytes,
        "timings": {name: timing.to_dict() for name, timing in timings.items()},
        "floors_ms": {name: _floor_ms(timings, name) for name in (READ, COPY) if _floor_names(timings, name)},
        "values": values,
        "differing": differing,
        "absent": absent,
        "bars": [judged(bar, timings) for bar in case.bars],
    }


def _summary(result: dict) -> str:
    floors_text = ", ".join(f"{name} {ms:.3g} ms" for name, ms in result["floors_ms"].items())
    times = ", ".join(
        f"{name} {timing['median_ms']:.3g}" for name, timing in result["timings"].items() if name not in _FLOOR_NAMES
    )
    lost = [bar["bar"] for bar in result["bars"] if bar["met"] is False]
    verdict = "all bars met" if not lost else f"NOT MET: {'; '.join(lost)}"
    differing = f"; OTHER ANSWERS: {', '.join(result['differing'])}" if result["differing"] else ""
    return f"{result['name']}: {floors_text}; in ms: {times}; {verdict}{differing}"


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description="Race crossent against its rivals.")
    parser.add_argument("--short", action="store_true", help="small shapes and few runs: does the harness work?")
    parser.add_argument("--case", action="append", metavar="NAME", help="only this one (repeatable); see --list")
    parser.add_argument("--list", action="store_true", help="write the names and stop")
    parser.add_argument("--runs", type=int, help="timings per rival and case (15; short: 3)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where the JSON goes")
    options = parser.parse_args(arguments)
    unknown = set(options.case or ()) - {case.name for case in CASES} - set(EXTRAS)
    if unknown:
        parser.error(f"no case named {', '.join(sorted(unknown))}; --list names them all")
    return options


def _out(options: argparse.Namespace) -> Path:
    if options.out is not None:
        return options.out
    if options.short or options.case:
        return Path(tempfile.mkdtemp(prefix="crossent-bench-")) / "result.json"
    return RESULTS / f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}.json"


def main(arguments: list[str]) -> int:
    options = _parse(arguments)
    if options.list:
        sys.stdout.write("\n".join([*(case.name for case in CASES), *EXTRAS]) + "\n")
        return 0
    progress = Progress()
    wanted = set(options.case) if options.case else {*(case.name for case in CASES), *EXTRAS}
    runs = options.runs or (3 if options.short else 15)
    result: dict[str, object] = {
        "made": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC",
        "command": " ".join(["python -m benchmarks.run", *arguments]),
        "commit": commit(),
        "machine": machine(),
        "versions": versions(),
        "threads": floors.THREADS,
        "short": options.short,
        "runs": runs,
    }
    load = os.getloadavg()[0]
    if load > BUSY_LOAD:
        progress.line(f"others use this machine too (load {load:.1f}): don't publish this run")
    races = []
    data, key = None, None
    chosen = [case.shortened() if options.short else case for case in CASES if case.name in wanted]
    for number, case in enumerate(chosen, start=1):
        with progress.step(f"{number}/{len(chosen)} {case.name}"):
            if data is None or case.data_key != key:
                data = None  # the last shape's half gigabyte goes before the next one comes
                data, key = data_of(case), case.data_key
            without = ("torch.compile",) if options.short and case.name != COMPILED_IN_A_SHORT_RUN else ()
            races.append(race(case, data, runs=runs, budget_s=1.0 if options.short else 8.0, without=without))
        progress.line(_summary(races[-1]))
    data = None
    result["cases"] = races
    if "memory" in wanted:
        with progress.step("memory of a forward, a process per rival"):
            result["memory"] = memory.measure(*((2048, 1000) if options.short else (16384, 1000)))
    if "startup" in wanted:
        with progress.step("start-up, a process per time"):
            result["startup"] = startup.measure(runs=1 if options.short else 5)
    if "accuracy" in wanted:
        with progress.step("accuracy against mpmath"):
            short = {"per_class_count": 6, "class_counts": (2, 10), "without": ("torch.compile",)}
            result["accuracy"] = accuracy.measure(**(short if options.short else {"per_class_count": 75}))
    out = _out(options)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    progress.line(f"written: {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
