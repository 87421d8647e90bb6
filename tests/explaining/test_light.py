"""Explaining needs NumPy only; and the check that says so can fail."""

import json
import subprocess
import sys

HEAVY = ("llvmlite", "matplotlib", "numba", "pyarrow", "rich", "scipy", "starlette", "torch", "uvicorn")
REPORT = "import json, sys; print(json.dumps(sorted(set({heavy}) & set(sys.modules))))"


def loaded_by(code: str) -> list[str]:
    program = f"{code}\n{REPORT.format(heavy=HEAVY)}"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    found: list[str] = json.loads(ran.stdout.splitlines()[-1])
    return found


def test_an_explanation_loads_nothing_heavy() -> None:
    forms = "render", "to_json", "to_latex", "to_markdown", "_repr_html_"
    made = "; ".join(f"crossent.explain(0, [0.5, 0.5], packages=True).{form}()" for form in forms)
    code = f"import crossent; {made}"
    assert loaded_by(code) == []


def test_the_command_explain_loads_nothing_heavy() -> None:
    code = "from crossent.cli.app import run; assert run(['explain', '0', '0.5 0.5', '--bits', '--packages']) == 0"
    assert loaded_by(code) == []


def test_the_check_can_fail() -> None:
    assert loaded_by("import rich, crossent") == ["rich"]
