"""Spark: the logLoss of its evaluator; one local Java process per call."""

from typing import Any

from pyspark.ml.evaluation import MulticlassClassificationEvaluator
from pyspark.ml.linalg import Vectors, VectorUDT
from pyspark.sql import SparkSession
from pyspark.sql.types import DoubleType, StructField, StructType

from crossent.peers.probes.function import Function

_FIELDS = (("label", DoubleType()), ("prediction", DoubleType()), ("probability", VectorUDT()))
_SCHEMA = StructType([StructField(name, kind) for name, kind in _FIELDS])


def _log_loss(q: Any, label: Any) -> tuple[Any, Any]:
    session = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    rows = [(float(y), float(row.argmax()), Vectors.dense(row.tolist())) for y, row in zip(label, q, strict=True)]
    frame = session.createDataFrame(rows, _SCHEMA)
    return MulticlassClassificationEvaluator(metricName="logLoss").evaluate(frame), None


FUNCTIONS = (Function("logLoss", "probs", "id", "float64", "metric, clip 1e-15", _log_loss),)
