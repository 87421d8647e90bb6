"""The public door: the page in a browser, or in the notebook's own output."""

import sys
from typing import Any

from crossent.explaining.explanation import Explanation


def explore(explanation: Explanation | None = None, *, port: int = 0, open_browser: bool = True) -> Any:
    """Open the page on which a prediction can be dragged: in a notebook in its output, else in the browser.

    Outside a notebook this serves the page on 127.0.0.1 and returns when it is interrupted (Ctrl-C).

    Parameters
    ----------
    explanation : Explanation or None
        What the page opens with; None is the founding example, [1 0 0 0 0] against [0.1 0.5 0.1 0.1 0.2].
    port : int
        Port to serve on; 0 is any free one. Not used in a notebook.
    open_browser : bool
        Whether to open the page; its address is printed in any case. Not used in a notebook.

    Returns
    -------
    object or None
        In a notebook what its cell shows: a widget, or without anywidget the saved page in a frame. Else None.

    Raises
    ------
    MissingExtraError
        If the page is to be served and Starlette or uvicorn is not installed; also an ImportError.
    OptionError
        If `port` is taken; also a ValueError.
    RangeError
        If `port` lies outside [0, 65535]; also a ValueError.

    Notes
    -----
    Nothing leaves this machine: the server answers 127.0.0.1 only, and the page loads nothing from elsewhere. When the
    screen at zero is opened, the packages installed here are asked what they answer, each in a process of its own; in a
    notebook and in a saved page nothing is measured.

    Examples
    --------
    >>> import crossent
    >>> explanation = crossent.explain([1, 0, 0], [0.2, 0.5, 0.3])
    >>> crossent.explore(explanation)  # doctest: +SKIP
    """
    if in_notebook():
        from crossent.explaining.page.notebook import show

        return show(explanation)
    from crossent.explaining.page.first import address_of, first_of
    from crossent.explaining.page.server import serve

    fragment = "" if explanation is None else address_of(first_of(explanation))
    serve(port=port, open_browser=open_browser, fragment=fragment)
    return None


def in_notebook() -> bool:
    """Return whether a notebook's kernel runs this; a terminal's IPython has no kernel."""
    ipython = sys.modules.get("IPython")  # not imported: where it is not, this is no notebook
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None
