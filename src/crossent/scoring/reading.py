"""How a file is understood: label column, predictions, their kind, and the mapping of the classes, all on record."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from crossent.errors import SourceError
from crossent.scoring.arrow import pa
from crossent.scoring.arrow_columns import as_numpy
from crossent.scoring.beside import beside_columns, counts_by_name, id_by_position, unused_weights
from crossent.scoring.classes import ClassMapping, can_be_named, map_classes
from crossent.scoring.column_types import is_number, is_text, label_type
from crossent.scoring.columns import SPARK_MARGINS, Asked, Predictions
from crossent.scoring.evidence import label_texts
from crossent.scoring.finding import Found, find
from crossent.scoring.kinds import SCALARS, Kind, kind_by_evidence
from crossent.scoring.marks import note_on
from crossent.scoring.metadata import class_names
from crossent.scoring.rows import prediction_matrix
from crossent.scoring.shares import LabelForm, form_of
from crossent.scoring.sources.csv import where_no_number
from crossent.scoring.sources.source import Source
from crossent.scoring.top_k import ListedKind
from crossent.scoring.vectors import width_of
from crossent.scoring.wording import listed


@dataclass(frozen=True)
class Reading:
    """What was read and how it was understood; each decision has its reason."""

    source: str
    format: str
    label_column: str
    label_reason: str
    kind: Kind
    kind_reason: str
    prediction_columns: tuple[str, ...]
    classes: tuple[ClassMapping, ...]
    classes_reason: str
    notes: tuple[str, ...] = ()
    label_form: LabelForm = "ids"
    target_columns: tuple[str, ...] = ()  # of one-hot and soft labels, in the order of the classes
    rest_class: int | None = None  # of two classes, the one that gets what the only column leaves
    listed_column: str | None = None  # the classes whose numbers the lists of `prediction_columns` hold
    listed_kind: ListedKind | None = None
    mark_column: str | None = None  # says which rows are Public; the others are ignored
    weight_column: str | None = None
    id_column: str | None = None
    group_column: str | None = None
    cluster_column: str | None = None
    token_column: str | None = None
    byte_column: str | None = None
    word_column: str | None = None
    bound_column: str | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        beside = (
            *(self.listed_column, self.mark_column, self.weight_column, self.id_column),
            *(self.group_column, self.cluster_column),
            *(self.token_column, self.byte_column, self.word_column, self.bound_column),
        )
        labels = self.target_columns or ((self.label_column,) if self.label_form != "none" else ())
        return tuple(dict.fromkeys((*labels, *self.prediction_columns, *(name for name in beside if name is not None))))

    def with_notes(self, *notes: str) -> "Reading":
        """Return the same reading with more to say."""
        return replace(self, notes=(*self.notes, *(note for note in notes if note not in self.notes)))


def understand(source: Source, asked: Asked) -> Reading:
    """Return the reading of a file from its column names and first rows; raise SourceError where it is a guess."""
    return look(source, asked)[0]


def look(source: Source, asked: Asked) -> tuple[Reading, Any]:
    """Return the reading, and the first rows where they were needed for it."""
    beside = beside_columns(source, asked)
    request = asked.predictions()
    if request is not None and request[0] in SCALARS:
        return _scalars(source, *request, beside, "given"), None
    asked_beside = {name for field, name in beside.items() if name is not None and field != "id_column"}
    found = find(source, asked, asked_beside)
    if found.scalar is not None:
        reading = _scalars(source, found.scalar[1], found.scalar[0], beside, "by its name")
        if found.label is not None:
            column = found.scalar[0]
            reading = reading.with_notes(
                f"The column '{found.label}' is not used: '{column}' says what the truth was given."
            )
    elif found.top is not None:
        reading = _listed(source, found, beside)
    else:
        reading = _predictions(source, found, asked, beside)
    if found.mark is not None and found.mark not in reading.columns:
        reading = replace(reading, mark_column=found.mark).with_notes(note_on(found.mark))
    used = reading.columns
    if reading.id_column in (reading.label_column, *reading.target_columns, *reading.prediction_columns):
        reading = replace(reading, id_column=None)
    if reading.id_column is None:
        reading = replace(reading, id_column=id_by_position(source.schema, found.first, set(used)))
    return reading.with_notes(*unused_weights(source.schema, beside, used), *_spaces(used)), found.first


def text_types(reading: Reading, schema: Any) -> dict[str, Any]:
    """Return the types to ask of a text file, whose first block may show a column as integers only."""
    types = {
        name: pa.float64()
        for name in (*reading.prediction_columns, *reading.target_columns)
        if not pa.types.is_nested(schema.field(name).type)
    }
    if reading.weight_column is not None:
        types[reading.weight_column] = pa.float64()
    has_numbers = all(isinstance(each.label, int) for each in reading.classes)
    if reading.id_column is not None:
        # A later block may hold other ids than numbers, and "007" is not 7.
        types[reading.id_column] = pa.string()
    if reading.label_form == "none" or reading.target_columns:
        return types
    kind = schema.field(reading.label_column).type
    if not has_numbers or not (is_number(kind) or pa.types.is_boolean(kind)):
        types[reading.label_column] = pa.string()
    return types


def _predictions(source: Source, found: Found, asked: Asked, beside: dict[str, Any]) -> Reading:
    """Return the reading of a file that says what each class was given."""
    predictions, shares, label, first = found.predictions, found.shares, found.label, found.first
    assert predictions is not None
    assert label is not None
    width = _width(first, predictions)
    class_notes: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    if shares is None:
        truth_type = _truth_type(source, label, predictions, first)
        classes, classes_reason, class_notes = _classes(source.schema, predictions, width, label, truth_type, asked)
        form = form_of(truth_type)
    else:
        kind_of_names = pa.string() if predictions.names else pa.int64()
        classes, classes_reason = map_classes(predictions, width, label, kind_of_names, asked.classes)
        form, targets = shares.form, shares.in_order_of(classes, width)
    rest_class = None
    if predictions.is_lone:
        columns = predictions.columns
        rest_class = next(index for index, each in enumerate(classes) if each.column != predictions.columns[0])
        kind, kind_reason, notes = predictions.kind or "probs", predictions.reason, predictions.notes
    else:
        columns = predictions.columns if predictions.is_vector else tuple(each.column for each in classes)
        matrix = prediction_matrix(first, columns, width, 0)
        kind, kind_reason, notes = _kind(predictions, kind_by_evidence(matrix))
        notes = (*predictions.notes, *notes, *_margins(predictions, kind, matrix))
    return Reading(
        source=str(source.path),
        format=source.format,
        label_column=label if not targets else ", ".join(targets[:3]) + (", ..." if len(targets) > 3 else ""),
        label_reason=found.label_reason,
        kind=kind,
        kind_reason=kind_reason,
        prediction_columns=columns,
        classes=classes,
        classes_reason=classes_reason,
        notes=(*source.notes, *notes, *class_notes),
        label_form=form,
        target_columns=targets,
        rest_class=rest_class,
        **beside,
    )


def _scalars(source: Source, kind: Kind, asked: str | list[str], beside: dict[str, Any], reason: str) -> Reading:
    """Return the reading of a file that only says what the truth was given."""
    column = asked if isinstance(asked, str) else asked[0]
    if column not in source.schema.names:
        message = f"`{kind}` must be a column, got '{column}'; the columns are {listed(source.schema.names)}"
        raise SourceError(message)
    if not is_number(source.schema.field(column).type):
        where = where_no_number(source, column)
        what = (
            f"it holds {source.schema.field(column).type}"
            if where is None
            else f"{where}; correct the cell or leave it empty"
        )
        message = f"`{column}` must hold numbers, {what}"
        raise SourceError(message)
    return Reading(
        source=str(source.path),
        format=source.format,
        label_column="",
        label_reason="not needed: each row says what the truth was given",
        kind=kind,
        kind_reason=f"column '{column}' {reason}",
        prediction_columns=(column,),
        classes=(),
        classes_reason="not known: only the cost follows, no calibration",
        notes=tuple(source.notes),
        label_form="none",
        **(counts_by_name(source.schema) | {name: column for name, column in beside.items() if column is not None}),
    )


def _listed(source: Source, found: Found, beside: dict[str, Any]) -> Reading:
    """Return the reading of a file that lists the most likely classes of each row."""
    top = found.top
    assert top is not None
    assert found.label is not None
    truth_type = label_type(source.schema.field(found.label).type)
    ids_type = source.schema.field(top.ids).type.value_type
    if is_text(truth_type) != is_text(ids_type):
        message = (
            f"`{found.label}` must hold what '{top.ids}' lists, it holds {truth_type} and the lists {ids_type}; "
            f"name the label column with `target`"
        )
        raise SourceError(message)
    note = (
        f"'{top.values}' holds the most likely classes only: where '{top.ids}' does not list the truth, the loss is "
        f"counted as the least that it can be, from what the listed classes leave."
    )
    return Reading(
        source=str(source.path),
        format=source.format,
        label_column=found.label,
        label_reason=found.label_reason,
        kind="truth_log_probs",
        kind_reason=f"column '{top.values}' with the classes in '{top.ids}', {top.reason}",
        prediction_columns=(top.values,),
        classes=(),
        classes_reason="not known: only the most likely ones are listed, so no calibration",
        notes=(*source.notes, note),
        label_form=form_of(truth_type),
        listed_column=top.ids,
        listed_kind=top.kind,
        **beside,
    )


def _truth_type(source: Source, label: str, predictions: Predictions, first: Any) -> Any:
    kind = label_type(source.schema.field(label).type)
    if source.format == "CSV":
        is_plain = is_number(kind) or pa.types.is_boolean(kind)
        if not is_plain or _is_text_after_all(kind, predictions, first.column(label)):
            return pa.string()
    return kind


def _is_text_after_all(kind: Any, predictions: Predictions, column: Any) -> bool:
    """Return whether CSV only showed such class names so far as look like numbers, truths or NaN, beside others."""
    names = {name.lower() for name in predictions.names}
    if not names or all(name.removeprefix("-").isdecimal() for name in names):
        return False
    if pa.types.is_boolean(kind):
        return len(names) > 2 and {"true", "false"} & names != set()
    if pa.types.is_floating(kind) and not np.isfinite(as_numpy(column)).any():
        return bool(names & {"nan", "inf", "-inf", "infinity"})
    return set(label_texts(column)) <= names


def _width(first: Any, predictions: Predictions) -> int:
    if predictions.is_lone:
        return 2
    if not predictions.is_vector:
        return len(predictions.columns)
    name = predictions.columns[0]
    width = width_of(first.column(name))
    if width == 0:
        message = f"`{name}` must hold one number per class in each row, the first rows have none"
        raise SourceError(message)
    return width


def _classes(
    schema: Any, predictions: Predictions, width: int, label: str, truth_type: Any, asked: Asked
) -> tuple[tuple[ClassMapping, ...], str, tuple[str, ...]]:
    names = class_names(schema, label) if asked.classes is None else None
    if names is not None and can_be_named(predictions, width, names):
        mapped, _ = map_classes(predictions, width, label, truth_type, names)
        return mapped, "named by the file's metadata", ()
    notes: tuple[str, ...] = ()
    if names is not None:
        notes = (
            f"The file's metadata names other classes, {listed(names)}, than the predictions have; its names are not used.",
        )
    return *map_classes(predictions, width, label, truth_type, asked.classes), notes


def _kind(predictions: Predictions, evidence: Kind | None) -> tuple[Kind, str, tuple[str, ...]]:
    if predictions.kind is not None:
        notes = []
        if predictions.kind == "logits" and evidence == "probs":
            notes.append(
                f"The columns are read as logits, yet the first rows of {predictions.columns[0]} and the rest lie in "
                f"[0, 1] and sum to 1: if they are probabilities, say so with `probs`."
            )
        return predictions.kind, predictions.reason, tuple(notes)
    if evidence is None:
        message = (
            f"the predictions {listed(predictions.columns)} could be probabilities or logits, their first rows lie in "
            f"[0, 1] without summing to 1; say which with `probs`, `logits` or `log_probs`"
        )
        raise SourceError(message)
    reason = "by their first rows"
    return evidence, f"columns {predictions.reason}, kind {reason}" if predictions.reason else reason, ()


def _margins(predictions: Predictions, kind: Kind, matrix: Any) -> tuple[str, ...]:
    column = predictions.columns[0]
    if kind != "logits" or column.lower() != SPARK_MARGINS or matrix.shape[1] != 2:
        return ()
    if not np.array_equal(matrix[:, 0], -matrix[:, 1], equal_nan=True):
        return ()
    note = (
        f"'{column}' holds (-m, m) in each row, as Spark's models of two classes write margins: their probability is "
        f"1 / (1 + exp(-m)), and the one that is scored here 1 / (1 + exp(-2 m)); score the column 'probability'."
    )
    return (note,)


def _spaces(columns: Sequence[str]) -> tuple[str, ...]:
    spaced = [name for name in columns if name != name.strip()]
    if not spaced:
        return ()
    return (f"Spaces around the names of columns are not taken for a part of them: {listed(map(repr, spaced))}.",)
