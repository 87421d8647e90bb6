"""``crossent explain``: a prediction or a few, explained on the terminal or in another form."""

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from crossent.errors import OptionError, RangeError, ShapeError
from crossent.explaining.digits import compact
from crossent.explaining.explanation import Explanation
from crossent.explaining.explanation import explain as explain_prediction

NEXT = " Next: --bits --packages --latex --json, or  crossent explore"
# Off by more than this, numbers were not probabilities with a digit lost, but something else.
FAR_FROM_ONE = 0.5


class KindOption(StrEnum):
    """How PREDICTION is read, as the command line spells it."""

    PROBS = "probs"
    LOGITS = "logits"
    LOG_PROBS = "log-probs"
    AUTO = "auto"


class BaseOption(StrEnum):
    """The unit of what is shown: nats, bits, hartleys."""

    E = "e"
    TWO = "2"
    TEN = "10"


# "-inf" is a number.
_UNKNOWN_OPTION = re.compile(r"(--?(?!(?:inf|infinity|nan)\b)[a-z][\w-]*)(?:=.*)?", re.IGNORECASE | re.DOTALL)


def _no_option(context: typer.Context, value: str) -> str:
    if option := _UNKNOWN_OPTION.fullmatch(value):
        context.fail(f"No such option: {option[1]}")
    return value


def explain(
    context: typer.Context,
    target: Annotated[
        str, typer.Argument(help='A class id or name, or one probability per class: "1 0 0 0 0".', callback=_no_option)
    ],
    prediction: Annotated[
        str,
        typer.Argument(
            help='One number per class: "0.1 0.5 0.1 0.1 0.2", or 0.1,0.5,...; rows end with a semicolon.',
            callback=_no_option,
        ),
    ],
    kind: Annotated[KindOption, typer.Option(help="What the numbers of PREDICTION are.")] = KindOption.PROBS,
    base: Annotated[BaseOption, typer.Option(help="Base of the logarithm: nats, bits or hartleys.")] = BaseOption.E,
    names: Annotated[str | None, typer.Option(help="One name per class, separated by commas.")] = None,
    smoothing: Annotated[float, typer.Option(help="Share of the target spread evenly over the classes.")] = 0.0,
    weights: Annotated[str | None, typer.Option(help="One weight per class.")] = None,
    prior: Annotated[str | None, typer.Option(help="The share of each class, as a baseline.")] = None,
    bits: Annotated[bool, typer.Option("--bits", help="Add each class's code word.")] = False,
    packages: Annotated[bool, typer.Option("--packages", help="Add what other packages answer here.")] = False,
    as_latex: Annotated[bool, typer.Option("--latex", help="Print LaTeX.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write a page that answers to dragging to this file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print every number as JSON.")] = False,
) -> None:
    """Explain the cross-entropy of a prediction: where the loss comes from, how bad it is, what moves it."""
    for extra in context.args:
        _no_option(context, extra)
    if context.args:
        context.fail(f"Got unexpected extra argument(s) ({' '.join(context.args)})")
    if as_latex + as_markdown + as_json > 1:
        message = "--latex, --markdown and --json are three forms of one answer: ask for one of them."
        raise OptionError(message)
    explanation = explain_prediction(
        target,
        prediction,
        kind=kind.value.replace("-", "_"),
        base=base.value,
        class_names=None if names is None else [name.strip() for name in names.split(",")],
        weight=weights,
        label_smoothing=smoothing,
        prior=prior,
        packages=packages,
    )
    _check_sense(explanation)
    if html is not None:
        html.write_text(explanation.to_html(), encoding="utf-8")
    if as_json:
        typer.echo(explanation.to_json(indent=2))
    elif as_latex:
        typer.echo(explanation.to_latex())
    elif as_markdown:
        typer.echo(explanation.to_markdown(), nl=False)
    else:
        typer.echo(explanation.render(bits=bits))
        typer.echo(f"\n Wrote {html}" if html is not None else "\n" + NEXT)


def _check_sense(explanation: Explanation) -> None:
    """Refuse what was typed by mistake, though it has an answer in Python: one class, or a sum far from 1."""
    if explanation.loss_kind == "binary":
        return
    if explanation.classes == 1:
        given = explanation.terms[0].given
        example = '"0.3 0.7"' if explanation.kind == "probs" else '"0 1.5"'
        message = (
            f"`prediction` has one class, {given:.6g}, and softmax gives a single class 1 whatever its logit: type one "
            f"number for each of two classes or more, such as {example}."
        )
        raise ShapeError(message)
    total = explanation.sum_prediction
    if explanation.kind != "logits" and abs(total - 1.0) > FAR_FROM_ONE:
        message = (
            f"`prediction` sums to {compact(total)}, far from 1, so these are no probabilities of one answer: add "
            "--kind logits if they are logits, or divide them by their sum."
        )
        raise RangeError(message)
