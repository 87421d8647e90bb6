"""The child process: asks one probe every case and writes each answer as a line of JSON, before the next is asked.

A program of its own: ``python -P child.py PROBE [REQUEST]``; so another interpreter, without crossent, can run it.
REQUEST is a file with a JSON object: ``answers``, the file to write to; ``distributions`` whose versions are wanted; ``skip``, pairs
of function number and case; ``cases``, all of them without, where "q=1e-07" is any step of the slider. Beside the host package it needs NumPy alone.
"""

import importlib
import importlib.metadata
import importlib.util
import json
import math
import sys
import warnings
from pathlib import Path
from typing import Any, TextIO

LONGEST_NOTE = 160


def main(probe: str, request: dict[str, Any]) -> None:
    """Write a line on the package, then for each question a line before and a line after."""
    _make_crossent_importable()
    path = request.get("answers")
    # what packages print goes to stdout: the answers of the parent have a file of their own
    with Path(path).open("w", encoding="utf-8") if path else sys.stdout as out:
        try:
            functions = importlib.import_module(f"crossent.peers.probes.{probe}").FUNCTIONS
        except Exception as error:  # noqa: BLE001  # whatever its import raises is why it cannot be asked
            _write(out, {"broken": _told(error)})
            return
        _write(out, {"versions": {name: _version(name) for name in request.get("distributions", [])}})
        _ask_all(functions, request.get("cases"), {tuple(pair) for pair in request.get("skip", [])}, out)


def _make_crossent_importable() -> None:
    # by its place, not by sys.path: the crossent that asks is the one that answers, whatever else is installed
    root = Path(__file__).resolve().parents[1]
    spec = importlib.util.spec_from_file_location(
        "crossent", root / "__init__.py", submodule_search_locations=[str(root)]
    )
    assert spec is not None
    assert spec.loader is not None
    sys.modules["crossent"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


def _version(distribution: str) -> str:
    if distribution == "crossent":  # the one found by its place, not the one installed
        return str(sys.modules["crossent"].__version__)
    return importlib.metadata.version(distribution)


def _ask_all(functions: Any, wanted: list[str] | None, skip: set[tuple[int, str]], out: TextIO) -> None:
    cases = importlib.import_module("crossent.peers.cases")
    every = [*cases.CASES, *map(cases.step, cases.LADDER)]
    if wanted is not None:
        named = {case.name: case for case in every}
        every = [named.get(name) or cases.step(float(name.removeprefix("q="))) for name in wanted]
    names = ("name", "reads", "target", "dtype", "rule")
    _write(out, {"functions": [{name: getattr(function, name) for name in names} for function in functions]})
    for number, function in enumerate(functions):
        for case in every:
            asked = cases.arguments(case, function)
            if asked is None or (number, case.name) in skip:
                continue
            _write(out, {"asked": [number, case.name]})
            predictions, targets = asked
            call = function.variants.get(case.name, function.call)
            answer = _ask(call, predictions, targets, case.watched)
            if answer is not None and case.name in function.undefined:
                answer = _disowned(answer, function.undefined[case.name])
            if answer is not None:
                _write(out, {"function": number, "case": case.name, **answer})


def _ask(call: Any, predictions: Any, targets: Any, watched: int) -> dict[str, Any] | None:
    import numpy as np  # not at the top: this runs without NumPy as far as the message that it is missing

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            answered = call(predictions, targets)
            if answered is NotImplemented:
                return None
            value, slope = (None if part is None else np.asarray(part, dtype=np.float64) for part in answered)
        except Exception as error:  # noqa: BLE001  # whatever a package raises is its answer
            return {"value": None, "gradient": None, "note": _told(error)}
    notes = [_told(w.message) for w in caught if issubclass(w.category, UserWarning | RuntimeWarning)]
    note = notes[0] if notes else ""
    if value is None or value.size != 1:
        came = "None" if value is None else f"an array of shape {value.shape}"
        return {"value": None, "gradient": None, "note": f"no number: {came}"}
    gradient = None
    if slope is not None and slope.size:
        row = slope.reshape(-1) if slope.ndim < 2 else slope[0]
        gradient = _plain(float(row[0] if predictions.ndim == 1 else row[watched]))
    return {"value": _plain(float(value.reshape(()))), "gradient": gradient, "note": note}


def _disowned(answer: dict[str, Any], where: str) -> dict[str, Any]:
    """Keep a number of undefined behaviour as a note: CI once got -526.29 from LightGBM where 34.54 was recorded."""
    came = answer["note"] if answer["value"] is None else f"{answer['value']} this time"
    return {"value": None, "gradient": None, "note": f"undefined: reads outside of the row ({where}); {came}"}


def _plain(value: float) -> float | str:
    return value + 0.0 if math.isfinite(value) else str(value)


def _told(error: BaseException | Warning | str) -> str:
    said = " ".join(str(error).split())
    text = f"{type(error).__name__}: {said}"
    return text if len(text) <= LONGEST_NOTE else text[: LONGEST_NOTE - 3] + "..."


def _write(out: TextIO, line: dict[str, Any]) -> None:
    out.write(json.dumps(line, allow_nan=False) + "\n")
    out.flush()


if __name__ == "__main__":
    main(sys.argv[1], json.loads(Path(sys.argv[2]).read_text(encoding="utf-8")) if len(sys.argv) > 2 else {})
