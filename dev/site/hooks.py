"""What the site has beyond docs/: the reference, made from the docstrings at each build, and the examples' own page."""

import logging
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
for place in (ROOT, ROOT / "src"):
    if str(place) not in sys.path:
        sys.path.insert(0, str(place))

from dev.site import reference

EXAMPLES = "../examples/README.md"  # the path that GitHub's readers follow
WIDE = ("packages.md",)  # tables that need the room of the contents beside them


def on_startup(**_: Any) -> None:
    """Let the packages that are imported for their docstrings say nothing through mkdocs' strict log."""
    logging.getLogger("numba").setLevel(logging.ERROR)


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that no file in docs/ holds."""
    examples = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    made = {"examples.md": examples.replace("](../docs/", "]("), **reference.pages()}
    for path, text in made.items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn links that leave docs/ to the pages of the site, and set sessions as sessions: what is printed is no Python."""
    if page.file.src_uri in WIDE:
        page.meta.setdefault("hide", ["toc"])
    return re.sub(
        r"^```python\n(?=>>> )", "```pycon\n", markdown.replace(f"]({EXAMPLES})", "](examples.md)"), flags=re.MULTILINE
    )
