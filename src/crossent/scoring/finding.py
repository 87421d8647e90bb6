"""The search for labels and predictions in a file: by the caller's word, by names, by the values of the first rows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from crossent.errors import SourceError
from crossent.scoring.arrow import pa
from crossent.scoring.beside import drop_columns, scalar_by_name
from crossent.scoring.by_labels import in_words_of_labels, predictions_by_labels
from crossent.scoring.column_types import fixed_width, is_list_of_any, is_number, is_usable_label, is_vector
from crossent.scoring.columns import (
    Asked,
    Predictions,
    labels_by_name,
    list_left_over,
    predictions_by_name,
    predictions_by_request,
    refuse_skipped,
    skipped_predictions,
)
from crossent.scoring.evidence import (
    agreement,
    are_whole,
    candidates_for_label,
    has_readable_type,
    label_texts,
    values_per_row,
)
from crossent.scoring.kinds import Kind
from crossent.scoring.lone import is_lone, lone_by_name, refuse_confidences, with_rest
from crossent.scoring.marks import mark_column, public_rows
from crossent.scoring.metadata import index_columns, labels_with_names
from crossent.scoring.names import DOUBTFUL_LABELS, LABELS
from crossent.scoring.shares import ShareColumns, pairs_of_columns, share_columns, shares_beside
from crossent.scoring.sources.csv import where_no_number
from crossent.scoring.sources.opening import first_rows
from crossent.scoring.sources.source import Source
from crossent.scoring.top_k import Listed, listed_by_name
from crossent.scoring.vectors import floats, width_of
from crossent.scoring.wording import listed

# Enough to tell probabilities from logits, and 16 MiB at most; they are read once more with the rest.
_FIRST_ROWS = 4096
_FIRST_VALUES = 2**21

# What a list of unknown length is taken to hold: a vocabulary, so that the first rows stay within 16 MiB.
_LIST_VALUES = 2**15


@dataclass(frozen=True)
class Found:
    """Where labels and predictions are. One of `predictions`, `scalar` and `top` is there."""

    label: str | None
    label_reason: str
    first: Any  # the first rows
    predictions: Predictions | None = None
    shares: ShareColumns | None = None
    scalar: tuple[str, Kind] | None = None
    top: Listed | None = None
    mark: str | None = None  # the column that says which rows are Public


def find(source: Source, asked: Asked, beside: set[str]) -> Found:
    """Return the labels and predictions of a file; raise SourceError where they are not there or a guess."""
    search = _Search(source, asked, beside)
    return replace(search.found(), mark=search.mark)


class _Search:
    def __init__(self, source: Source, asked: Asked, beside: set[str]) -> None:
        self.source, self.asked, self.schema = source, asked, source.schema
        self.request = asked.predictions()
        self.mark = mark_column(source)
        requested = self.request[1] if self.request else []
        taken = {*([requested] if isinstance(requested, str) else requested), *beside}
        target = asked.target
        refuse_skipped(source.skipped, {*taken, *([target] if isinstance(target, str) else [])})
        # Rows may be scored apart by their label.
        taken -= {asked.by, asked.cluster} - {None}
        self.shares = share_columns(self.schema, target)
        self.named, self.label_reason = ([], "") if self.shares else self._named_labels(taken)
        # The index of a pandas table is neither, unless somebody says so.
        unused = set() if target is not None or self.request else set(index_columns(self.schema)) - {*self.named}
        self.free = drop_columns(self.schema, unused | beside | set(self.shares.columns if self.shares else ()))

    def found(self) -> Found:
        label = self.named[0] if self.named else None
        if self.request is not None:
            predictions: Predictions | None = predictions_by_request(self.free, label, *self.request)
        else:
            predictions = predictions_by_name(self.free, label)
        refuse_skipped(self.source.skipped, skipped_predictions(self.source.skipped, predictions, self.request))
        first = self._first_rows(predictions)
        label = self._choose_named(first)
        if label is not None:
            self._check_label(label)
        if predictions is None:
            top = listed_by_name(self.free, first)
            if top is not None:
                label = label or self._left_over(None, first, {top.ids, top.values})
                return Found(label, self.label_reason, first, top=top)
            label, predictions = self._by_labels(label, first)
        predictions = predictions or list_left_over(self.free, label)
        if predictions is None:
            scalar = scalar_by_name(self.schema)
            if scalar is not None and (label is None or not lone_by_name(self.free, label, first)):
                return Found(label, self.label_reason, first, scalar=scalar)
            if self.shares is None:
                label = label or self._left_over(None, first, set())
                predictions = lone_by_name(self.free, label, first)
        if predictions is None:
            message = (
                f"`source` must have predictions, none were found among the columns {listed(self.schema.names)}; "
                f"name them with `probs`, `logits` or `log_probs`"
            )
            raise SourceError(message)
        _check_numbers(self.source, predictions)
        if label is None and self.shares is None:
            self.shares = shares_beside(self.free, predictions, first)
            if self.shares is None:
                label = self._left_over(predictions, first, set(predictions.columns))
        if self.shares is not None:
            return Found(self.shares.columns[0], self.shares.reason, first, predictions, self.shares)
        assert label is not None
        if is_lone(predictions, self.schema):
            if self.request is None:
                refuse_confidences(predictions, label if self.asked.target is None else "", first)
            predictions = with_rest(predictions, label, first.column(label), self.asked.classes)
        elif self.asked.classes is None:
            predictions = in_words_of_labels(predictions, first.column(label), first)
            label = self._other_than_doubtful(label, predictions, first)
        return Found(label, self.label_reason, first, predictions)

    def _named_labels(self, taken: set[str]) -> tuple[list[str], str]:
        target = self.asked.target if isinstance(self.asked.target, str) else None
        named, reason = labels_by_name(self.schema.names, target, taken)
        if target is None:
            # A list called `target` is found by its predictions, which must be as long.
            named = [name for name in named if not _is_wide(self.schema.field(name).type)]
        if not named:
            named = [name for name in labels_with_names(self.schema) if name not in taken][:1]
            reason = "by the class names that the file's metadata has for it"
        if not named and (unusable := labels_by_name(list(self.source.skipped), None, taken)[0]):
            refuse_skipped(self.source.skipped, unusable[:1])
        return named, reason

    def _first_rows(self, predictions: Predictions | None) -> Any:
        """Return the first rows of what is needed to decide: everything readable where something is not known yet."""
        is_sure = self.shares is not None or (self.named and not self._is_doubtful(self.named[0]))
        if predictions is not None and (is_sure or self.asked.target is not None):
            truths = self.shares.columns if self.shares else self.named
            keys = [name for name in self.schema.names[:1] if has_readable_type(self.schema.field(name).type)]
            names = list(dict.fromkeys((*keys, *truths, *predictions.columns)))
        else:
            names = [field.name for field in self.schema if has_readable_type(field.type)]
            known = (*self._top_lists(), *self.named, *(predictions.columns if predictions else ()))
            names = list(dict.fromkeys((*names, *known))) or self.schema.names
        names += [self.mark] if self.mark and self.mark not in names else []
        if not names:
            message = f"`source` must have columns, '{self.source.path}' has none"
            raise SourceError(message)
        kinds = [self.schema.field(name).type for name in names]
        rows = max(1, min(_FIRST_ROWS, _FIRST_VALUES // sum(values_per_row(kind, _LIST_VALUES) for kind in kinds)))
        batch = first_rows(self.source, names, rows, {})
        if batch is None:
            message = f"`source` must have rows, '{self.source.path}' has none"
            raise SourceError(message)
        public = public_rows(batch, self.mark)
        # Rows that do not count may be labelled with anything.
        return batch if public is None or not public.any() else batch.filter(pa.array(public))

    def _top_lists(self) -> list[str]:
        return [field.name for field in self.free if is_list_of_any(field.type) and not is_vector(field.type)]

    def _check_label(self, label: str) -> None:
        kind = self.schema.field(label).type
        # Whatever CSV holds can be read as text.
        if not is_usable_label(kind) and self.source.format != "CSV":
            message = f"`{label}` must hold class ids or names, it holds {kind}; name the label column with `target`"
            raise SourceError(message)

    def _is_doubtful(self, label: str) -> bool:
        kind = self.schema.field(label).type
        return label.lower() in DOUBTFUL_LABELS or pa.types.is_floating(kind) or not is_usable_label(kind)

    def _choose_named(self, first: Any) -> str | None:
        """Return the most trusted of the labels with a usual name; `y` is no label where it is a coordinate."""
        if self.asked.target is not None or not self.named:
            return self.named[0] if self.named else None
        usable = [name for name in self.named if is_usable_label(self.schema.field(name).type)]
        whole = [
            name
            for name in usable or self.named
            if not pa.types.is_floating(self.schema.field(name).type) or are_whole(first.column(name))
        ]
        if not whole and candidates_for_label(self.free, set()):
            return None
        chosen = whole or self.named
        if self.label_reason == "by its name" and chosen[1:]:
            self.label_reason = f"by its name, preferred to {listed(chosen[1:])}"
        return chosen[0]

    def _by_labels(self, label: str | None, first: Any) -> tuple[str | None, Predictions | None]:
        """Return predictions that are named as the labels, and the label if these tell it."""
        if label is not None:
            return label, predictions_by_labels(self.free, label, first)
        if self.shares is not None:
            names = self.shares.names
            is_plain = len(names) > 1 and set(names) <= set(self.free.names)
            return None, Predictions(names, names, None, "named as the truths") if is_plain else None
        candidates = candidates_for_label(self.free, set())
        pairs = [(name, predictions_by_labels(self.free, name, first)) for name in candidates]
        known = [(name, predictions) for name, predictions in pairs if predictions is not None]
        if len(known) == 1:
            self.label_reason = "the only column whose values are the names of other columns"
            return known[0]
        if known:
            raise _no_label(self.schema)
        truths = pairs_of_columns(self.free, first)
        if truths is None:
            return None, None
        predictions, self.shares = truths
        return None, predictions

    def _left_over(self, predictions: Predictions | None, first: Any, used: set[str]) -> str:
        """Return the only column that is no prediction and could be labels; raise SourceError where there is no such."""
        left = candidates_for_label(self.free, used)
        if len(left) == 1:
            self.label_reason = "the only column besides the predictions that can hold labels"
            return left[0]
        if predictions is not None:
            fitting = [name for name in left if _fits(label_texts(first.column(name)), predictions, first)]
            if len(fitting) == 1:
                self.label_reason = "the only column whose values are classes of the predictions"
                return fitting[0]
        # A list called `target` that is no truth of these predictions says more than that there is no label.
        wide = [name for name in self.schema.names if name.strip().lower() in LABELS and name not in used]
        if wide and self.asked.target is None:
            self._check_label(wide[0])
        raise _no_label(self.schema)

    def _other_than_doubtful(self, label: str, predictions: Predictions, first: Any) -> str:
        """Return another label where one called `label` repeats the prediction in each of the first rows."""
        if label.lower() not in DOUBTFUL_LABELS or not self.label_reason.startswith("by its name"):
            return label
        if predictions.is_vector:
            return label
        others = [
            name
            for name in candidates_for_label(self.free, {label, *predictions.columns})
            if name.lower() not in LABELS and _fits(label_texts(first.column(name)), predictions, first)
        ]
        matrix = np.column_stack([floats(first.column(name)).astype(np.float64) for name in predictions.columns])
        if len(others) != 1 or agreement(first.column(label), matrix, predictions.names) < 1.0:
            return label
        if agreement(first.column(others[0]), matrix, predictions.names) == 1.0:
            return label
        self.label_reason = f"its values are classes, and '{label}' is the prediction in each of the first rows"
        return others[0]


def _fits(values: Sequence[str], predictions: Predictions, first: Any) -> bool:
    """Return whether labels are classes of the predictions."""
    if not values:
        return False
    if not predictions.is_vector:
        return set(values) <= set(predictions.names) or set(values) <= set(predictions.columns)
    width = width_of(first.column(predictions.columns[0]))
    return all(value.isdecimal() and int(value) < max(width, 2) for value in values)


def _no_label(schema: Any) -> SourceError:
    return SourceError(
        f"no column is called {listed(LABELS[:4])} or the like; name the label column with `target`, "
        f"the columns are {listed(schema.names)}"
    )


def _check_numbers(source: Source, predictions: Predictions) -> None:
    for name in predictions.columns:
        kind = source.schema.field(name).type
        if is_vector(kind) or is_number(kind) or pa.types.is_null(kind):
            continue
        where = where_no_number(source, name)
        what = f"it holds {kind};" if where is None else f"{where}; correct the cell or leave it empty, or"
        message = f"`{name}` must hold numbers, {what} name the predictions with `probs` or `logits`"
        raise SourceError(message)


def _is_wide(kind: Any) -> bool:
    return is_vector(kind) and fixed_width(kind) != 1
