"""The import contracts of pyproject.toml hold; and each is seen broken in a copy of the package with one bad import."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINT = "from importlinter.cli import lint_imports_command; lint_imports_command(['--no-logo', '--no-cache'])"

# contract -> (file that gets a bad first line, the line, what import-linter says about it)
BAD_IMPORTS = {
    "floors": ("definitions/entropy.py", "import crossent.arrays.entropy", "crossent.definitions.entropy ->"),
    "kernels-without-definitions": (
        "_kernels/cpu/softmax_cross_entropy.py",
        "import crossent.definitions.softmax_cross_entropy",
        "crossent._kernels is not allowed to import crossent.definitions",
    ),
    "no-root": ("units.py", "import crossent", "crossent.units -> crossent"),
    "owner-of-numba": ("arrays/entropy.py", "import numba", "crossent.arrays.entropy -> numba"),
    "owner-of-pyarrow": ("cli/app.py", "import pyarrow.parquet", "crossent.cli.app -> pyarrow"),
    "owner-of-typer": ("scoring/score.py", "from rich.console import Console", "crossent.scoring.score -> rich"),
    "owner-of-torch": ("arrays/entropy.py", "import torch", "crossent.arrays.entropy -> torch"),
    "owner-of-matplotlib": ("scoring/score.py", "import matplotlib.figure", "crossent.scoring.score -> matplotlib"),
    "owner-of-jinja": ("scoring/score.py", "import jinja2", "crossent.scoring.score -> jinja2"),
    "owner-of-duckdb": ("scoring/score.py", "import duckdb", "crossent.scoring.score -> duckdb"),
    "owner-of-scipy": ("scoring/score.py", "import scipy.optimize", "crossent.scoring.score -> scipy"),
    "owner-of-engines": ("scoring/score.py", "import dask", "crossent.scoring.score -> dask"),
    "owner-of-the-web-server": ("explaining/text.py", "import starlette", "crossent.explaining.text -> starlette"),
    "owner-of-anywidget": (
        "explaining/page/server.py",
        "import anywidget",
        "crossent.explaining.page.server -> anywidget",
    ),
    "kernels-apart": (
        "_kernels/gpu/problem.py",
        "import crossent._kernels.cpu.odds",
        "crossent._kernels.gpu is not allowed to import crossent._kernels.cpu",
    ),
    "owner-of-triton": ("torch/modules.py", "import triton", "crossent.torch.modules -> triton"),
    "nowhere": ("_kernels/cpu/softmax_cross_entropy.py", "import optax", "crossent is not allowed to import optax"),
}


def contracts() -> list[str]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        return [contract["id"] for contract in tomllib.load(file)["tool"]["importlinter"]["contracts"]]


def copy_of_the_package(folder: Path) -> Path:
    shutil.copy(ROOT / "pyproject.toml", folder)
    package = folder / "src" / "crossent"
    shutil.copytree(ROOT / "src" / "crossent", package, ignore=shutil.ignore_patterns("__pycache__"))
    return package


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder / "src"), "COLUMNS": "200"}
    command = [sys.executable, "-c", LINT]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_contracts_hold(tmp_path: Path) -> None:
    copy_of_the_package(tmp_path)
    finished = lint(tmp_path)
    assert finished.returncode == 0, finished.stdout + finished.stderr


def test_every_contract_has_its_bad_import() -> None:
    assert sorted(contracts()) == sorted(BAD_IMPORTS)


@pytest.mark.parametrize("contract", BAD_IMPORTS)
def test_a_bad_import_is_caught(contract: str, tmp_path: Path) -> None:
    path, line, verdict = BAD_IMPORTS[contract]
    file = copy_of_the_package(tmp_path) / path
    file.write_text(f"{line}\n{file.read_text(encoding='utf-8')}", encoding="utf-8")
    finished = lint(tmp_path)
    assert finished.returncode == 1, finished.stdout + finished.stderr
    assert verdict in finished.stdout


def test_a_module_outside_the_floors_is_caught(tmp_path: Path) -> None:
    (copy_of_the_package(tmp_path) / "attic.py").write_text("", encoding="utf-8")
    finished = lint(tmp_path)
    assert finished.returncode == 1, finished.stdout + finished.stderr
    assert "not listed as layers" in finished.stdout
    assert "crossent.attic" in finished.stdout
