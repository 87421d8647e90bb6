"""sklearn.metrics.log_loss without its one-hot matrix and its rounding."""

import warnings
from typing import Any

import numpy as np

from crossent._checks import check_choice
from crossent.arrays.exact_sum import ExactSum
from crossent.conventions import ZEROS, Zero
from crossent.errors import ImpossibleEventError, ImpossibleEventWarning, NormalizationWarning, OptionError, RangeError
from crossent.sklearn._arguments import check_array_like, check_boolean, check_lengths, read_weights
from crossent.sklearn._labels import Truth, read_truth
from crossent.sklearn._probabilities import (
    predictions_at,
    read_probabilities,
    rows_of_a_block,
    sums_are_off,
    surprisals,
)


class WeightSumError(OptionError, ZeroDivisionError):
    """The sample weights sum to 0 and a mean was asked for."""


def log_loss(
    y_true: Any,
    y_proba: Any = None,
    *,
    normalize: bool = True,
    sample_weight: Any = None,
    labels: Any = None,
    y_pred: Any = "deprecated",
    zero: Zero = "clip",
) -> float:
    r"""Return the mean negative log-likelihood of the true labels under predicted probabilities, in nats.

    For rows q with true classes t and weights w::

        loss = -sum_i w_i log clip(q_i[t_i], eps, 1 - eps) / sum_i w_i

    Parameters
    ----------
    y_true : array-like, shape (rows,); or a matrix of 0 and 1, shape (rows, classes)
        Labels: integers, words, booleans, floats without a fraction.
    y_proba : array-like, shape (rows, classes); or shape (rows,) for the probability of the second of two classes
        In [0, 1]. Columns are in the sorted order of the labels.
    normalize : bool
        Whether to divide by the sum of the weights.
    sample_weight : array-like, shape (rows,)
        Weights of the rows, of either sign; a row of weight 0 does not take part.
    labels : array-like
        All classes, where `y_true` may lack some.
    y_pred : array-like
        The name of `y_proba` before scikit-learn 1.9.
    zero : {"clip", "inf", "raise"}
        "clip" takes probabilities as at least the precision eps of their dtype and at most 1 - eps, as scikit-learn
        does; "inf" takes them as they are, so that 0 costs infinity; "raise" does so too, and 0 is an error.

    Returns
    -------
    float
        Loss in nats.

    Raises
    ------
    RangeError, ShapeError, OptionError
        Where scikit-learn raises ValueError, with its text; also a ValueError.
    DtypeError, ArrayKindError
        Where scikit-learn raises TypeError, with its text, and for masked entries; also a TypeError.
    WeightSumError
        If `sample_weight` sums to 0 and ``normalize=True``; also a ZeroDivisionError.
    ImpossibleEventError
        If the true class of a row has probability 0 and ``zero="raise"``; also a ValueError.

    Warns
    -----
    NormalizationWarning
        If rows do not sum to 1; also a UserWarning.
    UserWarning
        If `labels` are not sorted: the columns are taken in sorted order all the same.
    FutureWarning
        If `y_pred` is used.
    ImpossibleEventWarning
        If the true class of a row has probability 0 and ``zero="inf"``; once, with their number.

    Notes
    -----
    Accuracy: logarithms in float64, the exact sum rounded once: the same bits in any order of the rows.

    References
    ----------
    Bishop, "Pattern Recognition and Machine Learning", Springer 2006, p. 209.

    Examples
    --------
    >>> labels, probs = ["spam", "ham", "ham", "spam"], [[0.1, 0.9], [0.9, 0.1], [0.8, 0.2], [0.35, 0.65]]
    >>> round(log_loss(labels, probs), 6)
    0.216162
    >>> round(log_loss([0, 1], [0.0, 0.0]), 6)
    18.021827
    """
    check_choice("zero", zero, ZEROS)
    check_array_like("y_true", y_true)
    if y_proba is not None:
        check_array_like("y_proba", y_proba)
    check_boolean("normalize", normalize)
    if sample_weight is not None:
        check_array_like("sample_weight", sample_weight, " or None")
    if labels is not None:
        check_array_like("labels", labels, " or None")
    if not isinstance(y_pred, str):
        check_array_like("y_pred", y_pred, " or an instance of 'str'")
    if not (isinstance(y_pred, str) and y_pred == "deprecated"):
        if y_proba is not None:
            message = "Cannot use both `y_pred` and `y_proba`. `y_pred` is deprecated, use `y_proba` instead."
            raise OptionError(message)
        message = "`y_pred` was renamed to `y_proba` in version 1.9 and will be removed in 1.11. Use `y_proba` instead."
        warnings.warn(message, FutureWarning, stacklevel=2)
        y_proba = y_pred

    probs, doubtful = read_probabilities(y_proba)
    check_lengths(probs, y_true, sample_weight)
    weights = read_weights(sample_weight, len(probs))
    truth = read_truth(y_true, labels)
    if doubtful and sums_are_off(probs):
        message = "The y_prob values do not sum to one. Make sure to pass probabilities."
        warnings.warn(message, NormalizationWarning, stacklevel=2)
    _check_columns(probs, truth, labels)

    total, impossible = _total(probs, truth, weights, zero)
    if impossible.size:
        number, verb = f"{impossible.size} of {len(probs)}", "has" if impossible.size == 1 else "have"
        if zero == "raise":
            message = (
                f"{number} rows are impossible, with prediction 0 where the truth is not; "
                f"the first is row {impossible[0]}."
            )
            raise ImpossibleEventError(message)
        rows = "row" if len(probs) == 1 else "rows"
        message = f"{number} {rows} {verb} an infinite loss: the prediction is 0 where the truth is not."
        warnings.warn(message, ImpossibleEventWarning, stacklevel=2)
    if not normalize:
        return total.value()
    if weights is None:
        return total.divided_by(len(probs))
    weight = ExactSum().add(weights)
    if weight.value() == 0.0:
        message = "Weights sum to zero, can't be normalized"
        raise WeightSumError(message)
    return total.divided_by(weight)


def _check_columns(probs: np.ndarray, truth: Truth, labels: Any) -> None:
    columns = max(probs.shape[1], 2) if probs.ndim == 2 else 2
    count = len(truth.classes)
    if count == columns:
        return
    if labels is None:
        message = (
            f"y_true and y_prob contain different number of classes: {count} vs {columns}. Please provide the true "
            f"labels explicitly through the labels argument. Classes found in y_true: {truth.classes}"
        )
    else:
        message = (
            "The number of classes in labels is different from that in y_prob. "
            f"Classes found in labels: {truth.classes}"
        )
    raise RangeError(message)


def _total(probs: np.ndarray, truth: Truth, weights: np.ndarray | None, zero: str) -> tuple[ExactSum, np.ndarray]:
    """Return the exact sum of the rows' weighted losses, and which rows have predicted 0 for the truth."""
    total = ExactSum()
    eps = float(np.finfo(probs.dtype).eps)
    impossible: list[np.ndarray] = []
    step = rows_of_a_block(probs)
    for start in range(0, len(probs), step):
        rows, columns, counts = truth.entries(start, start + step)
        predictions = predictions_at(probs[start : start + step], rows, columns)
        factors = None if weights is None else weights[start : start + step][rows]
        if counts is not None:
            factors = counts if factors is None else factors * counts
        if zero == "clip":
            predictions = np.clip(predictions, eps, 1.0 - eps)
        elif not predictions.all():
            zeros = (predictions == 0.0) & (True if factors is None else factors != 0.0)
            impossible.append(start + np.unique(rows[zeros]))
        losses = surprisals(predictions)
        if factors is None:
            total.add(losses)
        else:
            total.add_products(factors, losses)
    return total, np.concatenate([np.empty(0, np.intp), *impossible])
