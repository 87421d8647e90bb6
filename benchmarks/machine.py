"""Where and with what a result was made: the machine, the versions, the commit."""

import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Iterable
from pathlib import Path

PACKAGES = ("crossent", "numpy", "numba", "llvmlite", "torch", "jax", "jaxlib", "optax", "scipy", "scikit-learn")


def _first_match(path: str, field: str) -> str | None:
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(field)), None)


def machine() -> dict[str, object]:
    return {
        "processor": _first_match("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "memory": _first_match("/proc/meminfo", "MemTotal"),
        "system": f"{platform.system()} {platform.machine()}",
        "load_before": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def versions(packages: Iterable[str] = PACKAGES) -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def commit() -> str:
    """Return the commit of the tree, with "+ changes" if files differ from it."""

    def git(*arguments: str) -> str:
        root = Path(__file__).resolve().parent.parent
        finished = subprocess.run(["git", "-C", root, *arguments], capture_output=True, text=True, check=False)
        return finished.stdout.strip()

    try:
        head = git("rev-parse", "--short=12", "HEAD")
        return f"{head} + changes" if git("status", "--porcelain") else head
    except OSError:
        return "unknown"
