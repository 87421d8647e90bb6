"""Write docs/contract.md by running every row of the contract: ``python dev/contract_page.py``."""

import math
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
for place in (ROOT, ROOT / "src"):
    sys.path.insert(0, str(place))

from dev.contract_rows import CASES, Case
from dev.site.markdown import code, table

import crossent
from crossent import errors

PAGE = ROOT / "docs" / "contract.md"
HEAD = """---
description: What every function of the NumPy door promises for zeros, infinities, weights, dtypes and shapes, with each promise run and its answer.
---
# The contract, run

What the functions of `crossent` answer in the cases where packages differ.
Below each promise stands what was run to see whether it is kept, and what was answered; the page can't be written while an
answer is not the one promised, and the tests write it again.
`crossent.torch` and `crossent.sklearn` keep their hosts' documented semantics instead: [PyTorch](torch.md),
[scikit-learn](sklearn.md).

The names used:

```python
>>> import numpy as np
>>> import torch
>>> from crossent import *
>>> from crossent import errors
>>> from ml_dtypes import bfloat16
>>> inf, nan = np.inf, np.nan
>>> z, ids = np.array([[2.0, 0.5, -1.0], [0.1, 0.2, 0.3], [1.0, 1.0, 1.0]]), np.array([0, 2, 1])
>>> one_hot, w = np.eye(3)[ids], np.array([1.0, 2.0, 5.0])
>>> many, labels = np.linspace(-50, 50, 3000).reshape(1000, 3) ** 3, np.arange(1000) % 3
>>> rows = np.linspace(-1, 1, 20) ** 9
>>> def read_only(array):
...     array = array.copy()
...     array.flags.writeable = False
...     return array
>>> def memory_mapped(array):
...     np.save("z.npy", array)
...     return np.load("z.npy", mmap_mode="r")
```

"""
TAIL = "\nThis page is written by `python dev/contract_page.py`.\n"


def page() -> str:
    """Return the page; raise AssertionError where an answer is not the one promised."""
    answered = [(case, [(source, answer(source), wanted) for source, wanted in case.trials]) for case in CASES]
    broken = [
        f"{source}: wanted {wanted}, got {got}"
        for _, told in answered
        for source, got, wanted in told
        if not kept(got, wanted)
    ]
    if broken:
        raise AssertionError("\n".join(broken))
    return HEAD + "\n".join("\n".join(_section(case, told)) for case, told in answered) + TAIL


def _section(case: Case, told: list[tuple[str, str, str]]) -> Iterator[str]:
    yield f"## {case.title}\n"
    yield f"{case.promise}\n"
    yield table(["run", "answer"], ([code(source), code(got)] for source, got, _ in told))


def kept(got: str, wanted: str) -> bool:
    """Say whether an answer is the one wanted, which names an error or a warning without its message."""
    return got == wanted or got.startswith(f"{wanted}: ")


def answer(source: str) -> str:
    """Return what an expression answers, with the warnings it gave, or its error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            value = eval(source, names())
        except errors.CrossentError as error:
            return f"{type(error).__name__}: {error}"
    given = "; ".join(f"{warning.category.__name__}: {warning.message}" for warning in caught)
    return shown(value) + (f", with {given}" if given else "")


def shown(value: Any) -> str:
    """Return a value as plain numbers and lists."""
    return repr(value.tolist() if isinstance(value, np.ndarray | np.generic) else value)


def names() -> dict[str, Any]:
    """Return the names that the page introduces."""
    made: dict[str, Any] = {name: getattr(crossent, name) for name in crossent.__all__ if not name.startswith("__")}
    ids = np.array([0, 2, 1])
    made |= {
        "np": np,
        "errors": errors,
        "bfloat16": ml_dtypes.bfloat16,
        "inf": math.inf,
        "nan": math.nan,
        "z": np.array([[2.0, 0.5, -1.0], [0.1, 0.2, 0.3], [1.0, 1.0, 1.0]]),
        "ids": ids,
        "one_hot": np.eye(3)[ids],
        "w": np.array([1.0, 2.0, 5.0]),
        "many": np.linspace(-50, 50, 3000).reshape(1000, 3) ** 3,
        "labels": np.arange(1000) % 3,
        "rows": np.linspace(-1, 1, 20) ** 9,
        "read_only": read_only,
        "memory_mapped": memory_mapped,
        "torch": torch,
    }
    return made


def read_only(array: np.ndarray) -> np.ndarray:
    """Return a copy that refuses to be written."""
    array = array.copy()
    array.flags.writeable = False
    return array


def memory_mapped(array: np.ndarray) -> np.ndarray:
    """Return the array as a file that is mapped."""
    with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        np.save(file, array)
        file.flush()
        return np.load(file.name, mmap_mode="r")  # the mapping outlives the name


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write("docs/contract.md: written\n")


if __name__ == "__main__":
    main()
