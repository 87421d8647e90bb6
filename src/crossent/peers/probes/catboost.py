"""CatBoost: its metrics on raw scores."""

from typing import Any

from catboost.utils import eval_metric

from crossent.peers.probes.function import Call, Function


def _metric(name: str) -> Call:
    def call(raw: Any, target: Any) -> tuple[Any, Any]:
        return eval_metric(target.tolist(), raw.tolist(), name)[0], None

    return call


def _binary(name: str) -> Call:
    return lambda raw, target: (eval_metric(target.tolist(), raw.tolist(), name)[0], None)


FUNCTIONS = (
    Function("MultiClass", "logits", "id", "float64", "metric, logits", _metric("MultiClass")),
    Function("Logloss", "logits", "binary", "float64", "metric, binary score, label above 0.5", _binary("Logloss")),
    Function("CrossEntropy", "logits", "binary", "float64", "metric, binary score", _binary("CrossEntropy")),
)
