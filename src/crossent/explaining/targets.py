"""The target of one row or a batch: class ids, names, one-hot, soft or several labels at once."""

import operator
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossent.errors import DtypeError, LabelError, OptionError, RangeError, ShapeError
from crossent.explaining.names import shorten
from crossent.explaining.parts import LossKind, TargetKind
from crossent.explaining.reading import (
    Given,
    Rows,
    as_array,
    as_doubles,
    check_probabilities,
    number,
    table_of_text,
    where,
    words_of,
)

IGNORED_BY_TORCH = -100


@dataclass(frozen=True)
class Target:
    """The targets as distributions, and how they were written."""

    kind: TargetKind
    classes: int
    labels: NDArray[np.int64] | None  # (rows,); None for soft and multilabel targets
    dense: NDArray[Any] | None  # (rows, classes); None where there are labels

    @property
    def loss_kind(self) -> LossKind:
        """Return whether one class is the answer, or each class is a yes or no of its own."""
        return "binary" if self.kind == "multilabel" else "categorical"

    def block(self, span: slice) -> Rows:
        """Return some rows as float64 distributions."""
        if self.labels is not None:
            return np.asarray(self.labels[span, np.newaxis] == np.arange(self.classes), dtype=np.float64)
        assert self.dense is not None  # one of the two is there
        return as_doubles(self.dense[span])


def read_target(target: Any, given: Given, names: tuple[str, ...], named: bool) -> Target:
    """Return the targets of a prediction; `named` says whether the classes have names that a target may use."""
    rows, classes = len(given.values), given.classes
    if given.single:
        label = _read_label(target, names if named else None)
        if label is not None:
            return _of_labels(np.array([label]), classes, single=True)
        return _of_table(_read_row(target, classes, named), single=True)
    ids = _read_labels(target, rows, names if named else None)
    if ids is not None:
        return _of_labels(ids, classes, single=False)
    return _of_table(_read_table(target, rows, classes), single=False)


def _of_labels(labels: NDArray[Any], classes: int, *, single: bool) -> Target:
    outside = (labels < 0) | (labels >= classes)
    if bool(outside.any()):
        row = int(np.argmax(outside))
        label = int(labels[row])
        hint = ""
        if label == classes:
            hint = " Are the labels 1-based?"
        elif label == IGNORED_BY_TORCH:
            hint = " That is PyTorch's ignore_index: such a row has no loss."
        got = f"got {label}" if single else f"row {row} has {label}"
        message = f"`target` must be a class id in [0, {classes}); {got}.{hint}"
        raise LabelError(message)
    return Target("index", classes, labels.astype(np.int64), None)


def _of_table(table: NDArray[Any], *, single: bool) -> Target:
    classes = table.shape[1]
    step = max(1, (1 << 20) // classes)
    certain = binary = True  # every row has a single 1 and nothing else; every number is 0 or 1
    for first in range(0, len(table), step):
        block = as_doubles(table[first : first + step])
        if bool(np.isnan(block).any()):
            row, place = (int(index) for index in np.argwhere(np.isnan(block))[0])
            message = f"`target` must hold probabilities; {where(first + row, place, single)} has nan."
            raise RangeError(message)
        check_probabilities(block, first, single, "target", "A class id is written as a single integer")
        ones = (block == 1.0).sum(axis=1)
        zeros = (block == 0.0).sum(axis=1)
        certain = certain and bool(((ones == 1) & (zeros == classes - 1)).all())
        binary = binary and bool((ones + zeros == classes).all())
    if certain:
        return Target("onehot", classes, np.asarray(table.argmax(axis=1), dtype=np.int64), None)
    return Target("multilabel" if binary else "soft", classes, None, table)


def _read_label(target: Any, names: tuple[str, ...] | None) -> int | None:
    """Return the class id, or None where the target is written in another way."""
    if isinstance(target, str):
        if names is not None and target.strip() in names:
            return _named(target.strip(), names)
        words = words_of(target)
        if len(words) != 1:
            return None
        if re.fullmatch(r"[+-]?\d+", words[0]):
            return int(words[0])
        return None if names is None or _is_number(words[0]) else _named(target.strip(), names)
    if isinstance(target, bool | np.bool_):
        message = f"`target` must be a class id or one number per class; got {target!r}."
        raise DtypeError(message)
    try:
        # a list of one integer is a distribution over one class, though NumPy would take such an array as an index
        return operator.index(target) if np.ndim(target) == 0 else None
    except (TypeError, ValueError):
        return None


def _named(name: str, names: tuple[str, ...]) -> int:
    if names.count(name) == 1:
        return names.index(name)
    known = ", ".join(map(shorten, names[:6])) + (", ..." if len(names) > 6 else "")
    problem = "is no class name" if name not in names else "names several classes"
    message = f"`target` must be a class id or one of `class_names` ({known}); {name!r} {problem}."
    raise OptionError(message)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _read_row(target: Any, classes: int, named: bool) -> NDArray[Any]:
    if isinstance(target, str):
        hint = "" if named or not target.strip().isidentifier() else "; a class name needs `class_names`"
        row = np.array([number(word, "target", hint) for word in words_of(target)], dtype=np.float64)
    else:
        row = as_array(target, "target")
    if row.ndim != 1:
        message = f"`target` must be one row of numbers, shape (classes,); got shape {row.shape}."
        raise ShapeError(message)
    if not len(row):
        message = "`target` must have at least one class; it is empty."
        raise ShapeError(message)
    if len(row) != classes:
        message = f"`target` must have one number per class of `prediction`, {classes}; got {len(row)}."
        raise ShapeError(message)
    return row.reshape(1, -1)


def _read_labels(target: Any, rows: int, names: tuple[str, ...] | None) -> NDArray[Any] | None:
    """Return the class ids of a batch, or None where the targets are written in another way."""
    if isinstance(target, str):
        table = table_of_text(target, "target")
        words = [word for row in table for word in row]
        if len(words) != rows or (len(table) not in (1, rows)):
            return None
        return _labels_of_words(words, names)
    if isinstance(target, Sequence) and target and all(isinstance(entry, str) for entry in target):
        found = _labels_of_words([str(entry).strip() for entry in target], names)
        if found is None:
            message = (
                f"`target` must be class ids or names; {target[0]!r} is no class id, and a name needs `class_names`."
            )
            raise OptionError(message)
        return _checked_rows(found, rows)
    array = as_array(target, "target")
    if array.ndim == 1 and (array.dtype.kind in "iu" or not array.size):
        return _checked_rows(array.astype(np.int64) if not array.size else array, rows)
    return None


def _labels_of_words(words: list[str], names: tuple[str, ...] | None) -> NDArray[Any] | None:
    if all(re.fullmatch(r"[+-]?\d+", word) for word in words):
        return np.array([int(word) for word in words])
    if names is None or all(_is_number(word) for word in words):
        return None
    return np.array([_named(word, names) for word in words])


def _checked_rows(labels: NDArray[Any], rows: int) -> NDArray[Any]:
    if len(labels) != rows:
        message = f"`target` must have one entry per row of `prediction`, {rows}; got {len(labels)}."
        raise ShapeError(message)
    return labels


def _read_table(target: Any, rows: int, classes: int) -> NDArray[Any]:
    if isinstance(target, str):
        words = table_of_text(target, "target")
        table: NDArray[Any] = np.array([[number(word, "target") for word in row] for row in words], dtype=np.float64)
    else:
        table = as_array(target, "target")
    if table.shape != (rows, classes):
        message = (
            f"`target` must be class ids, integers of shape ({rows},), or one number per class, shape "
            f"{(rows, classes)}; got {table.dtype} of shape {table.shape}."
        )
        raise ShapeError(message)
    return table
