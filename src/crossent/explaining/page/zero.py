"""The screen at zero: what packages answer while the probability of the true class goes from 1 to exactly 0."""

import math
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from crossent.errors import RangeError
from crossent.explaining.digits import amount
from crossent.explaining.page.cells import Cell, amount_cell, compact_cell, plain, signed_cell
from crossent.peers.answer import PackageAnswer
from crossent.peers.by_rule import answers_at
from crossent.peers.recorded import recorded

if TYPE_CHECKING:
    from crossent.explaining.page.live import Live

LAST = 321  # stop n is 10**-n; 1e-320 is the last before this one, which is exactly 0
EVERY = 3  # stops between two points of a curve, where nothing happens
DENSE = 4  # points per stop up to the third, where the axis is widest
FIRST = 50  # up to here each stop has a point
CURVES_FROM = 2  # at 1 and 0.1 all agree, and -log10 q = 0 is where the axis begins


def zero_view(body: Mapping[str, Any], live: "Live | None" = None) -> dict[str, Any]:
    """Return the answers at one stop of the slider and, where asked for, the curves over all of them.

    `live` measures what is installed, from the first time that this is asked.
    """
    if live is not None:
        live.start()
    place = body.get("place", LAST)
    if isinstance(place, bool) or not isinstance(place, int) or not 0 <= place <= LAST:
        message = f"`place` must be a whole number from 0 (q = 1) to {LAST} (q = 0); got {str(place)[:20]}."
        raise RangeError(message)
    q = probability_at(place)
    answers = tuple(_best(answer, live) for answer in answers_at(q, short=not body.get("all")))
    exact = -math.log(q) if q > 0.0 else math.inf
    return {
        "q": compact_cell(q),
        "exact": amount_cell(exact),
        "sentence": _sentence(answers, exact),
        "rows": [_row(answer) for answer in answers],
        "count": len(answers_at(q)),
        "curves": curves() if body.get("curves") else None,
        "measuring": measuring_view(live),
    }


def probability_at(place: int) -> float:
    """Return q at a stop of the slider, the double nearest to that power of ten."""
    return 0.0 if place == LAST else float(f"1e-{place}")


def measuring_view(live: "Live | None") -> dict[str, Any]:
    """Return how far the measuring is; without it, that there is none."""
    if live is not None:
        return live.progress()
    date = max(function.date or "" for package in recorded().values() for function in package)
    sentence = f"Nothing is measured here: each row is known by its rule, or by a run recorded up to {date}."
    return {"done": 0, "of": 0, "going": False, "sentence": sentence}


def _best(told: PackageAnswer, live: "Live | None") -> PackageAnswer:
    """Return what was measured now, else what was recorded at this very q, else what the rule says."""
    measured = None if live is None else live.answer(told)
    return measured or _recorded_at().get((told.package, told.function, told.dtype, told.case)) or told


@cache
def _recorded_at() -> dict[tuple[str, str, str, str], PackageAnswer]:
    functions = [function for package in recorded().values() for function in package]
    found = [(function, case) for function in functions for case in function.answers if case.startswith("q=")]
    answers = [answer for function, case in found if (answer := function.answer(case)) is not None]
    return {(one.package, one.function, one.dtype, one.case): one for one in answers}


@cache
def curves() -> dict[str, Any]:
    """Return one line for all well-known functions that answer the same everywhere, and where each ends."""
    lines: dict[tuple[float | str, ...], list[str]] = {}
    places = _places()
    stops = [answers_at(0.0 if place == LAST else 10.0**-place, short=True) for place in places]
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


def _places() -> list[float]:
    """Return where the curves have points; each clip is a corner, and gets one of its own."""
    clips = {answer.value for answer in answers_at(0.0, short=True) if answer.value is not None}
    corners = {value / math.log(10.0) for value in clips if 0.0 < value < math.inf}
    dense = {step / DENSE for step in range(3 * DENSE)}
    return sorted({*dense, *corners, *range(FIRST), *range(FIRST, LAST, EVERY), LAST - 1, LAST})


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
        "how": f"{answer.rule}; {_how(answer)}",
    }


def _how(answer: PackageAnswer) -> str:
    if answer.how == "formula":
        # without a date nobody ran it: the note says that its source was read
        return f"by its rule, checked on runs recorded on {answer.date}" if answer.date else answer.note
    said = f" ({answer.note})" if answer.value is None and answer.note else ""
    return f"measured now{said}" if answer.how == "measured" else f"run recorded on {answer.date}{said}"


def _slope(answer: PackageAnswer, by: str) -> str:
    assert answer.gradient is not None
    return f"{signed_cell(answer.gradient)[1]} {by}"
