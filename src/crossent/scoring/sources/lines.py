"""The lines of a text file, plain or compressed, in blocks that end with a line."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from crossent.errors import SourceError
from crossent.scoring.arrow import pa
from crossent.scoring.sources.encodings import not_utf8, refuse_wide_text
from crossent.scoring.wording import one_line

# Large enough that a call of the parser does not show, small beside a batch of predictions.
_BLOCK_BYTES = 2**20

# A line of a log may hold a long prompt; a whole file in one line is a file that is not made of lines.
_LONGEST_LINE_BYTES = 2**28

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def blocks(path: Path, compression: str | None) -> Iterator[tuple[int, bytes]]:
    """Yield the number of the first line of each block, from 1, and the bytes of its whole lines."""
    number = 1
    left: list[bytes] = []
    left_bytes = 0
    is_first = True
    with pa.input_stream(str(path), compression=compression) as stream:
        while data := stream.read(_BLOCK_BYTES):
            if is_first:
                refuse_wide_text(path, data)
                is_first = False
            cut = data.rfind(b"\n") + 1
            if cut == 0:
                left.append(data)
                left_bytes += len(data)
                if left_bytes > _LONGEST_LINE_BYTES:
                    raise no_object(path, number, f"it is longer than {_LONGEST_LINE_BYTES} bytes")
                continue
            block = b"".join([*left, data[:cut]])
            left = [data[cut:]] if cut < len(data) else []
            left_bytes = len(data) - cut
            yield number, block.removeprefix(_BYTE_ORDER_MARK) if number == 1 else block
            number += block.count(b"\n")
    if left:
        block = b"".join(left)
        yield number, block.removeprefix(_BYTE_ORDER_MARK) if number == 1 else block


def objects(path: Path, compression: str | None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number of each line that is not blank, from 1, and its JSON object."""
    for first, block in blocks(path, compression):
        yield from block_objects(path, first, block)


def block_objects(path: Path, first: int, block: bytes, **options: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the same of one block; `options` are those of json.loads."""
    for number, line in enumerate(block.split(b"\n"), first):
        if not line.strip():
            continue
        try:
            # As UTF-8, not as what its first bytes may look like to json.
            found = json.loads(line.decode(), **options)
        except UnicodeDecodeError as error:
            raise not_utf8(path, [(number, line)]) from error
        except SourceError:  # of an option's own, also a ValueError
            raise
        except json.JSONDecodeError as error:
            raise no_object(path, number, f"{error.msg} at column {error.colno}") from error
        except (ValueError, RecursionError) as error:
            raise no_object(path, number, one_line(error)) from error
        if not isinstance(found, dict):
            raise no_object(path, number, f"it holds {type(found).__name__}")
        yield number, found


def no_object(path: Path, number: int, reason: str) -> SourceError:
    """Return the error for a line that is no JSON object."""
    return SourceError(
        f"`source` must hold one JSON object per line, line {number} of '{path}' does not: {reason}; "
        f"write each row as an object on a line of its own"
    )
