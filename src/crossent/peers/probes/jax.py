"""JAX: relative entropies of jax.scipy, derivatives by jax.grad."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy import special

from crossent.peers.probes.function import Call, Function


def differentiated(loss: Callable[[Any, Any], Any]) -> Call:
    """Return a call that answers the loss and its gradient by the predictions."""

    def call(prediction: Any, target: Any) -> tuple[Any, Any]:
        given, wanted = jnp.asarray(prediction), jnp.asarray(target)
        return loss(given, wanted), jax.grad(lambda x: loss(x, wanted).sum())(given)

    return call


FUNCTIONS = (
    Function(
        *("scipy.special.rel_entr(p, q).sum()", "probs", "distribution", "float32", "KL, flushed"),
        differentiated(lambda q, p: special.rel_entr(p, q).sum(axis=-1)),
    ),
    Function(
        *("scipy.special.kl_div(p, q).sum()", "probs", "distribution", "float32", "KL - p + q, flushed"),
        differentiated(lambda q, p: special.kl_div(p, q).sum(axis=-1)),
    ),
    Function(
        *("-scipy.special.xlogy(p, q).sum()", "probs", "distribution", "float32", "probs, flushed"),
        differentiated(lambda q, p: -special.xlogy(p, q).sum(axis=-1)),
    ),
)
