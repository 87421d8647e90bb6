"""The command ``crossent``: its subcommands, and one line on stderr where something is wrong."""

import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated

import typer

from crossent.cli.diagnose import diagnose
from crossent.cli.explain import explain
from crossent.cli.explore import explore
from crossent.cli.packages import packages
from crossent.cli.score import score
from crossent.errors import CrossentError

FAILED = 2
INTERRUPTED = 130  # what today's typer makes of Ctrl-C; older ones raise Abort
# Installed with crossent and imported late; pip brings back those that are not there any more.
_ALWAYS_NEEDED = ("rich", "numba", "llvmlite")

# rich markup off: its import costs more time than an explanation, and help must survive a pipe
app = typer.Typer(name="crossent", add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
app.command()(score)
app.command()(packages)
app.command()(explore)
# a PREDICTION such as "-1.5 2 0.3" begins like an option, but is none that we know; explain tells the two apart
app.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})(explain)
# a LOSS such as -0.5 begins like one, too
app.command(context_settings={"ignore_unknown_options": True})(diagnose)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"crossent {version('crossent')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def crossent(
    context: typer.Context,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Cross-entropy: score predictions in files, explain a single one."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main() -> None:
    """Run the command line of this process."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that has no such letter shows its number
            stream.reconfigure(errors="backslashreplace")
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return the exit code: 0, or 2 with one line on stderr."""
    try:
        code = app(args=list(arguments), prog_name="crossent", standalone_mode=False)
    except CrossentError as error:
        return _fail(str(error))
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _ALWAYS_NEEDED:
            raise
        return _fail(f"this installation is incomplete, it lacks {package}: pip install crossent")
    except OSError as error:
        return _fail(f"{error.strerror}: {error.filename}" if error.filename else str(error))
    except typer.Abort:
        return _fail("interrupted.")
    except Exception as error:
        # Wrong usage: a class of click, or of the copy of click within newer typers, so known by its method.
        if not hasattr(error, "format_message"):
            raise
        said = error.format_message().removesuffix(".")
        return _fail(f"{said}. See `crossent --help`.")
    if code == INTERRUPTED:
        return _fail("interrupted.")
    return code if isinstance(code, int) else 0


def _fail(message: str) -> int:
    typer.echo(f"crossent: {' '.join(message.split())}", err=True)
    return FAILED
