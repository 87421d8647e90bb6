"""How a file is understood: label column, predictions, their kind, and the mapping of the classes, all on record."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from crossent.errors import SourceError
from crossent.scoring.arrow import pa
from crossent.scoring.beside import beside_columns, counts_by_name, drop_columns, scalar_by_name, unused_weights
from crossent.scoring.classes import ClassMapping, map_classes, names_in_metadata
from crossent.scoring.columns import (
    Asked,
    Predictions,
    can_be_label,
    is_number,
    label_by_name,
    label_left_over,
    predictions_by_labels,
    predictions_by_name,
    predictions_by_request,
    refuse_skipped,
    skipped_predictions,
)
from crossent.scoring.kinds import SCALARS, Kind, kind_by_evidence
from crossent.scoring.rows import prediction_matrix
from crossent.scoring.shares import LabelForm, form_of, share_columns
from crossent.scoring.sources.opening import read_batches
from crossent.scoring.sources.source import Source
from crossent.scoring.wording import listed

# Enough to tell probabilities from logits, and 16 MiB at most; they are read once more with the rest.
_FIRST_ROWS = 4096
_FIRST_VALUES = 2**21

# What a list of unknown length is taken to hold: a vocabulary, so that the first rows stay within 16 MiB.
_LIST_VALUES = 2**15


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
            *(self.weight_column, self.id_column, self.group_column, self.cluster_column),
            *(self.token_column, self.byte_column, self.word_column, self.bound_column),
        )
        labels = self.target_columns or ((self.label_column,) if self.label_form != "none" else ())
        return tuple(dict.fromkeys((*labels, *self.prediction_columns, *(name for name in beside if name is not None))))

    def with_notes(self, *notes: str) -> "Reading":
        """Return the same reading with more to say."""
        return replace(self, notes=(*self.notes, *(note for note in notes if note not in self.notes)))


def understand(source: Source, asked: Asked) -> Reading:
    """Return the reading of a file from its column names and first rows; raise SourceError where it is a guess."""
    schema = source.schema
    request = asked.predictions()
    taken: set[str] = set()
    if request is not None:
        taken = set(request[1]) if isinstance(request[1], list) else {request[1]}
    beside = beside_columns(schema, asked)
    taken |= {name for name in beside.values() if name is not None}
    if request is not None and request[0] in SCALARS:
        return _scalars(source, *request, beside, "given")
    target = asked.target
    if isinstance(target, str):
        refuse_skipped(source.skipped, {*taken, target})
    else:
        refuse_skipped(source.skipped, taken)
    shares = share_columns(schema, target)
    found = None if shares else label_by_name(schema.names, target if isinstance(target, str) else None, taken)
    if found is None and not shares and (unusable := label_by_name(list(source.skipped), None, taken)):
        refuse_skipped(source.skipped, {unusable[0]})
    label = found[0] if found else None
    free = drop_columns(schema, {name for name in beside.values() if name} | set(shares.columns if shares else ()))
    if request is not None:
        predictions: Predictions | None = predictions_by_request(free, label, *request)
    else:
        predictions = predictions_by_name(free, label)
    refuse_skipped(source.skipped, skipped_predictions(source.skipped, predictions, request))
    if predictions is None and found is None and not shares and (scalar := scalar_by_name(schema)):
        return _scalars(source, scalar[1], scalar[0], beside, "by its name")
    if shares is None:
        label, label_reason = found or label_left_over(free, predictions)
    else:
        label, label_reason = shares.columns[0], shares.reason
    wanted = (*(shares.columns if shares else (label,)), *predictions.columns) if predictions else tuple(schema.names)
    first = _first_batch(source, wanted)
    if predictions is None and shares is None:
        predictions = predictions_by_labels(free, label, first)
    if predictions is None:
        message = (
            f"`source` must have predictions, none were found among the columns {listed(schema.names)}; "
            f"name them with `probs`, `logits` or `log_probs`"
        )
        raise SourceError(message)
    _check_numbers(schema, predictions)
    width = _width(first, predictions)
    if shares is None:
        label_type = _label_type(schema, label, source.format)
        classes, classes_reason = _classes(schema, predictions, width, label, label_type, asked)
        form, targets = form_of(label_type), ()
    else:
        classes, classes_reason = map_classes(
            predictions, width, label, pa.string() if predictions.names else pa.int64(), asked.classes
        )
        form, targets = shares.form, shares.in_order_of(classes, width)
    columns = predictions.columns if predictions.is_list else tuple(each.column for each in classes)
    matrix = prediction_matrix(first, columns, width, 0)
    kind, kind_reason, notes = _kind(predictions, kind_by_evidence(matrix))
    return Reading(
        source=str(source.path),
        format=source.format,
        label_column=label if not targets else ", ".join(targets[:3]) + (", ..." if len(targets) > 3 else ""),
        label_reason=label_reason,
        kind=kind,
        kind_reason=kind_reason,
        prediction_columns=columns,
        classes=classes,
        classes_reason=classes_reason,
        notes=(*source.notes, *notes, *unused_weights(schema, beside)),
        label_form=form,
        target_columns=targets,
        **beside,
    )


def text_types(reading: Reading, schema: Any) -> dict[str, Any]:
    """Return the types to ask of a text file, whose first block may show a column as integers only."""
    types = dict.fromkeys(reading.prediction_columns, pa.float64())
    has_numbers = all(isinstance(each.label, int) for each in reading.classes)
    if reading.label_form == "none" or reading.target_columns:
        return types
    kind = schema.field(reading.label_column).type
    if not has_numbers or not (is_number(kind) or pa.types.is_boolean(kind)):
        types[reading.label_column] = pa.string()
    return types


def _scalars(source: Source, kind: Kind, asked: str | list[str], beside: dict[str, str | None], reason: str) -> Reading:
    """Return the reading of a file that only says what the truth was given."""
    column = asked if isinstance(asked, str) else asked[0]
    if column not in source.schema.names:
        message = f"`{kind}` must be a column, got '{column}'; the columns are {listed(source.schema.names)}"
        raise SourceError(message)
    if not is_number(source.schema.field(column).type):
        message = f"`{column}` must hold numbers, it holds {source.schema.field(column).type}"
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


def _first_batch(source: Source, columns: Sequence[str]) -> Any:
    types = [source.schema.field(name).type for name in columns]
    values = sum(_LIST_VALUES if pa.types.is_nested(kind) else 1 for kind in types)
    rows = max(1, min(_FIRST_ROWS, _FIRST_VALUES // values))
    for batch in read_batches(source, columns, rows, {}):
        return batch
    message = f"`source` must have rows, '{source.path}' has none"
    raise SourceError(message)


def _label_type(schema: Any, label: str, file_format: str) -> Any:
    kind = schema.field(label).type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if file_format == "CSV" and not is_number(kind) and not pa.types.is_boolean(kind):
        return pa.string()
    if not can_be_label(kind) and not pa.types.is_floating(kind):
        message = f"`{label}` must hold class ids or names, it holds {kind}; name the label column with `target`"
        raise SourceError(message)
    return kind


def _check_numbers(schema: Any, predictions: Predictions) -> None:
    for name in predictions.columns:
        kind = schema.field(name).type
        if not predictions.is_list and not is_number(kind) and not pa.types.is_null(kind):
            message = f"`{name}` must hold numbers, it holds {kind}; name the predictions with `probs` or `logits`"
            raise SourceError(message)


def _width(first: Any, predictions: Predictions) -> int:
    if not predictions.is_list:
        return len(predictions.columns)
    name = predictions.columns[0]
    width = next((len(row) for row in first.column(name) if row.is_valid), 0)
    if width == 0:
        message = f"`{name}` must hold one number per class in each row, the first rows have none"
        raise SourceError(message)
    return width


def _classes(
    schema: Any, predictions: Predictions, width: int, label: str, label_type: Any, asked: Asked
) -> tuple[tuple[ClassMapping, ...], str]:
    if asked.classes is None:
        names = names_in_metadata(schema, label)
        if names is not None and len(names) == width:
            mapped, _ = map_classes(predictions, width, label, label_type, names)
            return mapped, "named by the file's metadata"
    return map_classes(predictions, width, label, label_type, asked.classes)


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
