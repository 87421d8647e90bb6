"""What the training examples understand on the command line."""

import argparse
from pathlib import Path


def count(given: str) -> int:
    """Return a number of steps."""
    number = int(given)
    if number < 1:
        message = "at least one step"
        raise argparse.ArgumentTypeError(message)
    return number


def drawable(given: str) -> Path:
    """Return where a picture goes."""
    if not given.endswith((".svg", ".png")):
        message = "a name that ends in .svg or .png"
        raise argparse.ArgumentTypeError(message)
    return Path(given)
