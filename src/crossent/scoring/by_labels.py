"""Prediction columns that are named as the labels, found by the labels that occur in the first rows."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from crossent.errors import SourceError
from crossent.scoring.arrow import pa
from crossent.scoring.columns import Predictions
from crossent.scoring.evidence import are_hard, label_texts, make_up_probabilities
from crossent.scoring.names import NO_CLASSES, SEPARATORS, is_key, is_predicted_label, natural_order
from crossent.scoring.wording import listed

_REASON = "named as the labels"


def predictions_by_labels(schema: Any, label: str, first: Any) -> Predictions | None:
    """Return the columns named as the labels of the first rows, with or without a common prefix."""
    columns = [field.name for field in schema if field.name != label and _can_be_class(field, first)]
    values = label_texts(first.column(label))
    if len(columns) < 2 or not values:
        return None
    found: list[tuple[Predictions, set[str], str]] = []
    for prefix in _prefixes(columns, label, values):
        chosen = {name.removeprefix(prefix): name for name in columns if name.startswith(prefix) and name != prefix}
        called = _called(values, chosen)
        if len(chosen) < 2 or called is None:
            continue
        # `feature_0` and `feature_1` are named as the labels 0 and 1 too.
        is_sure = prefix in ("", f"{label}_") or not all(value.lstrip("-").isdecimal() for value in values)
        if is_sure or make_up_probabilities(first, list(chosen.values())):
            found.append((Predictions(tuple(chosen.values()), tuple(chosen), None, _REASON), called, prefix))
    if len(found) > 1:
        found = [each for each in found if make_up_probabilities(first, each[0].columns)] or found
    if len(found) > 1:
        message = (
            f"several columns could be the predictions: {listed(each.columns[0] for each, _, _ in found)}; "
            f"say which with `probs`, `logits` or `log_probs`"
        )
        raise SourceError(message)
    return _without_others(*found[0], first) if found else None


def in_words_of_labels(predictions: Predictions, label_column: Any, first: Any) -> Predictions:
    """Return predictions found by another way, with the classes that the labels know.

    Labels may be the whole names of the columns: one-hot solutions are joined so. And `p_max` beside `p_cat` and
    `p_dog` is no class, if without it the rows sum to 1 and with it they do not.
    """
    values = label_texts(label_column)
    if predictions.is_vector or not values:
        return predictions
    if not set(values) <= set(predictions.names) and set(values) <= set(predictions.columns):
        return replace(predictions, names=predictions.columns)
    named = {
        name: column for name, column in zip(predictions.names, predictions.columns, strict=True) if name in values
    }
    is_part = 1 < len(named) < len(predictions.columns) and set(values) <= named.keys()
    if not is_part or make_up_probabilities(first, predictions.columns):
        return predictions
    if not make_up_probabilities(first, list(named.values())):
        return predictions
    left = [name for name in predictions.columns if name not in named.values()]
    return replace(
        predictions, columns=tuple(named.values()), names=tuple(named), notes=(*predictions.notes, _left_out(left))
    )


def _prefixes(columns: Sequence[str], label: str, values: Sequence[str]) -> list[str]:
    """Return what may stand before the class in every name: nothing, the label's own name, or anything else."""
    longest = max(values, key=len)
    others = {name.removesuffix(longest) for name in columns if name.endswith(longest)}
    others = {prefix for prefix in others if prefix and prefix[-1] in SEPARATORS}
    return [f"{label}_", "", *sorted(others - {f"{label}_"}, key=lambda prefix: (-len(prefix), prefix))]


def _called(values: Sequence[str], names: Collection[str]) -> set[str] | None:
    """Return the names that the labels have, None where one has none. CSV may have spaces around either."""
    stripped = {name.strip(): name for name in names}
    found = set()
    for value in values:
        spellings = (value, value.strip(), *([value.lower()] if value in ("True", "False") else []))
        name = next((stripped.get(each, each) for each in spellings if each in names or each in stripped), None)
        if name is None:
            return None
        found.add(value if value in names else name)
    return found


def _without_others(predictions: Predictions, called: set[str], prefix: str, first: Any) -> Predictions:
    """Return the predictions without columns that are no classes; raise SourceError where that cannot be told."""
    of = dict(zip(predictions.names, predictions.columns, strict=True))
    named = [name for name in of if name in called]
    others = [name for name in of if name not in called]
    likely = others if prefix else [name for name in others if not _is_no_class(name)]
    for chosen in ([*named, *likely], [*named, *others], named):
        if len(chosen) > 1 and make_up_probabilities(first, [of[name] for name in chosen]):
            left = [of[name] for name in likely if name not in chosen]
            return _only(predictions, of, chosen, (_left_out(left),) if left else ())
    if not likely or prefix:
        return _only(predictions, of, [*named, *likely], ())
    message = (
        f"the columns {listed(of[name] for name in named)} are named as the labels, {listed(of[name] for name in likely)} "
        f"may be classes that the first rows lack or something else; name the columns of all classes with `probs`, "
        f"`logits` or `log_probs`"
    )
    raise SourceError(message)


def _only(predictions: Predictions, of: dict[str, str], chosen: Sequence[str], notes: tuple[str, ...]) -> Predictions:
    kept = [name for name in of if name in chosen]
    kept.sort(key=natural_order)
    return replace(predictions, columns=tuple(of[name] for name in kept), names=tuple(kept), notes=notes)


def _left_out(columns: Sequence[str]) -> str:
    return f"Not taken for classes: {listed(columns)}; the rows sum to 1 without, and no label of the first rows is called so."


def _is_no_class(name: str) -> bool:
    return name.strip().lower() in NO_CLASSES or is_key(name) or is_predicted_label(name)


def _can_be_class(field: Any, first: Any) -> bool:
    if pa.types.is_floating(field.type) or pa.types.is_decimal(field.type):
        return True
    # A class that CSV has only shown as 0 and 1 so far looks like integers; an id does not stay within them.
    return bool(pa.types.is_integer(field.type)) and are_hard(first.column(field.name))
