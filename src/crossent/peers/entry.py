"""A measurement as recorded.json keeps it."""

import datetime
import platform
from typing import Any

from crossent.peers.measuring import Measurement, command


def entry(measurement: Measurement) -> dict[str, Any]:
    """Return plain data: package, version, date, command, and each function with its answers."""
    functions = []
    for number, told in enumerate(measurement.functions):
        answers = {
            case: [answer["value"], answer["gradient"], answer["note"]]
            for (asked, case), answer in measurement.answers.items()
            if asked == number
        }
        functions.append({**told, "answers": answers})
    return {
        "package": measurement.probe.package,
        "version": measurement.version,
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "platform": f"{platform.system()} {platform.machine()}",
        "command": command(measurement.probe),
        "functions": functions,
    }
