"""``crossent explain``: one prediction, explained on the terminal or as JSON."""

import re
from enum import StrEnum
from typing import Annotated

import typer

from crossent.explaining.explanation import explain as explain_prediction

NEXT = " Next: --base 2 (bits), --kind logits, --names cat,dog, --json"


class KindOption(StrEnum):
    """How PREDICTION is read, as the command line spells it."""

    PROBS = "probs"
    LOGITS = "logits"
    LOG_PROBS = "log-probs"


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
        str, typer.Argument(help='A class id, or one probability per class: "1 0 0 0 0".', callback=_no_option)
    ],
    prediction: Annotated[
        str,
        typer.Argument(help='One number per class: "0.1 0.5 0.1 0.1 0.2", or 0.1,0.5,...', callback=_no_option),
    ],
    kind: Annotated[KindOption, typer.Option(help="What the numbers of PREDICTION are.")] = KindOption.PROBS,
    base: Annotated[BaseOption, typer.Option(help="Base of the logarithm: nats, bits or hartleys.")] = BaseOption.E,
    names: Annotated[str | None, typer.Option(help="One name per class, separated by commas.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print every number as JSON.")] = False,
) -> None:
    """Explain the cross-entropy of one prediction: where the loss comes from, how bad it is, what moves it."""
    for extra in context.args:
        _no_option(context, extra)
    if context.args:
        context.fail(f"Got unexpected extra argument(s) ({' '.join(context.args)})")
    explanation = explain_prediction(
        target,
        prediction,
        kind=kind.value.replace("-", "_"),
        base=base.value,
        class_names=None if names is None else [name.strip() for name in names.split(",")],
    )
    if as_json:
        typer.echo(explanation.to_json(indent=2))
        return
    typer.echo(explanation.render())
    typer.echo("\n" + NEXT)
