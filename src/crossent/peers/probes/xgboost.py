"""XGBoost: its metrics on the probabilities that it makes from the scores given as base margins."""

from typing import Any

import numpy as np
import xgboost

from crossent.peers.probes.function import Call, Function


def _metric(name: str, objective: str) -> Call:
    def call(raw: Any, target: Any) -> tuple[Any, Any]:
        classes = {"num_class": raw.shape[1]} if raw.ndim == 2 else {}
        data = xgboost.DMatrix(np.zeros((len(raw), 1)), label=target, base_margin=raw)
        options = {"objective": objective, "eval_metric": name, "nthread": 1, "verbosity": 0, **classes}
        booster = xgboost.train(options, data, num_boost_round=0)
        return float(booster.eval(data).rpartition(":")[2]), None

    return call


FUNCTIONS = (
    Function(
        "mlogloss", "logits", "id", "float32", "metric, softmax, floor 1e-16", _metric("mlogloss", "multi:softprob")
    ),
    Function(
        *("logloss", "logits", "binary", "float32", "metric, sigmoid, floor 1e-16"),
        _metric("logloss", "binary:logistic"),
    ),
)
