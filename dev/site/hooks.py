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
# a group of the navigation is labelled by its link, which is empty where the group has a page; its title follows
_GROUP = re.compile(
    r'(<nav class="md-nav" data-md-level="1") aria-labelledby="__nav_\d+_label"( [^>]*>\s*<label class="md-nav__title"[^>]*>\s*<span[^>]*></span>\s*)([^<]*?)(?=\s*</label>)'
)
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


def on_page_content(html: str, **_: Any) -> str:
    """Let a table take the focus: one that is wider than the window can then be scrolled with the keyboard."""
    return html.replace("<table>", '<table tabindex="0">')


def on_post_page(output: str, **_: Any) -> str:
    """Name the two landmarks that the theme leaves without a name: the search, and the groups that have a page of their own."""
    named = output.replace(
        'data-md-component="search" role="dialog"', 'data-md-component="search" role="dialog" aria-label="Search"'
    )
    return _GROUP.sub(r'\1 aria-label="\3" \2\3', named)


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn links that leave docs/ to the pages of the site, and set sessions as sessions: what is printed is no Python."""
    if page.file.src_uri in WIDE:
        page.meta.setdefault("hide", ["toc"])
    return re.sub(
        r"^```python\n(?=>>> )", "```pycon\n", markdown.replace(f"]({EXAMPLES})", "](examples.md)"), flags=re.MULTILINE
    )
