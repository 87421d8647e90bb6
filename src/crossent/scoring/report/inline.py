"""Matplotlib's SVG made part of a page: own ids, the page's colours and fonts, names set in last, and half the bytes."""

import re
from collections.abc import Mapping
from xml.etree import ElementTree

# Colours that no picture has otherwise, so that they can be told in the finished SVG and become the page's variables.
COLOURS = {name: f"#0102{place:02x}" for place, name in enumerate(("ink", "muted", "line", "first", "second", "paper"))}

_DECIMALS = re.compile(r"-?\d+\.\d+")
_REFERENCE = re.compile(r"#([A-Za-z][\w.-]*)")
_HREF = "{http://www.w3.org/1999/xlink}href"


def inline_svg(svg: bytes, prefix: str, label: str, names: Mapping[str, str]) -> str:
    """Return the picture as an element of HTML; `names` are texts from data, by what stands for them in the picture."""
    root = ElementTree.fromstring(svg.decode())
    root.attrib = {"class": "picture", "viewBox": root.attrib["viewBox"], "role": "img", "aria-label": label}
    for parent in list(root.iter()):
        _tidy(parent)
    used = {name for element in root.iter() for value in element.attrib.values() for name in _REFERENCE.findall(value)}
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.tail = None
        if element.text is not None:
            stripped = element.text.strip()
            element.text = names.get(stripped, stripped) or None
        if element is not root:
            element.attrib = _attributes(element.attrib, used, prefix)
    _flatten(root)
    return ElementTree.tostring(root, encoding="unicode")


def _tidy(parent: ElementTree.Element) -> None:
    """Take out the metadata, a style sheet that would reach the whole page, and shapes that draw nothing."""
    for child in list(parent):
        kind = child.tag.rpartition("}")[2]
        draws_nothing = kind == "path" and child.get("style") == "fill: none"
        if kind in ("style", "metadata") or draws_nothing:
            parent.remove(child)


def _attributes(attributes: Mapping[str, str], used: set[str], prefix: str) -> dict[str, str]:
    kept = {}
    for name, value in attributes.items():
        if name == "id":
            if value in used:
                kept["id"] = f"{prefix}-{value}"
        elif name == _HREF:
            kept["href"] = value.replace("#", f"#{prefix}-")
        elif name == "clip-path":
            kept[name] = value.replace("#", f"#{prefix}-")
        elif name == "style":
            kept[name] = _style(value)
        elif name != "transform" or not value.startswith("rotate(-0 "):
            kept[name] = _DECIMALS.sub(_rounded, value).replace("\n", "").strip()
    return kept


def _style(style: str) -> str:
    parts = [part.strip() for part in style.split(";") if not part.strip().startswith("font-family")]
    text = ";".join(part.replace(": ", ":") for part in parts if part)
    for name, colour in COLOURS.items():
        text = text.replace(colour, f"var(--{name})")
    return text


def _rounded(match: re.Match[str]) -> str:
    """Return the number to a tenth of a pixel."""
    text = f"{float(match.group()):.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def _flatten(parent: ElementTree.Element) -> None:
    """Put the children of groups that say nothing into their place."""
    children: list[ElementTree.Element] = []
    for child in list(parent):
        _flatten(child)
        if child.tag == "g" and not child.attrib:
            children.extend(child)
        elif child.tag != "defs" or len(child):
            children.append(child)
    parent[:] = children
