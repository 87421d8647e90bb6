"""One column of predictions for two classes, which says what the second of them was given; the first has the rest."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from crossent.errors import SourceError
from crossent.scoring.arrow import pa
from crossent.scoring.column_types import fixed_width, is_vector
from crossent.scoring.columns import Predictions
from crossent.scoring.evidence import are_hard, label_texts, lie_in_unit_interval
from crossent.scoring.kinds import Kind
from crossent.scoring.names import DOUBTFUL_LABELS, SCALAR_NAMES, split_prefix, whole_name_kind
from crossent.scoring.vectors import floats
from crossent.scoring.wording import listed

# The endings of names that mean the second class, and the first one, whatever the classes are called.
_SECOND = ("1", "pos", "positive", "true", "yes")
_FIRST = ("0", "neg", "negative", "false", "no")

# Probabilities of one class that are all at least 1/2 by chance, with half of the rows in each class: 1 file in 1000.
_ENOUGH = 10

_WORD = {"probs": "probability", "logits": "logit", "log_probs": "log-probability"}


def is_lone(predictions: Predictions, schema: Any) -> bool:
    """Return whether predictions are one number per row: a column of numbers, or of lists of one."""
    if len(predictions.columns) != 1:
        return False
    kind = schema.field(predictions.columns[0]).type
    return not is_vector(kind) or fixed_width(kind) == 1


def lone_by_name(schema: Any, label: str, first: Any) -> Predictions | None:
    """Return the column that is called `p`, `y_prob`, `prob_1`, `score` or the like; raise SourceError where two are."""
    values = label_texts(first.column(label))
    found = []
    for field in schema:
        name = field.name
        if name == label or name.lower() in SCALAR_NAMES or not _is_fraction(field.type):
            continue
        is_whole, kind = whole_name_kind(name)
        parts = split_prefix(name)
        if not is_whole and parts and parts[1].lower() in (*_SECOND, *_FIRST, *(value.lower() for value in values)):
            is_whole, kind = True, parts[2]
        # `prediction` as 0.0 and 1.0 is a decision, `score` up to 100 nothing that we know.
        if is_whole and (kind or (not are_hard(first.column(name)) and lie_in_unit_interval(first.column(name)))):
            found.append(Predictions((name,), (), kind, "by its name"))
    found = [each for each in found if each.kind] or found
    if len(found) > 1:
        message = (
            f"several columns could be the predictions: {listed(each.columns[0] for each in found)}; "
            f"say which with `probs`, `logits` or `log_probs`"
        )
        raise SourceError(message)
    return found[0] if found else None


def refuse_confidences(predictions: Predictions, label: str, first: Any) -> None:
    """Raise SourceError where the column may be how sure a model was of the label that it predicted.

    Pipelines of Hugging Face write {"label": "POSITIVE", "score": 0.99}: a prediction and its confidence, no truth.
    """
    column = predictions.columns[0]
    if split_prefix(column) or is_vector(first.column(column).type):
        return
    values = floats(first.column(column)).astype(np.float64)
    values = values[~np.isnan(values)]
    is_pair = predictions.kind is None and label.strip().lower() in DOUBTFUL_LABELS
    is_sure = predictions.kind in (None, "probs") and len(values) >= _ENOUGH and values.min() >= 0.5 < values.max()
    if is_pair or is_sure:
        why = "as pipelines write them" if is_pair else f"as '{column}' is at least 0.5 in each of the first rows"
        message = (
            f"`{column}` may be the confidence in a predicted class, {why}, and not the probability of one class; "
            f"if it is that, say so with `probs` and name the truth with `target`"
        )
        raise SourceError(message)


def with_rest(predictions: Predictions, label: str, label_column: Any, classes: Sequence[str] | None) -> Predictions:
    """Return the predictions with the names of both classes, the one that the column is about last."""
    column = predictions.columns[0]
    values = label_texts(label_column)
    names = [str(name) for name in classes] if classes is not None else _two_classes(values, label, column)
    if len(names) != 2:
        message = (
            f"`classes` must have 2 names where the predictions are one column, '{column}', got {len(names)}: "
            f"{listed(names)}"
        )
        raise SourceError(message)
    parts = split_prefix(column)
    given = _class_of(parts[1] if parts else "", names, column)
    other = names[1 - given]
    kind: Kind = predictions.kind or "probs"
    rest = "has the logit 0" if kind == "logits" else "gets the rest"
    note = (
        f"The column '{column}' is taken for the {_WORD[kind]} of class "
        f"'{names[given]}' of '{label}', and '{other}' {rest}; if it is that of '{other}', say so with "
        f"classes=['{names[given]}', '{other}']."
    )
    return replace(predictions, names=(other, names[given]), kind=kind, is_lone=True, notes=(*predictions.notes, note))


def _two_classes(values: Sequence[str], label: str, column: str) -> list[str]:
    if values and set(values) <= {"0", "1"}:
        return ["0", "1"]
    if values and set(values) <= {"True", "False"}:
        return ["False", "True"]
    if len(values) != 2:
        found = f"has {listed(values)}" if values else "has none"
        message = (
            f"`{label}` must have two values where the predictions are one column, '{column}', in the first rows it "
            f"{found}; name one column per class with `probs` or `logits`, or both classes with `classes`"
        )
        raise SourceError(message)
    return list(values)


def _class_of(part: str, names: Sequence[str], column: str) -> int:
    """Return which class the column is about: that in its name, else the second."""
    plain = part.lower()
    called = [position for position, name in enumerate(names) if name == part]
    called = called or [position for position, name in enumerate(names) if part and name.lower() == plain]
    meant = 0 if plain in _FIRST else 1
    if not called:
        return meant
    if plain in (*_FIRST, *_SECOND) and called[0] != meant:
        message = (
            f"`{column}` could be about the class '{names[called[0]]}' or about the {('first', 'second')[meant]} of "
            f"{listed(names)}; rename it, or give it and the other class as two columns"
        )
        raise SourceError(message)
    return called[0]


def _is_fraction(kind: Any) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_decimal(kind))
