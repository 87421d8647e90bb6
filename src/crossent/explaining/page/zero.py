"""The screen at zero: what packages answer while the probability of the true class goes from 1 to exactly 0."""

import math
from collections.abc import Mapping
from functools import cache
from typing import Any

from crossent.errors import RangeError
from crossent.explaining.digits import amount
from crossent.explaining.page.cells import Cell, amount_cell, compact_cell, plain, signed_cell
from crossent.peers.answer import PackageAnswer
from crossent.peers.by_rule import answers_at

LAST = 321  # stop n is 10**-n; 1e-320 is the last before this one, which is exactly 0
EVERY = 3  # stops between two points of a curve
CURVES_FROM = 2  # at 1 and 0.1 all agree, and -log10 q = 0 is where the axis begins


def zero_view(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answers at one stop of the slider and, where asked for, the curves over all of them."""
    place = body.get("place", LAST)
    if isinstance(place, bool) or not isinstance(place, int) or not 0 <= place <= LAST:
        message = f"`place` must be a whole number from 0 (q = 1) to {LAST} (q = 0); got {str(place)[:20]}."
        raise RangeError(message)
    q = probability_at(place)
    answers = answers_at(q, short=not body.get("all"))
    exact = -math.log(q) if q > 0.0 else math.inf
    return {
        "q": compact_cell(q),
        "exact": amount_cell(exact),
        "sentence": _sentence(answers, exact),
        "rows": [_row(answer) for answer in answers],
        "count": len(answers_at(q)),
        "curves": curves() if body.get("curves") else None,
    }


def probability_at(place: int) -> float:
    """Return q at a stop of the slider, the double nearest to that power of ten."""
    return 0.0 if place == LAST else float(f"1e-{place}")


@cache
def curves() -> dict[str, Any]:
    """Return one line for all well-known functions that answer the same everywhere, and where each ends."""
    lines: dict[tuple[float | str, ...], list[str]] = {}
    places = sorted({*range(0, LAST, EVERY), 16, LAST - 1, LAST})
    stops = [answers_at(probability_at(place), short=True) for place in places]
    names = name_of(stops[-1])
    for number, name in enumerate(names):
        values = tuple(_rounded(stop[number].value) for stop in stops)
        lines.setdefault(values, []).append(name)
    return {
        "lines": [
            {"name": ", ".join(members), "points": [list(point) for point in zip(places, values, strict=True)]}
            for values, members in lines.items()
        ],
        "flat": [[", ".join(members), _ending(values[-1])] for values, members in lines.items()],
    }


def name_of(answers: tuple[PackageAnswer, ...]) -> list[str]:
    """Return the name of each answer's package, with the dtype where a package is there with two of them."""
    packages = [answer.package for answer in answers]
    kinds = {package: {answer.dtype for answer in answers if answer.package == package} for package in packages}
    names = [f"{answer.package} {answer.dtype if len(kinds[answer.package]) > 1 else ''}".strip() for answer in answers]
    # two functions of one package: then it is the function that tells them apart
    return [
        name if names.count(name) == 1 else f"{name} {answer.function}"
        for name, answer in zip(names, answers, strict=True)
    ]


def _rounded(value: float | None) -> float | str:
    # two functions that differ in the last digits of a dtype are one line on paper
    return "nan" if value is None else plain(float(f"{value:.4g}"))


def _ending(value: float | str) -> Cell:
    return amount_cell(float(value))


def _sentence(answers: tuple[PackageAnswer, ...], exact: float) -> str:
    values = [math.nan if answer.value is None else answer.value for answer in answers]
    off = [value for value in values if amount(value) != amount(exact) and not _near(value, exact)]
    finite = sorted({amount(value) for value in off if math.isfinite(value)})
    if not off:
        return f"All {len(values)} agree here."
    least = f", from {amount(min(value for value in off if math.isfinite(value)))}" if len(finite) > 1 else ""
    most = f" to {amount(max(value for value in off if math.isfinite(value)))}" if len(finite) > 1 else ""
    return f"{len(off)} of {len(values)} answer something else than {amount(exact)}{least}{most}."


def _near(value: float, exact: float) -> bool:
    # single precision rounds q, and then its logarithm: 1e-6 is 16 times that
    return math.isfinite(exact) and abs(value - exact) <= 1e-6 * max(1.0, exact)


def _row(answer: PackageAnswer) -> dict[str, Any]:
    by = {"q": "by q", "log q": "by log q", "z": "by z", "none": ""}[answer.by]
    return {
        "package": answer.package,
        "function": f"{answer.function} ({answer.dtype})",
        "version": answer.version,
        "answer": ["nan", "no number"] if answer.value is None else amount_cell(answer.value),
        "gradient": None if answer.gradient is None else [*signed_cell(answer.gradient)[:1], _slope(answer, by)],
        "how": f"{answer.rule}; {f'run recorded on {answer.date}' if answer.date else answer.note}",
    }


def _slope(answer: PackageAnswer, by: str) -> str:
    assert answer.gradient is not None
    return f"{signed_cell(answer.gradient)[1]} {by}"
