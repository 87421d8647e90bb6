"""What goes wrong with workers rather than with data, one sentence each: nobody answers, a package is missing, a death."""

import re
import socket

from crossent.errors import MissingExtraError, OptionError, SourceError
from crossent.scoring.wording import one_line

# A cluster that is there answers within milliseconds; their own clients wait for half a minute and more.
ANSWER_SECONDS = 5.0
_LAST_PORT = 65535


def refuse_silent(address: str, engine: str, *, speaks_first: bool = False) -> None:
    """Raise OptionError if nobody is at any host:port of the address; addresses without one are not looked at."""
    refusals = []
    for host, port in re.findall(r"(\[[0-9a-fA-F:]+\]|[\w.-]+):(\d+)", address):
        if int(port) > _LAST_PORT:
            # getaddrinfo takes it modulo 65536, which may be somebody else's.
            refusals.append(f"{port} is no port")
            continue
        try:
            with socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS) as connection:
                if not speaks_first or connection.recv(1):
                    return
        except OSError as error:
            refusals.append(one_line(error))
        else:
            refusals.append("it hangs up")
    if refusals:
        raise no_cluster(address, engine, refusals[0])


def no_cluster(address: str, engine: str, error: object) -> OptionError:
    """Return the error for an address where no cluster of this kind answers."""
    return OptionError(f"`address` must be that of a running {engine} cluster, '{address}' is not: {one_line(error)}")


def missing(extra: str, error: object) -> MissingExtraError:
    """Return the error for an engine whose packages are not all installed."""
    return MissingExtraError(
        f"engine='{extra}' needs what is not installed ({one_line(error)}): pip install 'crossent[{extra}]'"
    )


def died(what: str, engine: str, reason: object) -> SourceError:
    """Return the error for a piece of data that no worker survives."""
    return SourceError(
        f"`source` must leave its workers alive, '{what}' has ended every {engine} worker that tried it "
        f"({one_line(reason)}): give them more memory, or a smaller `batch_rows`"
    )
