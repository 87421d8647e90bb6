"""What a column can be by its type: numbers, text, labels, one number per class in each row."""

from typing import Any

from crossent.scoring.arrow import pa

_SPARK_FIELDS = ["type", "size", "indices", "values"]


def is_number(kind: Any) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind))


def is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def can_be_label(kind: Any) -> bool:
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(is_text(value) or pa.types.is_integer(value) or pa.types.is_boolean(value))


def label_type(kind: Any) -> Any:
    """Return the type of the labels in a column: behind codes, or in lists of one, as Keras writes them."""
    if pa.types.is_dictionary(kind):
        return kind.value_type
    return number_type(kind) if is_vector(kind) and fixed_width(kind) == 1 else kind


def is_usable_label(kind: Any) -> bool:
    """Return whether labels can be read from a column, be it that floats turn out to be whole numbers."""
    plain = label_type(kind)
    return can_be_label(plain) or bool(pa.types.is_floating(plain))


def is_list(kind: Any) -> bool:
    """Return whether each row is a list of numbers, whatever the layout."""
    return is_list_of_any(kind) and is_number(kind.value_type)


def is_list_of_any(kind: Any) -> bool:
    types = pa.types
    plain = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return bool(plain or types.is_list_view(kind) or types.is_large_list_view(kind))


def is_spark_vector(kind: Any) -> bool:
    """Return whether this is Spark ML's VectorUDT as Parquet and Arrow show it."""
    return (
        pa.types.is_struct(kind)
        and [field.name for field in kind] == _SPARK_FIELDS
        and is_list(kind.field("indices").type)
        and is_list(kind.field("values").type)
    )


def is_vector(kind: Any) -> bool:
    """Return whether each row holds several numbers: a list, a tensor of one dimension, a vector of Spark's."""
    return is_list(kind) or is_spark_vector(kind) or _is_row_tensor(kind)


def number_type(kind: Any) -> Any:
    """Return the type of the numbers in such a column."""
    return kind.field("values").type.value_type if is_spark_vector(kind) else kind.value_type


def fixed_width(kind: Any) -> int | None:
    """Return how many numbers every row has where the type says so."""
    if _is_row_tensor(kind):
        return int(kind.shape[0])
    return int(kind.list_size) if pa.types.is_fixed_size_list(kind) else None


def _is_row_tensor(kind: Any) -> bool:
    return isinstance(kind, pa.FixedShapeTensorType) and len(kind.shape) == 1 and is_number(kind.value_type)
