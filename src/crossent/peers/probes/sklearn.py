"""scikit-learn: the metric, and the losses inside its gradient boosting and logistic regression (private there)."""

from typing import Any

import numpy as np
from sklearn._loss import HalfBinomialLoss, HalfMultinomialLoss
from sklearn.metrics import log_loss

from crossent.peers.probes.function import Call, Function


def _metric(**options: Any) -> Call:
    def call(q: Any, label: Any) -> tuple[Any, Any]:
        extra = {name: value(len(q)) for name, value in options.items()}
        return log_loss(label, q, labels=np.arange(q.shape[-1]), **extra), None

    return call


def _multinomial(raw: Any, label: Any) -> tuple[Any, Any]:
    loss = HalfMultinomialLoss(n_classes=raw.shape[-1])
    # a class is stored as a floating number there
    value, slope = loss.loss_gradient(label.astype(raw.dtype), raw)
    return value, slope


def _binomial(raw: Any, label: Any) -> tuple[Any, Any]:
    value, slope = HalfBinomialLoss().loss_gradient(label, raw)
    return value, slope


FUNCTIONS = (
    *(
        Function(
            *("log_loss", "probs", "id", dtype, "metric, clip eps", _metric()),
            variants={"zero-weights": _metric(sample_weight=np.zeros)},
        )
        for dtype in ("float64", "float32", "float16")
    ),
    Function("HalfMultinomialLoss", "logits", "id", "float64", "logits", _multinomial),
    Function("HalfBinomialLoss", "logits", "binary", "float64", "binary logits, maximum", _binomial),
)
