"""Truths as one number per class: one-hot columns, soft columns, or a list; matched to the predictions by name."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from crossent.errors import SourceError
from crossent.scoring.arrow import pa
from crossent.scoring.classes import ClassMapping
from crossent.scoring.columns import class_parts, is_list, is_text
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
            return (
                ShareColumns((target,), (), _form((kind.value_type,)), "given as `target`") if is_list(kind) else None
            )
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


def form_of(label_type: Any) -> LabelForm:
    """Return whether a column of labels holds names or numbers."""
    return "names" if is_text(label_type) else "ids"


def _form(kinds: Sequence[Any]) -> LabelForm:
    whole = all(pa.types.is_integer(kind) or pa.types.is_boolean(kind) for kind in kinds)
    return "one-hot" if whole else "soft"
