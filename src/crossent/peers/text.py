"""The table of the packages on a terminal: a block per case, a heading per package, ASCII only."""

import math
import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from itertools import groupby

from crossent.peers.answer import PackageAnswer
from crossent.peers.cases import BY_NAME

WIDEST = 100
NARROWEST = 50
_VALUE, _GRADIENT, _BY = 10, 12, 5
# between the columns and before the first
_SPACES = 5
# a narrow table goes without the rule rather than with a stump of it
_RULE_NARROWEST = 32
_ERROR = ("Error", "Exception")


def render(answers: Sequence[PackageAnswer], *, width: int | None = None, color: bool | None = None) -> str:
    """Return the answers as text of at most this width; None asks the terminal."""
    if width is None:
        width = min(shutil.get_terminal_size().columns, WIDEST)
    if color is None:
        # no-color.org: the variable counts when it is set and not empty
        color = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    width = max(width, NARROWEST)
    blocks = [_block(case, list(group), width, color) for case, group in groupby(answers, key=lambda a: a.case)]
    return "\n\n".join("\n".join(block) for block in blocks)


def _block(case: str, answers: list[PackageAnswer], width: int, color: bool) -> list[str]:
    title = BY_NAME[case].title if case in BY_NAME else case
    longest = max(len(_function(answer)) for answer in answers)
    room = width - _VALUE - _GRADIENT - _BY - _SPACES
    function = min(longest, room)
    rule = room - function - 1
    lines = [_bold(f"{case}: {title}"[:width], color)]
    lines.append(f"  {'function':{function}} {'loss':>{_VALUE}} {'derivative':>{_GRADIENT}} by")
    for (package, version, _), group in groupby(answers, key=lambda a: (a.package, a.version, known(a))):
        told = list(group)
        lines.append(_bold(_cut(f"{package} {version}, {known(told[0])}", width), color))
        for answer in told:
            # where it is wrapped, the numbers stand beside its first line: cut, "stats.ent..." would be two functions
            name, *rest = textwrap.wrap(_ascii(_function(answer)), function, break_on_hyphens=False)
            row = f"  {name:{function}} {loss(answer):>{_VALUE}}"
            row += f" {_derivative(answer):>{_GRADIENT}} {'' if answer.gradient is None else answer.by:{_BY}}"
            lines.append((row + (" " + _cut(_remark(answer), rule) if rule >= _RULE_NARROWEST else "")).rstrip())
            lines += [f"  {line}" for line in rest]
    return lines


def known(answer: PackageAnswer) -> str:
    """Say how an answer is known: measured now, recorded on a day, or by its source."""
    if answer.how == "measured":
        return "measured now"
    if answer.how == "recorded":
        return f"recorded {answer.date}"
    return "by its source, not run"


def loss(answer: PackageAnswer) -> str:
    """Return the loss in six digits, or in a word what came instead."""
    if answer.value is not None:
        return number(answer.value)
    name = answer.note.partition(":")[0]
    if name.endswith(_ERROR):
        return "raises"
    if name in ("no number", "undefined"):
        return name
    return "dies" if answer.note.startswith("the process") else "hangs"


def number(value: float) -> str:
    """Return six significant digits: 16.1181, 1.19209e-07, inf, nan."""
    if not math.isfinite(value):
        return str(value)
    return f"{value:.6g}"


def _derivative(answer: PackageAnswer) -> str:
    return "" if answer.gradient is None else number(answer.gradient)


def _function(answer: PackageAnswer) -> str:
    return f"{answer.function}, {answer.dtype}"


def _remark(answer: PackageAnswer) -> str:
    return answer.note if answer.value is None else answer.rule


def _cut(text: str, width: int) -> str:
    text = _ascii(text)
    return text if len(text) <= width else text[: width - 3] + "..."


def _ascii(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode()


def _bold(line: str, color: bool) -> str:
    return f"\033[1m{line}\033[0m" if color else line
