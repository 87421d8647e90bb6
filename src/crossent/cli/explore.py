"""``crossent explore``: the page on which a prediction can be dragged, served on this machine."""

from typing import Annotated

import typer

from crossent.explaining.page.server import serve


def explore(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 is any free one.", min=0, max=65535)] = 0,
    open_browser: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in the browser.")] = True,
    recorded: Annotated[
        bool, typer.Option("--recorded", help="Start no package to see what it answers at zero.")
    ] = False,
) -> None:
    """Open a page on which a prediction can be dragged; Ctrl-C stops it."""
    serve(port=port, open_browser=open_browser, measure=not recorded)
