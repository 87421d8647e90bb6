"""Race on the GPU: ``python -m benchmarks.gpu [--short] [--case TEXT] [--runs N] [--seconds N] [--out FILE]``.

One command: floors, our loss and head, and their rivals take turns; then memory, errors, and the proof that nothing waits for
the device. Writes benchmarks/results/gpu/<date>.json, after each case; a second call goes on where the first one stopped.
`python -m benchmarks.gpu_tables` makes the page's tables of it. benchmarks/gpu_rivals.py says how to install the rivals.

Without a CUDA device it says so and ends with code 2. With --short and TRITON_INTERPRET=1 it goes through tiny shapes on the
processor instead, which shows that the harness runs; nothing of that is written.
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.gpu_cases import HEAD_CASES, LOSS_CASES, SHORT_HEAD_CASES, SHORT_LOSS_CASES, HeadCase, LossCase
from benchmarks.gpu_measure import clock_of
from benchmarks.gpu_races import Result, Settings, race_heads, race_losses
from benchmarks.gpu_rivals import DISTRIBUTIONS, EVERYWHERE, HEADS, LOSSES, OURS, attempt, first_line
from benchmarks.machine import commit, machine, versions
from benchmarks.progress import Progress
from crossent.torch import _gpu

RESULTS = Path(__file__).resolve().parent / "results" / "gpu"
NO_DEVICE = 2
THE_CASE = "the case"  # what failed where no rival is to blame: the inputs or the truth do not fit, say


def device_facts(device: torch.device) -> Result:
    """Return what the numbers belong to."""
    properties = torch.cuda.get_device_properties(device)
    asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        driver = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split("\n")[0]
    except (OSError, subprocess.CalledProcessError):
        driver = "unknown"
    return {
        "name": properties.name,
        "capability": f"{properties.major}.{properties.minor}",
        "memory_bytes": properties.total_memory,
        "l2_bytes": properties.L2_cache_size,
        "multiprocessors": properties.multi_processor_count,
        "driver": driver,
        "cuda": torch.version.cuda,
    }


def proofs() -> list[Result]:
    """Ask every rival in a process of its own whether it waits for the device."""
    found = []
    for kind, rivals in (("loss", LOSSES), ("head", HEADS)):
        for rival in rivals:
            command = [sys.executable, "-m", "benchmarks.gpu_proof", kind, rival.name]
            try:
                finished = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
                said = json.loads(finished.stdout.splitlines()[-1])
            except subprocess.CalledProcessError as error:
                said = {"absent": f"ended with code {error.returncode}: {(error.stderr.splitlines() or [''])[-1]}"}
            except (subprocess.TimeoutExpired, ValueError, IndexError) as error:
                said = {"absent": first_line(error)}
            found.append({"kind": kind, "name": rival.name, **said})
    return found


def shown(case: Result, operation: str) -> str:
    """Return one line of a case's medians."""
    timings = case["timings"][operation]
    return f"{case['name']}, {operation}, ms: " + ", ".join(
        f"{name} {t['median_ms']:.3g}" for name, t in timings.items()
    )


def begun(out: Path, facts: Result) -> Result:
    """Return the result to go on with: the one in the file if it is of this device, these versions and this commit."""
    if out.exists():
        before: Result = json.loads(out.read_text(encoding="utf-8"))
        if all(before.get(key) == facts[key] for key in ("device", "versions")) and same_commit(before, facts):
            return before
    return {**facts, "cases": [], "proofs": []}


def same_commit(before: Result, facts: Result) -> bool:
    # the file that the first call wrote is itself a change of the tree
    return str(before.get("commit")).partition(" ")[0] == str(facts["commit"]).partition(" ")[0]


def write(result: Result, out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def measured(case: LossCase | HeadCase, settings: Settings) -> Result:
    """Return a case's result; where it cannot be made at all, one that says why."""
    call = (lambda: race_losses(case, settings)) if isinstance(case, LossCase) else lambda: race_heads(case, settings)
    found, reason = attempt(call)
    torch.compiler.reset()
    return {"name": case.name, "kind": "none", "failed": {THE_CASE: reason}} if found is None else found


def run(
    cases: tuple[LossCase | HeadCase, ...],
    settings: Settings,
    *,
    until: float,
    result: Result,
    progress: Progress,
    out: Path | None,
) -> int:
    """Measure the cases that the result does not have, and write it after each; return 1 if ours, a whole case or the device failed."""
    there = {case["name"] for case in result["cases"]}
    for case in cases:
        if case.name in there or time.monotonic() > until:
            continue
        with progress.step(case.name):
            found = measured(case, settings)
        result["cases"].append(found)
        if out is not None:
            write(result, out)
        for operation in found.get("timings", ()):
            progress.line(shown(found, operation))
        for name, reason in found["failed"].items():
            progress.line(f"{case.name}: {name} failed: {reason}")
        if settings.device.type == "cuda":
            _, broken = attempt(torch.cuda.synchronize)
            if broken is not None:
                progress.line("The device's context is broken: start again, and the race goes on with the next case.")
                return 1
            torch.cuda.empty_cache()
    return int(any({OURS, THE_CASE} & set(case["failed"]) for case in result["cases"]))


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.partition("\n")[0])
    parser.add_argument("--short", action="store_true", help="tiny shapes: shows that the harness runs")
    parser.add_argument("--case", default="", help="only the cases whose name has this text, such as bfloat16 or head")
    parser.add_argument("--runs", type=int, default=31, help="timings of each variant")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no case after so many seconds")
    parser.add_argument("--out", type=Path, help="where the result goes; default benchmarks/results/gpu/<date>.json")
    options = parser.parse_args(arguments)
    everything = (*SHORT_LOSS_CASES, *SHORT_HEAD_CASES) if options.short else (*LOSS_CASES, *HEAD_CASES)
    cases = tuple(case for case in everything if options.case in case.name)
    progress, until = Progress(), time.monotonic() + options.seconds
    if not torch.cuda.is_available():
        if not (options.short and os.environ.get("TRITON_INTERPRET") == "1"):
            sys.stderr.write("benchmarks.gpu: there is no CUDA device here, so that nothing was measured.\n")
            return NO_DEVICE
        progress.line("On the processor, kernels interpreted: these times say nothing about any device.")
        nothing: Result = {"cases": []}
        cpu = torch.device("cpu")
        _gpu.DEVICES = frozenset({*_gpu.DEVICES, "cpu"})  # the door sends what lies there to the kernels, too
        settings = Settings(cpu, clock_of(cpu), runs=1, only=EVERYWHERE)
        return run(cases, settings, until=until, result=nothing, progress=progress, out=None)
    device, now = torch.device("cuda"), datetime.datetime.now(datetime.UTC)
    short_out = Path(tempfile.gettempdir()) / "crossent-gpu-short.json"
    out = options.out or (short_out if options.short else RESULTS / f"{now:%Y-%m-%d}.json")
    facts: Result = {
        "made": f"{now:%Y-%m-%d %H:%M} UTC",
        "command": " ".join(["python -m benchmarks.gpu", *arguments]),
        "commit": commit(),
        "device": device_facts(device),
        "machine": machine(),
        "versions": versions(("crossent", *DISTRIBUTIONS)),
        "runs": options.runs,
    }
    result = begun(out, facts)
    settings = Settings(device, clock_of(device), options.runs)
    code = run(cases, settings, until=until, result=result, progress=progress, out=out)
    if not result["proofs"] and time.monotonic() <= until:
        with progress.step("what waits for the device"):
            result["proofs"] = proofs()
        write(result, out)
    for proof in result["proofs"]:
        progress.line(
            f"{proof['kind']}, {proof['name']}: " + ", ".join(f"{k}: {v}" for k, v in list(proof.items())[2:])
        )
    progress.line(f"written: {out}")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
