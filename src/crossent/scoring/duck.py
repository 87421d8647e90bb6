"""The one place that imports DuckDB: a connection that keeps to its memory and spills into a folder of the caller's."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from crossent.errors import MissingExtraError, SourceError
from crossent.scoring.wording import one_line

# A join of 12 million keys of text works in it, at 350 MB resident in all; with 256 MB it was 480 (DuckDB 2.0.1).
_MEMORY_LIMIT = "128MB"


@contextmanager
def connection(folder: Path) -> Iterator[Any]:
    """Open an empty database in memory that spills into the folder; what it cannot do is one SourceError."""
    try:
        import duckdb
    except ImportError as error:
        message = "joining labels needs duckdb, which is not installed: pip install 'crossent[score]'"
        raise MissingExtraError(message) from error
    settings: dict[str, Any] = {
        "memory_limit": _MEMORY_LIMIT,
        "temp_directory": str(folder / "spilled"),
        # Each worker process has its own: more threads need more memory, and the engine has taken the cores.
        "threads": 1,
        # Whoever needs an order asks for it; keeping one that nobody asked for takes memory.
        "preserve_insertion_order": False,
        "python_enable_replacements": False,
        "autoinstall_known_extensions": False,
    }
    with duckdb.connect(":memory:", config=settings) as opened:
        try:
            yield opened
        except duckdb.Error as error:
            reason = one_line(str(error).partition("\n")[0])
            message = (
                f"`labels` must be joined within {_MEMORY_LIMIT} of memory and the free space of '{folder.parent}', "
                f"DuckDB cannot: {reason}; set TMPDIR to a folder with more space"
            )
            raise SourceError(message) from error
