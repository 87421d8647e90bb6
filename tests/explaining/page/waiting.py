"""Waiting in a browser whose policy forbids eval, which is how Playwright waits."""

import time
from typing import Any

PATIENCE_S = 20.0


def until(page: Any, condition: str) -> None:
    """Return once the condition holds on the page."""
    end = time.monotonic() + PATIENCE_S
    while not page.evaluate(condition):
        assert time.monotonic() < end, f"not within {PATIENCE_S:g} s: {condition}"
        page.wait_for_timeout(5)
