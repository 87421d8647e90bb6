"""The questions that the page may ask of Python; the server and the notebook's widget both answer through here."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from crossent.errors import OptionError
from crossent.explaining.page.bits import bits_view
from crossent.explaining.page.case import read_case, read_number
from crossent.explaining.page.diagnosis import diagnosis_view
from crossent.explaining.page.view import view_of
from crossent.explaining.page.zero import measuring_view, zero_view

if TYPE_CHECKING:
    from crossent.explaining.page.live import Live

Answer = dict[str, Any]


def answer(question: str, body: Any, live: "Live | None" = None) -> Answer:
    """Return the answer to a question, for JSON; a CrossentError says in one sentence what is wrong with it.

    With `live` the screen at zero shows what is measured on this machine.
    """
    if question not in QUESTIONS:
        message = f"`question` must be one of {', '.join(QUESTIONS)}; got {question[:20]!r}."
        raise OptionError(message)
    if not isinstance(body, Mapping):
        message = f"the body must be a JSON object; got {type(body).__name__}."
        raise OptionError(message)
    return QUESTIONS[question](body, live)


def _explain(body: Mapping[str, Any], _: "Live | None" = None) -> Answer:
    guess = body.get("guess")
    case = read_case(body)
    shown = view_of(
        case,
        rows=_rows(body.get("rows")),
        sliced=_index(body.get("slice"), "slice"),
        guess=None if guess is None else read_number(guess, "guess"),
    )
    if body.get("drawn") == case.base:  # these depend on nothing else
        del shown["curve"], shown["clips"]
    return shown


def _rows(value: Any) -> list[int] | None:
    if value is None:
        return None
    if not isinstance(value, list):
        message = f"`rows` must be a list of class ids; got {type(value).__name__}."
        raise OptionError(message)
    return [place for entry in value if (place := _index(entry, "rows")) is not None]


def _index(value: Any, argument: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        message = f"`{argument}` must hold class ids, whole numbers from 0; got {str(value)[:20]}."
        raise OptionError(message)
    return value


QUESTIONS: dict[str, Callable[[Mapping[str, Any], "Live | None"], Answer]] = {
    "explain": _explain,
    "bits": lambda body, _: bits_view(body),
    "zero": zero_view,
    "measuring": lambda _, live: measuring_view(live),
    "diagnose": lambda body, _: diagnosis_view(body),
}
