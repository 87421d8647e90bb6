"""Truths as one number per class: one-hot columns, soft columns, or a list; matched to the predictions by name."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from crossent.errors import SourceError
from crossent.scoring.arrow import pa
from crossent.scoring.classes import ClassMapping
from crossent.scoring.column_types import is_number, is_text, is_vector, number_type
from crossent.scoring.columns import Predictions, class_parts
from crossent.scoring.evidence import are_shares
from crossent.scoring.names import LABELS, is_predicted_label, split_truth, whole_name_kind
from crossent.scoring.vectors import width_of
from crossent.scoring.wording import listed

LabelForm = Literal["ids", "names", "one-hot", "soft", "none"]


@dataclass(frozen=True)
class ShareColumns:
    """The columns of the truth; `names` are the classes in them, none for a list."""

    columns: tuple[str, ...]
    names: tuple[str, ...]
    form: LabelForm
    reason: str

    def in_order_of(self, classes: Sequence[ClassMapping], width: int) -> tuple[str, ...]:
        """Return the columns in the order of the classes; raise SourceError where the names differ."""
        if not self.names:
            return self.columns
        by_name = dict(zip(self.names, self.columns, strict=True))
        wanted = [each.name for each in classes]
        if by_name.keys() != set(wanted):
            message = (
                f"`target` must have one column per class, the predictions are of {listed(wanted)} and the truth "
                f"of {listed(self.names)}; rename one of them"
            )
            raise SourceError(message)
        return tuple(by_name[name] for name in wanted)


def share_columns(schema: Any, target: str | Sequence[str] | None) -> ShareColumns | None:
    """Return the columns of one-hot or soft truths that `target` names; None where it names a column of labels."""
    if target is None:
        return None
    if isinstance(target, str):
        if target in schema.names:
            kind = schema.field(target).type
            is_one = is_vector(kind)
            return ShareColumns((target,), (), _form((number_type(kind),)), "given as `target`") if is_one else None
        return None
    columns = list(target)
    absent = [name for name in columns if name not in schema.names]
    if absent or len(columns) < 2:
        message = (
            f"`target` must be a column or one column per class, got {listed(absent or columns) or 'none'}; "
            f"the columns are {listed(schema.names)}"
        )
        raise SourceError(message)
    form = _form([schema.field(name).type for name in columns])
    return ShareColumns(tuple(columns), tuple(class_parts(columns)), form, "given as `target`")


def shares_beside(schema: Any, predictions: Predictions, first: Any) -> ShareColumns | None:
    """Return the one-hot or soft truths whose names and values leave no doubt; None where there are none.

    Columns `target_cat`, `target_dog` beside `prob_cat`, `prob_dog`: the same classes, and shares that sum to 1. Or a
    list with the name of a label beside a list of predictions of the same width.
    """
    if predictions.is_vector:
        return _list_beside(schema, predictions, first)
    found = []
    for prefix, members in _by_truth_prefix(schema, set(predictions.columns)).items():
        for names in (predictions.names, predictions.columns):
            if members.keys() != set(names):
                continue
            columns = [members[name] for name in names]
            if are_shares(first, columns):
                form = _form([schema.field(name).type for name in columns])
                reason = f"one column per class called '{prefix}' and the class"
                found.append(ShareColumns(tuple(columns), predictions.names, form, reason))
                break
    return _only(found)


def pairs_of_columns(schema: Any, first: Any) -> tuple[Predictions, ShareColumns] | None:
    """Return predictions that are known only by their truths: `true_Status_C` beside `Status_C`, for every class."""
    found = []
    for prefix, members in _by_truth_prefix(schema, set()).items():
        numbers = {name for name in members if name in schema.names and pa.types.is_floating(schema.field(name).type)}
        columns = [members[name] for name in members]
        if len(members) < 2 or numbers != members.keys() or not are_shares(first, columns):
            continue
        names = class_parts(list(members))
        predictions = Predictions(tuple(members), tuple(names), None, f"named as the truths without '{prefix}'")
        form = _form([schema.field(name).type for name in columns])
        reason = f"one column per class called '{prefix}' and the column of the prediction"
        found.append((predictions, ShareColumns(tuple(columns), tuple(names), form, reason)))
    if len(found) > 1:
        _only([shares for _, shares in found])
    return found[0] if found else None


def form_of(label_type: Any) -> LabelForm:
    """Return whether a column of labels holds names or numbers."""
    return "names" if is_text(label_type) else "ids"


def _form(kinds: Sequence[Any]) -> LabelForm:
    whole = all(pa.types.is_integer(kind) or pa.types.is_boolean(kind) for kind in kinds)
    return "one-hot" if whole else "soft"


def _by_truth_prefix(schema: Any, used: set[str]) -> dict[str, dict[str, str]]:
    """Return the columns of numbers behind each prefix such as `target_`, by what is left of their names."""
    groups: dict[str, dict[str, str]] = {}
    for field in schema:
        parts = split_truth(field.name)
        if parts and field.name not in used and (is_number(field.type) or pa.types.is_boolean(field.type)):
            groups.setdefault(parts[0], {})[parts[1]] = field.name
    return groups


def _list_beside(schema: Any, predictions: Predictions, first: Any) -> ShareColumns | None:
    column = predictions.columns[0]
    width = width_of(first.column(column))
    found = []
    for field in schema:
        if field.name == column or not is_vector(field.type):
            continue
        is_named = field.name.strip().lower() in LABELS
        # Without a name, only whole numbers that are one-hot: a list of floats may be other predictions.
        if not is_named and (not pa.types.is_integer(number_type(field.type)) or _is_decision(field.name)):
            continue
        if width > 1 and width_of(first.column(field.name)) == width and are_shares(first, [field.name]):
            reason = "by its name, a list as long as the predictions" if is_named else "the only one-hot list"
            found.append(ShareColumns((field.name,), (), _form((number_type(field.type),)), reason))
    return _only(found)


def _is_decision(name: str) -> bool:
    return whole_name_kind(name)[0] or is_predicted_label(name)


def _only(found: Sequence[ShareColumns]) -> ShareColumns | None:
    if len(found) > 1:
        message = (
            f"several columns could be the truth: {listed(each.columns[0] for each in found)}; "
            f"say which with `target`, a column or a list of one column per class"
        )
        raise SourceError(message)
    return found[0] if found else None
