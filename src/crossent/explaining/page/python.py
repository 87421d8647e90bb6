"""An explanation as a line of Python that gives it again, for the reader's own program."""

import math
from collections.abc import Sequence

from crossent.explaining.explanation import Explanation


def as_python(explanation: Explanation) -> str:
    """Return a program of two lines; a number is written with all its digits, so that the result is the same."""
    target = _list([term.p for term in explanation.terms])
    if explanation.target_kind == "index" and explanation.true_class is not None:
        target = str(explanation.true_class)
    arguments = [target, _list([term.given for term in explanation.terms])]
    if explanation.kind != "probs":
        arguments.append(f'kind="{explanation.kind}"')
    if explanation.base != "e":
        arguments.append(f"base={explanation.base}")
    names = [term.name for term in explanation.terms]
    if names != [str(index) for index in range(len(names))]:
        arguments.append(f"class_names={names!r}")
    return f"import crossent\nprint(crossent.explain({', '.join(arguments)}))"


def _list(values: Sequence[float]) -> str:
    return f"[{', '.join(_number(value) for value in values)}]"


def _number(value: float) -> str:
    if not math.isfinite(value):
        return f'float("{value}")'
    return repr(int(value)) if value.is_integer() and abs(value) < 1e6 else repr(value)
