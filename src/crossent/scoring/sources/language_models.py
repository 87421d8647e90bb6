"""Logs of language models in JSON lines: a row per token, or per document; the lines' own keys say which log it is."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crossent.errors import SourceError
from crossent.scoring.arrow import pa
from crossent.scoring.sources.lines import block_objects, blocks, objects
from crossent.scoring.sources.lm_eval import Choices, is_sample, read_sample
from crossent.scoring.sources.source import Piece
from crossent.scoring.sources.token_logs import Token, body, chat_tokens, choices, completion_tokens, prompt_tokens
from crossent.scoring.wording import one_line

TOKENS = pa.schema(
    [
        ("logprob", pa.float64()),
        ("bytes", pa.int64()),
        ("token", pa.string()),
        ("line", pa.int64()),
        ("is_bound", pa.bool_()),
    ]
)
CHOICES = pa.schema([("target", pa.int64()), ("logits", pa.list_(pa.float64())), ("line", pa.int64())])

_Row = tuple[Any, ...]

# What a line of another shape makes of the code that takes it apart.
_OTHER_SHAPE = (ValueError, TypeError, KeyError, IndexError, AttributeError)


@dataclass(frozen=True)
class LogSource:
    """Rows are made from the lines as they are read; a line without log-probabilities is a row whose value is missing."""

    path: Path
    schema: Any
    format: str
    read: Callable[[dict[str, Any]], Iterator[_Row]]  # the rows of a line, without its number
    compression: str | None = None
    rows: int | None = None
    skipped: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def pieces(self, columns: Sequence[str], piece_rows: int) -> list[Piece]:
        return [Piece(0, self.rows)]

    def batches(
        self, columns: Sequence[str], batch_rows: int, types: Mapping[str, Any], piece: Piece | None = None
    ) -> Iterator[Any]:
        wanted = list(columns)
        rows: list[_Row] = []
        for row in self._rows():
            rows.append(row)
            if len(rows) == batch_rows:
                yield _batch(rows, self.schema).select(wanted)
                rows = []
        if rows:
            yield _batch(rows, self.schema).select(wanted)

    def _rows(self) -> Iterator[_Row]:
        position = self.schema.get_field_index("line")
        for line, record in objects(self.path, self.compression):
            try:
                for row in self.read(record):
                    yield (*row[:position], line, *row[position:])
            except _OTHER_SHAPE as error:
                raise _other_shape(self.path, line, self.format, error) from error


def open_log(path: Path, compression: str | None) -> LogSource | None:
    """Return the reader of a language model's log; None for other JSON lines."""
    first, block = next(blocks(path, compression), (1, b""))
    has_choices = False
    for line, record in block_objects(path, first, block):
        if is_sample(record):
            return _open_samples(path, compression, line, record)
        response = body(record)
        every = choices(response)
        if any(holder.get("prompt_logprobs") for holder in (response, *every)):
            notes = ["The tokens of the prompts are scored, not those that were generated."]
            return LogSource(path, TOKENS, "vLLM prompt log", _tokens(prompt_tokens), compression, notes=notes)
        for choice in every:
            logprobs = choice.get("logprobs")
            if isinstance(logprobs, dict) and logprobs.get("token_logprobs"):
                return LogSource(path, TOKENS, "completions log", _tokens(completion_tokens), compression)
            if isinstance(logprobs, dict) and (logprobs.get("content") or logprobs.get("refusal")):
                return LogSource(path, TOKENS, "chat log", _tokens(chat_tokens), compression)
            has_choices |= "finish_reason" in choice
    if has_choices:
        message = (
            f"`source` must hold log-probabilities, the responses in '{path}' have none; "
            f"ask the server for them with `logprobs`"
        )
        raise SourceError(message)
    return None


def _tokens(read: Callable[[dict[str, Any]], Iterator[Token]]) -> Callable[[dict[str, Any]], Iterator[_Row]]:
    def rows(record: dict[str, Any]) -> Iterator[_Row]:
        is_empty = True
        for token in read(record):
            is_empty = False
            yield token
        if is_empty:
            yield Token()

    return rows


def _open_samples(path: Path, compression: str | None, line: int, record: dict[str, Any]) -> LogSource:
    log_filter = record.get("filter")
    try:
        is_text = not isinstance(read_sample(record), Choices)
    except _OTHER_SHAPE as error:
        raise _other_shape(path, line, "lm-eval sample", error) from error
    if is_text:
        return LogSource(path, TOKENS, "lm-eval log-likelihood", _texts(log_filter), compression)
    widths: list[int] = []
    for number, each in objects(path, compression):
        try:
            widths += [len(logits) for _, logits in _choices(log_filter, 0)(each)]
        except _OTHER_SHAPE as error:
            raise _other_shape(path, number, "lm-eval sample", error) from error
    notes = []
    if min(widths) < max(widths):
        notes.append(
            f"The documents have {min(widths)} to {max(widths)} choices; those that a document lacks are ruled out."
        )
    read = _choices(log_filter, max(widths))
    return LogSource(path, CHOICES, "lm-eval multiple choice", read, compression, len(widths), notes=notes)


def _texts(log_filter: Any) -> Callable[[dict[str, Any]], Iterator[_Row]]:
    def rows(record: dict[str, Any]) -> Iterator[_Row]:
        if record.get("filter") == log_filter:
            sample = read_sample(record)
            if isinstance(sample, Choices):
                message = "it is a question with choices, the lines before are not"
                raise ValueError(message)
            yield Token(sample.logprob, sample.bytes)

    return rows


def _choices(log_filter: Any, width: int) -> Callable[[dict[str, Any]], Iterator[_Row]]:
    def rows(record: dict[str, Any]) -> Iterator[_Row]:
        # A task with several filters writes each document once per filter, with the same log-likelihoods.
        if record.get("filter") == log_filter:
            sample = read_sample(record)
            if not isinstance(sample, Choices):
                message = "it has no choices, the lines before have"
                raise ValueError(message)
            yield sample.target, sample.logits + [-float("inf")] * (width - len(sample.logits))

    return rows


def _batch(rows: list[_Row], schema: Any) -> Any:
    columns = zip(*rows, strict=True)
    return pa.record_batch([pa.array(column, each.type) for column, each in zip(columns, schema, strict=True)], schema)


def _other_shape(path: Path, line: int, kind: str, error: Exception) -> SourceError:
    if isinstance(error, KeyError):
        reason = f"it lacks {error}"
    else:
        reason = one_line(error) if isinstance(error, ValueError) else "its keys hold something else"
    return SourceError(
        f"`source` must hold one {kind} entry per line, line {line} of '{path}' is none: {reason}; remove that line"
    )
