"""The page on 127.0.0.1, from the first line on the terminal to Ctrl-C."""

import socket
import sys
import threading
import webbrowser
from typing import TYPE_CHECKING

from crossent.errors import MissingExtraError, OptionError, RangeError

if TYPE_CHECKING:
    from crossent.explaining.page.live import Live

HOST = "127.0.0.1"  # never another: what this serves may read local files' numbers, and asks nobody who they are


def serve(*, port: int = 0, open_browser: bool = True, fragment: str = "", measure: "bool | Live" = True) -> None:
    """Serve the page until Ctrl-C; the first line printed is its address. `measure`: ask what is installed at zero."""
    from crossent.explaining.page.app import application
    from crossent.explaining.page.live import Live

    try:
        import uvicorn
    except ImportError as error:
        message = "the page needs Starlette and uvicorn, which are not installed: pip install 'crossent[web]'"
        raise MissingExtraError(message) from error

    live = Live() if measure is True else measure or None
    # bound before uvicorn starts, so that the port is known, and the first request waits instead of failing
    with listening(port) as sock:
        taken = sock.getsockname()[1]
        address = f"http://{HOST}:{taken}/{fragment}"
        sys.stdout.write(f"{address}\nCtrl-C stops it.\n")
        sys.stdout.flush()
        if open_browser:  # in a thread: a text browser does not return before it is left
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        # no server header, no access log: nobody reads them, and each line costs more than an answer
        config = uvicorn.Config(
            application(taken, live), log_level="error", access_log=False, server_header=False, ws="none"
        )
        try:
            uvicorn.Server(config).run(sockets=[sock])
        except KeyboardInterrupt:  # uvicorn stops in order, then raises the signal again
            return
        finally:
            if live is not None:  # where the second Ctrl-C came before the server had stopped in order
                live.stop()


def listening(port: int) -> socket.socket:
    """Return a socket that listens on this port of 127.0.0.1, or on any free one for 0."""
    if not 0 <= port <= 65535:
        message = f"`port` must lie in [0, 65535]; got {port}."
        raise RangeError(message)
    # the protocol is named because asyncio sets TCP_NODELAY on such sockets only: without it headers and body, two
    # writes, wait for each other, and an answer takes 44 ms instead of 1
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port just left would be refused for a minute
    try:
        sock.bind((HOST, port))
        sock.listen(128)
    except OSError as error:
        sock.close()
        message = f"`port` {port} cannot be used ({error.strerror}): choose another, or 0 for any free one."
        raise OptionError(message) from error
    return sock
