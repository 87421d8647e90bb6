"""What files say of their columns beside the data: class names of Hugging Face and Spark, the index of pandas."""

import json
from typing import Any

_HUGGING_FACE = b"huggingface"
_SPARK = b"org.apache.spark.sql.parquet.row.metadata"
_PANDAS = b"pandas"


def class_names(schema: Any, label: str) -> list[str] | None:
    """Return the names of the ids in a column, in the order of the ids; None where the metadata has none."""
    return _hugging_face(schema, label) or _spark(schema, label)


def labels_with_names(schema: Any) -> list[str]:
    """Return the columns for whose values the metadata has names."""
    return [name for name in schema.names if class_names(schema, name)]


def index_columns(schema: Any) -> list[str]:
    """Return the columns that were the index of a pandas table."""
    try:
        found = _content(schema, _PANDAS)["index_columns"]
        return [each for each in found if isinstance(each, str) and each in schema.names]
    except (KeyError, TypeError):
        return []


def _content(schema: Any, key: bytes) -> Any:
    raw = (schema.metadata or {}).get(key)
    try:
        return json.loads(raw) if raw else {}
    except (ValueError, RecursionError):
        return {}


def _hugging_face(schema: Any, label: str) -> list[str] | None:
    content = _content(schema, _HUGGING_FACE)
    for place in ("info", "dataset_info"):
        try:
            feature = content[place]["features"][label]
            # The class names of a dataset card's YAML are {"class_label": {"names": {"0": ..., "1": ...}}}.
            names = feature["names"] if "names" in feature else feature["dtype"]["class_label"]["names"]
            if isinstance(names, dict):
                names = [names[str(position)] for position in range(len(names))]
            if isinstance(names, list) and names:
                return [str(name) for name in names]
        except (KeyError, TypeError):
            continue
    return None


def _spark(schema: Any, label: str) -> list[str] | None:
    try:
        fields = _content(schema, _SPARK)["fields"]
        vals = next(each["metadata"]["ml_attr"]["vals"] for each in fields if each["name"] == label)
        return [str(name) for name in vals] or None
    except (KeyError, TypeError, StopIteration):
        return None
