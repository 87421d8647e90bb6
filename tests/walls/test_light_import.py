"""`import crossent` loads nothing heavy; and the check that says so can fail."""

import json
import subprocess
import sys

import pytest

HEAVY = ("numba", "llvmlite", "torch", "triton", "pyarrow", "matplotlib", "scipy", "typer", "rich")

# Runs in a fresh interpreter: this one has loaded half of them for other tests.
REPORT = """
import json, sys
{before}
import crossent
{after}
loaded = {{name.partition(".")[0] for name in sys.modules}}
json.dump(sorted(loaded & set({heavy!r})), sys.stdout)
"""


def heavy_packages_loaded(*, before: str = "", after: str = "") -> list[str]:
    program = REPORT.format(before=before, after=after, heavy=HEAVY)
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    return list(json.loads(finished.stdout))


def test_importing_crossent_loads_nothing_heavy() -> None:
    assert heavy_packages_loaded() == []


def test_listing_the_public_names_loads_nothing_heavy() -> None:
    assert heavy_packages_loaded(after="assert 'cross_entropy' in dir(crossent)") == []


def test_the_check_reports_a_package_loaded_beside_crossent() -> None:
    assert {"numba", "llvmlite"} <= set(heavy_packages_loaded(before="import numba"))


def test_the_check_reports_a_package_that_a_public_name_loads() -> None:
    assert "numba" in heavy_packages_loaded(after="crossent.cross_entropy([[0.0, 1.0]], [0])")


@pytest.mark.parametrize("package", ["pyarrow", "rich"])
def test_the_check_reports_an_import_inside_crossent(package: str) -> None:
    # a finder that runs `import <package>` while crossent itself is being imported, as a line in __init__.py would
    inject = f"""
import importlib, importlib.abc
class Injector(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "crossent":
            importlib.import_module({package!r})
        return None
sys.meta_path.insert(0, Injector())
"""
    assert package in heavy_packages_loaded(before=inject)
