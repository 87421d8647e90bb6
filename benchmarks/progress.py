"""What a long run says while it runs: plain lines into a log, a line that moves on a terminal."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console


class Progress:
    """Lines of text; on a terminal also the step that is running now."""

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.console = Console(highlight=False, soft_wrap=True) if sys.stdout.isatty() else None

    def line(self, text: str) -> None:
        stamped = f"[{time.perf_counter() - self.started:6.1f} s] {text}"
        if self.console is None:
            sys.stdout.write(stamped + "\n")
            sys.stdout.flush()
        else:
            self.console.print(stamped, markup=False)

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        if self.console is None:
            self.line(f"{text} ...")
            yield
        else:
            with self.console.status(text):
                yield
