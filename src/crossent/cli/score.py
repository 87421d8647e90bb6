"""``crossent score FILE``: parse, call, print."""

import warnings
from pathlib import Path
from typing import Annotated

import typer


def score(
    file: Annotated[Path, typer.Argument(help="Predictions: .parquet, .csv, .tsv, .arrow, .ipc, .feather or .npz.")],
    target: Annotated[str | None, typer.Option(metavar="COLUMN", help="Column of the true labels.")] = None,
    probs: Annotated[
        str | None, typer.Option(metavar="COLUMNS", help="Probabilities: a column of lists, a prefix, or names a,b,c.")
    ] = None,
    logits: Annotated[str | None, typer.Option(metavar="COLUMNS", help="Logits, named in the same way.")] = None,
    log_probs: Annotated[str | None, typer.Option(metavar="COLUMNS", help="Log-probabilities, likewise.")] = None,
    classes: Annotated[
        str | None, typer.Option(metavar="NAMES", help="Class names in the order of the list or of the ids: cat,dog.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print every number and every decision as JSON.")] = False,
) -> None:
    """Score a file of predictions: its cross-entropy, the baseline, impossible rows, every class."""
    # Imported here, since `crossent explain` shares the process: pyarrow, numba and rich are none of its business.
    from crossent.cli.score_progress import shown_progress
    from crossent.scoring.score import score as score_file

    with shown_progress() as progress, warnings.catch_warnings():
        # Its text is among the notes that are printed.
        warnings.simplefilter("ignore", UserWarning)
        result = score_file(
            file,
            target=target,
            probs=_columns(probs),
            logits=_columns(logits),
            log_probs=_columns(log_probs),
            classes=_names(classes),
            progress=progress,
        )
    if as_json:
        typer.echo(result.to_json())
        return
    from crossent.cli.score_screen import print_score

    print_score(result)


def _columns(text: str | None) -> str | list[str] | None:
    return _names(text) if text is not None and "," in text else text


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",")]
