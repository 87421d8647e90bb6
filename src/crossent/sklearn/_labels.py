"""What a column of labels is, which classes it has, and which entries of the predictions a row's loss is made of.

The rules and the sentences are those of scikit-learn 1.9's type_of_target, unique_labels and LabelBinarizer.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crossent.errors import DtypeError, RangeError
from crossent.sklearn._arguments import (
    as_array,
    check_at_most_two_dimensions,
    check_finite,
    check_not_empty,
    count_of,
    is_sparse,
    raise_again,
)

MULTILABEL, UNKNOWN = "multilabel-indicator", "unknown"


@dataclass(slots=True, frozen=True)
class Labels:
    """Labels as an array, what kind of target they are, and their distinct values where these were needed to tell."""

    given: Any
    array: np.ndarray
    kind: str
    distinct: np.ndarray | None


@dataclass(slots=True, frozen=True)
class Truth:
    """The classes, sorted, and what the rows say of them: a label each, or a matrix of counts."""

    classes: np.ndarray
    values: np.ndarray  # (rows,), or (rows, classes) for a matrix of counts

    def entries(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Return (row - start, class, count or None for 1) of the entries that the losses of these rows are made of."""
        values = self.values[start:stop]
        if values.ndim == 2:
            rows, columns = np.nonzero(values)
            return rows, columns, values[rows, columns].astype(np.float64)
        rows = np.arange(len(values))
        low, high = self.classes[0], self.classes[-1]
        # int64 holds both and so their difference; a search for each of 1e6 labels among 100 classes took 30 ms more
        small = all(np.can_cast(array.dtype, np.int64) and array.dtype.kind in "iu" for array in (self.classes, values))
        if small and int(high) - int(low) == len(self.classes) - 1:
            return rows, np.subtract(values, int(low), dtype=np.int64), None
        return rows, np.searchsorted(self.classes, values), None


def _look_at(values: Any, name: str = "") -> Labels:
    """Return what `values` are; raise where they are no labels at all."""
    listed = isinstance(values, Sequence) or hasattr(values, "__array__")
    if not listed or isinstance(values, str) or is_sparse(values):
        message = f"Expected array-like (array or non-string sequence), got {values!r}"
        raise RangeError(message)
    if type(values).__name__ in ("SparseSeries", "SparseArray"):
        message = "y cannot be class 'SparseSeries' or 'SparseArray'"
        raise RangeError(message)
    try:
        array = as_array(values)
    except RangeError as error:
        if str(error).startswith("Complex"):
            raise
        array = np.asarray(values, dtype=object)  # rows of different lengths
    if array.dtype.kind == "T":  # NumPy's StringDType, which it cannot search among words of fixed width
        array = array.astype(object)
    distinct = None
    if array.ndim == 2 and array.shape[1] > 1:
        distinct = _distinct(array)
        whole = array.dtype.kind in "biu" or (array.dtype.kind == "f" and not _has_fractions(distinct))
        if len(distinct) < 3 and whole:
            return Labels(values, array, MULTILABEL, None)
    _check_first(array)
    flat = array.ndim == 1
    if array.ndim not in (1, 2) or (array.size == 0 and not flat):
        return Labels(values, array, UNKNOWN, None)
    if array.size == 0:
        return Labels(values, array, "binary", None)
    if array.dtype == object and not isinstance(array.flat[0], str):
        return Labels(values, array, UNKNOWN, None)
    several = "-multioutput" if not flat and array.shape[1] > 1 else ""
    if array.dtype.kind == "f" and _has_fractions(array):
        check_finite(array, name)
        return Labels(values, array, "continuous" + several, None)
    distinct = _distinct(array) if distinct is None else distinct
    return Labels(values, array, "multiclass" + several if several or len(distinct) > 2 else "binary", distinct)


def _check_first(array: np.ndarray) -> None:
    first = array[0] if array.ndim and len(array) else None
    if isinstance(first, bytes):
        message = (
            "Support for labels represented as bytes is not supported. "
            "Convert the labels to a string or integer format."
        )
        raise DtypeError(message)
    if isinstance(first, Sequence) and not hasattr(first, "__array__") and not isinstance(first, str):
        message = (
            "You appear to be using a legacy multi-label data representation. Sequence of sequences are no longer "
            "supported; use a binary array or sparse matrix instead - the MultiLabelBinarizer transformer can convert "
            "to this format."
        )
        raise RangeError(message)


def _check_single(labels: Labels) -> None:
    if "multioutput" in labels.kind:
        message = "Multioutput target data is not supported with label binarization"
        raise RangeError(message)


def _distinct(array: np.ndarray) -> np.ndarray:
    try:
        return np.unique(array)
    except TypeError as error:  # words and None cannot be sorted
        raise_again(error)


def _has_fractions(array: np.ndarray) -> bool:
    """Say whether a number is no integer of 64 bits."""
    return bool(np.any((array != np.trunc(array)) | ~(np.abs(array) < 2.0**63)))


def _classes_of(labels: Labels) -> np.ndarray:
    """Return the distinct labels, sorted."""
    values = labels.given
    _check_single(labels)
    if count_of(values) == 0:
        message = f"y has 0 samples: {values!r}"
        raise RangeError(message)
    if labels.kind == MULTILABEL:
        return np.arange(labels.array.shape[1])
    if labels.kind in (UNKNOWN, "continuous"):
        if isinstance(values, np.ndarray):
            _distinct(values)  # objects that cannot be sorted are said first
        message = f"Unknown label type: {(values,)!r}"
        raise RangeError(message)
    distinct = labels.distinct if labels.distinct is not None else _distinct(labels.array)
    if hasattr(values, "__array__") and distinct.dtype != object:
        return distinct
    # a list may hold words and numbers, of which the array has made words
    try:
        found: set[Any] = set(distinct.tolist() if hasattr(values, "__array__") else values)
        if len({isinstance(label, str) for label in found}) > 1:
            got = np.unique(np.asarray(values))
            message = f"Mix of label input types (string and number); Got {got}."
            raise RangeError(message)
        return np.asarray(sorted(found))
    except TypeError as error:
        raise_again(error)


def _check_declared(classes: np.ndarray, y_true: Any, declared: Labels) -> None:
    """Warn where `declared` labels are not in the order that counts; raise where `y_true` has others."""
    labels = declared.given
    # pandas says itself that lengths differ; polars compares no words with an array, for which the host fails
    compared = labels if hasattr(labels, "iloc") else declared.array
    try:
        if not np.all(classes == compared):
            message = (
                f"Labels passed were {labels}. But this function assumes labels are ordered lexicographically. "
                f"Pass the ordered labels={classes.tolist()} and ensure that the columns of y_prob correspond to this "
                "ordering."
            )
            # warn <- _check_declared <- read_truth <- log_loss <- its caller
            warnings.warn(message, UserWarning, stacklevel=4)
        if np.all(np.isin(y_true, labels)):
            return
        undeclared = set(y_true) - set(labels)
    except (TypeError, ValueError) as error:  # of another length; rows of a matrix, which are in no set
        raise_again(error)
    message = f"y_true contains values {undeclared} not belonging to the passed labels {labels}."
    raise RangeError(message)


def read_truth(y_true: Any, labels: Any) -> Truth:
    """Return the classes, those of `labels` where given, and each row's."""
    if labels is None:
        truth = declared = _look_at(y_true, "y")
        classes = _classes_of(declared)
    else:
        declared = _look_at(labels, "y")
        classes = _classes_of(declared)
        _check_declared(classes, y_true, declared)
    if len(classes) == 1:
        message = (
            f"y_true contains only one label ({classes[0]}). Please provide the list of all expected class labels "
            "explicitly through the labels argument."
            if labels is None
            else f"The labels array needs to contain at least two labels, got {classes}."
        )
        raise RangeError(message)
    if labels is not None:
        truth = _look_at(y_true)
    if truth.kind == MULTILABEL and declared.kind != MULTILABEL:
        message = "The object was not fitted with multilabel input."
        raise RangeError(message)
    if not isinstance(y_true, list):
        check_at_most_two_dimensions(truth.array)
        check_finite(truth.array, "y")
        check_not_empty(truth.array)
    _check_single(truth)
    if truth.kind == UNKNOWN:
        message = "The type of target data is not known"
        raise RangeError(message)
    if truth.kind == MULTILABEL:
        if truth.array.shape[1] != len(classes):
            found = np.arange(truth.array.shape[1])
            message = f"classes {classes} mismatch with the labels {found} found in the data"
            raise RangeError(message)
        return Truth(classes, truth.array)
    return Truth(classes, truth.array.reshape(-1))
