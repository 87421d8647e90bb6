"""``crossent explain``: a prediction or a few, explained on the terminal or in another form."""

import dataclasses
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from crossent.cli.explain_input import check_sums, check_typed, typed
from crossent.errors import CrossentError, LabelError, OptionError, ShapeError
from crossent.explaining.explanation import Explanation
from crossent.explaining.explanation import explain as explain_prediction
from crossent.explaining.paper import paper

NEXT = "Next: --bits --packages --latex --json, or  crossent explore"


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
    kind: Annotated[
        str, typer.Option(help="What the numbers of PREDICTION are.", metavar="[probs|logits|log-probs|auto]")
    ] = KindOption.PROBS.value,
    base: Annotated[
        str, typer.Option(help="Base of the logarithm: nats, bits or hartleys.", metavar="[e|2|10]")
    ] = BaseOption.E.value,
    names: Annotated[str | None, typer.Option(help="One name per class, separated by commas.")] = None,
    smoothing: Annotated[
        str, typer.Option(help="Share of the target spread evenly over the classes.", metavar="SHARE")
    ] = "0",
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
    read_as = _chosen(context, "--kind", kind.replace("_", "-"), KindOption)
    unit = _chosen(context, "--base", base, BaseOption)
    share = _number(context, "--smoothing", smoothing)
    try:
        explanation = explain_prediction(
            target,
            prediction,
            kind=read_as.replace("-", "_"),
            base=unit,
            class_names=None if names is None else [name.strip() for name in names.split(",")],
            weight=weights,
            label_smoothing=share,
            prior=prior,
            packages=packages,
        )
    except CrossentError as error:
        if isinstance(error, LabelError | ShapeError):
            check_typed(target, prediction, read_as)
        raise type(error)(typed(str(error))) from None
    check_sums(explanation, target, prediction)
    if html is not None:
        html.write_text(explanation.to_html(), encoding="utf-8")
    if as_json:
        typer.echo(explanation.to_json(indent=2))
    elif as_latex:
        typer.echo(explanation.to_latex())
    elif as_markdown:
        typer.echo(explanation.to_markdown(), nl=False)
    else:
        typer.echo(_as_typed(explanation).render(bits=bits))
        typer.echo(
            f"\n Wrote {html}" if html is not None else "\n" + "\n".join(paper(None, None, None).wrap(NEXT, indent=" "))
        )


def _chosen(context: typer.Context, option: str, word: str, choices: type[StrEnum]) -> str:
    if word not in list(choices):
        context.fail(f"{option} must be one of {', '.join(choices)}; got '{word}'")
    return word


def _number(context: typer.Context, option: str, word: str) -> float:
    try:
        return float(word)
    except ValueError:
        context.fail(f"{option} must be a number, such as 0.1; got '{word}'")


def _as_typed(explanation: Explanation) -> Explanation:
    """Return the explanation with findings that name what to type, not what to write in Python."""
    findings = tuple(
        dataclasses.replace(finding, message=typed(finding.message), advice=typed(finding.advice))
        for finding in explanation.findings
    )
    return dataclasses.replace(explanation, findings=findings)
