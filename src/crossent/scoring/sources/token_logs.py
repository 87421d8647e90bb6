"""The log-probability of each token in one response of a language model's server, as rows."""

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

# What OpenAI writes for a token that is not among the most likely ones, and vLLM for -inf: no log-probability, only the
# word that it is low (platform.openai.com/docs/api-reference/chat; vllm/entrypoints/openai, `max(logprob, -9999.0)`).
SENTINEL = -9999.0

# OpenAI's chat gives the sentinel to a token outside the 20 most likely.
_CHAT_RANKS = 20

_ESCAPED_BYTE = re.compile(r"\\x[0-9a-fA-F]{2}")


class Token(NamedTuple):
    """One row; `logprob` None is missing, and with `is_bound` the true value is at most `logprob`."""

    logprob: float | None = None
    bytes: int | None = None
    token: str | None = None
    is_bound: bool = False


def body(record: dict[str, Any]) -> dict[str, Any]:
    """Return the response; OpenAI's batches wrap it into {"response": {"body": ...}}."""
    response = record.get("response")
    inner = response.get("body") if isinstance(response, dict) else None
    return inner if isinstance(inner, dict) else record


def choices(response: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the choices of a response, none where there are none."""
    found = response.get("choices")
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def chat_tokens(record: dict[str, Any]) -> Iterator[Token]:
    """Yield the tokens of choices[].logprobs.content and, where the model refused, of .refusal."""
    for choice in choices(body(record)):
        logprobs = choice.get("logprobs") or {}
        for entry in [*(logprobs.get("content") or ()), *(logprobs.get("refusal") or ())]:
            others = [other["logprob"] for other in entry.get("top_logprobs") or ()]
            size = entry.get("bytes")
            yield _token(entry["logprob"], others, _CHAT_RANKS, None if size is None else len(size), entry.get("token"))


def completion_tokens(record: dict[str, Any]) -> Iterator[Token]:
    """Yield the tokens of choices[].logprobs.token_logprobs."""
    for choice in choices(body(record)):
        logprobs = choice.get("logprobs") or {}
        values = logprobs.get("token_logprobs") or []
        texts = logprobs.get("tokens") or [None] * len(values)
        tops = logprobs.get("top_logprobs") or [None] * len(values)
        # Only when the tokens make up the text do they have their own bytes: a token may be half a character.
        is_text = None not in texts and "".join(map(_plain, texts)) == choice.get("text")
        _check_lengths(token_logprobs=values, tokens=texts, top_logprobs=tops)
        for value, text, top in zip(values, texts, tops, strict=True):
            size = len(_plain(text).encode()) if is_text else _escaped_bytes(text)
            yield _token(value, list((top or {}).values()), 0, size, text)


def prompt_tokens(record: dict[str, Any]) -> Iterator[Token]:
    """Yield the tokens of vLLM's prompt_logprobs, of the response or of each of its choices.

    Each position lists the prompt's own token and, where asked for, the most likely ones. vLLM writes the prompt's own
    first (vllm/logprobs.py, append_logprobs_for_next_position; releases since 0.2 but 0.7.0's early V1), and it has a
    rank beyond the number of entries when it is none of the most likely ones (vllm#2364). The ids say it for certain.
    """
    response = body(record)
    for holder in (response, *choices(response)):
        positions = holder.get("prompt_logprobs") or []
        ids = holder.get("prompt_token_ids") or response.get("prompt_token_ids") or [None] * len(positions)
        _check_lengths(prompt_logprobs=positions, prompt_token_ids=ids)
        for entries, token_id in zip(positions, ids, strict=True):
            if not entries:  # the first token has nothing before it
                yield Token()
                continue
            own = _own(entries, token_id)
            others = [_value(entry) for key, entry in entries.items() if key != own]
            text = entries[own].get("decoded_token") if isinstance(entries[own], dict) else None
            # decoded_token may have lost a leading space, so it does not say how many bytes there were.
            yield _token(_value(entries[own]), others, 0, None, text)


def _check_lengths(**lists: Sequence[Any]) -> None:
    lengths = {name: len(values) for name, values in lists.items()}
    if len(set(lengths.values())) > 1:
        message = "its lists differ in length: " + ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise ValueError(message)


def _own(entries: dict[str, Any], token_id: int | None) -> str:
    if token_id is not None:
        if str(token_id) not in entries:
            message = f"token {token_id} of `prompt_token_ids` is not in its `prompt_logprobs`"
            raise ValueError(message)
        return str(token_id)
    for key, entry in entries.items():
        if isinstance(entry, dict) and (entry.get("rank") or 0) > len(entries):
            return key
    return next(iter(entries))


def _value(entry: Any) -> float | None:
    value: float | None = entry["logprob"] if isinstance(entry, dict) else entry
    return value


def _token(value: float | None, others: Sequence[float | None], ranks: int, size: int | None, text: Any) -> Token:
    token = None if text is None else str(text)
    if value is not None and -math.inf < value <= SENTINEL:
        return Token(_ceiling([each for each in others if each is not None], ranks), size, token, True)
    return Token(None if value is None else float(value), size, token)


def _ceiling(others: Sequence[float], ranks: int) -> float:
    """Return the highest log-probability of a token that is less likely than `ranks` tokens, `others` among them."""
    known = [other for other in others if other > SENTINEL]
    left = 1 - math.fsum(math.exp(other) for other in known)
    # The tokens between the known ones and this one are at least as likely as it.
    shared = math.log(left / max(ranks - len(known) + 1, 1)) if left > 0 else 0.0
    return min([shared, *known, 0.0])


def _plain(text: str) -> str:
    return text.removeprefix("bytes:")


def _escaped_bytes(text: str | None) -> int | None:
    r"""Return the bytes of a token that is no text, which OpenAI writes as bytes:\xe2\x80; None for any other."""
    if text is None or not text.startswith("bytes:"):
        return None
    escaped = _ESCAPED_BYTE.findall(text)
    plain = _ESCAPED_BYTE.sub("", text.removeprefix("bytes:"))
    return len(escaped) + len(plain.encode())
