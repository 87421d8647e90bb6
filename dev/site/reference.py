"""The reference: each public name with its signature and its docstring, as Markdown."""

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import crossent

# page -> its title, its sentence, its names; what is missing here fails the build
PAGES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "losses": (
        "Losses",
        "Logits, log-probabilities and probabilities are three functions, never a flag; each has a twin with the gradient.",
        (
            "cross_entropy",
            "cross_entropy_and_grad",
            "cross_entropy_from_log_probs",
            "cross_entropy_from_log_probs_and_grad",
            "cross_entropy_from_probs",
            "cross_entropy_from_probs_and_grad",
            "binary_cross_entropy",
            "binary_cross_entropy_and_grad",
            "binary_cross_entropy_from_probs",
            "binary_cross_entropy_from_probs_and_grad",
            "TopKTargets",
            "ValueAndGrad",
        ),
    ),
    "information": (
        "Entropy and divergence",
        "Amounts of information, in nats unless `base` says otherwise.",
        ("entropy", "entropy_of", "perplexity", "kl_divergence", "js_divergence"),
    ),
    "understanding": (
        "Understanding",
        "One prediction explained, a number that looks wrong diagnosed, other packages asked, all of it on a page.",
        ("explain", "Explanation", "diagnose", "Diagnosis", "packages", "PackageTable", "PackageAnswer", "explore"),
    ),
    "scoring": (
        "Data sets",
        "The cost of a file or a table of predictions, and whether one model is better than another.",
        ("score", "Score", "compare", "Comparison"),
    ),
    "machine": (
        "Sums and threads",
        "Exact sums that merge, and what the machine does.",
        ("ExactSum", "set_num_threads", "get_num_threads", "warm_up", "show_config"),
    ),
}
DOORS = {
    "torch": ("PyTorch", "Drop-ins for `torch.nn.functional` and `torch.nn`: `crossent.torch`."),
    "sklearn": ("scikit-learn", "A drop-in for `sklearn.metrics.log_loss`: `crossent.sklearn`."),
    "errors": ("Errors and warnings", "Each error is also the builtin that a caller would expect: `crossent.errors`."),
}
_SECTION = re.compile(r"^(\w[\w ]*)\n-{3,}$", re.MULTILINE)
_LISTS = ("Parameters", "Returns", "Raises", "Warns", "Attributes")
_LONGEST_LINE = 80


def pages() -> dict[str, str]:
    """Return path -> Markdown of every page of the reference."""
    told = {name for _, _, names in PAGES.values() for name in names}
    untold = set(crossent.__all__) - {"__version__"} - told
    if untold:
        message = f"dev/site/reference.py has no page for {sorted(untold)}."
        raise KeyError(message)
    made, index = (
        {},
        ["# Reference\n", "Made from the docstrings of this version, whose examples all run in the tests.\n"],
    )
    for page, (title, sentence, names) in PAGES.items():
        objects = {f"crossent.{name}": getattr(crossent, name) for name in names if name in crossent.__all__}
        made[f"reference/{page}.md"] = _page(title, sentence, "crossent", objects)
        index += _contents(page, title, objects)
    for door, (title, sentence) in DOORS.items():
        objects = _of_module(f"crossent.{door}")
        made[f"reference/{door}.md"] = _page(title, sentence, f"crossent.{door}", objects)
        index += _contents(door, title, objects)
    made["reference/index.md"] = "\n".join(index)
    return made


def _of_module(name: str) -> dict[str, Any]:
    module = import_module(name)
    own = getattr(module, "__all__", None) or [key for key, value in vars(module).items() if inspect.isclass(value)]
    return {f"{name}.{key}": getattr(module, key) for key in own}


def _contents(page: str, title: str, objects: dict[str, Any]) -> Iterator[str]:
    yield f"\n## [{title}]({page}.md)\n"
    yield "| name | what it is |\n|---|---|"
    for name, value in objects.items():
        first = (inspect.getdoc(value) or "").partition("\n\n")[0].replace("\n", " ")
        yield f"| [`{name.removeprefix('crossent.')}`]({page}.md#{anchor(name)}) | {first} |"


def anchor(name: str) -> str:
    """Return the anchor of a name: cross_entropy, torch.cross_entropy."""
    return name.removeprefix("crossent.")


def _page(title: str, sentence: str, module: str, objects: dict[str, Any]) -> str:
    entries = "\n".join(_entry(name, value) for name, value in objects.items())
    return f"# {title}\n\n{sentence}\n\n{_imports(module, entries)}{entries}"


def _imports(module: str, entries: str) -> str:
    """Return, once for a page, the session that its examples go on from: they take the public names as imported."""
    lines = "\n".join(re.findall(r"^(?:>>>|\.\.\.) .*", entries, re.MULTILINE))
    every = getattr(import_module(module), "__all__", ())
    public = [name for name in every if re.search(rf"(?<![\w.]){name}\b", lines)]
    needed = [
        line
        for line, used in (("import numpy as np", r"\bnp\."), ("import torch", r"(?<![\w.])torch\."))
        if re.search(used, lines)
    ]
    needed += [f"from {module} import {', '.join(public[i : i + 3])}" for i in range(0, len(public), 3)]
    if not needed:
        return ""
    session = "".join(f">>> {line}\n" for line in needed)
    return f"The examples of this page go on from here:\n\n```python\n{session}```\n\n"


def _entry(name: str, value: Any) -> str:
    own = name.removeprefix("crossent.")
    lines = [f"## `{own}` {{#{anchor(name)}}}\n"]
    plain_exception = inspect.isclass(value) and issubclass(value, Exception)
    if plain_exception:
        bases = ", ".join(base.__name__ for base in value.__mro__[1:] if base not in (object, BaseException, Exception))
        lines.append(f"Also: {bases}.\n" if bases else "")
    else:
        lines.append(f"```python\n{signature(name, value)}\n```\n")
    lines.append(markdown(inspect.getdoc(value) or ""))
    if inspect.isclass(value) and not plain_exception and not name.startswith("crossent.torch."):
        lines += _members(value)
    return "\n".join(lines)


def _members(value: type) -> Iterator[str]:
    members = [
        (key, member)
        for base in reversed(value.__mro__[:-1])
        if base.__module__.startswith("crossent.")
        for key, member in vars(base).items()
        if not key.startswith("_") and (callable(member) or isinstance(member, property | classmethod | staticmethod))
    ]
    if members:
        yield "**Properties and methods**\n"
        yield "| name | what it is |\n|---|---|"
    for key, member in dict(members).items():
        first = (inspect.getdoc(member) or "").partition("\n\n")[0].replace("\n", " ").replace("|", "\\|")
        called = "" if isinstance(member, property) else "()"
        yield f"| `{key}{called}` | {first} |"
    if members:
        yield ""


def signature(name: str, value: Any) -> str:
    """Return how a name is called; with a line for each parameter where one line would be long."""
    try:
        found = inspect.signature(value)
    except ValueError:  # a class without a signature of its own
        return name
    plain = found.replace(
        parameters=[parameter.replace(annotation=inspect.Parameter.empty) for parameter in found.parameters.values()],
        return_annotation=inspect.Signature.empty,
    )
    line = f"{name}{plain}"
    if len(line) <= _LONGEST_LINE:
        return line
    inside = str(plain)[1:-1]
    return f"{name}(\n    " + re.sub(r", (?=[\w*/])(?![^(\[]*[)\]])", ",\n    ", inside) + ",\n)"


def markdown(docstring: str) -> str:
    """Return a numpydoc docstring as Markdown: sections as bold words, parameters as definitions."""
    parts = _SECTION.split(docstring)
    text = [_prose(parts[0])]
    for title, body in zip(parts[1::2], parts[2::2], strict=True):
        text.append(f"**{title}**\n")
        if title == "Examples":
            text.append(_examples(body))
        elif title in _LISTS:
            text.append(_definitions(body))
        else:
            text.append(_prose(body))
    return "\n".join(text)


def _prose(text: str) -> str:
    # `::` announces the literal block that follows; Markdown needs no announcement
    plain = re.sub(r"^::$", "", text, flags=re.MULTILINE)
    colons = re.sub(r"::$", ":", plain, flags=re.MULTILINE).strip()
    return "\n".join(line if line.startswith("    ") else _literal(line) for line in colons.splitlines()) + "\n"


def _literal(line: str) -> str:
    """Return a line whose stars and angle brackets outside code stand for themselves."""
    return re.sub(r"(`+[^`]*`+)|([*<])", lambda found: found[1] or {"*": "\\*", "<": "&lt;"}[found[2]], line)


def _examples(text: str) -> str:
    return f"```python\n{text.strip()}\n```\n"


def _definitions(text: str) -> str:
    lines = []
    for line in text.strip("\n").splitlines():
        if not line.strip():
            continue
        if line.startswith(" "):
            lines.append(f"  {_literal(line.strip())}")
        else:
            name, colon, kind = line.partition(" : ")
            lines.append(f"\n- `{name}`{', ' + _literal(kind) if colon else ''}<br>")
    return "\n".join(lines).strip() + "\n"
