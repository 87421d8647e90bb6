"""README.md as the tests read it: its text, its Python blocks, and CI's own parser of its shell blocks."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]


def text() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


def python_blocks() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", text(), flags=re.MULTILINE | re.DOTALL)


def ci_parser() -> ModuleType:
    """Return .ci/readme_commands.py, which is no package and so has to be loaded by its path."""
    spec = importlib.util.spec_from_file_location("readme_commands", ROOT / ".ci" / "readme_commands.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
