"""Arguments as scikit-learn reads them: the same things are arrays, and the same sentences say what is wrong."""

import sys
from numbers import Integral
from typing import Any, NoReturn

import numpy as np

from crossent.errors import ArrayKindError, DtypeError, OptionError, RangeError, ShapeError

# What the host keeps as it is; all else becomes float64. Byte-swapped numbers are not equal to these.
KEPT = (np.dtype(np.float64), np.dtype(np.float32), np.dtype(np.float16))


class InvalidParameterError(OptionError, TypeError):
    """An argument of log_loss is of the wrong kind; both builtins, as scikit-learn's error of this name."""


def is_sparse(value: Any) -> bool:
    """Say whether SciPy made a sparse array or matrix of it; then SciPy is loaded."""
    sparse = sys.modules.get("scipy.sparse")
    return sparse is not None and bool(sparse.issparse(value))


def check_array_like(name: str, value: Any, also: str = "") -> None:
    """Raise unless `value` has a length, a shape or an array, and is no scalar, string or sparse matrix."""
    looks = any(hasattr(value, attribute) for attribute in ("__len__", "shape", "__array__"))
    if not looks or np.isscalar(value) or is_sparse(value):
        message = f"The {name!r} parameter of log_loss must be an array-like{also}. Got {value!r} instead."
        raise InvalidParameterError(message)


def check_boolean(name: str, value: Any) -> None:
    """Raise unless `value` is Python's or NumPy's True or False."""
    if not isinstance(value, (bool, np.bool_)):
        message = (
            f"The {name!r} parameter of log_loss must be an instance of 'bool' or an instance of "
            f"'numpy.{np.bool_.__name__}'. Got {value!r} instead."
        )
        raise InvalidParameterError(message)


def raise_again(error: Exception) -> NoReturn:
    """Raise what NumPy or Python said about an argument, as an error of this library and without their traceback."""
    kind = DtypeError if isinstance(error, TypeError) else RangeError
    raise kind(str(error)) from None


def as_array(value: Any, dtype: Any = None) -> np.ndarray:
    """Return an array of `dtype`, or of its own; not a matrix, nor complex, nor with entries masked."""
    if isinstance(value, np.matrix):
        message = (
            "np.matrix is not supported. Please convert to a numpy array with np.asarray. For more information see: "
            "https://numpy.org/doc/stable/reference/generated/numpy.matrix.html"
        )
        raise ArrayKindError(message)
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        message = (
            f"An array is masked at {np.count_nonzero(value.mask)} of {value.size} entries, "
            "and the mask would be lost: leave these rows out, or pass its `.data`."
        )
        raise ArrayKindError(message)
    try:
        array = np.asarray(value)
        # from `value`, as NumPy names the entry that is no number as it was given; not from complex numbers, whose
        # imaginary parts it would drop with no more than a warning
        if array.dtype.kind != "c":
            return array if dtype in (None, array.dtype) else np.asarray(value, dtype=dtype)
    except (TypeError, ValueError) as error:
        raise_again(error)
    message = f"Complex data not supported\n{array if dtype is None else value}\n"
    raise RangeError(message)


def as_floats(value: Any) -> np.ndarray:
    """Return float64, float32 and float16 numbers as they are, without copying, and all else as float64."""
    if type(value) is np.ndarray and value.dtype in KEPT:
        return value
    if hasattr(value, "iloc") and hasattr(value, "columns"):  # a pandas frame: a dtype for each column
        kinds = list(value.dtypes)
        plain = bool(kinds) and all(isinstance(kind, np.dtype) for kind in kinds)
        own: Any = np.result_type(*kinds) if plain else None
    else:
        own = getattr(value, "dtype", None)
    # a dtype of torch or polars is none of these, and no list has one
    return as_array(value, own if isinstance(own, np.dtype) and own in KEPT else np.float64)


def check_finite(array: np.ndarray, name: str = "") -> None:
    """Raise if a number is NaN or infinite."""
    prefix = f"Input {name} contains" if name else "Input contains"
    if array.dtype == object:
        if np.any(array != array):  # noqa: PLR0124  # objects of any kind: only NaN differs from itself
            message = "Input contains NaN"
            raise RangeError(message)
        return
    if array.dtype.kind != "f":
        return
    if np.isfinite(array).all():
        return
    if np.isnan(array).any():
        message = f"{prefix} NaN."
    else:
        message = f"{prefix} infinity or a value too large for {array.dtype!r}."
    raise RangeError(message)


def count_of(value: Any) -> int:
    """Return the number of rows of an array-like."""
    shape = getattr(value, "shape", None)
    no_sequence = f"Expected sequence or array-like, got {type(value)}"
    if callable(getattr(value, "fit", None)):
        raise DtypeError(no_sequence)
    if shape is not None:
        if len(shape) == 0:
            message = (
                "Input should have at least 1 dimension i.e. satisfy `len(x.shape) > 0`, "
                f"got scalar `{value!r}` instead."
            )
            raise DtypeError(message)
        if isinstance(shape[0], Integral):
            return int(shape[0])
    try:
        return len(value) if hasattr(value, "__len__") or shape is not None else len(np.asarray(value))
    except TypeError:
        raise DtypeError(no_sequence) from None


def check_lengths(*values: Any) -> None:
    """Raise unless all that are not None have as many rows."""
    lengths = [count_of(value) for value in values if value is not None]
    if len(set(lengths)) > 1:
        message = f"Found input variables with inconsistent numbers of samples: {lengths}"
        raise ShapeError(message)


def read_weights(value: Any, rows: int) -> np.ndarray | None:
    """Return the rows' weights, of either sign, as float64; or None."""
    if value is None:
        return None
    array = as_array(value)
    if array.ndim < 3:
        check_finite(array, "sample_weight")
    check_at_most_two_dimensions(array)
    check_not_empty(array)
    if array.ndim != 1:
        message = (
            f"Sample weights must be 1D array or scalar, got {array.ndim}D array. "
            f"Expected either a scalar value or a 1D array of length {rows}."
        )
        raise ShapeError(message)
    if array.dtype.kind not in "fiubO":
        message = f"`sample_weight` must hold real numbers; got {array.dtype}."
        raise DtypeError(message)
    try:
        weights = np.asarray(array, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise_again(error)
    if np.isnan(weights).any():  # NumPy's number for None
        message = f"`sample_weight` must hold real numbers; row {int(np.argmax(np.isnan(weights)))} has None."
        raise DtypeError(message)
    if not weights.any():
        message = "Sample weights must contain at least one non-zero number."
        raise RangeError(message)
    return weights


def check_at_most_two_dimensions(array: np.ndarray) -> None:
    """Raise if the array has three dimensions or more."""
    if array.ndim >= 3:
        message = f"Found array with dim {array.ndim}, while dim <= 2 is required."
        raise ShapeError(message)


def check_not_empty(array: np.ndarray) -> None:
    """Raise unless there is a row, and in a matrix a column."""
    rows = count_of(array)
    if rows < 1:
        message = f"Found array with {rows} sample(s) (shape={array.shape}) while a minimum of 1 is required."
        raise ShapeError(message)
    if array.ndim == 2 and array.shape[1] < 1:
        message = (
            f"Found array with {array.shape[1]} feature(s) (shape={array.shape}) while a minimum of 1 is required."
        )
        raise ShapeError(message)
