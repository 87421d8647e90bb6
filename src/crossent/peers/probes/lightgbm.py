"""LightGBM: its metrics on probabilities, reached by an objective of our own that changes nothing."""

from typing import Any

import lightgbm
import numpy as np

from crossent.peers.probes.function import Call, Function

# a Dataset wants several rows, and throws a feature away that cannot split twenty from twenty
_COPIES = 2
_SMALL = {"verbosity": -1, "feature_pre_filter": False, "min_data_in_bin": 1, "min_data_in_leaf": 1}


def _still(raw: Any, _data: Any) -> tuple[Any, Any]:
    return np.zeros_like(raw), np.ones_like(raw)


# Without an objective of its own LightGBM takes the scores for probabilities.
def _metric(name: str) -> Call:
    def call(q: Any, target: Any) -> tuple[Any, Any]:
        classes = q.shape[1] if q.ndim == 2 else 1
        options = {"verbosity": -1, "metric": name, "num_class": classes, "objective": _still, "num_threads": 1}
        features = np.arange(_COPIES * len(q), dtype=np.float64)[:, None]
        scores = np.repeat(q, _COPIES, axis=0)
        data = lightgbm.Dataset(features, np.repeat(target, _COPIES), init_score=scores, params=_SMALL)
        results: dict[str, Any] = {}
        lightgbm.train(
            options, data, 1, valid_sets=[data], valid_names=["row"], callbacks=[lightgbm.record_evaluation(results)]
        )
        return results["row"][name][0], None

    return call


# LossOnPoint takes score[size_t(label)] and checks nothing
_UNCHECKED = dict.fromkeys(("label-high", "label-minus-one", "label-minus-100"), "multiclass_metric.hpp, LossOnPoint")

FUNCTIONS = (
    Function(
        *("multi_logloss", "probs", "id", "float64", "metric, floor 1e-15", _metric("multi_logloss")),
        undefined=_UNCHECKED,
    ),
    Function("binary_logloss", "probs", "binary", "float64", "metric, binary floor 1e-15", _metric("binary_logloss")),
)
