"""``crossent packages``: what every package answers at zero, measured now where it is installed."""

import shutil
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from crossent.peers.table import Progress as Report

EVERY = "all"


def packages(
    names: Annotated[list[str] | None, typer.Argument(help="Packages, such as torch or scipy; all without.")] = None,
    case: Annotated[
        str, typer.Option(help=f"An edge case, or {EVERY}; see the last line of what is printed.")
    ] = "zero",
    installed: Annotated[bool, typer.Option("--installed", help="Leave out what is not installed here.")] = False,
    recorded: Annotated[bool, typer.Option("--recorded", help="Start no package; show the recorded runs.")] = False,
    seconds: Annotated[float, typer.Option(help="Time for one package, its import included.")] = 120.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print every answer as JSON.")] = False,
) -> None:
    """Show the loss and derivative that each package answers where the prediction is 0, and in other edge cases."""
    # here, not at the top: the other commands start without them
    from crossent.peers.cases import CASES
    from crossent.peers.table import packages as ask_packages
    from crossent.peers.text import NARROWEST, WIDEST

    with shown_progress() as progress:
        table = ask_packages(
            *(names or ()),
            case=case,
            measure=not recorded,
            installed=installed,
            timeout_s=seconds,
            progress=progress,
        )
    if as_json:
        typer.echo(table.to_json(indent=2))
        return
    typer.echo(table.render() if len(table) else "No such answer: none of these packages was asked that, or is here.")
    every = ", ".join(one.name for one in CASES)
    text = f"Next: --case {EVERY}, or one of {every}; --recorded, --json"
    width = max(min(shutil.get_terminal_size().columns, WIDEST), NARROWEST)
    typer.echo("\n" + textwrap.fill(text, width, initial_indent=" ", subsequent_indent="   ", break_on_hyphens=False))


@contextmanager
def shown_progress() -> Iterator["Report"]:
    """Yield what is called as packages are done: a bar on a terminal, a line for each in a log."""
    if not sys.stderr.isatty():
        yield lambda done, every, package: typer.echo(f"measured {package} ({done} of {every})", err=True)
        return
    from rich.console import Console  # the other commands start without it
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=None)
        yield lambda done, every, package: bar.update(task, completed=done, total=every, description=package)
