"""How far a long score has come: a bar on a terminal, a line now and then in a log, nothing for a short run."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

Report = Callable[[int, int | None], None]

# Often enough to see that it lives, seldom enough not to fill the log of a CI job.
_LOG_SECONDS = 5.0


@contextmanager
def shown_progress() -> Iterator[Report]:
    """Yield the function to call with the rows read and the rows in all, which are None if unknown."""
    if not sys.stderr.isatty():
        yield _logged()
        return
    columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[said]}"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None, said="")
        began = time.monotonic()
        yield lambda done, rows: bar.update(task, completed=done, total=rows, said=_said(done, rows, began))


def _logged() -> Report:
    began = last = time.monotonic()

    def report(done: int, rows: int | None) -> None:
        nonlocal last
        if time.monotonic() - last >= _LOG_SECONDS:
            last = time.monotonic()
            print(_said(done, rows, began), file=sys.stderr, flush=True)  # noqa: T201  # the log line itself

    return report


def _said(done: int, rows: int | None, began: float) -> str:
    rate = done / max(time.monotonic() - began, 1e-9)
    in_all = f" of {rows:,}" if rows is not None else ""
    return f"{done:,}{in_all} rows, {rate:,.0f} rows/s"
