"""``crossent diagnose``: the likely causes of a loss that looks wrong, on the terminal or as JSON."""

from pathlib import Path
from typing import Annotated

import typer

from crossent.errors import OptionError

NEXT = " Next: --function CrossEntropyLoss, --history losses.csv, --logits z.npy --targets y.npy, --json"


def _no_option(context: typer.Context, value: str | None) -> str | None:
    # "-0.5" and "-inf" are losses, whatever else begins with a hyphen was meant as an option
    if value is not None and value.startswith("-"):
        try:
            float(value)
        except ValueError:
            context.fail(f"No such option: {value.partition('=')[0]}")
    return value


def _no_more(context: typer.Context, words: list[str] | None) -> None:
    # the second number that people type is the class count
    if words and words[0].isdecimal():
        context.fail(f"One loss is taken; for {words[0]} classes type --classes {words[0]}")
    if words:
        context.fail(f"Got unexpected extra argument(s) ({' '.join(words)})")


def diagnose(
    loss: Annotated[
        str | None,
        typer.Argument(help='The loss that was seen, in nats: 1.4612, "inf", "nan".', callback=_no_option),
    ] = None,
    more: Annotated[list[str] | None, typer.Argument(hidden=True, callback=_no_more)] = None,
    classes: Annotated[str | None, typer.Option(help="The number of classes.")] = None,
    function: Annotated[
        str | None, typer.Option(help="The loss function: CrossEntropyLoss, sklearn.metrics.log_loss.")
    ] = None,
    history: Annotated[Path | None, typer.Option(help="Losses: CSV, JSON lines, or TensorBoard's event file.")] = None,
    logits: Annotated[Path | None, typer.Option(help="What the loss was given as logits: a .npy file.")] = None,
    probs: Annotated[Path | None, typer.Option(help="What the loss was given as probabilities: a .npy file.")] = None,
    targets: Annotated[Path | None, typer.Option(help="Class ids, or one row per target: a .npy file.")] = None,
    class_counts: Annotated[str | None, typer.Option(help="Rows of each class, separated by commas.")] = None,
    ignore_index: Annotated[int | None, typer.Option(help="The label that is not counted.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Find the likely causes of a loss that looks wrong, with the evidence that would decide between them."""
    if all(given is None for given in (loss, history, logits, probs, targets, class_counts)):
        message = (
            "a loss is needed, such as `crossent diagnose 2.3026 --classes 10`, or --history, --logits or --probs."
        )
        raise OptionError(message)
    from crossent.explaining.diagnosing.diagnose import (
        diagnose as diagnose_loss,
    )  # 0.1 s that the others need not wait for

    diagnosis = diagnose_loss(
        loss=loss,
        classes=classes,
        logits=logits,
        probs=probs,
        targets=targets,
        history=history,
        function=function,
        class_counts=None if class_counts is None else [_number(word) for word in class_counts.split(",")],
        ignore_index=ignore_index,
    )
    if as_json:
        typer.echo(diagnosis.to_json(indent=2))
        return
    typer.echo(diagnosis.render())
    typer.echo("\n" + NEXT)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        message = f"`class_counts` must be numbers separated by commas, such as 900,100; {text!r} is no number."
        raise OptionError(message) from None
