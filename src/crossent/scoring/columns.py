"""Which column holds the labels and which hold the predictions: by the caller's word, by name, never by position."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crossent.errors import OptionError, SourceError
from crossent.scoring.arrow import pa
from crossent.scoring.column_types import is_number, is_vector, number_type
from crossent.scoring.kinds import Kind
from crossent.scoring.names import LABELS, SEPARATORS, common_prefix, split_prefix, split_truth, whole_name_kind
from crossent.scoring.wording import listed

_BY_NAME = "by their name"

# Spark ML's rawPrediction: for two classes (-m, m), whose softmax is not the probability of the model.
SPARK_MARGINS = "rawprediction"
_INPUTS = ("features", "embedding", "embeddings")


@dataclass(frozen=True)
class Asked:
    """What the caller said about the columns."""

    target: str | Sequence[str] | None = None
    probs: str | Sequence[str] | None = None
    logits: str | Sequence[str] | None = None
    log_probs: str | Sequence[str] | None = None
    classes: Sequence[str] | None = None
    losses: str | None = None
    truth_log_probs: str | None = None
    weight: str | None = None
    by: str | None = None
    cluster: str | None = None
    tokens: str | None = None
    bytes: str | None = None
    words: str | None = None

    def predictions(self) -> tuple[Kind, str | list[str]] | None:
        """Return the one kind that was asked for and its columns, None where the caller left it to us."""
        every: tuple[tuple[Kind, str | Sequence[str] | None], ...] = (
            ("probs", self.probs),
            ("logits", self.logits),
            ("log_probs", self.log_probs),
            ("losses", self.losses),
            ("truth_log_probs", self.truth_log_probs),
        )
        given = [(kind, columns) for kind, columns in every if columns is not None]
        if not given:
            return None
        if len(given) > 1:
            message = f"`{given[0][0]}` and `{given[1][0]}` cannot both be given; the predictions are of one kind"
            raise OptionError(message)
        kind, columns = given[0]
        return kind, columns if isinstance(columns, str) else list(columns)


@dataclass(frozen=True)
class Predictions:
    """The columns of the predictions: one with a vector in each row, or numbers per class with the class in the name."""

    columns: tuple[str, ...]
    names: tuple[str, ...]  # class of each column; empty for a vector, whose classes have no names
    kind: Kind | None
    reason: str
    is_lone: bool = False  # one column for two classes: `names` are the one that gets the rest, and its own
    notes: tuple[str, ...] = ()

    @property
    def is_vector(self) -> bool:
        return not self.names

    @property
    def class_columns(self) -> tuple[str, ...]:
        """What to call the prediction of each of `names`."""
        if not self.is_lone:
            return self.columns
        rest = {"logits": "0 beside {}", "log_probs": "log(1 - exp({}))"}.get(self.kind or "", "1 - {}")
        return rest.format(self.columns[0]), self.columns[0]


def labels_by_name(columns: Sequence[str], target: str | None, taken: set[str]) -> tuple[list[str], str]:
    """Return the columns with one of the usual names, the most trusted first, and the reason for taking the first."""
    if target is not None:
        if target not in columns:
            message = f"`target` must be a column, got '{target}'; the columns are {listed(columns)}"
            raise SourceError(message)
        return [target], "given as `target`"
    free = {name.strip().lower(): name for name in reversed(columns) if name not in taken}
    return [free[usual] for usual in LABELS if usual in free], "by its name"


def predictions_by_request(schema: Any, label: str | None, kind: Kind, asked: str | list[str]) -> Predictions:
    """Return the columns that the caller named: one column of lists, a prefix, or every column by its name."""
    names: list[str] = schema.names
    reason = f"given as `{kind}`"
    if isinstance(asked, str):
        if asked in names and is_vector(schema.field(asked).type):
            return Predictions((asked,), (), kind, reason)
        chosen = [name for name in names if name.startswith(asked) and name != label and name != asked]
        if asked in names:  # `p` is the beginning of `p_cat` and `p_dog`, not of `price` and `pclass`
            chosen = [name for name in chosen if name[len(asked)] in SEPARATORS + "0123456789"]
            chosen = chosen if len(chosen) > 1 else []
        classes = [name[len(asked) :].lstrip(SEPARATORS) or name for name in chosen]
        if not chosen and asked not in names:
            message = (
                f"`{kind}` must be a column of lists or the beginning of column names, got '{asked}'; "
                f"the columns are {listed(names)}"
            )
            raise SourceError(message)
        chosen = chosen or [asked]
    else:
        absent = [name for name in asked if name not in names]
        if absent or not asked:
            message = f"`{kind}` must name columns, got {listed(absent) or 'none'}; the columns are {listed(names)}"
            raise SourceError(message)
        chosen, classes = asked, class_parts(asked)
    if len(chosen) > 1:
        return Predictions(tuple(chosen), tuple(classes), kind, reason)
    prefix = (split_prefix(chosen[0]) or (None,))[0]
    if prefix and any((split_prefix(name) or (None,))[0] == prefix for name in names if name != chosen[0]):
        message = (
            f"`{kind}` must give one column per class, got only '{chosen[0]}'; "
            f"add the column of the other class, which for two classes is 1 - {chosen[0]}"
        )
        raise SourceError(message)
    return Predictions((chosen[0],), (), kind, reason)


def predictions_by_name(schema: Any, label: str | None) -> Predictions | None:
    """Return the columns whose names say that they are predictions; raise SourceError where two sets of them do."""
    found: list[Predictions] = []
    groups: dict[str, list[tuple[str, str, Kind | None]]] = {}
    for field in schema:
        if field.name == label:
            continue
        if is_vector(field.type):
            usual, kind = whole_name_kind(field.name)
            if usual:
                found.append(Predictions((field.name,), (), kind, _BY_NAME))
        elif parts := split_prefix(field.name):
            prefix, class_name, kind = parts
            groups.setdefault(prefix, []).append((field.name, class_name, kind))
    for members in groups.values():
        columns, classes, kinds = zip(*members, strict=True)
        # `pred_label` beside `pred_score` is no set of predictions; `prob_cat` as text is one that is broken.
        if len(members) > 1 and (kinds[0] or all(is_number(schema.field(name).type) for name in columns)):
            found.append(Predictions(columns, classes, kinds[0], _BY_NAME))
    # `scores` beside `probs` is more likely a by-product than the prediction.
    return _only([each for each in found if each.kind] or found)


def list_left_over(schema: Any, label: str | None) -> Predictions | None:
    """Return the only column of vectors, whatever it is called; floats before whole numbers, which may be labels."""
    lists = [
        field
        for field in schema
        if field.name != label and is_vector(field.type) and field.name.lower() not in (*LABELS, SPARK_MARGINS)
    ]
    # Spark keeps the vector that a model was given beside what the model gave.
    lists = [field for field in lists if field.name.lower() not in _INPUTS]
    lists = [field for field in lists if pa.types.is_floating(number_type(field.type))] or lists
    found = _only([Predictions((field.name,), (), None, "") for field in lists])
    margins = next((name for name in schema.names if name.lower() == SPARK_MARGINS), None)
    if found is None and margins is not None:
        message = (
            f"`{margins}` of Spark is what its model made of a row: margins, votes or logits; write the column "
            f"'probability' too, or say with `logits` that they are logits"
        )
        raise SourceError(message)
    return found


def refuse_skipped(skipped: Mapping[str, str], chosen: Iterable[str]) -> None:
    """Raise SourceError if something that cannot be a column was chosen."""
    for name in chosen:
        if name in skipped:
            raise SourceError(skipped[name])


def skipped_predictions(
    skipped: Iterable[str], predictions: Predictions | None, request: tuple[Kind, str | list[str]] | None
) -> list[str]:
    """Return what would be among the predictions if it could be a column: a class must not vanish unseen."""
    if request is not None:
        prefix = request[1] if predictions and not predictions.is_vector else None
        return [name for name in skipped if isinstance(prefix, str) and name.startswith(prefix)]
    if predictions is None or not predictions.reason:
        return [name for name in skipped if whole_name_kind(name)[0]]
    prefixes = {parts[0] for name in predictions.columns if (parts := split_prefix(name)) and not predictions.is_vector}
    return [name for name in skipped if (parts := split_prefix(name)) and parts[0] in prefixes]


def class_parts(columns: Sequence[str]) -> list[str]:
    """Return what is left of each name without the prefix that they share."""
    for split in (split_prefix, split_truth):
        parts = [split(name) for name in columns]
        if all(parts) and len({part[0] for part in parts if part}) == 1:
            return [part[1] for part in parts if part]
    shared = len(common_prefix(list(columns))) if len(columns) > 1 else 0
    return [name[shared:] for name in columns]


def _only(found: Sequence[Predictions]) -> Predictions | None:
    if len(found) > 1:
        message = (
            f"several columns could be the predictions: {listed(each.columns[0] for each in found)}; "
            f"say which with `probs`, `logits` or `log_probs`"
        )
        raise SourceError(message)
    return found[0] if found else None
