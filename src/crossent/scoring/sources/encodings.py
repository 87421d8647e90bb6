"""Text that is not UTF-8: one sentence with the line and what converts it."""

from collections.abc import Iterable
from pathlib import Path

from crossent.errors import SourceError

# The longer ones first: the mark of UTF-32 begins with that of UTF-16.
_MARKS = {b"\xff\xfe\0\0": "UTF-32", b"\0\0\xfe\xff": "UTF-32", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_ZEROS: dict[tuple[bool, ...], str] = {
    (False, True, True, True): "UTF-32LE",
    (True, True, True, False): "UTF-32BE",
    (False, True, False, True): "UTF-16LE",
    (True, False, True, False): "UTF-16BE",
}


def refuse_wide_text(path: Path, head: bytes) -> None:
    """Raise SourceError where the first bytes are those of UTF-16 or UTF-32, with their mark or without."""
    name = next((name for mark, name in _MARKS.items() if head.startswith(mark)), None)
    # Without a mark: the first characters of a table or of an object are ASCII, whose other bytes are 0.
    zeros = tuple(byte == 0 for byte in head[:4])
    name = name or _ZEROS.get(zeros)
    if name is not None:
        message = (
            f"`source` must be text in UTF-8, '{path}' is in {name}; convert it, for example with "
            f"`iconv -f {name} -t UTF-8`, or save it as UTF-8 where it was made"
        )
        raise SourceError(message)


def not_utf8(path: Path, blocks: Iterable[tuple[int, bytes]]) -> SourceError:
    """Return the error for a file of which some line is not UTF-8; `blocks` are whole lines and the number of the first."""
    where = f"'{path}' is not"
    for first, block in blocks:
        try:
            block.decode()
        except UnicodeDecodeError as error:
            line = first + block.count(b"\n", 0, error.start)
            where = f"line {line} of '{path}' is not, it has the byte 0x{block[error.start]:02x}"
            break
    return SourceError(
        f"`source` must be text in UTF-8, {where}; convert it from what it is, for example with "
        f"`iconv -f LATIN1 -t UTF-8`, or save it as UTF-8 where it was made"
    )
