"""The shell commands that README.md shows, read from its fenced ``sh`` blocks; CI runs the first two, a test reads all.

``python .ci/readme_commands.py 1`` writes the first command line as it stands in the README.
"""

import sys
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"


def shell_blocks(markdown: str) -> list[str]:
    """Return the text of each block that opens with a line ```sh and closes with a line ```, in order."""
    blocks: list[str] = []
    lines: list[str] | None = None
    for line in markdown.splitlines():
        if lines is None:
            if line.strip() == "```sh":
                lines = []
        elif line.strip() == "```":
            blocks.append("\n".join(lines))
            lines = None
        else:
            lines.append(line)
    if lines is not None:
        message = "README.md opens a ```sh block that it never closes"
        raise ValueError(message)
    return blocks


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or not arguments[0].isdigit():
        sys.stderr.write("usage: readme_commands.py NUMBER (1 is the first command of README.md)\n")
        return 2
    blocks = shell_blocks(README.read_text(encoding="utf-8"))
    number = int(arguments[0])
    if not 1 <= number <= len(blocks):
        sys.stderr.write(f"README.md has {len(blocks)} shell blocks, no block {number}\n")
        return 1
    sys.stdout.write(blocks[number - 1] + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
