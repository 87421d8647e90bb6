"""What is typed for ``crossent explain``: refused where it has an answer in Python, but is likely a mistake here."""

import re

import numpy as np

from crossent.errors import RangeError, ShapeError
from crossent.explaining.digits import compact
from crossent.explaining.explanation import Explanation
from crossent.explaining.reading import read_numbers, table_of_text

# Shares written with one decimal, as many people write them, are off by less: three times 0.3 makes 0.9.
FAR_FROM_ONE = 0.1
_ROUNDING = 1e-9
_KINDS = re.compile(r'([Ss])et `kind` to ((?:"\w+"(?:, | or )?)+)')
OPTIONS = {
    "needs `class_names`": "needs --names, such as --names a,b",
    "one of `class_names`": "one of --names",
    "`class_names`": "--names",
    "`label_smoothing`": "--smoothing",
    "`weight`": "--weights",
    "`prior`": "--prior",
    "`kind`": "--kind",
    "`base`": "--base",
}


def typed(text: str) -> str:
    """Return the sentence with what to type in place of what to write in Python."""
    text = _KINDS.sub(lambda match: ("A" if match[1] == "S" else "a") + f"dd {_kinds(match[2])}", text)
    for argument, option in OPTIONS.items():
        text = text.replace(argument, option)
    return text


def _kinds(words: str) -> str:
    return re.sub(r'"(\w+)"', lambda match: f"--kind {match[1].replace('_', '-')}", words)


def check_typed(target: str, prediction: str, kind: str) -> None:
    """Raise ShapeError where the two were swapped, or one class was given where the target is a class id."""
    given = read_numbers(prediction)
    if given.classes > 1 or not given.single:
        return
    numbers = [word for row in table_of_text(target, "target") for word in row]
    if len(numbers) > 1:
        message = (
            f"`prediction` has one number, {prediction.strip()}, and `target` has {len(numbers)}: the target comes "
            f'first, so type  crossent explain {prediction.strip()} "{target.strip()}"  if they are swapped.'
        )
        raise ShapeError(message)
    if re.fullmatch(r"[+-]?\d+", target.strip()):
        raise ShapeError(_one_class(given.values[0, 0], kind))


def check_sums(explanation: Explanation, target: str, prediction: str) -> None:
    """Raise where a softmax has one class, or shares have a sum that no rounding explains."""
    if explanation.loss_kind == "binary":
        return
    if explanation.classes == 1:
        raise ShapeError(_one_class(explanation.terms[0].given, explanation.kind))
    if explanation.kind != "logits":
        values = read_numbers(prediction).values
        _check_sums("prediction", np.exp(values) if explanation.kind == "log_probs" else values, explanation)
    if explanation.target_kind == "soft":
        _check_sums("target", read_numbers(target).values, explanation)


def _one_class(given: float, kind: str) -> str:
    example = '"0 1.5"' if kind == "logits" else '"0.3 0.7"'
    return (
        f"`prediction` has one class, {given:.6g}, and softmax gives a single class 1 whatever its logit: type one "
        f"number for each of two classes or more, such as {example}."
    )


def _check_sums(argument: str, shares: np.ndarray, explanation: Explanation) -> None:
    sums = shares.sum(axis=-1)
    far = np.flatnonzero(np.abs(sums - 1.0) > FAR_FROM_ONE + _ROUNDING)  # a nan has its finding
    if not len(far):
        return
    row, total = int(far[0]), float(sums[far[0]])
    where = f"row {row} of `{argument}`" if len(sums) > 1 else f"`{argument}`"
    divide = ["divide them by their sum"] if total > 0.0 else []
    if argument == "target":
        read = "shares of one truth, and they"
        hints = [*divide, "write 0s and 1s if each class is a yes or no of its own"]
    elif explanation.kind == "log_probs":
        read = "log-probabilities, and the probabilities"
        hints = ["add --kind logits if they are logits"]
    else:
        read = "probabilities of one answer, and they"
        hints = ["add --kind logits if they are logits", *divide]
    message = f"{where} was read as {read} sum to {compact(total)}, not 1: {', or '.join(hints)}."
    raise RangeError(message)
