"""The page in a notebook's output: a widget that asks the kernel, or the saved page in a frame."""

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from crossent.errors import CrossentError
from crossent.explaining.page.api import answer
from crossent.explaining.page.bundle import style, widget_module
from crossent.explaining.page.first import first_of
from crossent.explaining.page.saved import page_of

if TYPE_CHECKING:
    from crossent.explaining.explanation import Explanation

FOUNDING = ([1.0, 0.0, 0.0, 0.0, 0.0], [0.1, 0.5, 0.1, 0.1, 0.2])


@dataclass(frozen=True, repr=False)
class Framed:
    """The saved page as the output of a cell; it stays alive in an exported notebook."""

    page: str

    def _repr_html_(self) -> str:
        # srcdoc: a frame without an address, so nothing is fetched; its scripts are cut off from the notebook's
        return (
            f'<iframe srcdoc="{escape(self.page)}" sandbox="allow-scripts" title="crossent: a loss you can drag" '
            'width="100%" height="900" style="border:0"></iframe>'
        )

    def __repr__(self) -> str:
        return "<the page of an Explanation: shown in a notebook's output>"


def show(explanation: "Explanation | None") -> Any:
    """Return what a cell shows: the widget if anywidget is installed, else the saved page in a frame."""
    try:
        import anywidget
        import traitlets
    except ImportError:
        return Framed(page_of(explanation or _founding()))

    class Explorer(anywidget.AnyWidget):
        """The page, with this kernel behind it."""

        _esm = widget_module()
        _css = style()
        first = traitlets.Dict().tag(sync=True)

    explorer = Explorer(first={} if explanation is None else first_of(explanation))
    explorer.on_msg(_reply)
    return explorer


def _reply(widget: Any, content: Any, _buffers: Any) -> None:
    """Answer one message of the page; its number goes back with the answer."""
    number = content.get("id") if isinstance(content, dict) else None
    try:
        found = answer(str(content.get("question")), content.get("body")) if isinstance(content, dict) else {}
    except CrossentError as error:
        widget.send({"id": number, "error": str(error)})
        return
    widget.send({"id": number, "answer": found})


def _founding() -> "Explanation":
    from crossent.explaining.explanation import explain

    return explain(*FOUNDING)
