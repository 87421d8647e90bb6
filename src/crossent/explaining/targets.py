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
    SUM_TOLERANCE,
    Given,
    Rows,
    as_array,
    as_doubles,
    check_probabilities,
    dtype_of,
    number,
    sum_tolerance_of,
    table_of_text,
    texts_of,
    where,
    words_of,
)

IGNORED_BY_TORCH = -100
INTEGER = re.compile(r"[+-]?\d+")
LONGEST_SHOWN = 10**20


@dataclass(frozen=True)
class Target:
    """The targets as distributions, and how they were written."""

    kind: TargetKind
    classes: int
    labels: NDArray[np.int64] | None  # (rows,); None for soft and multilabel targets
    dense: NDArray[Any] | None  # (rows, classes); None where there are labels
    sum_tolerance: float = SUM_TOLERANCE  # how far a row's sum may be from 1 by the rounding of its dtype
    by_number: bool = False  # whether a text such as "1" was read as the class of that name, not as an id

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
    """Return the targets of a prediction; `named` says whether the classes have names that a target may use.

    A text that is one of the names is that class, also where it is a number; any other number is a class id.
    """
    rows, classes = len(given.values), given.classes
    known = names if named else None
    labels = _read_label(target, known) if given.single else _read_labels(target, rows, known)
    if labels is not None:
        return _of_labels(labels.ids, classes, single=given.single, by_number=labels.by_number)
    table = _read_row(target, classes, named) if given.single else _read_table(target, rows, classes)
    return _of_table(table, sum_tolerance_of(dtype_of(target, table)), single=given.single)


@dataclass(frozen=True)
class _Labels:
    """Class ids, and whether a name that is itself a number was among what was written."""

    ids: NDArray[Any]
    by_number: bool = False


def _of_labels(labels: NDArray[Any], classes: int, *, single: bool, by_number: bool) -> Target:
    outside = (labels < 0) | (labels >= classes)
    if bool(outside.any()):
        row = int(np.argmax(outside))
        label = int(labels[row])
        hint = ""
        if label == classes:
            hint = " Are the labels 1-based?"
        elif label == IGNORED_BY_TORCH:
            hint = " That is PyTorch's ignore_index: such a row has no loss."
        shown = str(label) if abs(label) < LONGEST_SHOWN else "a number of more than 20 digits"
        got = f"got {shown}" if single else f"row {row} has {shown}"
        message = f"`target` must be a class id in [0, {classes}); {got}.{hint}"
        raise LabelError(message)
    return Target("index", classes, labels.astype(np.int64), None, by_number=by_number)


def _of_table(table: NDArray[Any], sum_tolerance: float, *, single: bool) -> Target:
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
    return Target("multilabel" if binary else "soft", classes, None, table, sum_tolerance)


def _read_label(target: Any, names: tuple[str, ...] | None) -> _Labels | None:
    """Return the class id, or None where the target is written in another way."""
    if isinstance(target, str):
        if names is not None and target.strip() in names:
            return _of_words([target.strip()], names)
        words = words_of(target, "target")
        if len(words) != 1:
            return None
        if INTEGER.fullmatch(words[0]):
            return _of_words(words, names)
        return None if names is None or _is_number(words[0]) else _of_words([target.strip()], names)
    if isinstance(target, bool | np.bool_):
        message = f"`target` must be a class id or one number per class; got {target!r}."
        raise DtypeError(message)
    try:
        # a list of one integer is a distribution over one class, though NumPy would take such an array as an index
        return _Labels(np.array([operator.index(target)])) if np.ndim(target) == 0 else None
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
        row = np.array([number(word, "target", hint) for word in words_of(target, "target")], dtype=np.float64)
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


def _read_labels(target: Any, rows: int, names: tuple[str, ...] | None) -> _Labels | None:
    """Return the class ids of a batch, or None where the targets are written in another way."""
    if isinstance(target, str):
        entries = _named_entries(target, rows, names or ())
        if entries is not None and names is not None:
            return _of_words(entries, names)
        table = table_of_text(target, "target")
        words = [word for row in table for word in row]
        if len(words) != rows or (len(table) not in (1, rows)):
            return None
        return _labels_of_words(words, names)
    texts = texts_of(np.asarray(target)) if _may_hold_texts(target) else None
    if texts is not None and np.ndim(target) == 1:
        found = _labels_of_words([text.strip() for text in texts], names)
        if found is None:
            message = (
                f"`target` must be class ids or names; {texts[0]!r} is no class id, and a name needs `class_names`."
            )
            raise OptionError(message)
        return _Labels(_checked_rows(found.ids, rows), found.by_number)
    array = as_array(target, "target")
    if array.ndim == 1 and (array.dtype.kind in "iu" or not array.size):
        return _Labels(_checked_rows(array.astype(np.int64) if not array.size else array, rows))
    return None


def _may_hold_texts(target: Any) -> bool:
    """Return whether these could be names: a list, or an array or a column whose dtype is no number's."""
    if isinstance(target, Sequence):
        return bool(target) and isinstance(target[0], str)
    return not hasattr(target, "detach") and getattr(getattr(target, "dtype", None), "kind", "f") in "UTO"


def _named_entries(target: str, rows: int, names: tuple[str, ...]) -> list[str] | None:
    """Return the names in a text, one per row: they may have spaces in them; None where they are no names."""
    for separators in (r"[;\n]", r"[;,\n]"):
        entries = [entry.strip() for entry in re.split(separators, target.strip("; \t\r\n"))]
        if len(entries) == rows and any(entry in names for entry in entries):
            return entries
    return None


def _labels_of_words(words: list[str], names: tuple[str, ...] | None) -> _Labels | None:
    if all(INTEGER.fullmatch(word) for word in words):
        return _of_words(words, names)
    if names is None or (all(_is_number(word) for word in words) and not any(word in names for word in words)):
        return None
    return _of_words(words, names)


def _of_words(words: list[str], names: tuple[str, ...] | None) -> _Labels:
    """Return what each word says: a name if it is one, else an id."""
    ids = [_id_of(word, names) for word in words]
    by_number = names is not None and any(word in names and INTEGER.fullmatch(word) for word in words)
    return _Labels(np.array(ids), by_number)


def _id_of(word: str, names: tuple[str, ...] | None) -> int:
    if names is not None and (word in names or not INTEGER.fullmatch(word)):
        return _named(word, names)
    try:
        return int(word)
    except ValueError:  # Python reads no integer of more than 4300 digits
        message = f"`target` must be a class id; got a number of {len(word)} digits."
        raise LabelError(message) from None


def _checked_rows(labels: NDArray[Any], rows: int) -> NDArray[Any]:
    if len(labels) != rows:
        message = f"`target` must have one entry per row of `prediction`, {rows}; got {len(labels)}."
        raise ShapeError(message)
    return labels


def _read_table(target: Any, rows: int, classes: int) -> NDArray[Any]:
    if isinstance(target, str):
        words = table_of_text(target, "target")
        if len(words) != rows or len(words[0]) != classes:
            got = f"{len(words)} {'row' if len(words) == 1 else 'rows'} of {len(words[0])}" if words else "nothing"
            message = (
                f"`target` must have one class id for each of the {rows} rows of `prediction`, or {classes} numbers for "
                f"each; got {got}."
            )
            raise ShapeError(message)
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
