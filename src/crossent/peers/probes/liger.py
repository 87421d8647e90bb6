"""Liger Kernel: its cross-entropy, on the CPU by Triton's interpreter (TRITON_INTERPRET=1)."""

from typing import Any

from liger_kernel.transformers.functional import liger_cross_entropy

from crossent.peers.probes.function import Call, Function
from crossent.peers.probes.torch import differentiated


def _loss(**options: Any) -> Call:
    # a copy: it writes the gradient over the logits it is given
    return differentiated(lambda logits, label: liger_cross_entropy(logits.clone(), label, **options))


FUNCTIONS = (
    Function(
        *("liger_cross_entropy", "logits", "id", "float32", "logits", _loss()),
        variants={"all-ignored": _loss(ignore_index=0), "smoothing": _loss(label_smoothing=0.1)},
    ),
)
