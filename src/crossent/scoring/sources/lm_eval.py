"""The samples that lm-eval writes with --log_samples: the log-likelihoods of the choices of a document, or of its text.

Before writing, it turns numbers into text: "resps" is [[["-9.5", "False"]], ...], "target" is "2".
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Choices:
    """A document of a multiple-choice task: the index of the right choice, and one log-likelihood per choice."""

    target: int
    logits: list[float]


@dataclass(frozen=True)
class Text:
    """A document whose text was scored: its log-likelihood and its bytes."""

    logprob: float | None
    bytes: int | None


def is_sample(record: dict[str, Any]) -> bool:
    """Return whether the record is one of lm-eval's samples."""
    return "doc_id" in record and isinstance(record.get("resps"), list)


def read_sample(record: dict[str, Any]) -> Choices | Text:
    """Return what a sample says; raise ValueError where it holds no log-likelihoods or its answer is not one choice."""
    arguments = list(_arguments(record.get("arguments")))
    if any(isinstance(each, dict) for argument in arguments for each in argument):
        message = "it holds generated text, which has no log-likelihood"
        raise ValueError(message)
    values = [_log_likelihood(answers) for answers in record["resps"]]
    if len(values) == 1:
        text = arguments[0][-1] if arguments and arguments[0] else None
        return Text(values[0], len(text.encode()) if isinstance(text, str) else None)
    # acc_mutual_info asks for every choice a second time, after nothing.
    if len(arguments) == len(values) and len(values) % 2 == 0:
        half = len(values) // 2
        is_empty = [not argument[0] for argument in arguments]
        if all(is_empty[half:]) and not any(is_empty[:half]):
            values, arguments = values[:half], arguments[:half]
    if None in values or not values:
        message = "the log-likelihood of a choice is missing"
        raise ValueError(message)
    return Choices(_target(record.get("target"), arguments, len(values)), [float(value or 0.0) for value in values])


def _arguments(found: Any) -> Iterator[list[Any]]:
    """Yield the arguments of each request: {"gen_args_0": {"arg_0": ...}} since 0.4.3, lists before."""
    for each in found.values() if isinstance(found, dict) else found or ():
        yield list(each.values()) if isinstance(each, dict) else list(each)


def _log_likelihood(answers: Any) -> float | None:
    """Return the number in [["-9.5", "False"]] of a choice, or in ["-9.5"] of a whole text; repeats are alike."""
    first = answers[0] if isinstance(answers, list) else answers
    value = first[0] if isinstance(first, list) else first
    return None if value in (None, "None") else float(value)


def _target(target: Any, arguments: list[list[Any]], choices: int) -> int:
    text = str(target)
    if text.isdecimal():  # lm-eval itself reads digits as an index
        if int(text) < choices:
            return int(text)
        message = f"`target` is {text}, but there are {choices} choices"
        raise ValueError(message)
    alike = [index for index, argument in enumerate(arguments) if str(argument[-1]).strip() == text.strip()]
    if len(alike) != 1:
        message = f"`target` must be one of the choices, {text[:80]!r} is {len(alike)} of them"
        raise ValueError(message)
    return alike[0]
