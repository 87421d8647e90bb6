"""An explanation as one file: Python's numbers in it, and a JavaScript twin for when it is dragged."""

import json
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from crossent.explaining.page.bundle import saved_module, style
from crossent.explaining.page.case import Case
from crossent.explaining.page.first import first_of, why_not
from crossent.explaining.page.view import saved_by, view_of

if TYPE_CHECKING:
    from crossent.explaining.explanation import Explanation

# everything is in the file; the browser holds it to that
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'"
HEAD = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>
{style}</style>
</head>
<body>
<main class="crossent-page">
"""
PAGE = (
    HEAD
    + """<h1>{title}</h1>
<div></div>
<noscript><pre>{text}</pre></noscript>
</main>
<script type="application/json" id="given">{given}</script>
<script type="module">
{module}</script>
</body>
</html>
"""
)

STILL = (
    HEAD
    + """<div class="crossent">
{body}
</div>
</main>
</body>
</html>
"""
)


def page_of(explanation: "Explanation") -> str:
    """Return the page of an explanation, whole: it fetches nothing, and is dragged without Python.

    A batch, several labels, class weights or more than 1000 classes cannot be dragged: they are shown as in a notebook.
    """
    title = escape(f"A loss of {explanation.loss_nats:.6g} nats")
    if why_not(explanation) is not None:
        return STILL.format(policy=escape(POLICY), title=title, style=style(), body=explanation._repr_html_())
    first = first_of(explanation)
    given = {"first": first, "view": _view(first), "computed_by": saved_by()}
    return PAGE.format(
        policy=escape(POLICY),
        title=title,
        style=style(),
        text=escape(explanation.render(width=80, color=False, unicode=True)),
        # "</script>" in a class name would end the element; JSON may write any letter as an escape
        given=json.dumps(given, allow_nan=False).replace("<", "\\u003c"),
        module=saved_module(),
    )


def _view(first: dict[str, Any]) -> dict[str, Any]:
    case = Case(
        target=_row(first["target"]),
        prediction=_row(first["prediction"]),
        kind=first["kind"],
        base=first["base"],
        names=None if first["names"] is None else tuple(first["names"]),
        locked=first["locked"],
    )
    return view_of(case)


def _row(values: list[Any]) -> Any:
    return np.array([float(value) for value in values])
