"""The door for datasets: ``score("predictions.parquet")``."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from os import PathLike

from crossent.errors import OptionError, SourceError
from crossent.scoring.accumulator import Accumulator
from crossent.scoring.batches import Source, open_source, read_batches
from crossent.scoring.columns import Asked
from crossent.scoring.losses import check_range
from crossent.scoring.names import DOUBTFUL_LABELS
from crossent.scoring.reading import Reading, text_types, understand
from crossent.scoring.result import ClassScore, Score, score_of
from crossent.scoring.rows import Labels, Rows, prediction_matrix

__all__ = ["ClassScore", "Score", "score"]

# 16 MiB of float64 predictions at a time: past the cost of a call, and small beside what a reader holds.
_BATCH_VALUES = 2**21
_BATCH_ROWS = 2**16

# A column called `label` that agrees with the prediction this often is more likely the prediction itself; in a small
# file, perfect predictions are no surprise.
_SUSPICIOUS_ACCURACY = 0.999
_SUSPICIOUS_ROWS = 100


def score(
    source: str | PathLike[str],
    /,
    *,
    target: str | None = None,
    probs: str | Sequence[str] | None = None,
    logits: str | Sequence[str] | None = None,
    log_probs: str | Sequence[str] | None = None,
    classes: Sequence[str] | None = None,
    batch_rows: int | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> Score:
    """Return the cross-entropy of a file of predictions, in nats, from one pass in bounded memory.

    For N rows with label t and prediction q::

        cost = 1/N sum_rows -log q[t]

    Parameters
    ----------
    source : path
        Parquet, CSV, TSV, Arrow IPC (file or stream) or npz, told apart by the ending.
    target : str
        Column of the labels: ids, or names of classes. Unless given, the column called target, y_true, truth, ...,
        label. A missing label and the id -100 are counted and not scored.
    probs, logits, log_probs : str or sequence of str
        The predictions, and of which kind they are: a column of lists, the prefix of one column per class ("prob_"), or
        the names of those columns. Unless given, columns and kind are told by their names, else by the first rows.
    classes : sequence of str
        Names of the classes, in the order of the list or of the ids; needed where the file does not say which name
        belongs to which prediction.
    batch_rows : int
        Rows in memory at a time.
    progress : callable
        Called after each batch with the rows read and the rows in all, None where the file does not say.

    Returns
    -------
    Score
        Frozen; `cost`, `total`, `perplexity`, `accuracy`, the baseline, the classes, and how the file was understood.

    Raises
    ------
    SourceError
        If the file is missing, unreadable, empty, or can be understood in several ways; also a ValueError.
    LabelError
        If a label is no class; also an IndexError.
    RangeError
        If a probability lies outside [0, 1] or a log-probability above 0; also a ValueError.
    MissingExtraError
        If pyarrow is not installed; also an ImportError.

    Notes
    -----
    Zeros: a prediction of 0 for the truth costs inf. Such rows are counted, and `finite_cost` is the mean of the others;
    nothing is clipped. A row with NaN makes the cost NaN and is counted likewise.
    Accuracy: losses are float64 whatever the file holds, and sums are exact and rounded once, so neither the order of
    the rows nor the size of the batches changes a bit.

    Examples
    --------
    >>> score("examples/digits_probs.parquet").rows
    1797
    """
    if batch_rows is not None and batch_rows < 1:
        message = f"`batch_rows` must be at least 1, got {batch_rows}"
        raise OptionError(message)
    opened = open_source(source)
    reading = understand(opened, Asked(target, probs, logits, log_probs, classes))
    rows = batch_rows or max(1, min(_BATCH_ROWS, _BATCH_VALUES // len(reading.classes)))
    state = _read(opened, reading, rows, progress)
    if not state.rows.any():
        message = (
            f"`{reading.label_column}` must hold labels, '{reading.source}' has none: "
            f"{state.missing_labels} missing, {state.ignored_labels} ignored"
        )
        raise SourceError(message)
    result = score_of(state, reading)
    doubt = _doubt(result)
    if doubt is not None:
        warnings.warn(doubt, UserWarning, stacklevel=2)
        result = replace(result, reading=replace(reading, notes=(*reading.notes, doubt)))
    return result


def _read(
    source: Source, reading: Reading, batch_rows: int, progress: Callable[[int, int | None], None] | None
) -> Accumulator:
    state = Accumulator(len(reading.classes))
    labels = Labels(reading.label_column, reading.classes)
    columns = [each.column for each in reading.classes]
    start = 0
    for batch in read_batches(source, reading.columns, batch_rows, text_types(reading, source.schema)):
        predictions = prediction_matrix(batch, reading.prediction_columns, len(reading.classes), start)
        check_range(predictions, reading.kind, columns, start)
        state.update(Rows(predictions, labels.indices(batch, start)), reading.kind)
        start += batch.num_rows
        if progress is not None:
            progress(start, source.rows)
    return state


def _doubt(result: Score) -> str | None:
    reading = result.reading
    is_guess = reading.label_column.lower() in DOUBTFUL_LABELS and reading.label_reason.startswith("by its name")
    if not is_guess or result.rows < _SUSPICIOUS_ROWS or result.accuracy <= _SUSPICIOUS_ACCURACY:
        return None
    return (
        f"The column '{reading.label_column}' agrees with the predictions in {result.accuracy:.2%} of the rows: "
        f"if it is the prediction and not the truth, name the true labels with `target`."
    )
