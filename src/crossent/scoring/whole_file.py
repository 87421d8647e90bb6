"""Files that are written whole or not at all."""

import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from os import PathLike
from pathlib import Path

from crossent.errors import OptionError, SourceError
from crossent.scoring.wording import one_line


def check_writable(path: Path, name: str, inputs: Iterable[str | PathLike[str]] = ()) -> None:
    """Raise OptionError where a file of this name could not be written, or is one of those that are read."""
    message = None
    same = [str(each) for each in inputs if Path(each).resolve() == path.resolve()]
    if same:
        message = f"`{name}` must be a file of its own, '{path}' is read or written as something else; choose another"
    elif path.is_dir():
        message = f"`{name}` must be a file, got the folder '{path}'; add a name"
    elif path.exists() and not path.is_file():
        message = f"`{name}` must be a file, '{path}' is a device or the like; choose another"
    elif not path.parent.is_dir():
        message = f"`{name}` must be in a folder that exists, there is no '{path.parent}'; make it first"
    elif path.exists() and not os.access(path, os.W_OK):
        message = f"`{name}` must be a file that can be written, '{path}' is read-only; choose another"
    if message is None:
        try:
            with tempfile.TemporaryFile(dir=path.parent):
                return
        except OSError as error:
            message = f"`{name}` must be in a folder that can be written, '{path.parent}' cannot: {one_line(error)}"
    raise OptionError(message)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that nobody ever sees half of it; raise SourceError where that cannot be done."""
    path = path.resolve()  # a link stays one
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            # mkstemp makes files that only their owner may read; others of the folder are as the umask says.
            mask = os.umask(0)
            os.umask(mask)
            Path(temporary).chmod(0o666 & ~mask)
            Path(temporary).replace(path)
        except BaseException:
            with suppress(OSError):
                Path(temporary).unlink()
            raise
    except OSError as error:
        message = f"'{path}' must be a file that can be written: {one_line(error)}"
        raise SourceError(message) from error
