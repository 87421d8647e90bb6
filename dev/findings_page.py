"""Write docs/findings.md from the rule book of `diagnose` and the findings of `explain`: ``python dev/findings_page.py``.

A heading is the code alone, so that its anchor is the code in small letters, here and on GitHub: findings.md#ce005.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
for place in (ROOT, ROOT / "src"):
    sys.path.insert(0, str(place))

from dev.site.markdown import code, table

import crossent
from crossent.explaining.diagnosing.book import BOOK, Entry
from crossent.explaining.diagnosing.fixes import FIXES
from crossent.explaining.finding import Finding

PAGE = ROOT / "docs" / "findings.md"
FRAMEWORKS = {"torch": "PyTorch", "keras": "Keras", "jax": "JAX", "sklearn": "scikit-learn"}
# what `explain` alone finds: the input that shows it, and a title
EXPLAINED = {
    "CE006": ("several labels at once", lambda: crossent.explain([1, 1, 0], [0.9, 0.6, 0.2])),
    "CE007": ("one class", lambda: crossent.explain([1.0], [0.3], kind="logits")),
    "CE008": ("nothing to average", lambda: crossent.explain([0], [[0.5, 0.5]], weight=[0.0, 1.0])),
}
HEAD = """---
description: Every finding of crossent diagnose and crossent explain by its code, with rivals, the input that would decide, and the fix in code.
hide: [toc]
---
# Findings, by code

`crossent diagnose`, `crossent.torch.diagnose` and `crossent explain` name what they find by these codes.
A number alone proves nothing: a finding says what it is *consistent with*, what else would look the same, and which one further
input would decide between them.
`crossent diagnose --help` lists what can be given: a loss and a class count, a batch, the losses so far, the function's name.

"""
TAIL = "\nThis page is written by `python dev/findings_page.py`.\n"


def page() -> str:
    """Return the page."""
    codes = sorted({*BOOK, *EXPLAINED})
    index = table(["code", "what it is consistent with"], ([f"[{one}](#{one.lower()})", _title(one)] for one in codes))
    return HEAD + index + "\n" + "\n".join("\n".join(_section(one)) for one in codes) + TAIL


def _title(one: str) -> str:
    return BOOK[one].title if one in BOOK else EXPLAINED[one][0]


def _section(one: str) -> Iterator[str]:
    yield f"## {one}\n"
    if one in BOOK:
        yield from _of_book(BOOK[one], one)
    else:
        yield from _of_explain(one)


def _of_book(entry: Entry, one: str) -> Iterator[str]:
    yield f"**{_sentence(entry.title)}** ({entry.severity})\n"
    yield f"{entry.advice}\n"
    if entry.rivals:
        yield f"- It could also be: {'; '.join(entry.rivals)}."
    yield f"- What would decide: {entry.decide}{'' if entry.decide.endswith('?') else '.'}\n"
    yield table(
        ["with", "fix"], ([name, code(FIXES[one][key])] for key, name in FRAMEWORKS.items() if FIXES[one].get(key))
    )


def _of_explain(one: str) -> Iterator[str]:
    title, example = EXPLAINED[one]
    finding = _found(example().findings, one)
    yield f"**{_sentence(title)}** ({finding.severity})\n"
    yield f"{_sentence(finding.message)} {finding.advice}\n"


def _found(findings: tuple[Finding, ...], one: str) -> Finding:
    return next(finding for finding in findings if finding.code == one)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write("docs/findings.md: written\n")


if __name__ == "__main__":
    main()
