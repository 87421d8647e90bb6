"""Which column holds the labels and which hold the predictions: by the caller's word, by name, never by position."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crossent.errors import OptionError, SourceError
from crossent.scoring.arrow import pa
from crossent.scoring.kinds import Kind
from crossent.scoring.names import LABELS, ROW_NUMBERS, SEPARATORS, common_prefix, split_prefix, whole_name_kind
from crossent.scoring.wording import listed

_BY_NAME = "by their name"


@dataclass(frozen=True)
class Asked:
    """What the caller said about the columns."""

    target: str | None = None
    probs: str | Sequence[str] | None = None
    logits: str | Sequence[str] | None = None
    log_probs: str | Sequence[str] | None = None
    classes: Sequence[str] | None = None

    def predictions(self) -> tuple[Kind, str | list[str]] | None:
        """Return the one kind that was asked for and its columns, None where the caller left it to us."""
        every: tuple[tuple[Kind, str | Sequence[str] | None], ...] = (
            ("probs", self.probs),
            ("logits", self.logits),
            ("log_probs", self.log_probs),
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
    """The columns of the predictions: one of lists, or one of numbers per class with the class in its name."""

    columns: tuple[str, ...]
    names: tuple[str, ...]  # class of each column; empty for a column of lists, whose classes have no names
    kind: Kind | None
    reason: str

    @property
    def is_list(self) -> bool:
        return not self.names


def label_by_name(columns: list[str], target: str | None, taken: set[str]) -> tuple[str, str] | None:
    """Return the label column and the reason, None where no name is one of the usual ones."""
    if target is not None:
        if target not in columns:
            message = f"`target` must be a column, got '{target}'; the columns are {listed(columns)}"
            raise SourceError(message)
        return target, "given as `target`"
    free = {name.lower(): name for name in reversed(columns) if name not in taken}
    found = [free[usual] for usual in LABELS if usual in free]
    if not found:
        return None
    others = f", preferred to {listed(found[1:])}" if found[1:] else ""
    return found[0], f"by its name{others}"


def label_left_over(schema: Any, predictions: Predictions | None) -> tuple[str, str]:
    """Return the only column that is no prediction and could be labels; raise SourceError where there is no such."""
    used = set(predictions.columns) if predictions else set()
    left = [
        field.name
        for field in schema
        if field.name not in used and field.name.lower() not in ROW_NUMBERS and can_be_label(field.type)
    ]
    if len(left) == 1:
        return left[0], "the only column besides the predictions that can hold labels"
    message = (
        f"no column is called {listed(LABELS[:4])} or the like; name the label column with `target`, "
        f"the columns are {listed(schema.names)}"
    )
    raise SourceError(message)


def predictions_by_request(schema: Any, label: str | None, kind: Kind, asked: str | list[str]) -> Predictions:
    """Return the columns that the caller named: one column of lists, a prefix, or every column by its name."""
    names: list[str] = schema.names
    reason = f"given as `{kind}`"
    if isinstance(asked, str):
        if asked in names and is_list(schema.field(asked).type):
            return Predictions((asked,), (), kind, reason)
        chosen = [name for name in names if name.startswith(asked) and name != label and name != asked]
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
        chosen, classes = asked, _class_parts(asked)
    if len(chosen) < 2:
        message = (
            f"`{kind}` must give one column per class, got only '{chosen[0]}'; "
            f"add the column of the other class, which for two classes is 1 - {chosen[0]}"
        )
        raise SourceError(message)
    return Predictions(tuple(chosen), tuple(classes), kind, reason)


def predictions_by_name(schema: Any, label: str | None) -> Predictions | None:
    """Return the columns whose names say that they are predictions; raise SourceError where two sets of them do."""
    found: list[Predictions] = []
    groups: dict[str, list[tuple[str, str, Kind | None]]] = {}
    for field in schema:
        if field.name == label:
            continue
        if is_list(field.type):
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
    if not found:
        lists = [field.name for field in schema if field.name != label and is_list(field.type)]
        found = [Predictions((name,), (), None, "") for name in lists]
    # `scores` beside `probs` is more likely a by-product than the prediction.
    found = [each for each in found if each.kind] or found
    if len(found) > 1:
        message = (
            f"several columns could be the predictions: {listed(each.columns[0] for each in found)}; "
            f"say which with `probs`, `logits` or `log_probs`"
        )
        raise SourceError(message)
    return found[0] if found else None


def predictions_by_labels(schema: Any, label: str, first: Any) -> Predictions | None:
    """Return the columns named as the labels of the first batch, with or without a common prefix."""
    columns = [field.name for field in schema if field.name != label and _can_be_class(field, first)]
    if len(columns) < 2:
        return None
    values = {str(value) for value in first.column(label).to_pylist() if value is not None}
    for prefix in (f"{label}_", "", common_prefix(columns)):
        chosen = {name.removeprefix(prefix): name for name in columns if name.startswith(prefix)}
        if len(chosen) > 1 and values and values <= chosen.keys():
            return Predictions(tuple(chosen.values()), tuple(chosen), None, "named as the labels")
    return None


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
        prefix = request[1] if predictions and not predictions.is_list else None
        return [name for name in skipped if isinstance(prefix, str) and name.startswith(prefix)]
    if predictions is None or not predictions.reason:
        return [name for name in skipped if whole_name_kind(name)[0]]
    prefixes = {parts[0] for name in predictions.columns if (parts := split_prefix(name)) and not predictions.is_list}
    return [name for name in skipped if (parts := split_prefix(name)) and parts[0] in prefixes]


def is_list(kind: Any) -> bool:
    lists = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return lists and is_number(kind.value_type)


def is_number(kind: Any) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind))


def is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def can_be_label(kind: Any) -> bool:
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(is_text(value) or pa.types.is_integer(value) or pa.types.is_boolean(value))


def _class_parts(columns: list[str]) -> list[str]:
    parts = [split_prefix(name) for name in columns]
    prefixes = {part[0] for part in parts if part}
    if len(prefixes) == 1 and all(parts):
        return [part[1] for part in parts if part]
    shared = len(common_prefix(columns)) if len(columns) > 1 else 0
    return [name[shared:] for name in columns]


def _can_be_class(field: Any, first: Any) -> bool:
    if pa.types.is_floating(field.type) or pa.types.is_decimal(field.type):
        return True
    if not pa.types.is_integer(field.type):
        return False
    # A class that CSV has only shown as 0 and 1 so far looks like integers; an id does not stay within them.
    return set(first.column(field.name).to_pylist()) <= {0, 1, None}
