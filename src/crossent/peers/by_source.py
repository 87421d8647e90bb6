"""Packages that could not be run here: what their source or documentation says, told by its rule alone."""

from crossent.peers.recorded import Function

NOTE = "by reading the source, not run"

# package, revision read, function, reads, target, dtype, rule
_KNOWN = (
    ("cleanlab", "2.9.0", "log loss inside rank.py", "probs", "id", "float64", "metric, clip 1e-6, rescaled"),
    ("cuML", "documentation", "log_loss, eps=1e-15", "probs", "id", "float64", "metric, clip 1e-15"),
    ("R yardstick", "0352475d", "mn_log_loss", "probs", "id", "float64", "metric, clip eps"),
    ("R Metrics", "documentation", "logLoss", "probs", "binary", "float64", "metric, binary probs"),
    ("Flux.jl", "documentation", "crossentropy", "probs", "distribution", "float32", "eps added"),
    ("Caffe", "loss_layer.hpp", "MultinomialLogisticLoss", "probs", "id", "float32", "floor 1e-20"),
    ("Apple CCE", "25.1.1", "linear_cross_entropy (Triton)", "logits", "id", "float32", "logits"),
)

BY_SOURCE = tuple(
    Function(package, version, name, reads, target, dtype, rule, "formula", None, None, {})
    for package, version, name, reads, target, dtype, rule in _KNOWN
)
