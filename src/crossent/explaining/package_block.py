"""What other packages answer for the same numbers, as lines."""

from crossent.explaining.digits import amount
from crossent.explaining.explanation import Explanation
from crossent.explaining.paper import Paper, columns

NAME_MOST = 38
NAME_LEAST = 30  # a shorter one would not tell the functions of a package apart
RULE_LEAST = 12  # a narrow page goes without the rule rather than with a stump of it


def packages(explanation: Explanation, sheet: Paper) -> list[str]:
    """A table: package and function, its answer in nats, and the rule it follows; nothing unless it was asked for."""
    if explanation.packages_note:
        head = sheet.wrap("What packages answer here", indent=" ")
        return head + sheet.wrap(f"{explanation.packages_note}.")
    if not explanation.packages:
        return []
    names = [f"{answer.package} {answer.function}" for answer in explanation.packages]
    rows = []
    for name, answer in zip(names, explanation.packages, strict=True):
        told_apart = f"{name} {answer.dtype}" if names.count(name) > 1 else name
        value = amount(answer.value) if answer.value is not None else "none"
        rows.append((told_apart, value, answer.rule if answer.value is not None else answer.note))
    numbers = max(len(value) for _, value, _ in rows)
    widest = min(max(columns(name) for name, _, _ in rows), NAME_MOST, sheet.width - numbers - 5)
    lines = sheet.wrap("What packages answer here, in nats", indent=" ")
    if widest < min(NAME_LEAST, max(columns(name) for name, _, _ in rows)):
        for name, value, _ in rows:
            lines += sheet.wrap(f"{name}: {value}", hanging="     ")
        return lines + sheet.wrap(" ".join(_how(explanation)))
    for name, value, rule in rows:
        line = f"   {sheet.pad(_cut(name, widest), widest)}  {sheet.pad(value, numbers, right=True)}"
        room = sheet.width - columns(line) - 2
        lines.append(line + (f"  {sheet.write(_cut(rule, room))}" if room >= RULE_LEAST else ""))
    return lines + sheet.wrap(" ".join(_how(explanation)))


def _cut(text: str, room: int) -> str:
    # three dots, as one sign of them is three columns in ASCII
    return text if len(text) <= room else text[: room - 3].rstrip() + "..."


def _how(explanation: Explanation) -> list[str]:
    ways = sorted({(answer.how, answer.date or "") for answer in explanation.packages})
    said = {
        "measured": "Measured now.",
        "recorded": "Recorded on {}.",
        "formula": "By each one's rule, recorded on {}.",
    }
    return [said[how].format(date) for how, date in ways]
