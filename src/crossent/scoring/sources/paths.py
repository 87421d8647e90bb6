"""Which files are meant by paths, globs and folders."""

import glob
import os
import re
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from crossent.errors import SourceError
from crossent.scoring.names import natural_order

# The endings that say what is in a file; tests/scoring/sources/test_paths.py holds them against the readers.
ENDINGS = (
    *(".parquet", ".pq", ".arrow", ".arrows", ".ipc", ".feather", ".npy", ".npz", ".safetensors"),
    *(".csv", ".tsv", ".jsonl", ".ndjson", ".json"),
)

# "C:\predictions" has a scheme of one letter, which is none.
_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


def expand(paths: str | PathLike[str] | Sequence[str | PathLike[str]]) -> list[Path]:
    """Return the files that are meant: globs and folders in natural order, each file once."""
    given = [paths] if isinstance(paths, str | PathLike) else list(paths)
    found: dict[Path, Path] = {}
    for each in given:
        for path in _expanded(each):
            found.setdefault(path.resolve(), path)
    if not found:
        message = "`source` must name a file, got an empty list of paths; give at least one"
        raise SourceError(message)
    return sorted(found.values(), key=lambda path: (natural_order(str(path)), str(path)))


def local(source: str | PathLike[str]) -> Path:
    """Return the path; raise SourceError for the address of a remote file."""
    text = os.fsdecode(source)
    if not text:
        message = "`source` must be the path of a file, got no text"
        raise SourceError(message)
    if _REMOTE.match(text) and not Path(text).exists():
        message = (
            f"`source` must be a file on this machine, got '{text}'; copy it here first, or open it with pyarrow and "
            f"give the stream of its record batches"
        )
        raise SourceError(message)
    return Path(text)


def _expanded(given: Any) -> list[Path]:
    if not isinstance(given, str | PathLike):
        message = f"`source` must be paths of files, got {type(given).__name__} among them; write it to a file first"
        raise SourceError(message)
    path = local(given)
    if path.is_dir():
        files = _in_folder(path)
        if not files:
            message = f"`source` must name files, the folder '{path}' has none; hidden files and _SUCCESS do not count"
            raise SourceError(message)
        return files
    if path.exists():
        return [path]
    if not glob.has_magic(str(path)):
        message = f"`source` must be a file, there is no '{path}'"
        raise SourceError(message)
    files = []
    for match in map(Path, glob.glob(str(path), recursive=True)):  # noqa: PTH207 - Path.glob refuses absolute patterns
        unnamed = [part for part in match.parts if part not in path.parts]
        if any(map(_is_side_file, unnamed)) and not path.name.startswith("_"):
            continue
        if not match.is_dir():
            files.append(match)
        elif "**" not in path.parts:  # with it, the files within are matches of their own
            files += _in_folder(match)
    if not files:
        message = f"`source` must name files, nothing matches '{path}'"
        raise SourceError(message)
    return files


def _in_folder(folder: Path) -> list[Path]:
    """Return the files of predictions in a folder; a README, a report or a state beside them is none."""
    every = [
        path
        for path in folder.rglob("*")
        if path.is_file() and not any(map(_is_side_file, path.relative_to(folder).parts))
    ]
    return [
        path for path in every if path.name.lower().removesuffix(".gz").removesuffix(".zst").endswith(ENDINGS)
    ] or every


def _is_side_file(name: str) -> bool:
    # What Spark and Hadoop write beside the data: _SUCCESS, _metadata, _temporary, .part-0.crc.
    return name.startswith((".", "_")) or name.endswith(".crc")
