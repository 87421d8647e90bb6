"""The page's own files, and its modules joined into one: the server, the notebook and the saved file use the same text."""

import re
from functools import cache
from importlib.resources import files

# each after those it imports from
SHARED = ("dom", "charts", "steps", "rows", "explain", "bits", "address", "explorer")
WITH_PYTHON = ("zero", "diagnose")
WITHOUT_PYTHON = ("ce", "digits", "twin_case", "twin_bits", "twin")
# our own lines only: no text of these modules goes over a line's end, and a test says so
_COMMENT = re.compile(r"^ *//.*\n|^ +", re.MULTILINE)
_STYLE_COMMENT = re.compile(r"^ */\*.*\*/\n|^ +", re.MULTILINE)
_IMPORT = re.compile(r'^import \{([^}]*)\} from "\./(\w+)\.mjs";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const)\b)", re.MULTILINE)
_EXPORTED = re.compile(r"^export (?:async )?(?:function|const) (\w+)", re.MULTILINE)


@cache
def module() -> str:
    """Return the page as one ES module, which starts itself."""
    return _joined((*SHARED, *WITH_PYTHON, "served"))


@cache
def saved_module() -> str:
    """Return the page and the JavaScript twin as one module."""
    return _joined((*SHARED, *WITHOUT_PYTHON, "saved"))


@cache
def widget_module() -> str:
    """Return the page as a module with the default export that anywidget asks for."""
    return _joined((*SHARED, *WITH_PYTHON, "widget"))


@cache
def style() -> str:
    """Return the page's style sheet."""
    return _STYLE_COMMENT.sub("", _text("style.css"))


@cache
def page() -> str:
    """Return the served page."""
    return _text("index.html")


def _joined(names: tuple[str, ...]) -> str:
    # one file: no request per module, and a saved page or a widget can't import from beside itself at all
    *inner, entry = names
    whole = "\n".join([*(_closed(name) for name in inner), _imports_as_names(_text(f"module/{entry}.mjs"))])
    # a fifth of it says why, to those who read the sources; a saved file is sent by mail
    return _COMMENT.sub("", whole)


def _closed(name: str) -> str:
    """Return a module as one object of what it exports, so that two modules may use the same private name."""
    text = _imports_as_names(_text(f"module/{name}.mjs"))
    return (
        f"const ${name} = (() => {{\n{_EXPORT.sub('', text)}return {{ {', '.join(_EXPORTED.findall(text))} }};\n}})();"
    )


def _imports_as_names(text: str) -> str:
    return _IMPORT.sub(r"const {\1} = $\2;\n", text)


def _text(name: str) -> str:
    return files("crossent.explaining.page").joinpath(name).read_text(encoding="utf-8")
