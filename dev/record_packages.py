"""Make src/crossent/peers/recorded.json from real runs: ``python dev/record_packages.py [--python INTERPRETER]...``.

Each interpreter is asked for every package; the first that has it is recorded. What none has keeps its old record.
The first interpreter needs crossent's own dependencies; the others only the packages. Made with the environments of:

    pip install torch==2.13.0 keras jax optax scikit-learn scipy xgboost lightgbm catboost torchmetrics \
        timm monai dit pyitlib infomeasure "mlx[cpu]" liger-kernel triton numba && pip uninstall torchvision
    pip install tensorflow==2.21.0
    pip install paddlepaddle==3.3.1
    pip install pyspark
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from crossent.peers.entry import entry
from crossent.peers.measuring import measure
from crossent.peers.recorded import FILE
from crossent.peers.registry import PROBES


def main() -> None:
    """Ask, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", action="append", default=[], help="an interpreter; several may be given")
    parser.add_argument("--only", action="append", default=[], help="a package; all of them without")
    parser.add_argument("--seconds", type=float, default=300.0, help="time for one package")
    options = parser.parse_args()
    known = json.loads(FILE.read_text(encoding="utf-8"))["packages"] if FILE.exists() else []
    entries = {one["package"]: one for one in known}
    for probe in PROBES:
        if options.only and probe.package not in options.only:
            continue
        for python in options.python or [sys.executable]:
            measurement = measure(probe, python=python, timeout_s=options.seconds)
            if measurement.answers:
                entries[probe.package] = entry(measurement)
                print(f"{probe.package}: {measurement.version}, {len(measurement.answers)} answers", flush=True)  # noqa: T201
                break
            print(f"{probe.package}: {measurement.broken}", flush=True)  # noqa: T201
    order = [probe.package for probe in PROBES]
    write([entries[package] for package in order if package in entries])


def write(entries: list[dict[str, Any]]) -> None:
    """Write one function per line, so that a new run shows what changed."""
    packages = []
    for one in entries:
        head = {name: value for name, value in one.items() if name != "functions"}
        functions = ",\n  ".join(json.dumps(function, allow_nan=False) for function in one["functions"])
        packages.append(f'{json.dumps(head)[:-1]}, "functions": [\n  {functions}]}}')
    FILE.write_text('{"packages": [\n' + ",\n".join(packages) + "\n]}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
