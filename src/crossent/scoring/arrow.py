"""The one place that imports PyArrow, so that its absence is one sentence with the command that mends it."""

from crossent.errors import MissingExtraError

try:
    import pyarrow as pa
    from pyarrow import compute, csv, ipc, json, parquet
except ImportError as error:
    message = "reading prediction files needs pyarrow, which is not installed: pip install 'crossent[score]'"
    raise MissingExtraError(message) from error

__all__ = ["compute", "csv", "ipc", "json", "pa", "parquet"]
