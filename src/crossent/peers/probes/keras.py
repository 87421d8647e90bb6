"""Keras 3 on the back end that KERAS_BACKEND names: losses on probabilities and on logits."""

from collections.abc import Callable
from typing import Any

import keras
from keras import losses, ops

from crossent.peers.probes.function import Call, Function

BACKEND = keras.config.backend()


def _differentiated(loss: Callable[[Any, Any], Any]) -> Call:
    """Return a call by the back end's own differentiation; NumPy has none."""
    if BACKEND == "torch":
        from crossent.peers.probes import torch  # the back end decides which of them is there

        return torch.differentiated(loss)
    if BACKEND == "jax":
        from crossent.peers.probes import jax

        return jax.differentiated(loss)
    if BACKEND == "tensorflow":
        from crossent.peers.probes import tensorflow

        return tensorflow.differentiated(loss)
    return lambda prediction, target: (ops.convert_to_numpy(loss(prediction, target)), None)


def _loss(function: Any, **options: Any) -> Call:
    return _differentiated(lambda prediction, target: function(target, prediction, **options))


def _binary(function: Any, **options: Any) -> Call:
    # it means over the last axis: one output unit per row
    return _differentiated(lambda q, y: function(y[:, None], q[:, None], **options))


CATEGORICAL, SPARSE = losses.categorical_crossentropy, losses.sparse_categorical_crossentropy
SPARSE_RULE = "clip 1e-7, softmax" if BACKEND == "tensorflow" else "rescaled, clip 1e-7"
# these two make a one-hot row of the id
SPARSE_LOGITS_RULE = "logits, 0 times inf" if BACKEND in ("jax", "numpy") else "logits"
KL_RULE = "KL, clip 1e-7, half at 1" if BACKEND == "jax" else "KL, clip 1e-7"
GENERALIZED_RULE = "generalized, 0.5, flushed" if BACKEND in ("jax", "tensorflow") else "generalized, 0.5"
# each back end has its own form
BINARY_RULE = {"torch": "binary logits, torch", "numpy": "binary, clip 1e-7"}.get(BACKEND, "binary logits, maximum")

FUNCTIONS = (
    Function(
        *("categorical_crossentropy", "probs", "distribution", "float32", "rescaled, clip 1e-7", _loss(CATEGORICAL)),
        variants={"smoothing": _loss(CATEGORICAL, label_smoothing=0.1)},
    ),
    Function(
        *("sparse_categorical_crossentropy", "probs", "id", "float32", SPARSE_RULE, _loss(SPARSE)),
        variants={"all-ignored": _loss(SPARSE, ignore_class=0)},
    ),
    Function(
        *("binary_crossentropy", "probs", "binary", "float32", "binary, clip 1e-7"),
        _binary(losses.binary_crossentropy),
    ),
    Function(
        *("categorical_crossentropy, from_logits", "logits", "distribution", "float32", "logits, 0 times inf"),
        _loss(CATEGORICAL, from_logits=True),
        variants={"smoothing": _loss(CATEGORICAL, from_logits=True, label_smoothing=0.1)},
    ),
    Function(
        *("sparse_categorical_crossentropy, from_logits", "logits", "id", "float32", SPARSE_LOGITS_RULE),
        _loss(SPARSE, from_logits=True),
        variants={"all-ignored": _loss(SPARSE, from_logits=True, ignore_class=0)},
    ),
    Function(
        *("binary_crossentropy, from_logits", "logits", "binary", "float32", BINARY_RULE),
        _binary(losses.binary_crossentropy, from_logits=True),
    ),
    Function("kl_divergence", "probs", "distribution", "float32", KL_RULE, _loss(losses.kl_divergence)),
    Function(
        *("categorical_generalized_cross_entropy, q=0.5", "probs", "id", "float32", GENERALIZED_RULE),
        _loss(losses.categorical_generalized_cross_entropy, q=0.5),
    ),
)
