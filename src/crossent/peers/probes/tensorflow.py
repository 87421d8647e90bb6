"""TensorFlow: tf.nn on logits, derivatives by a gradient tape in eager mode."""

from collections.abc import Callable
from typing import Any

import tensorflow

from crossent.peers.probes.function import Call, Function


def differentiated(loss: Callable[[Any, Any], Any]) -> Call:
    """Return a call that answers the loss and what the tape says of the predictions."""

    def call(prediction: Any, target: Any) -> tuple[Any, Any]:
        given, wanted = tensorflow.constant(prediction), tensorflow.constant(target)
        with tensorflow.GradientTape() as tape:
            tape.watch(given)
            value = loss(given, wanted)
        slope = tape.gradient(value, given)
        return value.numpy(), None if slope is None else tensorflow.convert_to_tensor(slope).numpy()

    return call


def _loss(function: Any) -> Call:
    return differentiated(lambda logits, labels: function(labels=labels, logits=logits))


FUNCTIONS = (
    Function(
        *("nn.softmax_cross_entropy_with_logits", "logits", "distribution", "float32", "logits, 0 times inf"),
        _loss(tensorflow.nn.softmax_cross_entropy_with_logits),
    ),
    Function(
        *("nn.sparse_softmax_cross_entropy_with_logits", "logits", "id", "float32", "logits"),
        _loss(tensorflow.nn.sparse_softmax_cross_entropy_with_logits),
    ),
    Function(
        *("nn.sigmoid_cross_entropy_with_logits", "logits", "binary", "float32", "binary logits, maximum"),
        _loss(tensorflow.nn.sigmoid_cross_entropy_with_logits),
    ),
)
