"""Optax: its cross-entropies on logits and its divergence on log-probabilities."""

import jax.numpy as jnp
import optax

from crossent.peers.probes.function import Function
from crossent.peers.probes.jax import differentiated

INTEGER, SOFT = optax.softmax_cross_entropy_with_integer_labels, optax.softmax_cross_entropy
SAFE = optax.safe_softmax_cross_entropy

FUNCTIONS = (
    Function(
        *("softmax_cross_entropy_with_integer_labels", "logits", "id", "float32", "logits"),
        differentiated(INTEGER),
        variants={
            # a class that does not take part: `where` is about classes, False everywhere is an empty softmax
            "all-ignored": differentiated(lambda z, y: INTEGER(z, y, where=jnp.zeros(z.shape, bool))),
        },
    ),
    Function(
        *("softmax_cross_entropy", "logits", "distribution", "float32", "logits, 0 times inf"),
        differentiated(SOFT),
        variants={
            "all-ignored": differentiated(lambda z, y: SOFT(z, y, where=jnp.zeros(z.shape, bool))),
            "smoothing": differentiated(lambda z, y: SOFT(z, optax.smooth_labels(y, 0.1))),
        },
    ),
    Function("safe_softmax_cross_entropy", "logits", "distribution", "float32", "logits", differentiated(SAFE)),
    Function(
        *("losses.kl_divergence", "log_probs", "distribution", "float32", "KL of log-probs, 0 times inf"),
        differentiated(optax.losses.kl_divergence),
    ),
    Function(
        *("sigmoid_binary_cross_entropy", "logits", "binary", "float32", "binary logits, split"),
        differentiated(optax.sigmoid_binary_cross_entropy),
    ),
)
